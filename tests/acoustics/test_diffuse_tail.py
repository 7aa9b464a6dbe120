"""The diffuse tail against every image source: what is heard and measured must be the same.

Bounds, over rooms of the paper's sizes and RT60: energy decay within 2 dB down to -35 dB,
RT60 within 6 %, level within 0.2 dB, and the peak of SRP-PHAT within a degree.
"""

import numpy as np
import pytest
from scipy.signal import csd, welch

from tselcli.acoustics.ambisonics import figures_of_eight
from tselcli.acoustics.convolution import convolve
from tselcli.acoustics.diffuse_tail import decay, diffuse_tail_rirs, split_time, tailed_rirs
from tselcli.acoustics.geometry import direction, parse_array
from tselcli.acoustics.images import fast_rirs
from tselcli.acoustics.rirs import Room, measure_rt60

RATE = 16_000
ARRAY = parse_array("square:0.12")
ROOMS = [
    Room((6.3, 9.0, 7.0), 0.63),
    Room((10.5, 5.3, 12.5), 0.77),
    Room((14.6, 12.2, 10.4), 0.64),
    Room((5.2, 6.1, 5.4), 0.95),
]


def rngs(count=1, seed=0):
    return [np.random.default_rng([seed, number]) for number in range(count)]


def placed(room, azimuth=35.0, metres=1.9):
    centre = np.array([room.size_m[0] / 2 + 0.2, room.size_m[1] / 2 - 0.3, 1.1])
    return ARRAY.positions + centre, (centre + metres * direction(azimuth, 8.0))[None]


@pytest.fixture(scope="module", params=ROOMS, ids=str)
def both(request):
    mics, source = placed(request.param)
    full = fast_rirs(request.param, mics, source, RATE)[0]
    return request.param, full, diffuse_tail_rirs(request.param, mics, source, RATE, rngs())[0]


def decibels_left(rir):
    left = np.square(rir.astype(float))[..., ::-1].cumsum(axis=-1)[..., ::-1]
    return 10 * np.log10(np.maximum(left / left[..., :1], 1e-30))


def test_energy_decays_as_with_every_image(both):
    _, full, tailed = both
    length = min(full.shape[-1], tailed.shape[-1])
    ours, theirs = decibels_left(tailed)[:, :length], decibels_left(full)[:, :length]
    assert np.abs(ours - theirs)[theirs > -35].max() <= 2.0
    level = 10 * np.log10(np.square(tailed).sum() / np.square(full).sum())
    assert abs(level) <= 0.2


def test_the_rt60_is_that_of_every_image(both):
    room, full, tailed = both
    expected = np.mean([measure_rt60(rir, RATE) for rir in full])
    assert np.mean([measure_rt60(rir, RATE) for rir in tailed]) == pytest.approx(expected, rel=0.06)
    assert tailed.shape[-1] == pytest.approx(full.shape[-1], rel=0.1)
    assert split_time(room, 2.0) < 0.5 * tailed.shape[-1] / RATE  # there is a tail to speak of


def test_nothing_changes_while_reflections_are_few(both):
    room, full, tailed = both
    until = int((split_time(room, 1.5) - 0.006) * RATE)
    # The filter at 20 Hz is of zero phase and hears a little of what comes later: differences of
    # neighbours leave that out.
    before, after = (np.diff(rirs[:, :until], axis=1) for rirs in (full, tailed))
    assert np.linalg.norm(after - before) <= 1e-3 * np.linalg.norm(before)


def test_the_joint_is_neither_a_hole_nor_a_bump(both):
    room, full, tailed = both
    joint = int(split_time(room, 2.0) * RATE)
    for start in (joint - 480, joint - 160, joint + 160):
        around = slice(start, start + 480)  # 30 ms
        ratio = np.square(tailed[:, around]).sum() / np.square(full[:, around]).sum()
        assert abs(10 * np.log10(ratio)) <= 3.0


@pytest.mark.parametrize("azimuth", [-170.0, -60.0, 20.0, 95.0])
def test_the_source_is_found_where_it_is_with_every_image(azimuth, seen):
    by_delay, _ = seen
    room = ROOMS[0]
    mics, source = placed(room, azimuth)
    grid = np.arange(-180, 180)
    peaks = [
        by_delay(rirs[0], ARRAY.positions, RATE, (100, 7_000), grid)
        for rirs in (
            fast_rirs(room, mics, source, RATE),
            diffuse_tail_rirs(room, mics, source, RATE, rngs()),
        )
    ]
    assert abs((peaks[1] - peaks[0] + 180) % 360 - 180) <= 1
    assert abs((peaks[1] - azimuth + 180) % 360 - 180) <= 3


def test_the_decay_is_that_of_the_images():
    """Power in slots of 50 ms, of the mean over places, against the formula."""
    room = ROOMS[0]
    rng = np.random.default_rng(3)
    places = rng.uniform(0.5, np.array(room.size_m) - 0.5, (4, 3))
    full = np.square(fast_rirs(room, places[:2], places[2:], RATE).astype(float)).mean(axis=(0, 1))
    slots = full[: 8 * 800].reshape(8, 800).sum(axis=1)[2:]
    expected = decay(room, (np.arange(2, 8) + 0.5) * 0.05) * 0.05
    assert np.abs(10 * np.log10(slots / expected)).max() <= 1.0


def test_the_tail_comes_from_all_sides():
    room = Room((14.0, 15.0, 14.5), 3.0)
    mics, source = placed(room)
    rir = tailed_rirs(room, mics, source, RATE, rngs())[0]
    late = rir[:, int(0.4 * RATE) : int(2.4 * RATE)]
    late = late * 10 ** (1.0 * np.arange(late.shape[-1]) / late.shape[-1])
    options = {"fs": RATE, "nperseg": 128, "axis": -1}
    hertz, power = welch(late, **options)
    for a, b in [(0, 1), (0, 2)]:
        measured = (csd(late[a], late[b], **options)[1] / np.sqrt(power[a] * power[b]))[1:-1].real
        apart = np.linalg.norm(mics[a] - mics[b])
        assert np.sqrt(np.mean((measured - np.sinc(2 * hertz[1:-1] * apart / 343.0)) ** 2)) < 0.1


def test_ambisonics_have_a_tail_of_their_own():
    room = ROOMS[0]
    mics, source = placed(room)
    point, axes = np.repeat(mics[:1], 4, axis=0), figures_of_eight(25.0)
    full = fast_rirs(room, point, source, RATE, None, axes)[0]
    tailed = diffuse_tail_rirs(room, point, source, RATE, rngs(), axes)[0]
    late = slice(int(0.25 * RATE), tailed.shape[-1])
    ratio = np.square(tailed[:, late]).sum(axis=1) / np.square(full[:, late]).sum(axis=1)
    assert np.abs(10 * np.log10(ratio)).max() <= 2.5
    together = np.corrcoef(tailed[:, late])
    assert np.abs(together - np.eye(4)).max() < 0.15
    with pytest.raises(ValueError, match="at one point"):
        diffuse_tail_rirs(room, mics, source, RATE, rngs(), axes)


def test_the_same_random_numbers_give_the_same_bits_and_others_another_tail():
    room = ROOMS[0]
    mics, source = placed(room)
    first, again, other = (
        diffuse_tail_rirs(room, mics, source, RATE, rngs(seed=seed)) for seed in (0, 0, 1)
    )
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert np.array_equal(first[..., :800], other[..., :800])


def test_a_dry_room_has_no_tail():
    room = Room((15.0, 15.0, 15.0), 0.45)
    mics, source = placed(room)
    assert split_time(room, 2.0) > 0.25
    dry = Room((15.0, 15.0, 15.0), room.rt60_min_s * 1.001)
    rirs = [
        f(dry, mics, source, RATE, *more)
        for f, more in ((fast_rirs, ()), (diffuse_tail_rirs, (rngs(),)))
    ]
    length = min(rir.shape[-1] for rir in rirs)
    assert np.linalg.norm(rirs[0][..., :length] - rirs[1][..., :length]) <= 1e-2 * np.linalg.norm(
        rirs[0]
    )


def test_speech_like_sound_is_as_loud_through_both(both):
    _, full, tailed = both
    clip = np.random.default_rng(5).standard_normal(RATE // 2).astype(np.float32)
    ours, theirs = (np.square(convolve(clip, rirs)).sum() for rirs in (tailed, full))
    assert abs(10 * np.log10(ours / theirs)) <= 0.5
