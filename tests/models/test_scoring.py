import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from tselcli.acoustics.geometry import parse_array
from tselcli.features.steering import steering_of
from tselcli.models.choice import newness
from tselcli.models.matching import Matched
from tselcli.models.scoring import MAX_CELLS, Heard, direction_sums, query_groups, voices
from tselcli.sections import FeatureRecipe

FOCUS = torch.tensor(15.0)
STEERING = steering_of(
    parse_array("square:0.1"), np.arange(-180.0, 180.0, 1.0), 4, FeatureRecipe(), "cpu"
)


def heard(logits, picture, new=None, cells=None):
    """A recording with logits (Q, T/2, M/2), a picture (T, M) and cells (D, T/2, M/2)."""
    matched = Matched(logits[None], torch.ones(len(logits)), None if cells is None else cells[None])
    new = torch.ones_like(picture) if new is None else new
    return Heard(torch.zeros(4, 16), picture[None], matched, new, STEERING)


def scores(evidence, *recording):
    """The mean logits of one query's directions, evidence (T, M, K) in one block."""
    (sums,) = direction_sums([[evidence]], heard(*recording), FOCUS)
    return sums.score


@pytest.mark.parametrize("frames", [40, 39])
def test_blocks_add_up_to_the_sums_of_the_whole(frames):
    draw = torch.Generator().manual_seed(0)
    logits, cells = (torch.randn(n, 20, 8, generator=draw) for n in (2, 6))
    picture, new = (torch.rand(frames, 16, generator=draw) for _ in range(2))
    evidence = [torch.rand(frames, 16, k, generator=draw) for k in (3, 5)]
    recording = heard(logits, picture, new, cells)
    sizes = [12, 12, frames - 24]
    blocks = zip(*(one.split(sizes) for one in evidence), strict=True)
    parts, whole = (direction_sums(b, recording, FOCUS) for b in (blocks, [evidence]))
    for part, one, k in zip(parts, whole, (3, 5), strict=True):
        assert one.embedded.shape == (k, 6)
        torch.testing.assert_close(part.score, one.score)
        torch.testing.assert_close(part.embedded, one.embedded)


def test_what_a_direction_sounds_like_is_the_mean_of_its_cells():
    cells = torch.zeros(2, 20, 4)
    cells[0, :10], cells[1, 10:] = 1.0, 3.0
    evidence = torch.zeros(40, 8, 2)
    evidence[:20, :, 0] = evidence[20:, :, 1] = 1.0
    recording = heard(torch.zeros(1, 20, 4), torch.ones(40, 8), None, cells)
    (sums,) = direction_sums([[evidence]], recording, FOCUS)
    torch.testing.assert_close(sums.embedded, torch.tensor([[1.0, 0.0], [0.0, 3.0]]))
    (without,) = direction_sums(
        [[evidence]], heard(torch.zeros(1, 20, 4), torch.ones(40, 8)), FOCUS
    )
    assert without.embedded.shape == (2, 0)


def test_a_short_good_match_beats_a_long_poor_one():
    """The long sound has more cells; the mean of its logits is still the lower one."""
    logits = torch.full((1, 20, 4), -1.0)
    logits[0, :2] = 3.0
    evidence = torch.zeros(40, 8, 2)
    evidence[:4, :, 0] = 0.9
    evidence[4:, :, 1] = 0.9
    short, long = scores(evidence, logits, torch.ones(40, 8)).tolist()
    assert short == pytest.approx(3.0, abs=0.5)
    assert long == pytest.approx(-1.0, abs=0.2)


def test_a_wall_takes_no_cells_from_a_source():
    """Both directions agree with all cells alike; somebody is in the first almost for certain."""
    evidence = torch.full((40, 8, 2), 0.9)
    recording = heard(torch.zeros(1, 20, 4), torch.ones(40, 8))
    (alike,) = direction_sums([[evidence]], recording, FOCUS)
    (told,) = direction_sums([[evidence]], recording, FOCUS, [torch.tensor([-0.01, -4.6])])
    torch.testing.assert_close(alike.mass, torch.tensor([160.0, 160.0]))
    torch.testing.assert_close(told.mass, 320 * torch.softmax(torch.tensor([-0.01, -4.6]), 0))


def test_silent_points_have_no_say():
    logits = torch.zeros(1, 20, 4)
    logits[0, 10:] = 50.0
    picture = torch.ones(40, 8)
    picture[18:] = 0.0
    assert abs(float(scores(torch.zeros(40, 8, 1), logits, picture))) < 1e-3


def test_echoes_have_no_say():
    """The first sound fits the description, its tail does not."""
    picture = torch.full((40, 8), 0.35)
    picture[10:] = 1.0 - 0.02 * torch.arange(30.0)[:, None]  # dies faster than DECAY
    logits = torch.full((1, 20, 4), -5.0)
    logits[0, :6] = 2.0
    evidence = torch.full((40, 8, 1), 0.9)
    assert float(scores(evidence, logits, picture, newness(picture))) > 1.0


def test_queries_are_weighed_in_groups_that_fit():
    hour = torch.zeros(1, 90_000, 64)
    groups = list(query_groups(5, hour))
    assert [list(range(5))[group] for group in groups] == [[0, 1], [2, 3], [4]]
    assert 2 * hour.numel() <= MAX_CELLS
    assert list(query_groups(5, torch.zeros(1, 500, 64))) == [slice(0, 5)]


def test_voices_say_which_directions_sound_alike():
    """Three directions of a quarter of the bands each: the first and last hold the same cells."""
    cells = torch.zeros(4, 10, 8)
    cells[0, :, :2], cells[1, :, 2:4], cells[0, :, 4:] = 2.0, 1.0, 3.0
    evidence = torch.full((20, 16, 3), -1.0)
    for k, bands in enumerate((slice(0, 4), slice(4, 8), slice(8, 16))):
        evidence[:, bands, k] = 1.0
    matched = Matched(torch.zeros(1, 1, 10, 8), torch.ones(1), cells[None])
    flat = torch.ones(20, 16)
    recording = Heard(torch.zeros(4, 16), flat[None], matched, flat, STEERING)
    checkpoint = SimpleNamespace(readout=SimpleNamespace(focus=FOCUS))
    (found,) = voices([[evidence]], recording, checkpoint)
    np.testing.assert_allclose(found.alike, [[1, 0, 1], [0, 1, 0], [1, 0, 1]], atol=1e-5)
    bare = dataclasses.replace(recording, matched=Matched(matched.logits, matched.odds))
    (found,) = voices([[evidence]], bare, checkpoint)
    np.testing.assert_allclose(found.alike, np.zeros((3, 3)))
