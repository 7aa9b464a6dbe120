"""Ratios to the peer in the same process; run with ``pytest tests/benchmarks --benchmark-only``.

Nothing here fails for being slow: machines differ, ratios are for people to read.
"""

import numpy as np
import pytest
import torch

from tselcli.acoustics.geometry import parse_array
from tselcli.acoustics.trajectory import convolve_moving
from tselcli.features.gcc import srp_phat
from tselcli.features.stft import stft
from tselcli.models.localizer import Localizer

RATE = 16_000
ARRAY = parse_array("square:0.12")
SIGNAL = np.random.default_rng(0).standard_normal((4, 10 * RATE)).astype(np.float32) / 10


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.benchmark(group="SRP-PHAT of 10 s, four microphones, 360 azimuths")
def test_srp_ours(benchmark):
    grid = np.arange(-180.0, 180.0)

    def ours():
        spectrum = stft(torch.from_numpy(SIGNAL)[None], 1024, 320)
        return srp_phat(spectrum, ARRAY.positions, grid, RATE)

    assert benchmark(ours).shape == (1, 360)


@pytest.mark.benchmark(group="SRP-PHAT of 10 s, four microphones, 360 azimuths")
def test_srp_pyroomacoustics(benchmark):
    import pyroomacoustics as pra

    grid = np.deg2rad(np.arange(360.0))

    def theirs():
        frames = pra.transform.stft.analysis(SIGNAL.T, 1024, 320, win=np.hanning(1024))
        locator = pra.doa.SRP(ARRAY.positions[:, :2].T, RATE, 1024, azimuth=grid)
        locator.locate_sources(frames.transpose(2, 1, 0), freq_range=[40, 7900])
        return locator.grid.values

    assert benchmark(theirs).shape == (360,)


@pytest.mark.benchmark(group="localize 10 s (the real-time factor is a tenth of the seconds)")
@pytest.mark.parametrize("queries", [1, 10])
def test_localize_warm(benchmark, queries):
    localizer = Localizer.load()
    texts = [f"a sound of kind {number}" for number in range(queries)]
    answers = benchmark(lambda: localizer.locate(SIGNAL, RATE, texts, ARRAY))
    assert len(answers) == queries


MOVING = "a moving 10 s event: 100 responses of 0.3 s, four channels, 24 kHz"


def moving_event():
    rng = np.random.default_rng(0)
    clip = rng.standard_normal(240_000).astype(np.float32)
    rirs = rng.standard_normal((100, 4, 7200)).astype(np.float32)
    return clip, rirs


@pytest.mark.benchmark(group=MOVING)
def test_moving_ours(benchmark):
    clip, rirs = moving_event()
    starts = [2400 * frame for frame in range(100)]
    assert benchmark(lambda: convolve_moving(clip, rirs, starts, 24_000)).shape == (4, 240_000)


@pytest.mark.benchmark(group=MOVING)
def test_moving_frame_by_frame(benchmark):
    """The whole event through every response, faded in and out in its frame."""
    from scipy.signal import fftconvolve

    clip, rirs = moving_event()

    def straightforward():
        sound = np.zeros((4, len(clip)), dtype=np.float32)
        for frame, rir in enumerate(rirs):
            piece = np.zeros_like(clip)
            piece[2400 * frame : 2400 * (frame + 1)] = 1
            whole = fftconvolve((clip * piece)[None], rir, axes=1)
            sound += whole[:, : len(clip)]
        return sound

    rounds = {"rounds": 2, "iterations": 1}
    assert benchmark.pedantic(straightforward, **rounds).shape == (4, 240_000)
