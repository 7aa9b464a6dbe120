"""What makes a scene hard: the figures of a model by level, angle, room, crowd and label.

All of it is computed from the records of scenes that ``tsel eval`` keeps, in memory or read back
from its JSON, so that an evaluation can be looked at again without a model.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import Any

import numpy as np

from tselcli.acoustics.geometry import Floats
from tselcli.acoustics.lines import fold_deg
from tselcli.dataset import padded_others
from tselcli.errors import RecipeError
from tselcli.metrics import Figures, angular_error, score
from tselcli.problems import did_you_mean

Scene = Mapping[str, Any]

EDGES: dict[str, tuple[float, ...]] = {  # between the bins
    "level": (-7.5, -2.5, 2.5, 7.5),  # dB
    "angle": (15.0, 30.0, 60.0, 120.0),  # degrees
    "rt60": (0.3, 0.5, 0.7, 0.9, 1.1),  # s
}
ALONE, UNKNOWN = "no other", "unknown"  # bins of their own
WORST = 10  # labels shown
LEAST_SCENES = 3  # of a label, if some label has as many: one scene says little


def level_of(scene: Scene) -> float | str:
    """Give the level of the target over the loudest other source, dB."""
    levels = scene["level_db"]
    if not levels:
        return ALONE
    return -max(levels) if all(map(_known, levels)) else UNKNOWN


def angle_of(scene: Scene) -> float | str:
    """Give the angle between the target and the nearest other directional source, degrees."""
    others = scene["others_deg"]
    return float(angular_error(scene["azimuth_deg"], others).min()) if others else ALONE


def rt60_of(scene: Scene) -> float | str:
    """Give the RT60 that was achieved, seconds."""
    return float(scene["rt60_s"]) if _known(scene["rt60_s"]) else UNKNOWN


MEASURES: dict[str, Callable[[Scene], float | str]] = {
    "level": level_of,
    "angle": angle_of,
    "rt60": rt60_of,
}
KEYS = (*MEASURES, "sources", "label")


def parse_keys(text: str) -> tuple[str, ...]:
    """Read keys between commas, each once.

    Raises:
        RecipeError: a key that is none of KEYS.
    """
    keys = [key.strip() for key in text.split(",")]
    for key in keys:
        if key not in KEYS:
            hint = did_you_mean(key, KEYS)
            raise RecipeError(f"--by '{key}': unknown{hint}; use some of {','.join(KEYS)}")
    return tuple(dict.fromkeys(keys))


def break_down(
    result: Mapping[str, Any], keys: Sequence[str], system: str | None = None
) -> dict[str, list[Figures]]:
    """Score a system by kinds of scenes.

    Args:
        result: of ``tsel eval``, or its JSON read back.
        keys: some of KEYS: bins of the level of the target over the loudest other source, of the
            angle to the nearest other one and of the achieved RT60; the number of sources, and
            the ten labels of the target with the largest MAE (of those with three scenes or
            more, if there is one).
        system: one that answered each scene; None is the model.

    Returns:
        For every key its bins in order, without empty ones: ``bin``, its name, and the figures
        of :func:`tselcli.metrics.score`.
    """
    system, line_deg = system or result["model"], result.get("line_deg")
    tables = {}
    for key in keys:
        bins = defaultdict(list)
        for scene in result["scenes"]:
            bins[_place(scene, key)].append(scene)
        rows = [
            {"bin": name, **score(*laid_out(some, system, line_deg), np.random.default_rng(0))}
            for (_, name), some in sorted(bins.items(), key=itemgetter(0))
        ]
        tables[key] = _worst(rows) if key == "label" else rows
    return tables


def laid_out(
    scenes: Sequence[Scene], system: str, line_deg: float | None
) -> tuple[Floats, Floats, Floats]:
    """Lay answers, targets (N,) and other sources (N, K) out for `tselcli.metrics.score`.

    With the azimuth of a line on which all microphones stand, front and back are one.
    """
    found = [scene["answers"][system] for scene in scenes]
    targets = [scene["azimuth_deg"] for scene in scenes]
    others = padded_others(tuple(scene["others_deg"]) for scene in scenes)
    return fold_deg(found, line_deg), fold_deg(targets, line_deg), fold_deg(others, line_deg)


def _place(scene: Scene, key: str) -> tuple[int, str]:
    """Say in which bin a scene belongs: its place among the bins, and its name."""
    if key == "label":
        return 0, str(scene["label"])
    if key == "sources":
        count = 1 + len(scene["other_labels"])
        return count, str(count)
    value, edges = MEASURES[key](scene), EDGES[key]
    if isinstance(value, str):
        return len(edges) + 1, value
    place = int(np.searchsorted(edges, value, side="right"))
    if place == 0:
        return place, f"below {edges[0]:g}"
    if place == len(edges):
        return place, f"{edges[-1]:g} and more"
    return place, f"{edges[place - 1]:g} to {edges[place]:g}"


def _worst(rows: list[Figures]) -> list[Figures]:
    """Keep the labels with the largest errors, of those with enough scenes."""
    least = min(LEAST_SCENES, max((row["scenes"] for row in rows), default=0))
    enough = [row for row in rows if row["scenes"] >= least]
    return sorted(enough, key=lambda row: -row["mae_deg"])[:WORST]


def _known(value: float | None) -> bool:
    return value is not None and math.isfinite(value)
