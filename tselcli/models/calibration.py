"""Fitting the few numbers that turn what is heard into chances, on validation scenes.

The choice among directions is a conditional logit over what speaks for each candidate
(:mod:`tselcli.models.choice`); the presence of a sound is a logistic function of one number.
Both are convex, so that there is one best answer, and their chances are calibrated by the fit.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from tselcli.models.choice import Array, Choice, away

NEAR_DEG = 10.0  # of the truth, for a candidate that is the answer
HOLD = 1e-3  # weight decay of standardised weights


@dataclass(frozen=True)
class Question:
    """Candidates for one description, and which of them is the answer.

    Attributes:
        table: what speaks for each candidate (K, F).
        answer: its row.
    """

    table: Array
    answer: int


def question(chosen: Choice, azimuth_deg: float) -> Question | None:
    """Say which candidate is the truth; None if all lie 10 degrees off or more."""
    off = away(chosen.azimuth_deg, azimuth_deg)
    best = int(off.argmin())
    return Question(chosen.table, best) if off[best] < NEAR_DEG else None


def fit_choice(questions: Sequence[Question]) -> Tensor:
    """Fit the weights of what speaks for a candidate: maximum likelihood, (F,).

    Columns that never differ get the weight 0.
    """
    spread = np.concatenate([q.table - q.table.mean(axis=0) for q in questions]).std(axis=0)
    scale = np.where(spread > 1e-9, 1 / np.maximum(spread, 1e-9), 0.0)
    most = max(len(q.table) for q in questions)
    tables = torch.zeros(len(questions), most, len(scale), dtype=torch.float64)
    there = torch.zeros(len(questions), most, dtype=torch.bool)
    for row, asked in enumerate(questions):
        count = len(asked.table)
        tables[row, :count] = torch.from_numpy(asked.table * scale)
        there[row, :count] = True
    answers = torch.tensor([q.answer for q in questions])
    weights = torch.zeros(len(scale), dtype=torch.float64, requires_grad=True)

    def loss() -> Tensor:
        score = (tables @ weights).masked_fill(~there, -torch.inf)
        entropy = torch.nn.functional.cross_entropy(score, answers)
        return entropy + HOLD * weights.square().sum()

    _minimise(loss, weights)
    return (weights.detach() * torch.from_numpy(scale)).float()


def fit_presence(evidence: Sequence[float], there: Sequence[bool]) -> Tensor:
    """Fit slope and offset of the log-odds that a sound is there, (2,).

    Args:
        evidence: pooled logit of each description.
        there: whether it describes something in its recording.
    """
    x = torch.tensor(evidence, dtype=torch.float64)
    y = torch.tensor(there, dtype=torch.float64)
    # Sounds that are there and that are not weigh alike, however many of each were asked.
    share = y.mean().clamp(1e-6, 1 - 1e-6)
    weight = torch.where(y > 0, 0.5 / share, 0.5 / (1 - share))
    line = torch.tensor([1.0, 0.0], dtype=torch.float64, requires_grad=True)

    def loss() -> Tensor:
        odds = line[0] * x + line[1]
        return torch.nn.functional.binary_cross_entropy_with_logits(odds, y, weight=weight)

    _minimise(loss, line)
    return line.detach().float()


def _minimise(loss: Callable[[], Tensor], values: Tensor) -> None:
    """Minimise a convex function in place."""
    optimiser = torch.optim.LBFGS([values], max_iter=200, line_search_fn="strong_wolfe")

    def closure() -> float:
        optimiser.zero_grad()
        value = loss()
        value.backward()
        return float(value.detach())

    optimiser.step(closure)
