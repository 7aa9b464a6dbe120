"""Training that is killed at any moment goes on to the same curve, and alone in its folder."""

import csv
import multiprocessing
import os
import signal
import time

import numpy as np
import pytest
import torch

from tselcli.commands.simulate import simulate
from tselcli.commands.train import alone_in, train
from tselcli.errors import RecipeError
from tselcli.models.checkpoint import read_tensors
from tselcli.recipe import recipe_from_dict

KILLS = int(os.environ.get("TSEL_KILLS", "3"))
ROOM = {"length_m": [4, 6], "width_m": [4, 6], "height_m": [3, 4], "max_order": 3}
RECIPE = recipe_from_dict(
    {
        "name": "killed",
        "scene": {"duration_s": 1.0, "room": ROOM},
        "model": {"width": 4, "levels": 2, "embed_dim": 8},
        "train": {
            "steps": 24,
            "steps_per_epoch": 2,
            "batch_size": 2,
            "warmup_steps": 1,
            "patience": 100,
            "val_scenes": 2,
        },
        "mixing": {"rooms": 2, "rooms_per_clip": 1, "crop_s": 0.5, "extra_queries": 4},
    }
)


def curve(folder):
    with (folder / "log.csv").open() as file:
        rows = list(csv.DictReader(file))
    return [[float(row[name]) for name in row if name != "minutes"] for row in rows]


def test_killed_at_random_moments_it_comes_to_the_same_weights(tmp_path, monkeypatch):
    monkeypatch.setenv("TSEL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    fork = multiprocessing.get_context("forkserver")
    fork.set_forkserver_preload(["tselcli.commands.train", "tselcli.mask_task"])
    rng = np.random.default_rng(0)
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    folders = {"data": tmp_path / "train", "val_data": tmp_path / "val"}
    for split, count in (("train", 6), ("val", 2)):
        simulate(RECIPE, tmp_path / split, split=split, count=count, jobs=1)

    def start(out, resume):
        how = {"device": "cpu", "jobs": 1, "resume": resume, **folders}
        process = fork.Process(target=train, args=(RECIPE, out), kwargs=how)
        process.start()
        return process

    process = start(whole, False)
    process.join()
    assert process.exitcode == 0
    kills = 0
    while True:
        process = start(broken, (broken / "recipe.yaml").exists())
        begun = len(curve(broken)) if (broken / "log.csv").exists() else 0
        while kills < KILLS and process.is_alive():
            if (broken / "log.csv").exists() and len(curve(broken)) > begun:
                time.sleep(float(rng.uniform(0, 0.1)))
                os.kill(process.pid, signal.SIGKILL)
                kills += 1
                break
            time.sleep(0.002)
        process.join()
        if process.exitcode == 0:
            break
        assert process.exitcode == -signal.SIGKILL
    assert kills == KILLS or KILLS > 6  # a short run cannot be killed more often
    np.testing.assert_array_equal(curve(broken), curve(whole))
    for name in ("net", "average", "optimiser"):
        ours, theirs = (
            torch.load(out / "last.pt", weights_only=True)[name] for out in (broken, whole)
        )
        assert str(ours) == str(theirs)
    ours, theirs = (read_tensors(out / "best.safetensors")[0] for out in (broken, whole))
    assert all(torch.equal(ours[name], value) for name, value in theirs.items())


def test_one_process_at_a_time_trains_into_a_folder(tmp_path):
    with alone_in(tmp_path / "run"):
        with pytest.raises(RecipeError, match="another process trains into it"):
            train(RECIPE, tmp_path / "run", device="cpu", jobs=1)
        with alone_in(tmp_path / "other"):
            pass
    with alone_in(tmp_path / "run"):
        pass
    assert not (tmp_path / "run").exists()
