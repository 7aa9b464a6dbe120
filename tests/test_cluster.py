"""Simulation and features on a Dask cluster: separate processes, and one of them is killed."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tselcli.commands.features import features
from tselcli.commands.simulate import simulate
from tselcli.errors import DataError, RecipeError
from tselcli.processes import spread
from tselcli.recipe import recipe_from_dict

PROGRAM = Path(__file__).with_name("dask_cluster.py")
RECIPE = {
    "name": "quick",
    "scene": {
        "duration_s": 1.0,
        "room": {"length_m": [4, 6], "width_m": [4, 6], "height_m": [3, 4], "max_order": 3},
    },
}


class Cluster:
    """A scheduler and two workers; ``address`` is the scheduler's."""

    def __init__(self, folder):
        self.process = subprocess.Popen(
            [sys.executable, str(PROGRAM)],
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.address = self.process.stdout.readline().strip()

    def workers(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def close(self):
        self.process.stdin.close()
        self.process.wait(timeout=60)
        self.process.stdout.close()


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    pytest.importorskip("distributed", reason="the extra `dask` is not installed")
    running = Cluster(tmp_path_factory.mktemp("elsewhere"))
    yield running
    running.close()


@pytest.fixture(scope="module")
def recipe():
    return recipe_from_dict(RECIPE)


def contents(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def kill_when(enough, process):
    """Kill a process as soon as ``enough()``; gives the thread that waits for it."""

    def wait():
        while not enough():
            time.sleep(0.01)
        os.kill(process, signal.SIGKILL)

    thread = threading.Thread(target=wait)
    thread.start()
    return thread


def test_a_killed_worker_costs_nothing_and_the_bytes_are_those_of_a_local_run(
    cluster, recipe, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)  # names are relative to a folder that the workers are not in
    simulate(recipe, Path("here"), count=24)
    out = tmp_path / "there"

    def lines():
        manifest = out / "manifest.jsonl"
        return len(manifest.read_bytes().splitlines()) if manifest.exists() else 0

    killer = kill_when(lambda: lines() >= 6, cluster.workers()[0])
    summary = simulate(recipe, Path("there"), count=24, scheduler=cluster.address)
    killer.join()
    assert (summary.rendered, summary.kept) == (24, 0)
    assert contents(out) == contents(tmp_path / "here")
    assert simulate(recipe, out, count=24, scheduler=cluster.address).kept == 24

    here = features(out, jobs=1, cache=tmp_path / "cache-here")
    store = tmp_path / "cache-there"
    filled = lambda: len(list(store.rglob("*.npy"))) >= 8  # noqa: E731
    killer = kill_when(filled, cluster.workers()[0])
    there = features(out, cache=store, scheduler=cluster.address)
    killer.join()
    assert {**there, "cache": 0} == {**here, "cache": 0}
    assert contents(store) == contents(tmp_path / "cache-here")


def test_a_worker_that_does_not_share_the_folder_is_named(cluster, tmp_path, monkeypatch):
    from tselcli import cluster as ours

    (tmp_path / "shared").mkdir()
    with ours.open_cluster(cluster.address, []) as workers:
        monkeypatch.setattr("tselcli.cluster_worker.answer_mark", os.path.islink)  # False
        with pytest.raises(DataError, match=r"tcp://.*: this worker does not share .*shared"):
            workers.check([tmp_path / "shared"])
    assert list((tmp_path / "shared").iterdir()) == []


def test_what_a_worker_raises_arrives(cluster):
    from tselcli.cluster import open_cluster

    with open_cluster(cluster.address, []) as workers, pytest.raises(ValueError, match="could not"):
        list(spread(float, ["1", "two"], 2, workers))


def test_tasks_that_kill_their_workers_end_in_one_line(cluster):
    from tselcli.cluster import open_cluster

    with open_cluster(cluster.address, []) as workers, pytest.raises(DataError, match="died"):
        list(spread(os._exit, [1], 2, workers))


def test_an_address_that_nobody_answers_is_one_line(tmp_path, recipe, monkeypatch):
    pytest.importorskip("distributed", reason="the extra `dask` is not installed")
    monkeypatch.setattr("tselcli.cluster.CONNECT_S", 0.2)
    with pytest.raises(DataError, match="no Dask scheduler answers; start one with"):
        simulate(recipe, tmp_path / "out", count=1, scheduler="tcp://127.0.0.1:9")
    with pytest.raises(RecipeError, match="not an address"):
        simulate(recipe, tmp_path / "out", count=1, scheduler="nonsense://x")


def test_without_dask_one_line_says_how_to_get_it(tmp_path, recipe, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(RecipeError, match=r"needs Dask; install it with .*tselcli\[dask\]"):
        simulate(recipe, tmp_path / "out", count=1, scheduler="tcp://127.0.0.1:8786")


def test_any_executor_will_do():
    with ThreadPoolExecutor(2) as threads:
        assert list(spread(str, range(50), 2, threads)) == [str(number) for number in range(50)]
