"""What a recording shows in every direction, and which directions are worth asking.

The peaks of the response under the mask, under what the mask leaves, and under everything, and
the directions in which most sounds begin: the candidates among which
:mod:`tselcli.models.choice` chooses.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

APART_DEG = 8.0  # candidates closer than this are one
PEAKS_APART_DEG = 12.0  # the same of the peaks of one response


@dataclass(frozen=True)
class Scenery:
    """What a recording shows in every direction, for one query.

    Attributes:
        masked: response under the query's mask, over the grid (A,).
        against: response under what the mask leaves (A,).
        everything: response without a mask (A,).
        begun: histogram of beginnings, on a grid of its own over the circle (H,).
        described: the same of beginnings that fit the query (H,).
        left: share of the recording that the mask leaves, [0, 1].
    """

    masked: Array
    against: Array
    everything: Array
    begun: Array
    described: Array
    left: float


def heights(histogram: Array, azimuths: Array) -> Array:
    """Read directions (K,) off a histogram over the circle (A,): (K,), 1 at the highest bin."""
    size = len(histogram)
    bins = np.round((azimuths + 180.0) / 360.0 * size).astype(int)[:, None] + np.arange(-1, 2)
    return np.asarray(histogram[bins % size].max(axis=1) / max(float(histogram.max()), 1e-30))


def candidates(view: Scenery, grid: Array) -> list[int]:
    """Collect directions worth asking: indices into the grid, at least 8 degrees apart.

    The highest peak of the response under the mask is the first, and the only one where nothing
    can be heard to begin, as in a recording of a few milliseconds.
    """
    if not view.begun.any():
        return peaks(view.masked, grid, 1)
    step = len(grid) // len(view.begun)
    asked = [*peaks(view.masked, grid, 4), *peaks(view.against, grid, 3)]
    asked += peaks(view.everything, grid, 6)
    for histogram in (view.begun, view.described):
        if histogram.any():
            asked += [k * step for k in peaks(histogram, grid[::step], 5)]
    found: list[int] = []
    for index in asked:
        if all(away(grid[index], grid[other]) >= APART_DEG for other in found):
            found.append(index)
    return found


def peaks(response: Array, grid: Array, count: int) -> list[int]:
    """Find the highest local maxima of a circular response (A,), 12 degrees apart or more.

    Exactly mirrored peaks (a line of microphones) tie; the front goes first.
    """
    rising = response >= np.maximum(np.roll(response, 1), np.roll(response, -1))
    front_first = np.argsort(np.abs(grid), kind="stable")
    order = front_first[np.argsort(-np.round(response[front_first], 5), kind="stable")]
    found: list[int] = []
    for index in order[rising[order]].tolist():
        if all(away(grid[index], grid[other]) >= PEAKS_APART_DEG for other in found):
            found.append(index)
        if len(found) == count:
            break
    return found


def away(a: npt.ArrayLike, b: npt.ArrayLike) -> Array:
    """Return the shorter way round between azimuths, [0, 180] degrees, by broadcasting."""
    return np.asarray(np.abs((np.subtract(a, b) + 180.0) % 360.0 - 180.0))
