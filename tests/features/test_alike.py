import numpy as np
import pytest
import torch

from tselcli.acoustics.geometry import delays, parse_array
from tselcli.features.alike import tells_alike
from tselcli.features.precedence import OnsetHistogram
from tselcli.features.steering import steering_of
from tselcli.features.stft import stft
from tselcli.sections import FeatureRecipe

RATE = 16_000
FEATURES = FeatureRecipe()
GRID = np.arange(-180.0, 180.0, 1.0)


def noise(seed):
    return np.random.default_rng(seed).standard_normal(RATE)


def wave(array, azimuth, seed=0):
    """Noise as a plane wave: (C, N)."""
    late = delays(array.positions, np.array([azimuth]))[0]
    turned = np.fft.rfft(noise(seed)) * np.exp(
        -2j * np.pi * np.fft.rfftfreq(RATE, 1 / RATE) * late[:, None]
    )
    return torch.from_numpy(np.fft.irfft(turned, RATE)).float()


def alike(array, seed=1):
    return torch.from_numpy(np.tile(noise(seed), (len(array.positions), 1))).float()


def kept(spec, signal):
    """What a steering keeps of ones (T', M)."""
    steering = steering_of(parse_array(spec), GRID, 4, FEATURES, "cpu")
    spectrum = stft(signal[None], FEATURES.n_fft, FEATURES.hop)
    cells = -(-spectrum.shape[2] // FEATURES.mel_pool)
    ones = torch.ones(cells, FEATURES.n_mels)
    return steering.beside_alike(lambda: [spectrum], ones, ones)[1]


@pytest.mark.parametrize(
    "spec", ["square:0.12", "circular:8:0.05", "circular:3:0.04", "tetra:0.08"]
)
def test_these_arrays_tell_what_is_alike(spec):
    assert tells_alike(parse_array(spec).positions)


@pytest.mark.parametrize("spec", ["linear:2:0.1", "linear:4:0.05"])
def test_a_line_hears_its_broadside_alike_and_loses_nothing(spec):
    array = parse_array(spec)
    assert not tells_alike(array.positions)
    assert torch.equal(kept(spec, wave(array, 0.0)), torch.ones_like(kept(spec, alike(array))))


def test_ambisonics_lose_nothing():
    signal = torch.from_numpy(np.stack([noise(0), 0 * noise(0), 0 * noise(0), 0 * noise(0)]))
    assert bool((kept("foa", signal.float()) == 1).all())


@pytest.mark.parametrize("spec", ["square:0.12", "circular:8:0.05", "tetra:0.08"])
@pytest.mark.parametrize("azimuth", [-180, -91, -22.5, 0, 13, 67.5, 120])
def test_a_wave_is_kept_wherever_it_comes_from(spec, azimuth):
    """Above 1 kHz: below, small arrays hear all directions nearly alike."""
    found = kept(spec, wave(parse_array(spec), azimuth))
    assert float(found[:, FEATURES.n_mels // 2 :].mean()) > 0.9
    assert float(found.mean()) > 0.7


@pytest.mark.parametrize("spec", ["square:0.12", "circular:8:0.05", "tetra:0.08"])
def test_what_is_alike_is_left_out(spec):
    """Not at the lowest pitches, nor where the array's side is a whole wavelength."""
    found = kept(spec, alike(parse_array(spec)))
    assert float(found.median()) < 0.001
    assert float(found.mean()) < 0.15


def test_steering_finds_a_wave_below_a_louder_sound_that_is_alike():
    """Half of the time each, 10 dB apart; three microphones cannot do without their mean."""
    array = parse_array("circular:3:0.06")
    steering = steering_of(array, GRID, 4, FEATURES, "cpu")
    signal = wave(array, 70.0)
    signal[:, RATE // 2 :] = 3 * alike(array)[:, RATE // 2 :]
    spectrum = stft(signal[None], FEATURES.n_fft, FEATURES.hop)
    cells = -(-spectrum.shape[2] // FEATURES.mel_pool)
    ones = torch.ones(cells, FEATURES.n_mels)
    same, left = steering.beside_alike(lambda: [spectrum], ones, ones)
    assert same is steering
    assert float(left[: cells // 2].mean()) > 4 * float(left[cells // 2 + 2 :].mean())
    before = steering.response([spectrum], ones[None])[0]
    after = steering.response([spectrum], left[None])[0]
    assert GRID[int(after.argmax())] == 70
    assert float(after.max()) > 0.85 > float(before.max())


def test_what_begins_alike_counts_nowhere():
    array = parse_array("square:0.12")
    count = OnsetHistogram(array.positions, GRID[::4], RATE)
    one, other = wave(array, 40.0), alike(array)
    one[:, RATE // 3 :], other[:, : RATE // 2] = 0, 0
    alone, both = count(one)[0], count(one + other)[0]
    assert GRID[::4][int(both.argmax())] == 40
    assert float(count(other)[0].sum()) < 0.05 * float(alone.sum())
    assert float((both - alone).abs().sum()) < 0.05 * float(alone.sum())
