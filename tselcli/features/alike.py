"""Sound that is alike in all channels, and so comes from nowhere.

A commentary mixed into a recording, hum on the cables, a sound exactly overhead: the founding paper
calls such a source additive (section VI-A, the first set-up of Table I). Where no azimuth of the
array brings all its microphones the same at once, such cells can be told from all others by their
phase, and left out of everything that looks for directions. A line of microphones hears what comes
from its broadside alike, so there nothing is left out.
"""

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from tselcli.acoustics.geometry import delays
from tselcli.features.directions import agreement

LEAST_SPREAD = 0.25  # of the delays of any azimuth, as a share of the widest
AROUND = 8  # directions to compare with: what agrees with one of them better has a direction
SHARP = 40.0  # how sharply a cell is told


def tells_alike(mics: npt.NDArray[np.float64]) -> bool:
    """Say whether any azimuth reaches the microphones (C, 3) at different times."""
    arrival = delays(mics, np.arange(-180.0, 180.0, 1.0))
    spread = arrival.max(axis=1) - arrival.min(axis=1)
    return bool(spread.min() > LEAST_SPREAD * spread.max())


def with_alike(turning: Tensor) -> Tensor:
    """Append to directions (A, C, F) of ``srp.turning`` the one without delays: (A + 1, C, F)."""
    return torch.cat([turning, torch.ones_like(turning[:1])])


def directed(phase: Tensor, turning: Tensor, share: Tensor, pool: int) -> Tensor:
    """Say how much of every cell comes from some direction.

    Args:
        phase: phases of one recording's microphones, complex (C, T, F), of ``gcc.phases``.
        turning: of `with_alike` over a circle (A + 1, C, F).
        share: weight of every band in every bin (M, F) of ``stft.spread_share``.
        pool: STFT frames per cell.

    Returns:
        (ceil(T / pool), M) in [0, 1]; near 0 where all channels are alike.
    """
    found = agreement(phase, turning, share, pool)
    return torch.sigmoid(SHARP * (found[..., :-1].amax(dim=-1) - found[..., -1]))
