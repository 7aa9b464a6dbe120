import numpy as np
import pytest
from scipy.signal import resample

from tselcli.acoustics.ambisonics import figures_of_eight
from tselcli.acoustics.geometry import parse_array
from tselcli.acoustics.images import fast_rirs, image_rirs
from tselcli.acoustics.rirs import Room, high_passed, shoebox_rirs

RATE = 16_000
ROOM = Room((6.3, 5.1, 3.4), 0.5)
MICS = parse_array("square:0.12").positions + np.array([2.9, 2.4, 1.1])
SOURCES = np.array([(4.6, 3.4, 1.6), (1.2, 4.0, 0.9)])


@pytest.mark.parametrize("axes", [None, figures_of_eight(30.0)])
@pytest.mark.parametrize(("rate", "order"), [(8_000, 0), (16_000, 3), (32_000, 12), (8_000, None)])
def test_samples_are_those_of_pyroomacoustics(rate, order, axes):
    """To 5e-6 of each response, one by one; the default of recipes rests on it."""
    mics = MICS if axes is None else np.repeat(MICS[:1], 4, axis=0)
    ours = fast_rirs(ROOM, mics, SOURCES, rate, order, axes)
    theirs = shoebox_rirs(ROOM, mics, SOURCES, rate, order, axes)
    length = min(ours.shape[-1], theirs.shape[-1])
    assert theirs.shape[-1] - length <= (0.002 * rate if order is None else 0)
    rest = np.linalg.norm(ours[..., :length] - theirs[..., :length], axis=-1)
    assert np.linalg.norm(theirs, axis=-1).min() > 0.001  # near the null of a figure of eight
    assert (rest / np.linalg.norm(theirs, axis=-1)).max() <= 5e-6
    assert np.square(theirs[..., length:]).sum() <= 1e-8 * np.square(theirs).sum()


def test_large_lively_rooms_agree_too():
    """Here most images are left out, or far enough for single precision to show."""
    room = Room((14.2, 5.3, 7.7), 0.9)
    theirs = shoebox_rirs(room, MICS[:1], SOURCES[:1], RATE)
    ours = fast_rirs(room, MICS[:1], SOURCES[:1], RATE)
    length = min(ours.shape[-1], theirs.shape[-1])
    rest = np.linalg.norm(ours[..., :length] - theirs[..., :length])
    assert rest <= 5e-6 * np.linalg.norm(theirs)


def test_without_the_filter_the_rest_is_the_false_pressure():
    ours = high_passed(image_rirs(ROOM, MICS, SOURCES, RATE, 12), RATE)
    theirs = shoebox_rirs(ROOM, MICS, SOURCES, RATE, 12)
    length = theirs.shape[-1]
    rest = np.linalg.norm(ours[..., :length] - theirs, axis=-1) / np.linalg.norm(theirs, axis=-1)
    assert rest.max() <= 2e-3  # pyroomacoustics ends its filter with the last reflection
    assert np.square(ours[..., length:]).sum() <= 2e-6 * np.square(theirs).sum()


def test_direct_sound_comes_after_distance_over_c_and_falls_with_distance():
    rirs = image_rirs(ROOM, MICS, SOURCES, RATE, max_order=0)
    metres = np.linalg.norm(SOURCES[:, None] - MICS, axis=-1)
    fine = resample(rirs, rirs.shape[-1] * 32, axis=-1)  # between the samples
    assert fine.argmax(axis=-1) / 32 == pytest.approx(metres / 343.0 * RATE, abs=0.1)
    assert fine.max(axis=-1) == pytest.approx(1 / metres, rel=0.05)


@pytest.mark.parametrize("until_s", [0.012, 0.05, 0.13])
def test_what_comes_early_does_not_depend_on_what_is_left_out(until_s):
    whole = image_rirs(ROOM, MICS, SOURCES, RATE, 25)
    early = image_rirs(ROOM, MICS, SOURCES, RATE, 25, until_s=until_s)
    same = int(until_s * RATE) - 40  # half of the filter that places a reflection
    assert early[..., :same] == pytest.approx(whole[..., :same], abs=1e-6)
    assert early.shape[-1] - until_s * RATE < 100


def test_what_a_room_cannot_be_asked_is_refused():
    with pytest.raises(ValueError, match="not all inside"):
        image_rirs(ROOM, MICS, [(7.0, 1.0, 1.0)], RATE)
    with pytest.raises(ValueError, match="below the room's least"):
        image_rirs(Room(ROOM.size_m, 0.1), MICS, SOURCES, RATE)
