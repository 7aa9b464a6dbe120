"""SRP-PHAT against that of pyroomacoustics: same samples, window, bins and grid."""

import os
import time

import numpy as np
import pyroomacoustics as pra
import pytest
import torch

from tselcli.acoustics.geometry import parse_array
from tselcli.features.srp import srp_of_blocks
from tselcli.features.stft import stft_blocks

RATE, N_FFT, HOP, CLIPS = 16_000, 1024, 320, 8
ARRAY = parse_array("square:0.12")
GRID = np.arange(-180.0, 180.0)
GROUP = "SRP-PHAT of 8 clips of 10 s, four microphones, 360 azimuths"
CLOCK = " (by the clock, all cores)"


@pytest.fixture(scope="module")
def clips():
    """Noise that reaches one microphone after the other, under noise of their own."""
    rng = np.random.default_rng(0)
    source = rng.standard_normal((CLIPS, 1, 10 * RATE))
    late = np.concatenate([np.roll(source, lag, axis=-1) for lag in range(4)], axis=1)
    return (late + rng.standard_normal(late.shape)).astype(np.float32) / 10


def ours(clips):
    """Response (clips, A), the mean over frames, bins and pairs: in [-1, 1]."""
    spectra = (stft_blocks(clip[None], N_FFT, HOP) for clip in torch.from_numpy(clips))
    found = [srp_of_blocks(blocks, ARRAY.positions, GRID, RATE) for blocks in spectra]
    return torch.cat(found).numpy()


def theirs(clips):
    """The same of pyroomacoustics, which adds 1 for every microphone and takes pairs twice."""
    window = np.hanning(N_FFT + 1)[:-1]
    locator = pra.doa.SRP(ARRAY.positions[:, :2].T, RATE, N_FFT, azimuth=np.deg2rad(GRID))
    bins = np.arange(N_FFT // 2 + 1)
    found = []
    for clip in clips:
        # Its first frame begins N_FFT - HOP samples early; ours is its second.
        padded = np.pad(clip, ((0, 0), (2 * HOP - N_FFT // 2, N_FFT // 2)))
        frames = pra.transform.stft.analysis(padded.T, N_FFT, HOP, win=window)[1:502]
        locator.locate_sources(frames.transpose(2, 1, 0), freq_bins=bins)
        pairs = len(ARRAY.mics) * (len(ARRAY.mics) - 1) / 2
        found.append((locator.grid.values - len(ARRAY.mics) / pairs) / 2)
    return np.stack(found)


@pytest.mark.benchmark(group=GROUP)
def test_srp_ours(benchmark, clips):
    response = benchmark(ours, clips)
    np.testing.assert_allclose(response[:2], theirs(clips[:2]), atol=1e-4)


@pytest.mark.benchmark(group=GROUP + CLOCK, timer=time.perf_counter)
def test_srp_ours_on_all_cores(benchmark, clips):
    torch.set_num_threads(os.cpu_count() or 1)
    assert benchmark(ours, clips).shape == (CLIPS, 360)


@pytest.mark.benchmark(group=GROUP + CLOCK, timer=time.perf_counter)
def test_srp_pyroomacoustics_by_the_clock(benchmark, clips):
    benchmark.extra_info["title"] = "`pyroomacoustics.doa.SRP`"
    assert benchmark.pedantic(theirs, (clips,), rounds=5).shape == (CLIPS, 360)


@pytest.mark.benchmark(group=GROUP)
def test_srp_pyroomacoustics(benchmark, clips):
    benchmark.extra_info["title"] = "`pyroomacoustics.doa.SRP`"
    assert benchmark.pedantic(theirs, (clips,), rounds=5).shape == (CLIPS, 360)
