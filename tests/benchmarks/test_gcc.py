"""GCC-PHAT against a loop over pairs in numpy, as SELD baselines compute it."""

import os
import time

import librosa
import numpy as np
import pytest
import torch

from tselcli.features.gcc import recording_gcc

RATE, N_FFT, HOP, LAGS, CLIPS = 16_000, 1024, 320, 96, 8
GROUP = "GCC-PHAT of 8 clips of 10 s, six pairs, 96 lags"
CLOCK = " (by the clock, all cores)"


@pytest.fixture(scope="module")
def clips():
    """Noise that reaches one microphone after the other, under noise of their own."""
    rng = np.random.default_rng(0)
    source = rng.standard_normal((CLIPS, 1, 10 * RATE))
    late = np.concatenate([np.roll(source, lag, axis=-1) for lag in range(4)], axis=1)
    return (late + rng.standard_normal(late.shape)).astype(np.float32) / 10


def spectrum_of(clip):
    """The channels' spectra (C, T, F), centred and padded with zeros, one after another."""
    how = {"n_fft": N_FFT, "hop_length": HOP, "window": "hann", "pad_mode": "constant"}
    return np.stack([librosa.stft(channel, **how).T for channel in clip])


def by_pairs(clip):
    """Correlate pair by pair, all frames of a pair at once: (P, T, lags)."""
    spectrum = spectrum_of(clip)
    found = []
    for m in range(len(spectrum)):
        for n in range(m + 1, len(spectrum)):
            cross = spectrum[m] * np.conj(spectrum[n])
            lags = np.fft.irfft(np.exp(1j * np.angle(cross)), axis=-1)
            centred = np.concatenate([lags[:, -LAGS // 2 :], lags[:, : LAGS // 2]], axis=-1)
            found.append(centred)
    return np.stack(found)


def by_pairs_and_frames(clip):
    """Correlate pair by pair and frame by frame: (P, T, lags)."""
    spectrum = spectrum_of(clip)
    found = []
    for m in range(len(spectrum)):
        for n in range(m + 1, len(spectrum)):
            rows = []
            for one, other in zip(spectrum[m], spectrum[n], strict=True):
                cross = one * np.conj(other)
                lags = np.fft.irfft(cross / np.maximum(np.abs(cross), 1e-12))
                rows.append(np.concatenate([lags[-LAGS // 2 :], lags[: LAGS // 2]]))
            found.append(rows)
    return np.array(found)


def ours(clips):
    return [recording_gcc(clip[None], N_FFT, HOP, LAGS)[0] for clip in clips]


@pytest.mark.benchmark(group=GROUP)
def test_gcc_ours(benchmark, clips):
    correlation = benchmark(ours, torch.from_numpy(clips))
    np.testing.assert_allclose(correlation[0], by_pairs(clips[0]), atol=1e-4)
    np.testing.assert_allclose(correlation[0], by_pairs_and_frames(clips[0]), atol=1e-4)


@pytest.mark.benchmark(group=GROUP + CLOCK, timer=time.perf_counter)
def test_gcc_ours_on_all_cores(benchmark, clips):
    torch.set_num_threads(os.cpu_count() or 1)
    assert len(benchmark(ours, torch.from_numpy(clips))) == CLIPS


@pytest.mark.benchmark(group=GROUP + CLOCK, timer=time.perf_counter)
def test_gcc_pair_by_pair_by_the_clock(benchmark, clips):
    benchmark.extra_info["title"] = "librosa and numpy, pair by pair"
    assert len(benchmark.pedantic(lambda: list(map(by_pairs, clips)), rounds=5)) == CLIPS


@pytest.mark.benchmark(group=GROUP)
def test_gcc_pair_by_pair(benchmark, clips):
    benchmark.extra_info["title"] = "librosa and numpy, pair by pair"
    assert len(benchmark.pedantic(lambda: list(map(by_pairs, clips)), rounds=5)) == CLIPS


@pytest.mark.benchmark(group=GROUP)
def test_gcc_frame_by_frame(benchmark, clips):
    benchmark.extra_info["title"] = "the same frame by frame"
    assert len(benchmark.pedantic(lambda: list(map(by_pairs_and_frames, clips)), rounds=5)) == CLIPS
