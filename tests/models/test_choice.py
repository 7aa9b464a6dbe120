import numpy as np
import pytest
import torch

from tselcli.models.choice import (
    COLUMNS,
    MATCH,
    Voices,
    fitting,
    judged,
    likeliness,
    log_chances,
    matches,
    odds_before,
    posterior_of,
    shadows,
    steering_weights,
    unlikeness,
)
from tselcli.models.scenery import Scenery, away, candidates, heights, peaks

GRID = np.arange(-180.0, 180.0)


def bump(*summits):
    """A response with summits (azimuth, height)."""
    away = np.abs((GRID[:, None] - np.array([place for place, _ in summits]) + 180) % 360 - 180)
    return (np.array([height for _, height in summits]) * np.exp(-0.5 * (away / 8) ** 2)).max(1)


def test_peaks_are_maxima_in_order_and_apart():
    response = bump((-179, 1.0), (30, 0.8), (40, 0.7), (100, 0.5))
    assert GRID[peaks(response, GRID, 3)].tolist() == [-179, 30, 100]


def test_mirrored_peaks_prefer_the_front():
    assert GRID[peaks(bump((150, 1.0), (30, 1.0)), GRID, 1)].tolist() == [30]


def view(masked, against=None, everything=None, begun=None, described=None, left=0.5):
    flat = np.full(360, 0.1)
    return Scenery(
        masked,
        flat if against is None else against,
        masked if everything is None else everything,
        np.ones(90) if begun is None else begun,
        np.ones(90) if described is None else described,
        left,
    )


def test_candidates_come_from_all_responses_and_beginnings_once():
    scenery = view(
        bump((10, 1.0), (60, 0.4)),
        bump((-90, 1.0)),
        bump((-88, 1.0), (12, 0.9)),
        bump((-88, 1.0), (140, 0.5))[::4],
        bump((-36, 1.0))[::4],
    )
    found = GRID[candidates(scenery, GRID)].tolist()
    assert found[0] == 10
    assert {10, 60, -90, 140, -36} <= set(found)
    assert -88 not in found
    assert min(away(a, b) for a in found for b in found if a != b) >= 8


def test_two_directions_ten_degrees_apart_are_both_offered():
    """The response under the mask peaks beside the source; sounds begin where it is."""
    scenery = view(bump((10, 1.0)), begun=bump((20, 1.0))[::4], described=np.zeros(90))
    assert {10, 20} <= set(GRID[candidates(scenery, GRID)].tolist())


def test_who_is_there_is_judged_before_cells_are_shared():
    scenery = view(bump((10, 1.0), (-90, 0.5)), begun=bump((10, 1.0), (-90, 0.1))[::4])
    weights = np.array([1.0, 2.0, 0.0, 0.0, 0.0, 0.0, 3.0])  # begun, everything, ..., offset
    odds = odds_before(scenery, [190, 90], GRID, weights)
    np.testing.assert_allclose(odds, [0 + 2 + 3, np.log(0.1) + 1 + 3], atol=0.1)
    np.testing.assert_allclose(np.exp(log_chances(odds)), 1 / (1 + np.exp(-odds)))


def test_the_table_says_what_speaks_for_each_candidate():
    scenery = view(
        bump((10, 1.0), (-90, 0.5)),
        bump((-90, 1.0)),
        bump((-90, 2.0), (10, 1.0)),
        bump((-88, 1.0), (12, 0.5))[::4],
        bump((12, 1.0))[::4],
        left=0.25,
    )
    found = [190, 90]  # bins of 10 and -90 degrees
    alike = np.array([[1.0, 0.8], [0.8, 1.0]])
    voices = Voices(np.array([3.0, -3.0]), np.array([1.0, 3.0]), np.array([-0.5, -4.0]), alike)
    table = dict(zip(COLUMNS, judged(scenery, voices, found, GRID).T, strict=True))
    assert table["likeliness"][0] > table["likeliness"][1] + 3
    np.testing.assert_allclose(table["masked"], [1.0, 0.5])
    np.testing.assert_allclose(table["left"], [0.0, 0.125], atol=1e-6)
    np.testing.assert_allclose(table["kin"], [-0.5, -4.0])
    np.testing.assert_allclose(table["described"], [0.0, np.log(1e-3)], atol=0.05)
    np.testing.assert_allclose(table["begun"], np.log([0.5, 1.0]), atol=0.05)
    np.testing.assert_allclose(table["everything"], [0.5, 1.0])
    np.testing.assert_allclose(np.exp(table["cells"]), [0.251, 0.751])
    np.testing.assert_allclose(table["begun_rank"], np.log([2.0, 1.0]))
    np.testing.assert_allclose(table["everything_rank"], np.log([2.0, 1.0]))
    np.testing.assert_allclose(table["both"], table["begun"] * table["everything"])
    np.testing.assert_allclose(table["shadow"], [np.exp(-100 / 15), 0.0])
    np.testing.assert_allclose(table["unlike"], [np.log(0.2), 0.0])


def test_a_direction_stands_in_the_shadow_of_the_nearest_stronger_one():
    found = shadows(np.array([170.0, -175.0, 0.0]), np.array([0.5, 1.0, 0.7]))
    np.testing.assert_allclose(found, [np.exp(-1.0), 0.0, np.exp(-175 / 15)])


def test_a_wall_sounds_like_one_of_those_with_a_higher_response():
    """The second like the first; the third like the fourth, which is weaker, and that like none."""
    alike = np.array([[1, 0.9, 0.2, 0.1], [0.9, 1, 0.3, 0], [0.2, 0.3, 1, 1], [0.1, 0, 1, 1]])
    response = np.array([1.0, 0.5, 0.6, 0.4])
    found = unlikeness(alike[:3, :3], response[:3])
    np.testing.assert_allclose(found, np.log([1.0, 0.1, 0.8]))
    found = unlikeness(alike, response)
    np.testing.assert_allclose(found, np.log([1.0, 0.1, 0.8, 0.01]))  # no less


def test_what_the_mask_leaves_counts_as_far_as_there_are_two_sources():
    table = np.ones((3, len(COLUMNS)))
    both, one = matches(table, np.array([9.0, 9.0, -9.0])), matches(table, np.array([9.0, -9, -9]))
    left = MATCH.index("left")
    assert both[0, left] == pytest.approx(1, abs=1e-3)
    assert one[0, left] == pytest.approx(0, abs=1e-3)
    assert matches(table[:1], np.array([9.0]))[0, left] == 0
    np.testing.assert_allclose(both[:, -1], [0, 0, -9], atol=1e-3)


def test_silence_in_a_response_is_finite():
    nothing = np.zeros(360)
    scenery = view(nothing, nothing, nothing, np.zeros(90), np.zeros(90))
    table = judged(scenery, Voices(*np.zeros((3, 1)), np.zeros((1, 1))), [0], GRID)
    assert np.isfinite(table).all()


def test_a_match_can_be_no_better_than_a_match():
    poor, good, better = likeliness(np.array([-3.0, 4.0, 9.0]))
    assert better - good < 0.1
    assert good - poor > 3


def test_what_is_heard_fits_as_far_as_it_is_trusted():
    voices = Voices(np.array([4.0, -4.0]), np.ones(2), np.array([-0.1, -3.0]), np.eye(2))
    weights = np.array([0.5, 9.0, 9.0, 9.0, 2.0, 9.0])
    expected = 0.5 * likeliness(voices.score) + 2.0 * voices.kin
    np.testing.assert_allclose(fitting(voices, weights), expected)


def test_what_the_mask_leaves_is_weighed_against():
    logits = torch.full((1, 10, 4), 6.0)
    logits[0, 5:] = -6.0
    against, everything = steering_weights(
        logits, torch.ones(20, 8), torch.ones(20, 8), torch.tensor(0.3)
    )
    assert float(against[0, 0, 0]) < 1e-6
    assert float(against[0, -1, 0]) > 0.98
    torch.testing.assert_close(everything, torch.ones(1, 20, 8))


def test_the_posterior_holds_the_candidates_chances():
    posterior = posterior_of(np.array([-179.6, 40.3]), np.array([0.75, 0.25]), GRID)
    assert posterior.sum() == pytest.approx(1)
    near = np.abs((GRID + 179.6 + 180) % 360 - 180) <= 10
    assert posterior[near].sum() == pytest.approx(0.75, abs=0.01)
    assert (posterior > 0).all()


def test_heights_are_read_off_the_nearest_bins_around_the_cut():
    histogram = np.zeros(90)
    histogram[0], histogram[45] = 2.0, 1.0  # -180 and 0 degrees
    found = heights(histogram, np.array([179.0, -177.0, 3.0, 90.0]))
    assert found.tolist() == [1.0, 1.0, 0.5, 0.0]
