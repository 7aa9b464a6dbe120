"""Two processes train one network."""

import csv
import os
import subprocess
import sys

from tselcli.models.checkpoint import load_checkpoint

RECIPE = """
name: two
scene:
  duration_s: 1.0
  room: {length_m: [4, 6], width_m: [4, 6], height_m: [3, 4], max_order: 3}
model: {width: 4, levels: 2, embed_dim: 8}
train: {steps: 4, steps_per_epoch: 2, batch_size: 2, warmup_steps: 1, val_scenes: 2}
mixing: {rooms: 2, rooms_per_clip: 1, crop_s: 0.5, extra_queries: 4, absent_queries: 2}
"""


def test_torchrun_trains_one_network_in_two_processes(tmp_path):
    (tmp_path / "two.yaml").write_text(RECIPE)
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--nproc-per-node",
        "2",
        "--standalone",
    ]
    train = ["-m", "tselcli", "train", "two.yaml", "--out", "run", "--jobs", "1"]
    alone = {"TSEL_CACHE": str(tmp_path / "cache"), "OMP_NUM_THREADS": "1", "NO_COLOR": "1"}
    done = subprocess.run(
        [*command, *train, "--device", "cpu"],
        cwd=tmp_path,
        env=os.environ | alone,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert len(done.stdout.splitlines()) == 1  # only the first process speaks
    with (tmp_path / "run" / "log.csv").open() as file:
        assert [row["step"] for row in csv.DictReader(file)] == ["2", "4"]
    assert load_checkpoint(str(tmp_path / "run")).recipe.name == "two"
