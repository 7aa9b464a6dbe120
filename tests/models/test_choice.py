import numpy as np
import pytest
import torch

from tselcli.models.choice import (
    candidates,
    credibility,
    direction_scores,
    heights,
    likeliness,
    newness,
    peaks,
    posterior_of,
    steering_weights,
)

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


def test_candidates_come_from_all_three_responses_once():
    masked = bump((10, 1.0), (60, 0.4))
    against = bump((-90, 1.0))
    everything = bump((-88, 1.0), (12, 0.9))
    found = GRID[candidates(masked, against, everything, np.ones(90), GRID)].tolist()
    assert found[:3] == [10, -90, 60]


def test_candidates_need_a_beginning_but_the_first():
    masked = bump((10, 1.0), (60, 0.4))
    everything = bump((-88, 1.0), (12, 0.9))
    begun = bump((-88, 1.0), (140, 0.5))[::4]
    found = GRID[candidates(masked, masked, everything, begun, GRID)].tolist()
    assert found == [10, -88, 140]


def test_a_match_can_be_no_better_than_a_match():
    poor, good, better = likeliness(np.array([-3.0, 4.0, 9.0]))
    assert better - good < 0.2
    assert good - poor > 10


def test_a_short_good_match_beats_a_long_poor_one():
    """The long sound has more cells; the mean of its logits is still the lower one."""
    logits = torch.full((20, 4), -1.0)
    logits[:2] = 3.0
    picture = torch.ones(40, 8)
    evidence = torch.zeros(40, 8, 2)
    evidence[:4, :, 0] = 0.9
    evidence[4:, :, 1] = 0.9
    short, long = direction_scores(
        logits, picture, torch.ones(40, 8), evidence, torch.tensor(15.0)
    ).tolist()
    assert short == pytest.approx(3.0, abs=0.5)
    assert long == pytest.approx(-1.0, abs=0.2)


def test_silent_points_have_no_say():
    logits = torch.zeros(20, 4)
    logits[10:] = 50.0
    picture = torch.ones(40, 8)
    picture[18:] = 0.0
    flat, new = torch.zeros(40, 8, 1), torch.ones(40, 8)
    score = direction_scores(logits, picture, new, flat, torch.tensor(15.0))
    assert abs(float(score)) < 1e-3


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


def test_echoes_have_no_say():
    """The first sound fits the description, its tail does not."""
    picture = torch.full((40, 8), 0.35)
    picture[10:] = 1.0 - 0.02 * torch.arange(30.0)[:, None]  # dies faster than DECAY
    logits = torch.full((20, 4), -5.0)
    logits[:6] = 2.0
    evidence = torch.full((40, 8, 1), 0.9)
    score = direction_scores(logits, picture, newness(picture), evidence, torch.tensor(15.0))
    assert float(score) > 1.0


def test_heights_are_read_off_the_nearest_bins_around_the_cut():
    histogram = np.zeros(90)
    histogram[0], histogram[45] = 2.0, 1.0  # -180 and 0 degrees
    found = heights(histogram, np.array([179.0, -177.0, 3.0, 90.0]))
    assert found.tolist() == [1.0, 1.0, 0.5, 0.0]


def test_where_few_sounds_begin_nobody_stands():
    loud, weak, wall, none = credibility(np.array([1.0, 0.4, 0.02, 0.0]))
    assert loud == 0
    assert weak == pytest.approx(1.1 * np.log(0.4))
    assert none < wall < weak - 1.0
