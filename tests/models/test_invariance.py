"""Where the front is, how loud it is and which channel is first must not matter."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tselcli.acoustics.geometry import MicArray, delays, parse_array

RATE, STEP_DEG = 16_000, 4  # the grids of a localizer repeat after this turn
NAMES = ["square:0.12", "tetra:0.042", "circular:5:0.06", "circular:9:0.08"]
SCENES = {
    "name": st.sampled_from(NAMES),
    "azimuth": st.integers(-180, 179),
    "seed": st.integers(0, 99),
}


def heard(array, azimuth_deg, seed, samples=6000):
    """A sound from far away, and some noise of each microphone's own: (C, N)."""
    rng = np.random.default_rng(seed)
    source = np.fft.rfft(rng.standard_normal(samples) * rng.random(samples) ** 8)
    hertz = np.fft.rfftfreq(samples, 1 / RATE)
    late = delays(array.positions, [azimuth_deg])[0]
    signal = np.fft.irfft(source * np.exp(-2j * np.pi * hertz * late[:, None]), samples)
    signal += 0.01 * signal.std() * rng.standard_normal(signal.shape)
    return signal.astype(np.float32)


def answers(localizer, signal, array):
    said = localizer.locate(signal, RATE, ["a horn", "rain"], array)
    return np.array([[one.azimuth_deg, one.confidence, one.presence] for one in said])


def same(found, wanted, turned_deg=0.0):
    apart = (found[:, 0] - wanted[:, 0] - turned_deg + 180) % 360 - 180
    assert np.abs(apart).max() < 0.3
    assert np.abs(found[:, 1:] - wanted[:, 1:]).max() < 0.02


@settings(max_examples=12)
@given(turn=st.integers(-45, 45).map(lambda steps: steps * STEP_DEG), **SCENES)
def test_turning_the_array_turns_the_answer(localizer, name, azimuth, seed, turn):
    array = parse_array(name)
    x, y, z = array.positions.T
    cos, sin = np.cos(np.deg2rad(turn)), np.sin(np.deg2rad(turn))
    places = np.stack([cos * x - sin * y, sin * x + cos * y, z], axis=1)
    turned = MicArray("turned", tuple(map(tuple, places.tolist())))
    signal = heard(array, azimuth, seed)
    there = answers(localizer, signal, array)
    same(answers(localizer, signal, turned), there, turn)
    assert np.abs((there[:, 0] - azimuth + 180) % 360 - 180).max() < 10


@given(gain_db=st.sampled_from([-400, -200, -90, -6, 6, 90, 200, 400]), **SCENES)
def test_loudness_changes_nothing(localizer, name, azimuth, seed, gain_db):
    array = parse_array(name)
    signal = heard(array, azimuth, seed)
    louder = (signal * 10 ** (gain_db / 20)).astype(np.float32)
    same(answers(localizer, louder, array), answers(localizer, signal, array))


@given(data=st.data(), **SCENES)
def test_the_order_of_the_microphones_changes_nothing(localizer, data, name, azimuth, seed):
    array = parse_array(name)
    order = data.draw(st.permutations(range(len(array.mics))))
    shuffled = MicArray("shuffled", tuple(array.mics[mic] for mic in order))
    signal = heard(array, azimuth, seed)
    same(answers(localizer, signal[order], shuffled), answers(localizer, signal, array))


@pytest.mark.parametrize("turn", [1, 45])
def test_the_front_is_where_the_array_says(localizer, turn):
    array = parse_array("square:0.12")
    found = [answers(localizer, heard(array, at, 0), array)[0, 0] for at in (10, 10 + turn)]
    assert found[1] - found[0] == pytest.approx(turn, abs=1.0)
