"""The split of a moving source's responses, against every response followed to its end."""

import numpy as np
import pytest

from tselcli.acoustics.ambisonics import figures_of_eight
from tselcli.acoustics.early_late import EARLY_S, FADE_S, LATE_DEG, early_and_late
from tselcli.acoustics.geometry import direction, parse_array
from tselcli.acoustics.render import convolve
from tselcli.acoustics.rirs import Room, measure_rt60, shoebox_rirs
from tselcli.acoustics.trajectory import convolve_moving, runs_of

RATE, ORDER = 16_000, 22
ROOM = Room((6.3, 5.1, 3.4), 0.5)
CENTRE = np.array([3.0, 2.6, 1.1])
MICS = parse_array("square:0.12").positions + CENTRE
AZIMUTHS = np.array([30.0, 32, 34, 36, 38, 40, 42, 44, 46, 44, 42, 40])  # turns back at 46
PLACES = CENTRE + 1.7 * direction(AZIMUTHS, 5.0)
STARTS = [1600 * frame for frame in range(len(AZIMUTHS))]
SPLIT = int((1.7 / 343.0 + EARLY_S) * RATE)


@pytest.fixture(scope="module")
def full():
    return shoebox_rirs(ROOM, MICS, PLACES, RATE, ORDER)


@pytest.fixture(scope="module")
def parts():
    return early_and_late(ROOM, MICS, PLACES, AZIMUTHS.tolist(), RATE, ORDER)


def added(parts, length):
    early, late, which = parts
    whole = np.zeros((len(early), early.shape[1], length), dtype=np.float32)
    for part in (early, late[which]):
        whole[..., : part.shape[-1]] += part[..., :length]
    return whole


def decibels(power, reference):
    return 10 * np.log10(np.square(power).sum(axis=-1) / np.square(reference).sum(axis=-1))


def test_late_parts_are_taken_within_a_few_degrees(parts):
    _, late, which = parts
    assert which == [0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1]
    assert len(late) == 2
    anchors = AZIMUTHS[[which.index(number) for number in which]]
    assert np.abs(anchors - AZIMUTHS).max() <= LATE_DEG


def test_the_direct_sound_and_early_reflections_are_exact_at_every_place(parts, full):
    until = SPLIT - int(FADE_S * RATE)
    whole = added(parts, full.shape[-1])[..., :until]
    assert whole == pytest.approx(full[..., :until], abs=2e-3 * full.max())


def test_where_the_late_part_is_taken_the_response_is_whole(parts, full):
    whole = added(parts, full.shape[-1])
    for number in (0, 5):
        rest = np.linalg.norm(whole[number] - full[number]) / np.linalg.norm(full[number])
        assert rest <= 3e-3


def test_in_between_the_room_decays_as_it_does(parts, full):
    whole = added(parts, full.shape[-1])
    assert np.abs(decibels(whole, full)).max() <= 0.5
    late = slice(SPLIT, None)
    assert np.abs(decibels(whole[..., late], full[..., late])).max() <= 1.5
    for number in range(len(AZIMUTHS)):
        expected = measure_rt60(full[number, 0], RATE)
        assert measure_rt60(whole[number, 0], RATE) == pytest.approx(expected, rel=0.1)


def moved(parts, clip):
    """Let a clip move through the early and the late parts."""
    early, late, which = parts
    runs = runs_of(which)
    numbers = [number for _, number in runs]
    heard = convolve_moving(clip, early, STARTS, RATE)
    return heard + convolve_moving(clip, late[numbers], [STARTS[k] for k, _ in runs], RATE)


def test_moving_is_as_loud_as_standing_still_and_as_all_responses_in_full(parts, full):
    clip = np.random.default_rng(0).standard_normal(STARTS[-1] + 1600).astype(np.float32)
    sound = moved(parts, clip)
    reference = convolve_moving(clip, full, STARTS, RATE)
    assert np.abs(decibels(sound, reference)).max() <= 0.2
    assert abs(decibels(sound.ravel(), convolve(clip, full[0]).ravel())) <= 0.5
    frames = decibels(sound[0].reshape(-1, 1600), reference[0].reshape(-1, 1600))
    assert np.abs(frames).max() <= 1.0


def test_nothing_clicks(parts):
    """A low tone stays a low tone, where a late part takes over too."""
    tone = np.sin(2 * np.pi * 300 * np.arange(STARTS[-1] + 1600) / RATE).astype(np.float32)
    sound = moved(parts, tone)[0, 4800:-1600]
    spectrum = np.abs(np.fft.rfft(sound * np.hanning(len(sound)))) ** 2
    hertz = np.fft.rfftfreq(len(sound), 1 / RATE)
    assert spectrum[hertz > 1000].sum() <= 1e-6 * spectrum.sum()


def test_ambisonics_are_split_alike():
    axes = figures_of_eight(20.0)
    mics = np.repeat(CENTRE[None], 4, axis=0)
    parts = early_and_late(ROOM, mics, PLACES[:2], AZIMUTHS[:2].tolist(), RATE, 12, axes)
    full = shoebox_rirs(ROOM, mics, PLACES[:1], RATE, 12, axes)[0]
    whole = added(parts, full.shape[-1])[0]
    assert np.linalg.norm(whole - full) / np.linalg.norm(full) <= 3e-3


def test_where_nothing_is_late_there_is_no_late_part():
    early, late, which = early_and_late(ROOM, MICS, PLACES, AZIMUTHS.tolist(), RATE, 0)
    assert late.shape[-1] == 0
    assert early.any()
    assert len(which) == len(AZIMUTHS)
