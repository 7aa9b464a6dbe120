"""Whether a model knows what it does not know: presence of sounds, and trust in its confidence.

Both are computed from the records of scenes that ``tsel eval`` keeps, in memory or read back from
its JSON. Intervals are bootstraps over scenes: what was asked about one recording stays together.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tselcli.metrics import (
    LANDED_DEG,
    Angles,
    Figures,
    angular_error,
    auroc,
    calibration_error,
    resampled_interval,
)

Scenes = Sequence[Mapping[str, Any]]
Figure = Callable[[npt.NDArray[np.intp]], float | None]  # of the scenes with these numbers

CALLED_PRESENT = 0.5  # presence from which on an answer says that the sound is there


def presence_figures(scenes: Scenes, rng: np.random.Generator) -> Figures | None:
    """Judge how well a model tells sounds that are there from sounds that are not.

    Args:
        scenes: records with ``presence``, the probability that the target is there, and
            ``absent``, a list of descriptions of what is not there, each with its ``presence``.
        rng: for the intervals.

    Returns:
        ``scenes``, ``absent`` (descriptions of what is not there), ``auroc``, ``found`` (share of
        the targets that are called present) and ``false_alarms`` (the same of what is absent),
        with their intervals as ``*_interval``. None where a model cannot tell, or nothing absent
        was asked.
    """
    asked = [scene for scene in scenes if scene.get("presence") is not None and scene.get("absent")]
    if not asked:
        return None
    there = np.array([scene["presence"] for scene in asked], dtype=np.float64)
    absent = _padded([[one["presence"] for one in scene["absent"]] for scene in asked])
    named: dict[str, Figure] = {
        "auroc": lambda rows: _separation(there[rows], absent[rows]),
        "found": lambda rows: float((there[rows] >= CALLED_PRESENT).mean()),
        "false_alarms": lambda rows: _called_present(absent[rows]),
    }
    figures: Figures = {"scenes": len(asked), "absent": int((~np.isnan(absent)).sum())}
    return figures | _with_intervals(named, len(asked), rng)


def confidence_figures(scenes: Scenes, system: str, rng: np.random.Generator) -> Figures:
    """Compare how sure a model was with how often it was right: within 10 degrees of the target.

    Front and back are never one here, for a confidence is of the one azimuth that was given.

    Args:
        scenes: records with ``confidence``, ``answers`` and ``azimuth_deg``.
        system: name of the model among the answers.
        rng: for the intervals.

    Returns:
        ``scenes``, ``confidence`` (its mean), ``accuracy`` (share of right answers) and
        ``calibration_error`` (expected, ten bins), with their intervals as ``*_interval``;
        resampling adds to a calibration error, so its interval leans upwards.
    """
    sure = np.array([scene["confidence"] for scene in scenes], dtype=np.float64)
    found = [scene["answers"][system] for scene in scenes]
    right = angular_error(found, [scene["azimuth_deg"] for scene in scenes]) <= LANDED_DEG
    named: dict[str, Figure] = {
        "confidence": lambda rows: float(sure[rows].mean()),
        "accuracy": lambda rows: float(right[rows].mean()),
        "calibration_error": lambda rows: calibration_error(sure[rows], right[rows]),
    }
    return {"scenes": len(scenes), **_with_intervals(named, len(scenes), rng)}


def _with_intervals(named: Mapping[str, Figure], count: int, rng: np.random.Generator) -> Figures:
    """Compute figures of the scenes with given numbers, for all of them and resampled."""
    figures: Figures = {}
    for name, figure in named.items():
        bounds = resampled_interval(figure, count, rng)
        figures[name] = figure(np.arange(count))
        figures[f"{name}_interval"] = None if bounds is None else list(bounds)
    return figures


def _separation(there: Angles, absent: Angles) -> float | None:
    known = absent[~np.isnan(absent)]
    return auroc(np.concatenate([there, known]), np.arange(len(there) + len(known)) < len(there))


def _called_present(absent: Angles) -> float:
    return float((absent[~np.isnan(absent)] >= CALLED_PRESENT).mean())


def _padded(rows: Sequence[Sequence[float]]) -> Angles:
    """Stack figures (N, K), NaN where a scene has fewer."""
    width = max(map(len, rows))
    return np.array([[*row, *[np.nan] * (width - len(row))] for row in rows], dtype=np.float64)
