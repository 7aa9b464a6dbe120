import numpy as np
import pytest
from scipy.signal import csd, welch

from tselcli.acoustics.geometry import parse_array
from tselcli.acoustics.noise import coherence, diffuse_noise

RATE = 16_000
MICS = parse_array("square:0.12").positions


def test_coherence_falls_like_a_sinc_with_frequency_and_distance():
    noise = diffuse_noise(MICS, 40 * RATE, RATE, np.random.default_rng(0))
    options = {"fs": RATE, "nperseg": 512, "axis": -1}
    frequencies, power = welch(noise, **options)
    useful = slice(2, -2)
    for a, b in [(0, 1), (0, 2), (1, 3), (2, 3)]:
        _, cross = csd(noise[a], noise[b], **options)
        measured = (cross / np.sqrt(power[a] * power[b]))[useful]
        distance = np.linalg.norm(MICS[a] - MICS[b])
        expected = np.sinc(2 * frequencies[useful] * distance / 343.0)
        assert np.abs(measured.real - expected).max() < 0.12
        assert np.abs(measured.imag).max() < 0.12
        assert np.sqrt(np.mean(np.abs(measured - expected) ** 2)) < 0.04


def test_coherence_is_the_mean_over_plane_waves_from_everywhere():
    rng = np.random.default_rng(0)
    rays = rng.standard_normal((200_000, 3))
    rays /= np.linalg.norm(rays, axis=1, keepdims=True)
    path = rays @ (MICS[0] - MICS[1])
    waves = np.exp(2j * np.pi * np.array([500.0, 1500.0, 2600.0])[:, None] * path / 343.0)
    model = coherence(MICS, np.array([500.0, 1500.0, 2600.0]))
    assert model[:, 0, 1] == pytest.approx(waves.mean(axis=1).real, abs=0.01)


def test_power_is_1_and_alike_on_all_channels_and_falls_by_3_db_an_octave():
    noise = diffuse_noise(MICS, 60 * RATE, RATE, np.random.default_rng(0))
    assert np.mean(noise.astype(float) ** 2, axis=1) == pytest.approx(1.0, rel=0.2)
    _, power = welch(noise[0], fs=RATE, nperseg=1024)
    octaves = [power[16 * 2**n : 32 * 2**n].mean() for n in range(4)]
    assert 10 * np.log10(octaves) == pytest.approx(
        10 * np.log10(octaves[0]) - 3.01 * np.arange(4), abs=0.5
    )


def test_same_random_numbers_give_the_same_noise():
    first, second = (diffuse_noise(MICS, 999, RATE, np.random.default_rng(5)) for _ in range(2))
    assert first.shape == (4, 999)
    assert np.array_equal(first, second)
