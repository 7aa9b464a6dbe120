import math

import pytest
import torch

from tselcli.models.losses import (
    ABSENT,
    SOFT,
    UNDECIDED,
    audible,
    choice_loss,
    class_loss,
    lesson_loss,
    mask_loss,
    pooled_sources,
    presence_loss,
    query_targets,
)

OWNER = torch.tensor([[0, 1, ABSENT, UNDECIDED]])


@pytest.fixture
def ratios():
    shares = torch.rand(1, 2, 6, 4, generator=torch.Generator().manual_seed(0))
    return shares / shares.sum(dim=1, keepdim=True)


def test_targets_are_the_owners_ratio_masks(ratios):
    targets = query_targets(ratios, OWNER)
    torch.testing.assert_close(targets[0, :2], ratios[0])
    assert not targets[0, 2:].any()


def test_a_perfect_mask_reaches_the_entropy_of_the_target(ratios):
    targets = query_targets(ratios, OWNER)
    logits = torch.logit(targets.clamp(1e-6, 1 - 1e-6))
    weight = torch.ones(1, 6, 4)
    share = ratios[0, 0]
    entropy = -(share * share.log() + (1 - share) * (1 - share).log()).mean()
    assert float(mask_loss(logits, targets, weight, OWNER)) == pytest.approx(
        float(entropy), abs=1e-4
    )


def test_loudness_decides_which_cells_count(ratios):
    targets = query_targets(ratios, OWNER)
    logits = torch.zeros_like(targets)
    wrong = logits.clone()
    wrong[..., 3] = 20.0 * (1 - 2 * targets[..., 3].round())
    weight = torch.ones(1, 6, 4)
    weight[..., 3] = 0
    torch.testing.assert_close(
        mask_loss(wrong, targets, weight, OWNER), mask_loss(logits, targets, weight, OWNER)
    )


def test_undecided_queries_teach_nothing(ratios):
    targets = query_targets(ratios, OWNER)
    logits = torch.zeros(1, 4, 6, 4, requires_grad=True)
    mask_loss(logits, targets, torch.ones(1, 6, 4), OWNER).backward()
    assert not logits.grad[0, 3].any()
    assert logits.grad[0, 2].abs().sum() > 0
    presence = torch.zeros(1, 4, requires_grad=True)
    presence_loss(presence, OWNER).backward()
    assert presence.grad[0].sign().tolist() == [-1, -1, 1, 0]


def test_silence_gives_a_finite_loss(ratios):
    targets = query_targets(ratios, OWNER)
    assert float(mask_loss(torch.zeros_like(targets), targets, torch.zeros(1, 6, 4), OWNER)) == 0


def test_pooling_weighs_cells_by_share_and_loudness():
    cells = torch.tensor([1.0, 2.0, 4.0]).reshape(1, 1, 3, 1)
    ratios = torch.tensor([[1.0, 0.5, 0.0], [0.0, 0.5, 1.0], [0.0, 0.0, 0.0]]).reshape(1, 3, 3, 1)
    weight = torch.tensor([1.0, 2.0, 0.0]).reshape(1, 3, 1)
    pooled, heard = pooled_sources(cells, ratios, weight)
    assert pooled[0, :2, 0].tolist() == pytest.approx([(1 + 2) / 2, 2.0])
    assert heard.tolist() == [[True, True, False]]


def test_choice_is_a_softmax_over_sources_and_over_queries():
    score = torch.tensor([[[2.0, -1.0, 0.5, 9.0], [0.0, 3.0, -0.5, 9.0]]])  # (B, S, Q)
    heard = torch.ones(1, 2, dtype=torch.bool)
    among_sources = [math.log1p(math.exp(-2.0)), math.log1p(math.exp(-4.0))]
    # The undecided query and the other source's own are no competitors.
    among_queries = [math.log1p(math.exp(0.5 - 2.0)), math.log1p(math.exp(-0.5 - 3.0))]
    wanted = sum(among_sources) / 2 + sum(among_queries) / 2
    assert float(choice_loss(score, heard, OWNER)) == pytest.approx(wanted, rel=1e-5)


def test_an_inaudible_source_takes_no_part_in_the_choice():
    score = torch.randn(1, 3, 4, requires_grad=True)
    choice_loss(score, torch.tensor([[True, True, False]]), OWNER).backward()
    assert not score.grad[0, 2].any()


def test_audible_runs_from_forty_five_decibels_down_to_the_loudest():
    picture = torch.tensor([0.0, 0.43, 0.94, 1.2]).reshape(1, 4, 1)
    assert audible(picture).flatten().tolist() == pytest.approx([0, 0, 1, 1])


def test_lessons_count_where_there_are_some_and_they_can_be_heard():
    told = torch.tensor([[[2.0, 0.0], [0.0, 1.0], [1.0, 0.0]]])
    lessons = torch.tensor([[[1.0, 0.0], [1.0, 0.0], [0.0, 0.0]]])
    heard = torch.tensor([[True, True, True]])
    assert float(lesson_loss(told, lessons, heard)) == pytest.approx(0.5)
    heard = torch.tensor([[True, False, True]])
    assert float(lesson_loss(told, lessons, heard)) == pytest.approx(0.0)
    assert float(lesson_loss(told, torch.zeros(1, 3, 2), heard)) == 0.0


def test_classes_are_told_when_softened_chances_agree():
    odds = torch.tensor([[[6.0, 0.0, -3.0], [1.0, 2.0, 3.0], [0.0, 0.0, 0.0]]])
    everyone = torch.tensor([[True, True, True]])
    assert float(class_loss(odds / SOFT + 7, odds, everyone)) == pytest.approx(0.0, abs=1e-6)
    equal = torch.zeros(1, 3, 3)
    chances = torch.softmax(odds[0, 0] / SOFT, -1)
    apart = float((chances * (3 * chances).log()).sum())
    first = torch.tensor([[True, False, True]])
    assert float(class_loss(equal, odds, first)) == pytest.approx(apart, rel=1e-5)
    assert float(class_loss(equal, torch.zeros(1, 3, 3), everyone)) == 0.0
