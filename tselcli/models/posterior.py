"""Reading answers off a distribution over azimuth."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

AZIMUTHS = np.arange(-180.0, 180.0)  # degrees; the grid that is steered over
LOBE_DEG = 10  # an answer owns the posterior this far to both sides
LEAST = 0.001  # probability under which an alternative is none
APART_DEG = 20  # answers closer than this are one


def find_peaks(posterior: npt.NDArray[Any], count: int) -> list[tuple[float, float]]:
    """Find the best directions of a posterior over AZIMUTHS.

    Args:
        posterior: (A,), sums to 1.
        count: directions to give at most.

    Returns:
        (azimuth in degrees, probability within 10 degrees), best first, at least 20 degrees
        apart. The azimuth is refined between grid points by a parabola through the logarithms.
    """
    around = np.arange(-LOBE_DEG, LOBE_DEG + 1)
    left, right = np.roll(posterior, 1), np.roll(posterior, -1)
    peaks: list[tuple[float, float]] = []
    # Exactly mirrored peaks (a line of microphones) tie: the stable sort prefers the front.
    front_first = np.argsort(np.abs(AZIMUTHS), kind="stable")
    height = np.round(posterior / posterior.max(), 3)
    order = front_first[np.argsort(-height[front_first], kind="stable")]
    for index in order:
        if not peaks or posterior[index] >= max(left[index], right[index]):
            azimuth = refine(posterior, int(index))
            if all(abs((azimuth - other + 180) % 360 - 180) >= APART_DEG for other, _ in peaks):
                mass = float(posterior[(index + around) % len(posterior)].sum())
                if peaks and mass < LEAST:
                    break
                peaks.append((azimuth, min(1.0, mass)))
        if len(peaks) == count:
            break
    return peaks


def peak_azimuth(responses: Iterable[npt.NDArray[Any]], index: int) -> float:
    """Refine a direction in the first response (A,) that peaks there."""
    for response in responses:
        if response[index] >= max(response[index - 1], response[(index + 1) % len(response)]):
            return refine(np.exp(10.0 * response), index)
    return float(AZIMUTHS[index])


def refine(posterior: npt.NDArray[Any], index: int) -> float:
    """Find the summit between grid points by a parabola through the logarithms, degrees."""
    size = len(posterior)
    before, here, after = np.log(
        np.maximum(posterior[[(index - 1) % size, index, (index + 1) % size]], 1e-30)
    )
    bend = before - 2 * here + after
    shift = 0.5 * (before - after) / bend if bend < 0 else 0.0
    return float((AZIMUTHS[index] + np.clip(shift, -0.5, 0.5) + 180) % 360 - 180)
