"""Choosing among directions: who, of those that can be heard, sounds like the description?

Steering under the mask adds up evidence, so a long sound that fits a little can outweigh a short
one that fits well. Here the directions come first: the peaks of the response under the mask,
under what the mask leaves, and under everything. Every cell is shared among them by its phase,
and each direction is scored by the mean logit of its own cells, which is what the network was
trained to get right (:func:`tselcli.models.losses.choice_loss`).

Walls make directions too. Cells count by how much of them is new, since an echo comes later than
its sound, and a sound must have begun in a direction
(:class:`tselcli.features.precedence.OnsetHistogram`). The constants were set on scenes of one
and of two sources from the validation split.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from tselcli.features.directions import onsets
from tselcli.models.losses import audible
from tselcli.models.mask import AUDIBLE, fine

Array = npt.NDArray[np.float64]

DECAY = 0.8  # of an echo's power from one cell to the next, 40 ms: 1 dB
HEIGHT_STEP_DEG = 4.0  # grid of the histogram
HEIGHT_LEAST = 0.06  # share of the highest bin that a candidate needs
HEIGHT_TRUST = 1.1  # weight of the log height in the score
MATCH_TRUST, MATCH_BIAS = 2.7, -1.0  # of the mean logit: beyond a match, more is no better
APART_DEG = 15.0  # candidates closer than this are one
BELL_DEG = 3.0  # spread of the posterior around a candidate
FLOOR = 1e-4  # share of the posterior that is spread over the circle


@dataclass(frozen=True)
class Choice:
    """What was chosen among the directions of a whole recording.

    Attributes:
        posterior: over the grid, sums to 1 (A,).
        candidates: directions that were asked, bins of the grid.
        begun: how many sounds began in each direction (A',).
    """

    posterior: Array
    candidates: list[int]
    begun: Array


def newness(picture: Tensor) -> Tensor:
    """Say how much of every point of a log-mel picture (T, M) is no echo: (T, M) in [0, 1]."""
    return onsets(torch.pow(10.0, 8 * (picture - 1)), DECAY)[0]


def heights(histogram: Array, azimuths: Array) -> Array:
    """Read directions (K,) off a histogram over the circle (A,): (K,), 1 at the highest bin."""
    size = len(histogram)
    bins = np.round((azimuths + 180.0) / 360.0 * size).astype(int)[:, None] + np.arange(-1, 2)
    return np.asarray(histogram[bins % size].max(axis=1) / max(float(histogram.max()), 1e-30))


def credibility(height: Array) -> Array:
    """Judge without a query whether somebody stands in a direction, or a wall.

    Args:
        height: of :func:`heights` (K,).

    Returns:
        What to add to the score of each direction (K,), nats.
    """
    return np.asarray(HEIGHT_TRUST * np.log(np.maximum(height, 1e-3)))


def likeliness(score: Array) -> Array:
    """Judge by the mean logits (K,) of :func:`direction_scores` whether it is the sound: nats."""
    return np.asarray(-MATCH_TRUST * np.logaddexp(0.0, -(score + MATCH_BIAS)))


def steering_weights(
    logits: Tensor, picture: Tensor, new: Tensor, energy: Tensor
) -> tuple[Tensor, Tensor]:
    """Weigh points by what the masks leave, and by loudness alone.

    Args:
        logits: (Q, T/2, M/2).
        picture: log-mel (T, M).
        new: of :func:`newness` (T, M).
        energy: exponent of the relative energy, a scalar.

    Returns:
        Against each query (Q, T, M), and for everything (1, T, M).
    """
    loud = torch.exp(energy * 8 * 2.302585 * (picture - 1)) * (picture > AUDIBLE) * new
    against = torch.sigmoid(-fine(logits[None], picture.shape[0])[0]) ** 3
    return against * loud, loud[None]


def candidates(
    masked: Array, against: Array, everything: Array, begun: Array, grid: Array
) -> list[int]:
    """Collect directions worth asking, best first.

    Args:
        masked: response under the query's mask (A,).
        against: response under what the mask leaves (A,).
        everything: response without a mask (A,).
        begun: histogram of onsets, on a grid of its own over the circle (H,).
        grid: azimuths in degrees (A,).

    Returns:
        Indices into the grid, at least 15 degrees apart. But for the first, all of them are
        directions in which sounds began.
    """
    first, *second = peaks(masked, grid, 2)
    asked = [*peaks(against, grid, 1), *peaks(everything, grid, 2), *second]
    coarse = grid[:: len(grid) // len(begun)]
    asked += [k * (len(grid) // len(begun)) for k in peaks(begun, coarse, 2)]
    seen = heights(begun, grid[asked]) >= HEIGHT_LEAST
    found = [first]
    for index in (index for index, here in zip(asked, seen, strict=True) if here):
        if all(away(grid[index], grid[other]) >= APART_DEG for other in found):
            found.append(index)
    return found


def peaks(response: Array, grid: Array, count: int) -> list[int]:
    """Find the highest local maxima of a circular response (A,), 20 degrees apart or more.

    Exactly mirrored peaks (a line of microphones) tie; the front goes first.
    """
    rising = response >= np.maximum(np.roll(response, 1), np.roll(response, -1))
    front_first = np.argsort(np.abs(grid), kind="stable")
    order = front_first[np.argsort(-np.round(response[front_first], 5), kind="stable")]
    found: list[int] = []
    for index in order[rising[order]].tolist():
        if all(away(grid[index], grid[other]) >= 20.0 for other in found):
            found.append(index)
        if len(found) == count:
            break
    return found


def direction_scores(
    logits: Tensor, picture: Tensor, new: Tensor, evidence: Tensor, focus: Tensor
) -> Tensor:
    """Average the logit over the cells of each direction.

    Args:
        logits: of one query (T/2, M/2).
        picture: log-mel (T, M).
        new: of :func:`newness` (T, M).
        evidence: agreement of every point with every direction, [-1, 1], (T, M, K).
        focus: how sharply points are shared among directions, a scalar.

    Returns:
        (K,).
    """
    points = fine(logits[None, None], picture.shape[0])[0, 0]
    total, mass = direction_sums(points, picture, new, evidence, focus)
    return total / mass.clamp_min(1e-6)


def direction_sums(
    points: Tensor, picture: Tensor, new: Tensor, evidence: Tensor, focus: Tensor
) -> tuple[Tensor, Tensor]:
    """Sum logits over the points of each direction, as `direction_scores`; blocks add up.

    Args:
        points: logits of every point (T, M).
        picture: as `direction_scores`, and so the others.
        new: (T, M).
        evidence: (T, M, K).
        focus: a scalar.

    Returns:
        The sums and the weights behind them, each (K,).
    """
    share = torch.softmax(focus * evidence, dim=-1)
    share = share * (audible(picture) * (picture > AUDIBLE) * new)[..., None]
    return (share * points[..., None]).sum(dim=(0, 1)), share.sum(dim=(0, 1))


def posterior_of(azimuths: Array, weights: Array, grid: Array) -> Array:
    """Spread the probabilities of candidates over the grid: wrapped bells, sums to 1, (A,)."""
    bells = np.exp(-0.5 * (away(grid[None], azimuths[:, None]) / BELL_DEG) ** 2)
    bells /= bells.sum(axis=1, keepdims=True)
    mixed = weights @ bells
    return np.asarray((1 - FLOOR) * mixed / mixed.sum() + FLOOR / len(grid))


def away(a: npt.ArrayLike, b: npt.ArrayLike) -> Array:
    """Return the shorter way round between azimuths, [0, 180] degrees, by broadcasting."""
    return np.asarray(np.abs((np.subtract(a, b) + 180.0) % 360.0 - 180.0))
