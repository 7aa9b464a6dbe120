"""First-order ambisonics: sound at one point as a pressure and three figures of eight.

Channels are in the order ACN with the scale SN3D wherever ours is the choice, as AmbiX files
have them. A plane wave from azimuth a and elevation e has the gains

    W = 1    Y = sin a cos e    Z = sin e    X = cos a cos e

and the other conventions are the same four signals, otherwise ordered and scaled:

    acn-sn3d    W          Y          Z          X
    acn-n3d     W          sqrt3 Y    sqrt3 Z    sqrt3 X
    fuma        W/sqrt2    X          Y          Z

C. Nachbar, F. Zotter, E. Deleflie and A. Sontacchi, "AmbiX - A Suggested Ambisonics Format",
Ambisonics Symposium 2011; D. G. Malham, "Higher order Ambisonic systems", 2003, for FuMa.
"""

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from tselcli.acoustics.geometry import Ambisonics, Floats, direction, turn

# Where W, Y, Z and X stand among the channels, and what scale they have there.
PLACES: dict[Ambisonics, tuple[int, int, int, int]] = {
    "acn-sn3d": (0, 1, 2, 3),
    "acn-n3d": (0, 1, 2, 3),
    "fuma": (0, 2, 3, 1),
}
SCALES: dict[Ambisonics, tuple[float, float]] = {  # of W, and of Y, Z, X
    "acn-sn3d": (1.0, 1.0),
    "acn-n3d": (1.0, math.sqrt(3)),
    "fuma": (math.sqrt(0.5), 1.0),
}


def encode(azimuth_deg: npt.ArrayLike, elevation_deg: npt.ArrayLike = 0.0) -> Floats:
    """Give the gains of a plane wave in ACN order, SN3D scale.

    Args:
        azimuth_deg: degrees, counter-clockwise, 0 = front, +90 = left, any shape.
        elevation_deg: degrees, up is positive; broadcast against the azimuth.

    Returns:
        W, Y, Z, X (..., 4); W is 1, the others are in [-1, 1].
    """
    rays = direction(azimuth_deg, elevation_deg)
    return np.concatenate([np.ones_like(rays[..., :1]), rays[..., [1, 2, 0]]], axis=-1)


def to_acn_sn3d(signal: npt.NDArray[Any], foa: Ambisonics) -> npt.NDArray[Any]:
    """Bring a signal (..., 4, N) of a convention to W, Y, Z, X of scale SN3D; keeps the type.

    Raises:
        ValueError: not four channels.
    """
    _check(signal)
    return np.asarray(signal[..., list(PLACES[foa]), :] / _scales(foa, signal))


def from_acn_sn3d(signal: npt.NDArray[Any], foa: Ambisonics) -> npt.NDArray[Any]:
    """Bring W, Y, Z, X (..., 4, N) of scale SN3D to another convention; keeps the type.

    Raises:
        ValueError: not four channels.
    """
    _check(signal)
    scaled = signal * _scales(foa, signal)
    return np.ascontiguousarray(scaled[..., np.argsort(PLACES[foa]), :])


def figures_of_eight(yaw_deg: float = 0.0) -> Floats:
    """Say where the axes of W, Y, Z, X point in a room where the array is turned.

    Args:
        yaw_deg: how far, counter-clockwise.

    Returns:
        Unit vectors (4, 3) in the room's frame; zeros for W, which has no axis.
    """
    return turn([(0, 0, 0), (0, 1, 0), (0, 0, 1), (1, 0, 0)], yaw_deg)


def _check(signal: npt.NDArray[Any]) -> None:
    if signal.ndim < 2 or signal.shape[-2] != 4:
        raise ValueError(f"signal of shape {signal.shape}: first-order ambisonics are (..., 4, N)")


def _scales(foa: Ambisonics, like: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Give the scales (4, 1) of W, Y, Z, X in the type of a signal."""
    pressure, others = SCALES[foa]
    kind = like.dtype if np.issubdtype(like.dtype, np.floating) else np.float64
    return np.array([[pressure], [others], [others], [others]], dtype=kind)
