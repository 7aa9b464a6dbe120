"""Choosing among directions: who, of those that can be heard, sounds like the description?

Steering under the mask adds up evidence, so a long sound that fits a little can outweigh a short
one that fits well. Here the directions come first: the peaks of the response under the mask,
under what the mask leaves, and under everything, and the directions in which most sounds begin.
Every cell is shared among them by its phase and by how likely somebody is there: else walls take
cells away from the sources that they mirror. Two questions follow.

Is somebody there? Walls make directions too. What speaks for a source, whatever the query; all
but the last two are known before cells are shared, and say how likely somebody is there then:

    begun, everything          log of how many sounds begin there, share of the response
    begun_rank, everything_rank, both   log(1 + rank) among the candidates, and begun * everything
    shadow                     how close a candidate with a higher response is
    cells                      log of the share of the cells
    unlike                     log of how unlike one with a higher response it sounds: walls repeat

Does it fit the description?

    likeliness   the mean logit of its cells, bent: beyond a match, more is no better
    masked       its share of the response under the mask
    left         how much of what the mask leaves comes from there, if there are two sources
    described    log of how many of the sounds that fit begin there
    kin          how likely it is of a kind that the description may mean (`Matching.kinship`)

The first is answered by a logistic function, the second by a conditional logit over the latter
five and the logarithm of the first (D. McFadden, "Conditional logit analysis of qualitative
choice behavior", 1974): its softmax over the candidates is the probability that each is the
answer. Both are fitted on validation scenes (:mod:`tselcli.models.calibration`).
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from tselcli.features.directions import onsets
from tselcli.models.cells import AUDIBLE, fine
from tselcli.models.scenery import Array, Scenery, away, heights

DECAY = 0.8  # of an echo's power from one cell to the next, 40 ms: 1 dB
HEIGHT_STEP_DEG = 4.0  # grid of the histogram
MATCH_BIAS = -1.0  # of the mean logit: beyond a match, more is no better
LEAST_HEIGHT, LEAST_SHARE, LEAST_UNLIKE = 1e-3, 1e-3, 1e-2  # where logarithms stop falling
LEFT_POWER = 3  # of one minus the mask: what it leaves
DESCRIBED_POWER = 2  # of the mask over beginnings
MATCH = ("likeliness", "masked", "left", "described", "kin")
SEEN = ("begun", "everything", "begun_rank", "everything_rank", "both", "shadow")
PLACE = (*SEEN, "cells", "unlike")
COLUMNS = MATCH + PLACE
SHADOW_DEG = 15.0
SAME = 1e-3  # differences that are rounding, as between mirrored directions of a line
BELL_DEG = 3.0  # spread of the posterior around a candidate
FLOOR = 1e-4  # share of the posterior that is spread over the circle


@dataclass(frozen=True)
class Choice:
    """What was chosen among the directions of a whole recording.

    Attributes:
        posterior: over the grid, sums to 1 (A,).
        candidates: directions that were asked, bins of the grid, the likeliest first (K).
        azimuth_deg: of the candidates, finer than the grid (K,).
        log_chances: of the candidates, nats, descending (K,).
        table: what speaks for each candidate, a column for each of `COLUMNS` (K, 13).
        begun: how many sounds began in each direction (H,).
    """

    posterior: Array
    candidates: list[int]
    azimuth_deg: Array
    log_chances: Array
    table: Array
    begun: Array


def newness(picture: Tensor) -> Tensor:
    """Say how much of every point of a log-mel picture (T, M) is no echo: (T, M) in [0, 1].

    A silent point has 0, also after so long a silence that no echo can be left.
    """
    return onsets(torch.pow(10.0, 8 * (picture - 1)), DECAY)[0] * (picture > AUDIBLE)


def likeliness(score: Array) -> Array:
    """Judge by the mean logits (K,) of `scoring.direction_sums` whether it is the sound: nats."""
    return log_chances(score + MATCH_BIAS)


@dataclass(frozen=True)
class Voices:
    """What is heard from each of some directions.

    Attributes:
        score: mean logit of its cells (K,).
        mass: weight of its cells (K,).
        kin: of `Matching.kinship`, nats (K,).
        alike: cosines between what each sounds like, zeros where that is not known (K, K).
    """

    score: Array
    mass: Array
    kin: Array
    alike: Array


def fitting(voices: Voices, weights: Array) -> Array:
    """Judge by what is heard alone whether it is the described sound, nats (K,).

    Args:
        voices: of some directions or ways.
        weights: of the choice (6,).
    """
    likely, kin = weights[MATCH.index("likeliness")], weights[MATCH.index("kin")]
    return np.asarray(likely * likeliness(voices.score) + kin * voices.kin)


def judged(view: Scenery, voices: Voices, found: list[int], grid: Array) -> Array:
    """Lay out what speaks for each candidate, a column for each of `COLUMNS`.

    Args:
        view: of the recording, for one query.
        voices: of the candidates.
        found: bins of the grid (K).
        grid: azimuths in degrees (A,).

    Returns:
        (K, 13).
    """
    loudest = max(float(view.everything.max()), 1e-9)
    columns = [
        likeliness(voices.score),
        view.masked[found] / max(float(view.masked.max()), 1e-9),
        view.left * view.against[found] / loudest,
        np.log(np.maximum(heights(view.described, grid[found]), LEAST_HEIGHT)),
        voices.kin,
    ]
    cells = np.log(voices.mass / max(float(voices.mass.sum()), 1e-9) + LEAST_SHARE)
    response = view.everything[found] / loudest
    return np.column_stack(
        [*columns, seen(view, found, grid), cells, unlikeness(voices.alike, response)]
    )


def seen(view: Scenery, found: list[int], grid: Array) -> Array:
    """Lay out what speaks for somebody in each candidate before cells are shared: (K, 6)."""
    everything = view.everything[found] / max(float(view.everything.max()), 1e-9)
    begun = np.log(np.maximum(heights(view.begun, grid[found]), LEAST_HEIGHT))
    ranks = np.log1p(_rank(begun)), np.log1p(_rank(everything))
    shadow = shadows(grid[found], everything)
    return np.column_stack([begun, everything, *ranks, begun * everything, shadow])


def _rank(values: Array) -> Array:
    """Count for each value (K,) how many are higher; rounding does not count."""
    return np.asarray((values > values[:, None] + SAME).sum(axis=1, dtype=np.float64))


def shadows(azimuths: Array, response: Array) -> Array:
    """Say how close each direction is to one with a higher response: (K,) in [0, 1]."""
    near = np.exp(-away(azimuths[:, None], azimuths) / SHADOW_DEG)
    return np.asarray(np.where(response > response[:, None] + SAME, near, 0.0).max(axis=1))


def unlikeness(alike: Array, response: Array) -> Array:
    """Say how unlike the most alike of those with a higher response each sounds: nats (K,).

    Args:
        alike: cosines (K, K).
        response: of each candidate (K,).
    """
    louder = response > response[:, None] + SAME
    nearest = np.where(louder, alike, -np.inf).max(axis=1)
    nearest[~louder.any(axis=1)] = 0.0
    return np.asarray(np.log(np.maximum(1 - nearest, LEAST_UNLIKE)))


def source_odds(table: Array, place: Array) -> Array:
    """Judge whether somebody is there, log-odds (K,); `place` are weights and an offset (9,)."""
    return np.asarray(table[:, len(MATCH) :] @ place[:-1] + place[-1])


def odds_before(view: Scenery, found: list[int], grid: Array, before: Array) -> Array:
    """Judge the same before cells are shared, log-odds (K,); `before` are weights (7,)."""
    return np.asarray(seen(view, found, grid) @ before[:-1] + before[-1])


def log_chances(odds: Array) -> Array:
    """Turn log-odds into logarithms of chances."""
    return np.asarray(-np.logaddexp(0.0, -odds))


def matches(table: Array, odds: Array) -> Array:
    """Lay out what the choice is made of: the columns `MATCH` and the log chance of a source.

    What the mask leaves speaks against a direction only if it could come from elsewhere: it
    counts as far as there are two sources.

    Args:
        table: (K, 13).
        odds: of :func:`source_odds` (K,).

    Returns:
        (K, 6).
    """
    fits = table[:, : len(MATCH)].copy()
    chances = np.sort(1 / (1 + np.exp(-odds)))
    fits[:, MATCH.index("left")] *= chances[-2] if len(chances) > 1 else 0.0
    return np.column_stack([fits, log_chances(odds)])


def kin_of(log_chances: Array, table: Array) -> float:
    """Read the column `kin` of a table (K, 13): the mean over the candidates' chances (K,)."""
    chances = np.exp(log_chances - log_chances.max())
    return float(chances @ table[:, MATCH.index("kin")] / chances.sum())


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
    loud = torch.exp(energy * 8 * 2.302585 * (picture - 1)) * new
    against = torch.sigmoid(-fine(logits[None], picture.shape[0])[0]) ** LEFT_POWER
    return against * loud, loud[None]


def posterior_of(azimuths: Array, weights: Array, grid: Array) -> Array:
    """Spread the probabilities of candidates over the grid: wrapped bells, sums to 1, (A,)."""
    bells = np.exp(-0.5 * (away(grid[None], azimuths[:, None]) / BELL_DEG) ** 2)
    bells /= bells.sum(axis=1, keepdims=True)
    mixed = weights @ bells
    return np.asarray((1 - FLOOR) * mixed / mixed.sum() + FLOOR / len(grid))
