"""Arrays that cannot tell front from back: all microphones on one line, seen from above.

Such an array hears a sound and its mirror image beyond the line alike:

         a                    fold_deg: the angle from the normal of the line,
     ----+---- line           the same for a and for b
         b
"""

import numpy as np
import numpy.typing as npt

from tselcli.acoustics.geometry import Floats, MicArray

FLAT_M = 1e-3  # microphones closer to a line than this stand on it


def line_of(array: MicArray) -> float | None:
    """Give the azimuth of the line on which all microphones stand, [0, 180) degrees.

    None for ambisonics, for microphones that span a plane, and for a vertical line, which
    tells no azimuth at all.
    """
    if array.foa is not None:
        return None
    flat = array.positions[:, :2] - array.positions[:, :2].mean(axis=0)
    _, spread, axes = np.linalg.svd(flat)
    if spread[0] <= FLAT_M or spread[1] > FLAT_M:
        return None
    return float(np.round(np.degrees(np.arctan2(axes[0, 1], axes[0, 0])), 2) % 180.0)


def fold_deg(azimuth_deg: npt.ArrayLike, line_deg: float | None) -> Floats:
    """Lay azimuths and their mirror images beyond a line on each other.

    Args:
        azimuth_deg: any shape.
        line_deg: azimuth of the line; None folds nothing.

    Returns:
        Degrees from the normal of the line, [-90, 90]; the azimuths themselves for None. For a
        line across the front that is the azimuth of whichever of the two is in front.
    """
    azimuth = np.asarray(azimuth_deg, dtype=np.float64)
    if line_deg is None:
        return azimuth
    turned = np.radians(azimuth - (line_deg - 90.0))
    return np.asarray(np.degrees(np.arctan2(np.sin(turned), np.abs(np.cos(turned)))))
