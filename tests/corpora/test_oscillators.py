"""Building blocks against closed forms."""

import numpy as np
import pytest

from tselcli.corpora import oscillators

RATE = 16_000


def energy_between(signal, low, high, rate=RATE):
    power = np.abs(np.fft.rfft(signal)) ** 2
    frequency = np.fft.rfftfreq(len(signal), 1 / rate)
    return power[(frequency >= low) & (frequency < high)].sum() / power.sum()


def test_harmonics_are_a_sum_of_sines():
    pitch = np.linspace(100, 140, RATE)
    phase = 2 * np.pi * np.cumsum(pitch) / RATE
    amplitudes = [1.0, 0.0, 0.5, 0.25]
    expected = sum(a * np.sin(k * phase) for k, a in enumerate(amplitudes, start=1))
    np.testing.assert_allclose(oscillators.harmonics(pitch, RATE, amplitudes), expected, atol=1e-9)


def test_harmonics_above_the_band_are_left_out_not_folded():
    tone = oscillators.harmonics(np.full(8000, 3000.0), 8000, [1, 1, 1, 1])
    assert energy_between(tone, 2990, 3010, 8000) > 0.999
    assert np.abs(oscillators.harmonics(np.full(8000, 3900.0), 8000, [1])).max() == 0


def test_partials_decay_by_their_time_constant():
    signal = oscillators.partials([500.0, 9000.0], [1.0, 5.0], [0.2, 1.0], RATE, RATE)
    assert energy_between(signal, 400, 600) > 0.99  # 9 kHz is beyond the band
    first, later = np.std(signal[:1600]), np.std(signal[3200:4800])
    assert later / first == pytest.approx(np.exp(-1), rel=0.01)


@pytest.mark.parametrize("frequency", [200.0, 1500.0, 6000.0])
def test_resonator_passes_its_own_frequency(frequency):
    time = np.arange(RATE) / RATE
    inside = oscillators.resonate(np.sin(2 * np.pi * frequency * time), RATE, frequency, 80)
    outside = oscillators.resonate(np.sin(2 * np.pi * 2 * frequency * time), RATE, frequency, 80)
    assert np.abs(inside[RATE // 2 :]).max() == pytest.approx(1, rel=0.05)
    assert np.abs(outside[RATE // 2 :]).max() < 0.25
    assert np.abs(oscillators.resonate(time, RATE, 7900, 80)).max() == 0


def test_noise_has_the_level_and_the_band_asked_for():
    noise = oscillators.band_noise(np.random.default_rng(0), RATE, RATE, 1000, 2000)
    assert np.sqrt(np.mean(noise**2)) == pytest.approx(1, rel=1e-6)
    assert energy_between(noise, 800, 2500) > 0.9
    assert energy_between(noise, 4000, 8000) < 0.01  # 24 dB down after one octave
    tilted = oscillators.shaped_noise(
        np.random.default_rng(0), 4 * RATE, RATE, [(500, 0), (4000, -30)]
    )
    drop = energy_between(tilted, 480, 520) / energy_between(tilted, 3980, 4020)
    assert 10 * np.log10(drop) == pytest.approx(30, abs=3)


@pytest.mark.parametrize("make", [oscillators.white, oscillators.wander])
def test_noise_takes_one_draw_whatever_its_length(make):
    short, long = np.random.default_rng(0), np.random.default_rng(0)
    extra = (RATE, 5) if make is oscillators.wander else ()
    first = make(short, 100, *extra)
    np.testing.assert_allclose(make(long, 50_000, *extra)[:100], first)
    assert short.random() == long.random()


def test_events_are_cut_at_the_end_of_the_canvas():
    canvas = oscillators.silence(0.001, RATE)  # 16 samples
    oscillators.put(canvas, np.ones(10), 12 / RATE, RATE)
    oscillators.put(canvas, np.ones(10), 1.0, RATE)
    np.testing.assert_array_equal(canvas, [0] * 12 + [1] * 4)


def test_curve_and_swell_go_through_their_points():
    np.testing.assert_allclose(oscillators.curve([(0, 1), (0.5, 3), (1, 2)], 5), [1, 2, 3, 2.5, 2])
    envelope = oscillators.swell(RATE, RATE, 0.1, 0.2)
    assert envelope[[0, -1]].tolist() == [0, 0]
    assert envelope[1600:12_700].min() == pytest.approx(1)
    assert envelope[800] == pytest.approx(0.5)


def test_rolloff_is_in_decibels_per_octave():
    amplitudes = oscillators.rolloff(8, 6.02)
    np.testing.assert_allclose(amplitudes, 1 / np.arange(1, 9))


def test_level_leaves_silence_alone():
    assert np.abs(oscillators.level(np.array([0.1, -0.4]))).max() == pytest.approx(1)
    assert np.abs(oscillators.level(np.zeros(4))).max() == 0
