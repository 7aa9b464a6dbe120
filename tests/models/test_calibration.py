import numpy as np
import pytest
import torch

from tselcli.metrics import auroc, calibration_error
from tselcli.models.calibration import Question, fit_choice, fit_presence, question
from tselcli.models.choice import Choice


def drawn(weights, count=4000, seed=0):
    """Questions answered as a conditional logit with these weights would."""
    rng = np.random.default_rng(seed)
    for _ in range(count):
        table = rng.standard_normal((int(rng.integers(2, 6)), len(weights))) * [1.0, 5.0, 0.2]
        odds = np.exp(table @ weights)
        yield Question(table, int(rng.choice(len(odds), p=odds / odds.sum())))


def test_the_weights_that_answered_are_found():
    wanted = np.array([1.5, -0.3, 4.0])
    np.testing.assert_allclose(fit_choice([*drawn(wanted)]), wanted, rtol=0.12)


def test_what_never_differs_weighs_nothing():
    questions = [
        Question(np.insert(asked.table, 1, 7.0, axis=1), asked.answer)
        for asked in drawn(np.array([1.5, -0.3, 4.0]), 300)
    ]
    weights = fit_choice(questions)
    assert weights.shape == (4,)
    assert float(weights[1]) == 0
    assert torch.isfinite(weights).all()


def test_chances_of_a_fitted_choice_are_calibrated():
    weights = fit_choice([*drawn(np.array([1.5, -0.3, 4.0]))]).double().numpy()
    claimed, right = [], []
    for asked in drawn(np.array([1.5, -0.3, 4.0]), seed=1):
        odds = np.exp(asked.table @ weights)
        claimed.append(odds.max() / odds.sum())
        right.append(int(odds.argmax()) == asked.answer)
    assert calibration_error(claimed, right) < 0.03


def test_presence_is_found_whatever_the_share_of_absent_ones():
    rng = np.random.default_rng(0)
    evidence = np.concatenate([rng.normal(2.0, 1.0, 500), rng.normal(-1.0, 1.0, 4000)])
    there = np.arange(4500) < 500
    slope, offset = fit_presence(evidence, there).tolist()
    assert -offset / slope == pytest.approx(0.5, abs=0.15)  # half way between the means
    assert slope == pytest.approx(3.0, rel=0.15)


@pytest.mark.parametrize(("truth", "answer"), [(41.0, 1), (-179.5, 0), (100.0, None)])
def test_the_answer_is_the_candidate_near_the_truth(truth, answer):
    table = np.zeros((2, 7))
    chosen = Choice(np.ones(360), [0, 220], np.array([178.0, 40.0]), np.zeros(2), table, None)
    found = question(chosen, truth)
    assert (None if found is None else found.answer) == answer


def test_auroc_by_hand():
    assert auroc([3.0, 1.0, 2.0, 0.0], [True, True, False, False]) == 0.75
    assert auroc([1.0, 1.0], [True, False]) == 0.5
    assert auroc([1.0, 2.0], [True, True]) is None


def test_calibration_error_by_hand():
    assert calibration_error([0.95, 0.95, 0.25], [True, False, False]) == pytest.approx(1.15 / 3)
    assert calibration_error([1.0, 0.0], [True, False]) == 0
