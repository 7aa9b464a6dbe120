"""Where a SOFA file says that everything stands, in the listener's frame.

Positions are cartesian or spherical, one for all measurements or one for each. Axes: M
measurements, E emitters; coordinates always in axis 1 of the file's variables.
"""

from pathlib import Path
from typing import Any

import numpy as np

from tselcli.acoustics.geometry import Floats, direction
from tselcli.errors import DataError

SAME_PLACE_M = 1e-4
FARTHEST = 1e6  # metres or degrees; NaN is no nearer
UNKNOWN = "is not laid out as SOFA says"


def text(value: Any) -> str:
    """Read an attribute as text; "" where there is none."""
    value = value.item() if isinstance(value, np.ndarray) and value.size == 1 else value
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value or "")


def positions(path: Path, file: Any, name: str, like: str | None = None) -> Floats:
    """Read positions as cartesian metres, coordinates in axis 1: (rows, 3) or (rows, 3, M).

    Their type is cartesian or spherical; where they have none, that of the variable ``like``.
    """
    values = np.asarray(file[name][()], dtype=np.float64)
    kinds = [text(file[which].attrs.get("Type")) for which in (name, like) if which]
    kind = next(filter(None, kinds), "cartesian")
    if values.ndim not in (2, 3) or values.shape[1] != 3 or not (np.abs(values) <= FARTHEST).all():
        raise DataError(f"{path}: {UNKNOWN} ({name} of shape {values.shape}); get it again")
    if kind == "spherical":
        azimuth, elevation, radius = values[:, 0], values[:, 1], values[:, 2]
        values = np.moveaxis(direction(azimuth, elevation) * radius[..., None], -1, 1)
    elif kind != "cartesian":
        raise DataError(f"{path}: {name} is '{kind}'; cartesian and spherical are supported")
    return values


def emitter_places(path: Path, file: Any, count: int, emitters: int) -> tuple[Floats, bool]:
    """Work out where each emitter stands in each measurement, seen from the listener.

    Returns:
        Metres (M, E, 3), and whether their lengths mean anything.
    """
    source = _of_each(path, file, "SourcePosition", count)
    spherical = text(file["SourcePosition"].attrs.get("Type")) == "spherical"
    known = bool(source.any()) or emitters > 1 or not spherical
    if not known:  # angles with a radius of 0
        angles = np.asarray(file["SourcePosition"][()], dtype=np.float64)
        source = np.broadcast_to(direction(angles[:, 0], angles[:, 1]), (count, 3))
    away = source[:, None, :]
    if "EmitterPosition" in file:
        rows = positions(path, file, "EmitterPosition")
        rows = rows.reshape(*rows.shape[:2], -1)[:emitters]  # (E, 3, I or M)
        turned = _frames(path, file, "Source", count)
        away = away + np.einsum("mji,ejm->mei", turned, _spread(path, rows, 2, count))
    if "ListenerPosition" in file:
        away = away - _of_each(path, file, "ListenerPosition", count)[:, None]
    places = np.einsum("mij,mej->mei", _frames(path, file, "Listener", count), away)
    if np.linalg.norm(places, axis=-1).min() < SAME_PLACE_M:
        raise DataError(f"{path}: a source stands inside the array and has no direction; mend it")
    return np.broadcast_to(places, (count, emitters, 3)), known


def _frames(path: Path, file: Any, who: str, count: int) -> Floats:
    """Build the frame of the listener or source in each measurement: rows x, y, z (M, 3, 3)."""
    front, up = (np.broadcast_to(axis, (count, 3)) for axis in np.eye(3)[[0, 2]])
    if f"{who}View" in file:
        front = _of_each(path, file, f"{who}View", count)
        if f"{who}Up" in file:  # its type is that of the view
            up = _of_each(path, file, f"{who}Up", count, like=f"{who}View")
    left = np.cross(up, front)
    lengths = np.linalg.norm(left, axis=1, keepdims=True)
    if lengths.min() < 1e-6:
        raise DataError(f"{path}: {who}View and {who}Up say no direction; mend the file")
    left = left / lengths
    front = front / np.linalg.norm(front, axis=1, keepdims=True)
    return np.stack([front, left, np.cross(front, left)], axis=1)


def _of_each(path: Path, file: Any, name: str, count: int, like: str | None = None) -> Floats:
    """Read positions that are one for all measurements, or one for each: (M, 3)."""
    return _spread(path, positions(path, file, name, like), 0, count)[:, :3]


def _spread(path: Path, values: Floats, axis: int, count: int) -> Floats:
    if values.shape[axis] not in (1, count):
        raise DataError(f"{path}: {values.shape[axis]} positions for {count} measurements; mend it")
    return np.repeat(values, count, axis=axis) if values.shape[axis] == 1 else values
