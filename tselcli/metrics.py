"""How far off, and how often right.

In a scene with several sources a system fails in two ways: it picks the wrong source, or it
points beside the right one. The mean angular error mixes the two, so next to it stand the
*selection accuracy* (the answer lies nearer to the target than to every other source) and the
error among the right picks. Intervals are percentile bootstraps over scenes (Efron and
Tibshirani, *An Introduction to the Bootstrap*, section 13.3).

Angles are degrees anywhere on the circle. ``others`` is (N, K): the azimuths of the directional
sources besides the target, NaN where a scene has fewer than K of them.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

Angles = npt.NDArray[np.floating[Any]]
Figures = dict[str, Any]

TOLERANCES_DEG = (5, 10, 20)  # of ACC@k
LANDED_DEG = 10.0  # an answer this near to another source has found that source
TIE_DEG = 1e-6  # distances this close are the same
_CHUNK = 4_000_000  # resampled values held at once


def angular_error(a: npt.ArrayLike, b: npt.ArrayLike) -> Angles:
    """Return the shorter way round between two azimuths, in [0, 180] degrees, by broadcasting."""
    turned = np.subtract(a, b, dtype=np.float64) + 180.0
    errors: Angles = np.abs(turned % 360.0 - 180.0)
    return errors


def mae(predicted: Angles, targets: Angles) -> float:
    """Return the mean angular error in degrees (what the founding paper calls MAE)."""
    return float(angular_error(predicted, targets).mean())


def acc_at(predicted: Angles, targets: Angles, tolerance_deg: float) -> float:
    """Return the share of answers at most ``tolerance_deg`` off (ACC@k)."""
    return float((angular_error(predicted, targets) <= tolerance_deg).mean())


def selections(predicted: Angles, targets: Angles, others: Angles) -> Angles:
    """Say for each scene whether the answer lies nearer to the target than to every other source.

    Args:
        predicted: answers, (N,).
        targets: azimuths of the described source, (N,).
        others: azimuths of the other directional sources, (N, K), padded with NaN.

    Returns:
        (N,): 1 right, 0 wrong, 0.5 as near to another source as to the target, NaN without others.
    """
    nearest = nearest_other(predicted, others)
    lead = nearest - angular_error(predicted, targets)
    right = np.where(np.abs(lead) <= TIE_DEG, 0.5, (lead > 0).astype(np.float64))
    return np.where(np.isnan(nearest), np.nan, right)


def selection_accuracy(predicted: Angles, targets: Angles, others: Angles) -> float | None:
    """Return the share of right selections (ties count half), None when no scene has a rival."""
    chosen = selections(predicted, targets, others)
    return mean_or_none(chosen[~np.isnan(chosen)])


def bootstrap_interval(
    values: npt.ArrayLike, rng: np.random.Generator, level: float = 0.95, draws: int = 2000
) -> tuple[float, float]:
    """Return the percentile bootstrap interval of the mean of ``values`` (N,).

    Args:
        values: one figure per scene, finite, N >= 1.
        rng: where the resampling takes its randomness from.
        level: coverage in (0, 1).
        draws: resampled means.
    """
    values = np.asarray(values, dtype=np.float64)
    per_chunk = max(1, _CHUNK // len(values))
    means = [
        values[rng.integers(len(values), size=(min(per_chunk, draws - start), len(values)))].mean(1)
        for start in range(0, draws, per_chunk)
    ]
    low, high = np.quantile(np.concatenate(means), [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def resampled_interval(
    figure: Callable[[npt.NDArray[np.intp]], float | None],
    count: int,
    rng: np.random.Generator,
    level: float = 0.95,
    draws: int = 1000,
) -> tuple[float, float] | None:
    """Return the percentile bootstrap interval of any figure of ``count`` scenes.

    Args:
        figure: of the scenes with these numbers (N,), some of them twice; None where it has none.
        count: scenes there are, at least 1.
        rng: where the resampling takes its randomness from.
        level: coverage in (0, 1).
        draws: resampled figures; those that are None do not count, and if all are, so is this.
    """
    drawn = (figure(rng.integers(count, size=count)) for _ in range(draws))
    values = [value for value in drawn if value is not None]
    if not values:
        return None
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def score(
    predicted: npt.ArrayLike,
    targets: npt.ArrayLike,
    others: npt.ArrayLike,
    rng: np.random.Generator,
    level: float = 0.95,
) -> Figures:
    """Judge the answers to N scenes.

    Args:
        predicted: answers in degrees, (N,), finite.
        targets: azimuths of the described sources, (N,).
        others: azimuths of the other directional sources, (N, K), padded with NaN; K may be 0.
        rng: for the intervals.
        level: coverage of the intervals.

    Returns:
        ``scenes``, ``mae_deg``, ``median_deg``, ``acc_5``, ``acc_10``, ``acc_20``, ``selection``,
        ``wrong_source`` (share of answers that are nearer to another source and within 10 degrees
        of it) and ``localisation_deg`` (mean error of the right selections); also the interval
        of each as [low, high], named ``mae_deg_interval`` and so on.
        What depends on other sources counts only the scenes that have some, and is None when
        there are none. Rates are in [0, 1].
    """
    predicted, targets, others = checked(predicted, targets, others)
    errors = angular_error(predicted, targets)
    chosen = selections(predicted, targets, others)
    landed = (chosen == 0) & (nearest_other(predicted, others) <= LANDED_DEG)
    rivalled = ~np.isnan(chosen)
    figures: Figures = {"scenes": len(errors), "mae_deg": errors.mean()}
    figures["mae_deg_interval"] = list(bootstrap_interval(errors, rng, level))
    figures["median_deg"] = np.median(errors)
    for tolerance in TOLERANCES_DEG:
        hits = (errors <= tolerance).astype(np.float64)
        figures[f"acc_{tolerance}"] = hits.mean()
        figures[f"acc_{tolerance}_interval"] = list(bootstrap_interval(hits, rng, level))
    shares = {
        "selection": chosen[rivalled],
        "wrong_source": landed[rivalled],
        "localisation_deg": errors[chosen == 1],
    }
    for name, values in shares.items():
        figures[name] = mean_or_none(values)
        bounds = bootstrap_interval(values, rng, level) if len(values) else None
        figures[f"{name}_interval"] = None if bounds is None else list(bounds)
    middle = resampled_interval(
        lambda rows: float(np.median(errors[rows])), len(errors), rng, level
    )
    figures["median_deg_interval"] = list(middle or ())
    return plain(figures)


def auroc(evidence: npt.ArrayLike, there: npt.ArrayLike) -> float | None:
    """Return the chance that what is there has more evidence than what is not; ties count half.

    The area under the receiver operating characteristic, by ranks (Mann and Whitney). None
    where everything is there, or nothing.
    """
    values, flags = np.asarray(evidence, dtype=np.float64), np.asarray(there, dtype=np.bool_)
    present, absent = int(flags.sum()), int((~flags).sum())
    if not present or not absent:
        return None
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(count) - (count - 1) / 2)[place]
    return float((ranks[flags].sum() - present * (present + 1) / 2) / (present * absent))


def calibration_error(chances: npt.ArrayLike, right: npt.ArrayLike, bins: int = 10) -> float:
    """Return the expected calibration error of probabilities, in bins of equal width.

    Args:
        chances: claimed probability of being right (N,).
        right: whether it was (N,).
        bins: of [0, 1].
    """
    claimed, was = np.asarray(chances, np.float64), np.asarray(right, np.float64)
    place = np.minimum((claimed * bins).astype(int), bins - 1)
    count = np.bincount(place, minlength=bins)
    gap = np.abs(np.bincount(place, claimed - was, minlength=bins))
    return float(gap[count > 0].sum() / len(claimed))


def checked(*arrays: npt.ArrayLike) -> tuple[Angles, Angles, Angles]:
    """Turn answers, targets and other sources into arrays, and refuse what cannot be scored."""
    predicted, targets, others = (np.asarray(array, dtype=np.float64) for array in arrays)
    if others.ndim != 2 or not len(predicted) == len(targets) == len(others) > 0:
        raise ValueError(
            f"predicted {predicted.shape}, targets {targets.shape} and others {others.shape} "
            "must be (N,), (N,) and (N, K) with N >= 1"
        )
    if not (np.isfinite(predicted).all() and np.isfinite(targets).all()):
        raise ValueError("predicted and target azimuths must be finite")
    return predicted, targets, others


def nearest_other(predicted: Angles, others: Angles) -> Angles:
    """Return the distance to the nearest other source, (N,); NaN in scenes without one."""
    distances = np.nan_to_num(angular_error(predicted[:, None], others), nan=np.inf)
    nearest = distances.min(axis=1, initial=np.inf)
    return np.where(np.isinf(nearest), np.nan, nearest)


def mean_or_none(values: npt.NDArray[Any]) -> float | None:
    """Average values (N,); None without any."""
    return float(values.mean()) if len(values) else None


def plain(figures: Figures) -> Figures:
    """Turn numpy scalars into Python floats."""
    return {key: v.item() if isinstance(v, np.generic) else v for key, v in figures.items()}
