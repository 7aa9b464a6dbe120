"""``tsel localize`` end to end and by stage: a recording of 10 s, four microphones."""

import numpy as np
import pytest
import torch

from tselcli.acoustics.geometry import parse_array
from tselcli.corpora.audio import read_audio, write_audio
from tselcli.models.choosing import choose, survey
from tselcli.models.localizer import Localizer

RATE = 16_000
ARRAY = parse_array("square:0.12")
SIGNAL = np.random.default_rng(0).standard_normal((4, 10 * RATE)).astype(np.float32) / 10
TEXTS = [f"a sound of kind {number}" for number in range(10)]
STAGES = "localize 10 s, one query, by stage"


@pytest.fixture(scope="module")
def localizer():
    return Localizer.load()


@pytest.fixture(scope="module")
def heard(localizer):
    audio = localizer.prepare(SIGNAL, RATE, ARRAY)
    return localizer.hear(audio, TEXTS[:1], ARRAY)


@pytest.mark.benchmark(group="localize 10 s, end to end")
@pytest.mark.parametrize("queries", [1, 10])
def test_queries(benchmark, localizer, queries):
    benchmark.extra_info["title"] = f"{queries} quer{'ies' if queries > 1 else 'y'}"
    answers = benchmark(lambda: localizer.locate(SIGNAL, RATE, TEXTS[:queries], ARRAY))
    assert len(answers) == queries


@pytest.mark.benchmark(group="open the bundled model")
def test_the_model_is_opened(benchmark):
    benchmark.extra_info["title"] = "once in a run"
    assert benchmark.pedantic(Localizer.load, rounds=3).name.startswith("mask-compact")


@pytest.mark.benchmark(group=STAGES)
def test_read_the_file(benchmark, tmp_path):
    write_audio(tmp_path / "mix.flac", SIGNAL / 10, RATE)
    signal, _ = benchmark(read_audio, tmp_path / "mix.flac")
    assert signal.shape == SIGNAL.shape


@torch.no_grad()
@pytest.mark.benchmark(group=STAGES)
def test_draw_the_picture(benchmark, localizer, heard):
    assert benchmark(localizer.picture, heard.audio).shape[2] == localizer.features.n_mels


@pytest.mark.benchmark(group=STAGES)
def test_the_network_and_the_query(benchmark, localizer, heard):
    def matched():
        with torch.no_grad():
            return localizer.match(heard.picture, TEXTS[:1])

    assert benchmark(matched).odds.shape == (1,)


@pytest.mark.benchmark(group=STAGES)
def test_steering_and_onsets(benchmark, localizer, heard):
    def surveyed():
        with torch.no_grad():
            return survey(localizer, heard)

    assert len(benchmark(surveyed)) == 1


@pytest.mark.benchmark(group=STAGES)
def test_the_choice_with_steering_and_onsets(benchmark, localizer, heard):
    def chosen():
        with torch.no_grad():
            return choose(localizer, heard)

    assert len(benchmark(chosen)) == 1
