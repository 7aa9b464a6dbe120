"""Runs that are killed at random moments, disks that are full, and two runs at once.

``TSEL_KILLS`` sets how often each command is killed, up to five times; two keep the tests short.
"""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tselcli.commands.features import features
from tselcli.commands.simulate import simulate
from tselcli.errors import DataError
from tselcli.features.cache import FeatureCache, content_key
from tselcli.recipe import recipe_from_dict, recipe_to_yaml

KILLS = int(os.environ.get("TSEL_KILLS", "2"))
COUNT = 24
RECIPE = {
    "name": "quick",
    "scene": {
        "sample_rate": 16000,
        "duration_s": 1.0,
        "room": {"length_m": [4, 6], "width_m": [4, 6], "height_m": [3, 4], "max_order": 3},
    },
}


def contents(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Scenes and features of a run that nothing disturbed."""
    folder = tmp_path_factory.mktemp("whole")
    (folder / "quick.yaml").write_text(recipe_to_yaml(recipe_from_dict(RECIPE)))
    simulate(recipe_from_dict(RECIPE), folder / "scenes", count=COUNT)
    features(folder / "scenes", jobs=1, cache=folder / "cache")
    return folder


def start(folder, *arguments):
    """Start ``tsel`` in a session of its own, so that its workers can be killed with it."""
    return subprocess.Popen(
        [sys.executable, "-m", "tselcli", *map(str, arguments)],
        cwd=folder,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


def finish(process):
    stdout, stderr = process.communicate(timeout=300)
    assert process.returncode == 0, stderr.decode()[-2000:]
    return json.loads(stdout)


def kill_again_and_again(folder, arguments, out, what):
    """Kill a command KILLS times, each a moment after it made something; gives what was left."""
    moment, left = random.Random(0), [0]
    for _ in range(KILLS):
        process = start(folder, *arguments)
        while len(list(out.rglob(what))) <= left[-1] and process.poll() is None:
            time.sleep(0.005)
        time.sleep(moment.uniform(0, 0.15))
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        left.append(len(list(out.rglob(what))))
    return left[1:]


@pytest.mark.parametrize("form", ["files", "webdataset"])
def test_a_simulation_that_was_killed_loses_nothing(whole, tmp_path, form):
    arguments = ["simulate", whole / "quick.yaml", "--count", COUNT, "--out", "out", "--jobs", 2]
    arguments += ["--format", form]
    left = kill_again_and_again(tmp_path, arguments, tmp_path / "out", "*.flac")
    assert left == sorted(left)  # what was whole stayed
    summary = finish(start(tmp_path, *arguments))
    assert summary["rendered"] + summary["kept"] == COUNT
    assert summary["kept"] >= left[-1] - 4 * 2  # those that were handed out may lack their lines
    expected = whole / "scenes"
    if form == "webdataset":
        finish(start(tmp_path, "simulate", "--merge", expected, "--out", "e", "--format", form))
        expected = tmp_path / "e"
    assert contents(tmp_path / "out") == contents(expected)


def test_features_that_were_killed_lose_nothing(whole, tmp_path):
    arguments = ["features", whole / "scenes", "--cache", "cache", "--jobs", 2]
    left = kill_again_and_again(tmp_path, arguments, tmp_path / "cache", "*.npy")
    assert left == sorted(left)
    finish(start(tmp_path, *arguments))
    assert contents(tmp_path / "cache") == contents(whole / "cache")


def test_two_processes_share_a_folder_and_a_cache(whole, tmp_path):
    command = ["simulate", whole / "quick.yaml", "--count", COUNT, "--out", "out", "--jobs", 1]
    both = [start(tmp_path, *command) for _ in range(2)]
    for process in both:
        finish(process)
    assert contents(tmp_path / "out") == contents(whole / "scenes")
    command = ["features", "out", "--cache", "cache", "--jobs", 1]
    both = [start(tmp_path, *command) for _ in range(2)]
    assert {finish(process)["frames"] for process in both} == {
        features(whole / "scenes", jobs=1, cache=whole / "cache")["frames"]
    }
    assert contents(tmp_path / "cache") == contents(whole / "cache")


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 640 KiB, where one can be mounted."""
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=640k", "tmpfs", str(disk)]
    if not shutil.which("mount") or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("a small disk cannot be mounted here")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_a_full_disk_is_one_line_and_the_run_goes_on_elsewhere(whole, small_disk, tmp_path):
    out = small_disk / "out"
    with pytest.raises(DataError, match=r"cannot be written \(No space left.*free some space"):
        simulate(recipe_from_dict(RECIPE), out, count=COUNT)
    there, expected = contents(out), contents(whole / "scenes")
    lines = there.pop("manifest.jsonl").splitlines()
    assert 0 < len(lines) < COUNT
    assert expected["manifest.jsonl"].splitlines()[: len(lines)] == lines
    assert there.items() <= expected.items()  # nothing is half written
    shutil.copytree(out, tmp_path / "larger")
    summary = simulate(recipe_from_dict(RECIPE), tmp_path / "larger", count=COUNT)
    assert summary.kept == len(lines)
    assert contents(tmp_path / "larger") == expected

    shutil.rmtree(out)
    (small_disk / "ballast").write_bytes(bytes(560 * 1024))
    with pytest.raises(DataError, match=r"feature cache \(No space left.*free some space"):
        features(whole / "scenes", jobs=1, cache=small_disk / "cache")
    there = contents(small_disk / "cache")
    assert there
    assert there.items() <= contents(whole / "cache").items()


def test_a_full_disk_leaves_nothing_half_written(tmp_path, monkeypatch):
    """As above where no disk can be mounted: writing fails half way."""
    write = Path.write_bytes

    def full(path, content):
        write(path, content[: len(content) // 2])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(DataError, match=r"No space left.*free some space"):
        FeatureCache(tmp_path / "cache").put(content_key(n=1), np.zeros(4))
    assert contents(tmp_path) == {}
