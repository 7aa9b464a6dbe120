import numpy as np
import pytest

from tselcli.acoustics.render import convolve
from tselcli.acoustics.trajectory import arc_length, convolve_moving, runs_of, walk

RATE = 16_000


def noise(samples, seed=0):
    return np.random.default_rng(seed).standard_normal(samples).astype(np.float32)


def responses(count, channels=2, length=3000, seed=1):
    """Decaying noise, each unlike the others: the hardest case for a level."""
    rng = np.random.default_rng(seed)
    decay = np.exp(-4 * np.arange(length) / length)
    return (rng.standard_normal((count, channels, length)) * decay).astype(np.float32)


def test_a_source_that_does_not_move_is_one_at_rest():
    clip, rir = noise(RATE), responses(1)
    moving = convolve_moving(clip, np.repeat(rir, 5, axis=0), [0, 1600, 3200, 4800, 8000], RATE)
    still = convolve(clip, rir[0])
    np.testing.assert_allclose(moving, still, atol=2e-4 * np.abs(still).max())


@pytest.mark.parametrize("hop", [1600, 4800])
def test_the_level_is_that_of_a_source_at_rest(hop):
    clip, rirs = noise(10 * RATE), responses(10 * RATE // hop)
    moving = convolve_moving(clip, rirs, [hop * k for k in range(len(rirs))], RATE)
    still = np.mean([np.mean(convolve(clip, rir) ** 2) for rir in rirs])
    assert abs(10 * np.log10(np.mean(moving**2) / still)) < 0.5


def test_nothing_clicks_when_a_response_takes_over():
    """A low tone whose two places differ by half a period has no more treble than its flank."""
    time = np.arange(RATE) / RATE
    tone = np.sin(2 * np.pi * 100 * time).astype(np.float32)
    rirs = np.zeros((2, 1, 200), dtype=np.float32)
    rirs[0, 0, 0] = rirs[1, 0, 80] = 1.0
    moving = convolve_moving(tone, rirs, [0, 8000], RATE)[0]
    treble = np.abs(np.fft.rfft(moving * np.hanning(RATE)))[2000:]
    hard = np.concatenate([tone[:8000], np.roll(tone, 80)[8000:]])
    click = np.abs(np.fft.rfft(hard * np.hanning(RATE)))[2000:]
    assert treble.max() < 0.05 * click.max()


def test_each_response_is_heard_in_its_time():
    clip = noise(RATE)
    rirs = np.zeros((2, 2, 10), dtype=np.float32)
    rirs[0, 0, 0] = rirs[1, 1, 0] = 1.0  # first the left, then the right
    moving = convolve_moving(clip, rirs, [0, 8000], RATE)
    np.testing.assert_allclose(moving[0, :7800], clip[:7800], atol=1e-5)
    np.testing.assert_allclose(moving[1, 8200:], clip[8200:], atol=1e-5)
    np.testing.assert_allclose(moving.sum(axis=0), clip, atol=1e-5)


def test_the_tail_of_an_earlier_place_is_kept():
    clip = np.zeros(RATE, dtype=np.float32)
    clip[7000] = 1.0
    rirs = np.zeros((2, 1, 3000), dtype=np.float32)
    rirs[0, 0, 2500] = 1.0
    moving = convolve_moving(clip, rirs, [0, 8000], RATE)
    assert moving[0].argmax() == 9500


def test_a_walk_keeps_its_speed_and_turns_back_at_the_ends():
    path = np.arange(0.0, 41.0, 1.0)
    runs = dict(walk(path, 30, 20.0, 41, closed=False))
    assert (runs[0], runs[5], runs[10], runs[15]) == (30, 40, 30, 20)


def test_a_closed_walk_goes_round():
    path = np.arange(0.0, 361.0, 10.0)
    way = walk(path, 35, 40.0, 50, closed=True)
    assert way[:3] == ((0, 35), (2, 0), (4, 1))  # 8 and 16 degrees on from the last
    assert max(k for _, k in way) == 35
    backwards = walk(path, 0, -40.0, 50, closed=True)
    assert backwards[1][1] == 35


def test_a_walk_among_equal_directions_stays():
    assert walk(np.zeros(4), 2, 10.0, 100, closed=False) == ((0, 2),)


def test_arc_length_counts_angles_on_the_sphere():
    assert arc_length([170, -170], [0, 0], closed=False).tolist() == [0, 20]
    assert arc_length([0, 90, 180, -90], [0, 0, 0, 0], closed=True)[-1] == pytest.approx(360)
    assert arc_length([0, 10], [60, 60], closed=False)[1] == pytest.approx(5)


def test_runs_are_where_values_change():
    assert runs_of([3, 3, 5, 5, 3]) == ((0, 3), (2, 5), (4, 3))


def test_responses_and_starts_must_match():
    with pytest.raises(ValueError, match="as many starts"):
        convolve_moving(noise(100), responses(2), [0], RATE)
