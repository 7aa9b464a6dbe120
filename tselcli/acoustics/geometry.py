"""Where the microphones are, and what a direction means.

One frame for everything: x to the front, y to the left, z up, metres. Azimuth is in degrees,
counter-clockwise seen from above, 0 at the front, +90 at the left, in [-180, 180):

              0  (+x, front)
              |
    +90 ------+------ -90
    (+y)      |      (-y)
            -180

An array is named on the command line by a preset with a size (``square:0.12``), by ``foa`` for
first-order ambisonics, or by a YAML file with one position per microphone.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from tselcli.errors import RecipeError
from tselcli.problems import did_you_mean

SPEED_OF_SOUND = 343.0  # m/s, dry air of 20 degrees Celsius
MAX_MICS = 64
MAX_REACH_M = 10.0  # no coordinate of a microphone is larger than this

Floats = npt.NDArray[np.float64]
Positions = tuple[tuple[float, float, float], ...]
Ambisonics = Literal["acn-sn3d", "acn-n3d", "fuma"]


@dataclass(frozen=True)
class MicArray:
    """What hears, in its own frame: metres, x front, y left, z up.

    Attributes:
        name: of a preset with its size, or of a file.
        mics: a position for every channel; four times the origin for first-order ambisonics.
        foa: order and scale of first-order ambisonic channels; None for microphones.
        channels: channel of a recording, from 0, that each microphone is on; None: in order.
    """

    name: str
    mics: Positions
    foa: Ambisonics | None = None
    channels: tuple[int, ...] | None = None

    @property
    def positions(self) -> Floats:
        """The microphones as an array (C, 3), metres."""
        return np.array(self.mics, dtype=np.float64)


def direction(azimuth_deg: npt.ArrayLike, elevation_deg: npt.ArrayLike = 0.0) -> Floats:
    """Turn angles into unit vectors that point from the array to the sound.

    Args:
        azimuth_deg: degrees, counter-clockwise, any shape.
        elevation_deg: degrees, up is positive; broadcast against the azimuth.

    Returns:
        Unit vectors (..., 3).
    """
    azimuth, elevation = np.broadcast_arrays(np.radians(azimuth_deg), np.radians(elevation_deg))
    flat = np.cos(elevation)
    return np.stack([flat * np.cos(azimuth), flat * np.sin(azimuth), np.sin(elevation)], axis=-1)


def wrap_deg(angle: npt.ArrayLike) -> Floats:
    """Bring angles in degrees into [-180, 180); the shape is kept."""
    wrapped = np.mod(np.asarray(angle, dtype=np.float64) + 180.0, 360.0)
    # The remainder of a tiny negative number rounds up to 360 itself.
    return np.asarray(np.where(wrapped >= 360.0, 0.0, wrapped) - 180.0)


def azimuth_of(position: npt.ArrayLike) -> Floats:
    """Give the azimuth (...), degrees in [-180, 180), of positions (..., 3) or (..., 2)."""
    place = np.asarray(position, dtype=np.float64)
    return wrap_deg(np.degrees(np.arctan2(place[..., 1], place[..., 0])))


def elevation_of(position: npt.ArrayLike) -> Floats:
    """Give the elevation (...), degrees in [-90, 90], of positions (..., 3)."""
    place = np.asarray(position, dtype=np.float64)
    flat = np.hypot(place[..., 0], place[..., 1])
    return np.asarray(np.degrees(np.arctan2(place[..., 2], flat)))


def delays(mics: npt.ArrayLike, azimuth_deg: npt.ArrayLike, c: float = SPEED_OF_SOUND) -> Floats:
    """Say when a distant sound of each azimuth reaches each microphone.

    Args:
        mics: microphone positions (C, 3), metres, array frame.
        azimuth_deg: azimuths (A,), degrees; the elevation is zero.
        c: speed of sound, m/s.

    Returns:
        (A, C) seconds relative to the origin of the array's frame; a microphone on the
        side of the sound hears it early, which is a negative delay.
    """
    rays = direction(np.atleast_1d(azimuth_deg))
    return np.asarray(-(rays @ np.asarray(mics, dtype=np.float64).T) / c)


def turn(positions: npt.ArrayLike, yaw_deg: float) -> Floats:
    """Rotate positions (..., 3) about the vertical axis, counter-clockwise by ``yaw_deg``."""
    yaw = math.radians(yaw_deg)
    cos, sin = math.cos(yaw), math.sin(yaw)
    matrix = np.array([[cos, sin, 0], [-sin, cos, 0], [0, 0, 1]])
    return np.asarray(np.asarray(positions, dtype=np.float64) @ matrix)


def _square(side: float) -> Positions:
    half = side / 2
    return ((half, half, 0.0), (-half, half, 0.0), (-half, -half, 0.0), (half, -half, 0.0))


def _tetra(radius: float) -> Positions:
    angles = np.array([(45, 35), (-45, -35), (135, -35), (-135, 35)])
    return _as_tuples(radius * direction(angles[:, 0], angles[:, 1]))


def _circular(count: int, radius: float) -> Positions:
    return _as_tuples(radius * direction(np.arange(count) * 360.0 / count))


def _linear(count: int, step: float) -> Positions:
    return tuple((0.0, step * ((count - 1) / 2 - mic), 0.0) for mic in range(count))


SIZED: dict[str, Callable[[float], Positions]] = {"square": _square, "tetra": _tetra}
COUNTED: dict[str, Callable[[int, float], Positions]] = {"circular": _circular, "linear": _linear}
FOA: dict[str, Ambisonics] = {"foa": "acn-sn3d", "foa-n3d": "acn-n3d", "foa-fuma": "fuma"}
WAYS = (
    "use square:SIDE, tetra:RADIUS, circular:N:RADIUS, linear:N:STEP (metres), "
    "foa, foa-n3d, foa-fuma, a YAML file with 'mics: [[x, y, z], ...]' or a .sofa file"
)
FILES = (".yaml", ".yml", ".sofa")


def parse_array(text: str) -> MicArray:
    """Read an array from a preset with its size, from a YAML file or from a SOFA file.

    ``square:0.12`` has its first microphone at the front left and goes counter-clockwise;
    ``tetra:0.042`` is the order of TAU-SRIR; ``circular:6:0.05`` starts at the front and goes
    counter-clockwise; ``linear:4:0.03`` lies along y with its first microphone at the left.
    ``foa`` is first-order ambisonics W, Y, Z, X of scale SN3D (ACN, as AmbiX files have it),
    ``foa-n3d`` the same of scale N3D, ``foa-fuma`` W, X, Y, Z of Furse and Malham.

    Raises:
        RecipeError: nothing known by that name, a size that makes no sense, a bad YAML file.
        DataError: a bad SOFA file.
    """
    text = text.strip()
    if text.lower().endswith(".sofa"):
        from tselcli.acoustics.sofa import read_sofa_array

        return read_sofa_array(Path(text))
    if text.lower().endswith(FILES):
        from tselcli.acoustics.array_file import read_array_file

        return read_array_file(Path(text))
    shape, *sizes = text.split(":")
    if shape not in {**SIZED, **COUNTED, **FOA}:
        hint = did_you_mean(shape, [*SIZED, *COUNTED, *FOA])
        raise RecipeError(f"array '{text}': unknown geometry{hint}; {WAYS}")
    if shape in FOA:
        if sizes:
            raise RecipeError(f"array '{text}': ambisonics have no size; write '{shape}'")
        return MicArray(text, ((0.0, 0.0, 0.0),) * 4, FOA[shape])
    if len(sizes) != (1 if shape in SIZED else 2):
        example = f"{shape}:0.1" if shape in SIZED else f"{shape}:4:0.05"
        raise RecipeError(f"array '{text}': incomplete or too long; for example '{example}'")
    size = _size_of(text, sizes[-1])
    if shape in SIZED:
        return MicArray(text, SIZED[shape](size))
    return MicArray(text, COUNTED[shape](_count_of(text, sizes[0]), size))


def sized_array(geometry: str, spacing_m: float) -> MicArray:
    """Build the array of a recipe: a preset without its size, ambisonics or a file as it is.

    Raises:
        RecipeError, DataError: as `parse_array`.
    """
    if geometry in FOA or geometry.lower().endswith(FILES):
        return replace(parse_array(geometry), channels=None)  # what we record is in order
    shape, *counts = geometry.split(":")
    if shape in {**SIZED, **COUNTED} and len(counts) != (shape in COUNTED):
        raise RecipeError(
            f"scene.array.geometry '{geometry}': the size is drawn from spacing_m; "
            f"give square, tetra, circular:N, linear:N, foa or a YAML file"
        )
    return parse_array(f"{geometry}:{spacing_m:g}")


def _size_of(text: str, size: str) -> float:
    try:
        metres = float(size)
    except ValueError:
        metres = math.nan
    if not 0 < metres <= MAX_REACH_M:  # also catches NaN
        raise RecipeError(
            f"array '{text}': '{size}' is not a size in metres above 0 and up to {MAX_REACH_M:g}; "
            f"{WAYS}"
        )
    return metres


def _count_of(text: str, count: str) -> int:
    if not (count.isascii() and count.isdigit() and 2 <= int(count[:9]) <= MAX_MICS):
        raise RecipeError(
            f"array '{text}': '{count}' microphones; use a whole number from 2 to {MAX_MICS}"
        )
    return int(count)


def _as_tuples(positions: Floats) -> Positions:
    return tuple((float(x), float(y), float(z)) for x, y, z in positions)
