"""A moving source through measured responses, against the plain way: frame by frame."""

import numpy as np
import pytest
from scipy.signal import fftconvolve

from tselcli.acoustics.trajectory import convolve_moving

GROUP = "a moving 10 s event: 100 responses of 0.3 s, four channels, 24 kHz"


@pytest.fixture(scope="module")
def event():
    rng = np.random.default_rng(0)
    clip = rng.standard_normal(240_000).astype(np.float32)
    return clip, rng.standard_normal((100, 4, 7200)).astype(np.float32)


@pytest.mark.benchmark(group=GROUP)
def test_moving_ours(benchmark, event):
    starts = [2400 * frame for frame in range(100)]
    assert benchmark(lambda: convolve_moving(*event, starts, 24_000)).shape == (4, 240_000)


@pytest.mark.benchmark(group=GROUP)
def test_moving_frame_by_frame(benchmark, event):
    benchmark.extra_info["title"] = "`scipy.signal.fftconvolve`, frame by frame"
    clip, rirs = event

    def straightforward():
        """The whole event through every response, cut to its frame."""
        sound = np.zeros((4, len(clip)), dtype=np.float32)
        for frame, rir in enumerate(rirs):
            piece = np.zeros_like(clip)
            piece[2400 * frame : 2400 * (frame + 1)] = 1
            sound += fftconvolve((clip * piece)[None], rir, axes=1)[:, : len(clip)]
        return sound

    assert benchmark.pedantic(straightforward, rounds=2).shape == (4, 240_000)
