import numpy as np
import pytest
import torch

from tselcli.metrics import auroc, calibration_error
from tselcli.models.calibration import (
    Question,
    fit_before,
    fit_choice,
    fit_place,
    fit_presence,
    fit_there,
    question,
)
from tselcli.models.choice import COLUMNS, SEEN, Choice, matches, source_odds

PLACE_WEIGHTS = np.array([0.0] * 8 + [50.0])  # everybody is there, for certain


def drawn(weights, count=4000, seed=0):
    """Questions answered as a conditional logit with these weights would."""
    rng = np.random.default_rng(seed)
    for _ in range(count):
        table = rng.standard_normal((int(rng.integers(2, 6)), len(COLUMNS)))
        table[:, :12] *= np.repeat([1, 5, 0.2, 1], 3)
        odds = np.exp(matches(table, source_odds(table, PLACE_WEIGHTS))[:, :5] @ weights)
        answer = int(rng.choice(len(odds), p=odds / odds.sum()))
        yield Question(table, answer, np.ones(len(odds), dtype=bool))


WANTED = np.array([1.5, -0.7, 0.4, 0.3, -0.1])


def test_the_weights_that_answered_are_found():
    weights = fit_choice([*drawn(WANTED)], torch.from_numpy(PLACE_WEIGHTS))
    np.testing.assert_allclose(weights[:5], WANTED, atol=0.1)
    assert float(weights[5]) == 0  # all are there: that column never differs


def test_questions_without_an_answer_are_passed_over():
    place = torch.from_numpy(PLACE_WEIGHTS)
    questions = [*drawn(WANTED, 200)]
    lost = [Question(asked.table, None, asked.source) for asked in questions]
    torch.testing.assert_close(fit_choice(questions + lost, place), fit_choice(questions, place))


def test_chances_of_a_fitted_choice_are_calibrated():
    place = torch.from_numpy(PLACE_WEIGHTS)
    weights = fit_choice([*drawn(WANTED)], place).double().numpy()
    claimed, right = [], []
    for asked in drawn(WANTED, seed=1):
        odds = np.exp(matches(asked.table, source_odds(asked.table, PLACE_WEIGHTS)) @ weights)
        claimed.append(odds.max() / odds.sum())
        right.append(int(odds.argmax()) == asked.answer)
    assert calibration_error(claimed, right) < 0.03


def test_what_tells_sources_from_walls_is_found():
    rng = np.random.default_rng(0)
    slopes = np.array([1.0, 0.0, -1.5, 0.0, 0.5, 0.0, 0.0, 0.0])
    questions = []
    for _ in range(3000):
        table = rng.standard_normal((4, len(COLUMNS))) + 3
        odds = table[:, 5:] @ slopes + 0.5
        questions.append(Question(table, 0, rng.random(4) < 1 / (1 + np.exp(-odds))))
    place = fit_place(questions).numpy()
    np.testing.assert_allclose(place[:-1], slopes, atol=0.15)
    assert place[-1] == pytest.approx(0.5, abs=0.5)
    np.testing.assert_allclose(fit_before(questions)[:-1], slopes[: len(SEEN)], atol=0.15)


def test_presence_is_found_whatever_the_share_of_absent_ones():
    rng = np.random.default_rng(0)
    evidence = np.concatenate([rng.normal(2.0, 1.0, 500), rng.normal(-1.0, 1.0, 4000)])
    there = np.arange(4500) < 500
    slope, offset, weight, middle = fit_presence(evidence, [0.7] * 4500, there).tolist()
    assert weight == pytest.approx(0.0, abs=1e-9)  # it never differs
    assert middle == pytest.approx(0.7)
    assert -offset / slope == pytest.approx(0.5, abs=0.15)  # half way between the means
    assert slope == pytest.approx(3.0, rel=0.15)


def test_presence_discounts_what_a_description_scores_anywhere():
    rng = np.random.default_rng(0)
    usual = rng.normal(-3.0, 1.0, 4000)
    there = np.arange(4000) % 2 == 0
    pooled = np.where(there, 1.0, -1.0) + usual + rng.normal(0.0, 1.0, 4000)
    slope, _, weight, middle = fit_presence(pooled, usual, there).tolist()
    assert slope == pytest.approx(2.0, rel=0.15)
    assert weight == pytest.approx(-slope, rel=0.1)
    assert middle == pytest.approx(-3.0, abs=0.1)
    assert auroc(slope * pooled + weight * usual, there) > auroc(pooled, there) + 0.05


@pytest.mark.parametrize(
    ("truth", "answer", "source"),
    [(41.0, 1, [True, True]), (-179.5, 0, [True, False]), (100.0, None, [True, False])],
)
def test_the_answer_is_the_candidate_near_the_truth(truth, answer, source):
    table = np.zeros((2, len(COLUMNS)))
    chosen = Choice(np.ones(360), [0, 220], np.array([178.0, 40.0]), np.zeros(2), table, None)
    found = question(chosen, truth, [175.0])
    assert found.answer == answer
    assert found.source.tolist() == source


def test_auroc_by_hand():
    assert auroc([3.0, 1.0, 2.0, 0.0], [True, True, False, False]) == 0.75
    assert auroc([1.0, 1.0], [True, False]) == 0.5
    assert auroc([1.0, 2.0], [True, True]) is None


def test_calibration_error_by_hand():
    assert calibration_error([0.95, 0.95, 0.25], [True, False, False]) == pytest.approx(1.15 / 3)
    assert calibration_error([1.0, 0.0], [True, False]) == 0


def test_what_kinship_adds_to_presence_is_found():
    rng = np.random.default_rng(0)
    odds, kin = rng.normal(0, 2, 20_000), rng.normal(-4, 2, 20_000)
    there = rng.random(20_000) < 1 / (1 + np.exp(-(0.7 * odds + 0.4 * kin + 1.6)))
    found = fit_there(odds.tolist(), kin.tolist(), there.tolist())
    np.testing.assert_allclose(found, [0.7, 1.6, 0.4], atol=0.1)
