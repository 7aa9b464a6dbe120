"""The model that comes with the package, on the recording that comes with it; no network."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

ASSETS = Path(__file__).parents[1] / "tselcli" / "assets"
ABSENT = ("rain on a roof", "a clock ticking", "church bells", "someone types on a keyboard")
TRUTH = {"a vehicle accelerating": -46.0, "a baby crying": 145.5}  # see recipes/demo.yaml
BLOCKED = """
import socket, sys

def refuse(*_):
    raise AssertionError("a socket was opened")

socket.socket.__init__ = refuse
sys.argv = ["tsel", *sys.argv[1:]]
from tselcli.cli import main
main()
"""


def tsel(*arguments):
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}
    return subprocess.run(
        [sys.executable, "-c", BLOCKED, *map(str, arguments)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.fixture(scope="module")
def answers():
    done = tsel("localize", ASSETS / "demo.flac", *TRUTH, *ABSENT, "--format", "json")
    assert done.returncode == 0, done.stderr
    return {answer["query"]: answer for answer in map(json.loads, done.stdout.splitlines())}


@pytest.mark.parametrize("query", TRUTH)
def test_the_demo_is_answered_right_without_a_socket(answers, query):
    error = abs((answers[query]["azimuth_deg"] - TRUTH[query] + 180) % 360 - 180)
    assert error < 10
    assert answers[query]["present"]
    assert answers[query]["model"].startswith("mask-compact@")


def test_most_sounds_that_are_not_there_are_turned_down(answers):
    assert sum(not answers[query]["present"] for query in ABSENT) >= 3


def test_a_sound_alike_in_all_channels_is_named(answers, tmp_path):
    signal, rate = soundfile.read(ASSETS / "demo.flac", always_2d=True)
    noise = np.random.default_rng(1).standard_normal(len(signal))[:, None]
    soundfile.write(tmp_path / "hum.flac", 0.5 * signal + 0.1 * noise * signal.std(), rate)
    done = tsel("localize", tmp_path / "hum.flac", *TRUTH, "--format", "json")
    assert done.returncode == 0, done.stderr
    for line in done.stdout.splitlines():
        assert any("alike in all channels" in warning for warning in json.loads(line)["warnings"])
    assert all("warnings" not in answer for answer in answers.values())


def test_the_files_of_the_model_are_small():
    sizes = {path.name: path.stat().st_size for path in ASSETS.glob("*.safetensors")}
    assert sum(sizes.values()) < 40e6, sizes


def test_the_card_and_the_credits_stand_beside_the_weights():
    for path in ASSETS.glob("*.safetensors"):
        assert path.with_suffix(".md").stat().st_size > 1000
        assert path.with_suffix(".attribution.md").stat().st_size > 10_000
