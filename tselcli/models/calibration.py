"""Fitting the few numbers that turn what is heard into chances, on validation scenes.

Whether somebody is in a direction, and whether a sound is there at all, are logistic functions;
the choice among directions is a conditional logit (:mod:`tselcli.models.choice`). All three are
convex, so that there is one best answer, and their chances are calibrated by the fit.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from tselcli.models.choice import MATCH, SEEN, Choice, matches, source_odds
from tselcli.models.scenery import Array, away

NEAR_DEG = 10.0  # of the truth, for a candidate that is the answer
HOLD = 1e-3  # weight decay of standardised weights


@dataclass(frozen=True)
class Question:
    """Candidates for one description, and which of them is the answer.

    Attributes:
        table: what speaks for each candidate (K, 13), of :mod:`tselcli.models.choice`.
        answer: its row; None if all lie 10 degrees off or more.
        source: whether anybody is there (K,).
    """

    table: Array
    answer: int | None
    source: npt.NDArray[np.bool_]


def question(chosen: Choice, azimuth_deg: float, others_deg: Sequence[float]) -> Question:
    """Say which candidate is the truth, and in which directions there is anybody."""
    off = away(chosen.azimuth_deg, azimuth_deg)
    sources = np.array([azimuth_deg, *others_deg])
    there = away(chosen.azimuth_deg[:, None], sources).min(axis=1) < NEAR_DEG
    best = int(off.argmin())
    return Question(chosen.table, best if off[best] < NEAR_DEG else None, there)


def fit_place(questions: Sequence[Question]) -> Tensor:
    """Fit what says that somebody is in a direction: weights of `choice.PLACE`, an offset, (9,)."""
    return _fit_somebody(questions, slice(len(MATCH), None))


def fit_before(questions: Sequence[Question]) -> Tensor:
    """Fit the same of what is known before cells are shared, `choice.SEEN`: (7,)."""
    return _fit_somebody(questions, slice(len(MATCH), len(MATCH) + len(SEEN)))


def _fit_somebody(questions: Sequence[Question], columns: slice) -> Tensor:
    """Fit a logistic function of some columns (F) to whether anybody is there: (F + 1,)."""
    table = np.concatenate([q.table[:, columns] for q in questions])
    middle, scale = table.mean(axis=0), _scale(table)
    x = torch.from_numpy((table - middle) * scale)
    y = torch.from_numpy(np.concatenate([q.source for q in questions])).double()
    weights = torch.zeros(x.shape[1] + 1, dtype=torch.float64, requires_grad=True)

    def loss() -> Tensor:
        odds = x @ weights[:-1] + weights[-1]
        entropy = torch.nn.functional.binary_cross_entropy_with_logits(odds, y)
        return entropy + HOLD * weights[:-1].square().sum()

    _minimise(loss, weights)
    found = weights.detach().numpy()
    slopes = found[:-1] * scale
    return torch.from_numpy(np.append(slopes, found[-1] - slopes @ middle)).float()


def fit_choice(questions: Sequence[Question], place: Tensor) -> Tensor:
    """Fit the weights of what speaks for a candidate: maximum likelihood, (6,).

    Columns that never differ get the weight 0.

    Args:
        questions: those without an answer among the candidates are passed over.
        place: of :func:`fit_place`.
    """
    offset = place.double().numpy()
    asked = [q for q in questions if q.answer is not None]
    rows = [matches(q.table, source_odds(q.table, offset)) for q in asked]
    scale = _scale(np.concatenate([row - row.mean(axis=0) for row in rows]))
    most = max(len(row) for row in rows)
    tables = torch.zeros(len(rows), most, len(scale), dtype=torch.float64)
    there = torch.zeros(len(rows), most, dtype=torch.bool)
    for number, row in enumerate(rows):
        tables[number, : len(row)] = torch.from_numpy(row * scale)
        there[number, : len(row)] = True
    answers = torch.tensor([q.answer for q in asked])
    weights = torch.zeros(len(scale), dtype=torch.float64, requires_grad=True)

    def loss() -> Tensor:
        score = (tables @ weights).masked_fill(~there, -torch.inf)
        entropy = torch.nn.functional.cross_entropy(score, answers)
        return entropy + HOLD * weights.square().sum()

    _minimise(loss, weights)
    return (weights.detach() * torch.from_numpy(scale)).float()


def _scale(table: Array) -> Array:
    """Give the factors (F,) that bring columns to unit spread; 0 for those without any."""
    spread = table.std(axis=0)
    return np.where(spread > 1e-9, 1 / np.maximum(spread, 1e-9), 0.0)


def fit_presence(pooled: Sequence[float], usual: Sequence[float], there: Sequence[bool]) -> Tensor:
    """Fit the log-odds that a sound is there, ``Matching.presence``.

    Args:
        pooled: pooled logit of each description.
        usual: how well it fits everyday sounds.
        there: whether it describes something in its recording.

    Returns:
        Slope, offset, weight of the usual, and its mean (4,).
    """
    middle = sum(usual) / len(usual)
    rows = [[one, 1.0, other - middle] for one, other in zip(pooled, usual, strict=True)]
    line = _fit_line(torch.tensor(rows, dtype=torch.float64), there)
    return torch.tensor([*line.tolist(), middle])


def fit_there(odds: Sequence[float], kin: Sequence[float], there: Sequence[bool]) -> Tensor:
    """Fit what kinship adds to the log-odds that a sound is there, ``Readout.there``: (3,).

    Args:
        odds: the network's, for each description.
        kin: of what was chosen for it.
        there: whether it describes something in its recording.
    """
    rows = [[one, 1.0, other] for one, other in zip(odds, kin, strict=True)]
    return _fit_line(torch.tensor(rows, dtype=torch.float64), there).float()


def _fit_line(x: Tensor, there: Sequence[bool]) -> Tensor:
    """Fit a logistic function of ``x`` (N, F): slope, offset and further weights (F,)."""
    y = torch.tensor(there, dtype=torch.float64)
    # Sounds that are there and that are not weigh alike, however many of each were asked.
    share = y.mean().clamp(1e-6, 1 - 1e-6)
    weight = torch.where(y > 0, 0.5 / share, 0.5 / (1 - share))
    start = torch.zeros(x.shape[1], dtype=torch.float64)
    start[0] = 1.0
    line = start.requires_grad_()

    def loss() -> Tensor:
        entropy = torch.nn.functional.binary_cross_entropy_with_logits
        return entropy(x @ line, y, weight=weight) + HOLD * line[2:].square().sum()

    _minimise(loss, line)
    return line.detach()


def _minimise(loss: Callable[[], Tensor], values: Tensor) -> None:
    """Minimise a convex function in place."""
    optimiser = torch.optim.LBFGS([values], max_iter=200, line_search_fn="strong_wolfe")

    def closure() -> float:
        optimiser.zero_grad()
        value = loss()
        value.backward()
        return float(value.detach())

    optimiser.step(closure)
