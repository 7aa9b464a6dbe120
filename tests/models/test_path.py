import itertools

import numpy as np
import pytest

from tselcli.models.path import Ways, certainty, gathered, hysteresis, refined


def ridge(azimuths, size=180, width=3.0):
    """A response (T, size) with a bell at an azimuth of every frame."""
    grid = np.arange(size) * 360 / size - 180
    away = (grid - np.asarray(azimuths)[:, None] + 180) % 360 - 180
    return np.exp(-0.5 * (away / (width * 360 / size)) ** 2)


def test_the_best_way_is_that_of_a_search_through_all_ways():
    rng = np.random.default_rng(0)
    worth, cost = rng.random((5, 4)), 0.3
    best = {}
    for number in range(4**5):
        way = [(number // 4**k) % 4 for k in range(5)]
        turns = [min((b - a) % 4, (a - b) % 4) for a, b in itertools.pairwise(way)]
        if max(turns) <= 1:
            total = sum(worth[t, a] for t, a in enumerate(way)) - cost * sum(turns)
            for at in enumerate(way):
                best[at] = max(best.get(at, (-np.inf, [])), (total, way))
    ways = Ways(worth, reach=1, cost=cost)
    for frame in range(5):
        for index in range(4):
            assert ways.through(frame, index).tolist() == best[frame, index][1]


def test_a_way_crosses_the_seam_and_bridges_a_pause():
    truth = (np.linspace(150, 230, 60) + 180) % 360 - 180
    response = ridge(truth)
    response[25:35] = 0
    way = Ways(response, reach=3, cost=0.01).through(0, int(response[0].argmax()))
    found = refined(way, response, 2)
    errors = np.abs((found - truth + 180) % 360 - 180)
    assert errors[:22].max() < 3
    assert errors[38:].max() < 3
    assert errors[22:38].max() < 14  # it moved by 14 degrees meanwhile
    assert ((found >= -180) & (found < 180)).all()


def test_a_way_does_not_jump_to_a_louder_rival():
    own, rival = ridge(np.full(50, 20.0)), ridge(np.full(50, -100.0))
    response = own + np.where(np.arange(50)[:, None] > 30, 1.2, 0.0) * rival
    way = Ways(response, reach=3, cost=0.1).through(5, 100)
    assert way.tolist() == [100] * 50


@pytest.mark.parametrize("azimuth", [-179.7, -45.3, 0.0, 88.9])
def test_a_source_at_rest_is_found_between_the_bins(azimuth):
    response = ridge(np.full(30, azimuth))
    way = np.full(30, response[0].argmax())
    assert refined(way, response, 2) == pytest.approx(np.full(30, azimuth), abs=0.1)


def test_certainty_is_the_probability_around_the_way():
    worth = np.log(np.array([[0.7, 0.1, 0.1, 0.1], [0.25, 0.25, 0.25, 0.25]]))
    assert certainty(worth, np.array([0, 3]), 0) == pytest.approx([0.7, 0.25])
    assert certainty(worth, np.array([0, 3]), 1) == pytest.approx([0.9, 0.75])


def test_sums_over_windows_keep_the_ends():
    assert gathered(np.arange(5.0)[:, None], 3)[:, 0].tolist() == [1, 3, 6, 9, 7]


@pytest.mark.parametrize(
    ("energy", "active"),
    [
        ([0, 0.01, 1, 0.01, 0.001, 0.01, 0], [0, 1, 1, 1, 0, 0, 0]),
        ([0.5, 0.1, 0.05], [1, 1, 1]),
        ([0, 0], [0, 0]),
    ],
)
def test_a_sound_is_heard_until_it_has_faded(energy, active):
    found = hysteresis(np.array(energy, dtype=float), on_db=-10, off_db=-20)
    assert found.tolist() == [bool(flag) for flag in active]
