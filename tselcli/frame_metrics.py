"""Tracks judged frame by frame, beside what chance would have given.

A clip's error is the mean over the frames of 100 ms in which the target sounds, and the error of a
split is the mean over its clips (equation 9 of the founding paper). Selection asks in each of
these frames whether the answer lies nearer to the target than to every other source that sounds
in it. The localisation error LE_CD, the recall LR_CD and F20 are those of DCASE for one class
and azimuth only (A. Politis et al., "Overview and evaluation of sound event localization and
detection in DCASE 2019", 2020): a frame is matched if both truth and answer say that the sound
is there, LE_CD is the mean error of matched frames, LR_CD the share of the target's frames that
are matched, and an F20 hit is a match within 20 degrees. Intervals are bootstraps over clips.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tselcli.metrics import (
    TOLERANCES_DEG,
    Angles,
    Figures,
    angular_error,
    bootstrap_interval,
    resampled_interval,
)
from tselcli.metrics import selections as selected

Flags = npt.NDArray[np.bool_]
Clip = Mapping[str, Angles]  # figures of one clip, one for each of G ways to answer

HIT_DEG = 20.0
GRID = np.arange(-180.0, 180.0)
HALF_GRID = np.arange(-90.0, 91.0)
SUMS = ("hits", "matched", "matched_error", "missed", "false")


@dataclass(frozen=True)
class FrameTruth:
    """Where the sources of a clip are, and when they sound.

    Attributes:
        target_deg: of the described sound (T,).
        active: when it sounds (T,).
        others_deg: of the other directional sources (T, K).
        others_active: when they sound (T, K).
    """

    target_deg: Angles
    active: Flags
    others_deg: Angles
    others_active: Flags

    @property
    def moves(self) -> bool:
        """Whether the target or another source is not always in one place."""
        places = np.column_stack([self.target_deg, self.others_deg])
        return bool((angular_error(places, places[:1]) > 0).any())


@dataclass(frozen=True)
class FrameAnswer:
    """What a system says of a clip.

    Attributes:
        azimuth_deg: (T,).
        active: when it says that the sound is there (T,).
    """

    azimuth_deg: Angles
    active: Flags


def score_frames(
    answers: Sequence[FrameAnswer], truths: Sequence[FrameTruth], rng: np.random.Generator
) -> Figures:
    """Judge the tracks of N clips; clips in which the target never sounds do not count.

    Returns:
        ``scenes`` (clips that count), ``mae_deg``, ``median_deg`` (of clips), ``acc_5``,
        ``acc_10``, ``acc_20``, ``selection`` (None without rivals), ``le_cd_deg`` (None without a
        match), ``lr_cd`` and ``f_20``; and the intervals of all as ``*_interval``. Rates are in
        [0, 1].

    Raises:
        ValueError: the target sounds in no clip.
    """
    clips = [
        _judge(answer.azimuth_deg[:, None], answer.active, truth)
        for answer, truth in zip(answers, truths, strict=True)
        if truth.active.any()
    ]
    if not clips:
        raise ValueError("the described sound is active in no frame of any clip")
    errors = _stack(clips, "error")[:, 0]
    figures: Figures = {"scenes": len(clips), "mae_deg": float(errors.mean())}
    figures["mae_deg_interval"] = list(bootstrap_interval(errors, rng))
    figures["median_deg"] = float(np.median(errors))
    for name in [f"acc_{tolerance}" for tolerance in TOLERANCES_DEG] + ["selection"]:
        values = _stack(clips, name)[:, 0]
        values = values[~np.isnan(values)]
        figures[name] = float(values.mean()) if len(values) else None
        figures[f"{name}_interval"] = list(bootstrap_interval(values, rng)) if len(values) else None
    sums = np.stack([_stack(clips, name)[:, 0] for name in SUMS], axis=1)  # (N, 5)
    figures |= _dcase(sums.sum(axis=0))
    draws = [_dcase(sums[rng.integers(len(sums), size=len(sums))].sum(axis=0)) for _ in range(1000)]
    for name in ("le_cd_deg", "lr_cd", "f_20"):
        values = np.array([draw[name] for draw in draws if draw[name] is not None])
        bounds = np.quantile(values, [0.025, 0.975]).tolist() if len(values) else None
        figures[f"{name}_interval"] = bounds
    middle = resampled_interval(lambda rows: float(np.median(errors[rows])), len(errors), rng)
    figures["median_deg_interval"] = list(middle or ())
    return figures


def frame_chance(truths: Sequence[FrameTruth], folded: bool = False) -> dict[str, Figures]:
    """Compute what ways of not listening would score on exactly these clips.

    Args:
        truths: of all clips.
        folded: all azimuths, also those of answers, lie in [-90, 90].

    Returns:
        The figures of `score_frames` without median and intervals, as exact expectations, for
        ``random_azimuth`` (uniform on the circle), ``random_source`` (one of the clip's sources
        from begin to end), ``split_direction`` (drawn from the azimuths of the split's targets)
        and ``best_constant`` (the whole degree with the smallest mean error, in
        ``azimuth_deg``). All of them always say that the sound is there.
    """
    grid = HALF_GRID if folded else GRID
    heard = [truth for truth in truths if truth.active.any()]
    fixed = [
        _judge(np.tile(grid, (len(t.active), 1)), np.ones(len(t.active), bool), t) for t in heard
    ]
    sources = []
    for truth in heard:
        places = np.column_stack([truth.target_deg, truth.others_deg])
        sources.append(_judge(places, np.ones(len(places), bool), truth))
    uniform = np.full(len(grid), 1 / len(grid))
    shares = [_histogram(truth.target_deg[truth.active], grid) for truth in heard]
    best = int(_stack(fixed, "error").mean(axis=0).argmin())
    constant = np.eye(len(grid))[best]
    return {
        "random_azimuth": _expected(fixed, [uniform] * len(heard)),
        "random_source": _expected(
            sources, [np.full(len(clip["error"]), 1 / len(clip["error"])) for clip in sources]
        ),
        "split_direction": _expected(fixed, [np.mean(shares, axis=0)] * len(heard)),
        "best_constant": {
            "azimuth_deg": float(grid[best]),
            **_expected(fixed, [constant] * len(heard)),
        },
    }


def _judge(azimuth_deg: Angles, said: Flags, truth: FrameTruth) -> Clip:
    """Judge G ways (T, G) to answer one clip at once: figures of (G,)."""
    active = truth.active
    errors = angular_error(azimuth_deg[active], truth.target_deg[active, None])  # (T', G)
    figures: dict[str, Angles] = {"error": errors.mean(axis=0)}
    for tolerance in TOLERANCES_DEG:
        figures[f"acc_{tolerance}"] = (errors <= tolerance).mean(axis=0)
    others = np.where(truth.others_active, truth.others_deg, np.nan)[active]
    rivalled = ~np.isnan(others).all(axis=1)
    chosen = [
        selected(way, truth.target_deg[active][rivalled], others[rivalled]).mean()
        if rivalled.any()
        else np.nan
        for way in azimuth_deg[active][rivalled].T
    ]
    figures["selection"] = np.array(chosen)
    matched = said[active]
    figures["hits"] = (errors[matched] <= HIT_DEG).sum(axis=0)
    figures["matched_error"] = errors[matched].sum(axis=0)
    ways = np.ones(errors.shape[1])
    figures["matched"] = ways * matched.sum()
    figures["missed"] = ways * (~matched).sum()
    figures["false"] = ways * (said & ~active).sum()
    return figures


def _dcase(sums: Angles) -> Figures:
    """Turn SUMS over clips (5,) into LE_CD, LR_CD and F20."""
    hits, matched, error, missed, false = sums.tolist()
    # As in DCASE's own code, a match that is too far off is one mistake and not two.
    return {
        "le_cd_deg": error / matched if matched else None,
        "lr_cd": matched / (matched + missed),
        "f_20": hits / (matched + 0.5 * (missed + false)),
    }


def _expected(clips: Sequence[Clip], weights: Sequence[Angles]) -> Figures:
    """Average the figures of clips over ways of answering, each with its chance (G,)."""

    def mean(name: str) -> list[float]:
        return [float(clip[name] @ weight) for clip, weight in zip(clips, weights, strict=True)]

    figures: Figures = {"scenes": len(clips), "mae_deg": float(np.mean(mean("error")))}
    for name in [f"acc_{tolerance}" for tolerance in TOLERANCES_DEG]:
        figures[name] = float(np.mean(mean(name)))
    chosen = [value for value in mean("selection") if not np.isnan(value)]
    figures["selection"] = float(np.mean(chosen)) if chosen else None
    return figures | _dcase(np.array([np.sum(mean(name)) for name in SUMS]))


def _histogram(azimuth_deg: Angles, grid: Angles) -> Angles:
    """Count directions in whole degrees: shares of a grid (G,)."""
    bins = np.round(azimuth_deg - grid[0]).astype(int) % len(grid)
    return np.bincount(bins, minlength=len(grid)) / len(bins)


def _stack(clips: Sequence[Clip], name: str) -> Angles:
    return np.stack([np.asarray(clip[name], dtype=np.float64) for clip in clips])
