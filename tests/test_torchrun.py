"""Two processes train one network."""

import csv
import os
import subprocess
import sys

import numpy as np
import torch

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


SHARED = """
import sys
from pathlib import Path

import torch

from tselcli.recipe import recipe_from_dict
from tselcli.trainer import Run, rank_and_world


class Half:
    '''Learns from its own half of a batch; alone, from all of it.'''

    parts = ("error",)

    def __init__(self):
        torch.manual_seed(0)
        self.net = torch.nn.Sequential(
            torch.nn.Linear(5, 7), torch.nn.Tanh(), torch.nn.Linear(7, 1)
        )
        self.draws = torch.Generator().manual_seed(1)

    def loss(self, net):
        rank, world = rank_and_world()
        batch = torch.randn(8, 5, generator=self.draws).chunk(world)[rank]
        loss = (net(batch)[:, 0] - batch.sin().sum(dim=1)).square().mean()
        return loss, {"error": float(loss.detach())}

    def figures(self, net):
        return {"val_mae_deg": float(net(torch.ones(5)).detach()), "val_selection": 0.0}

    def save(self, path, net, figures):
        pass

    def finish(self, path):
        return {}

    def state(self):
        return {}


train = {"steps": 12, "steps_per_epoch": 3, "warmup_steps": 2, "patience": 99, "clip_grad": 0.5}
out = Path(sys.argv[1])
out.mkdir(exist_ok=True)
run = Run(recipe_from_dict({"name": "half", "train": train}), out, Half(), torch.device("cpu"))
run.fit()
run.optimiser.zero_grad()
run.task.loss(run.task.net)[0].backward()
run._share_gradients(run.task.net)
torch.save([one.grad for one in run.task.net.parameters()], out / f"gradients{run.rank}.pt")
run.finish()
"""


def test_two_processes_learn_what_one_learns_from_both_batches(tmp_path):
    (tmp_path / "half.py").write_text(SHARED)
    alone = os.environ | {"OMP_NUM_THREADS": "1", "NO_COLOR": "1"}
    two = ["-m", "torch.distributed.run", "--nproc-per-node", "2", "--standalone"]
    for name, way in (("one", []), ("two", two)):
        command = [sys.executable, *way, "half.py", name]
        done = subprocess.run(
            command, cwd=tmp_path, env=alone, capture_output=True, text=True, timeout=300
        )
        assert done.returncode == 0, done.stderr[-2000:]
    rows = []
    for name in ("one", "two"):
        with (tmp_path / name / "log.csv").open() as file:
            rows.append([[float(row[key]) for key in ("step", "loss", "error", "val_mae_deg")]
                         for row in csv.DictReader(file)])  # fmt: skip
    assert len(rows[0]) == 4
    np.testing.assert_allclose(rows[1], rows[0], rtol=1e-4)
    one, two = (
        torch.load(tmp_path / name / "last.pt", weights_only=True)["net"] for name in ("one", "two")
    )
    for name, value in one.items():
        torch.testing.assert_close(two[name], value, atol=1e-6, rtol=1e-5)
    whole = torch.load(tmp_path / "one" / "gradients0.pt", weights_only=True)
    for rank in (0, 1):
        shared = torch.load(tmp_path / "two" / f"gradients{rank}.pt", weights_only=True)
        torch.testing.assert_close(shared, whole, atol=1e-5, rtol=1e-4)
