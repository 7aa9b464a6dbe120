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
from tselcli.features.stft import bin_power

LEAST_SPREAD = 0.25  # of the delays of any azimuth, as a share of the widest
AROUND = 8  # directions to compare with: what agrees with one of them better has a direction
SHARP = 40.0  # how sharply a cell is told
UNLIKE = 0.1  # most agreement of a band that tells it from all directions
SURE = 0.9  # least agreement with none of a cell that has no direction
LEAST_SHARE = 1e-3  # of what is heard, to speak of a sound mixed in
LEAST_LEFT = 1e-6  # of the power, without what is alike


def tells_alike(mics: npt.NDArray[np.float64]) -> bool:
    """Say whether any azimuth reaches the microphones (C, 3) at different times."""
    arrival = delays(mics, np.arange(-180.0, 180.0, 1.0))
    spread = arrival.max(axis=1) - arrival.min(axis=1)
    return bool(spread.min() > LEAST_SPREAD * spread.max())


def with_alike(turning: Tensor) -> Tensor:
    """Append to directions (A, C, F) of ``srp.turning`` the one without delays: (A + 1, C, F)."""
    return torch.cat([turning, torch.ones_like(turning[:1])])


def directed(found: Tensor) -> Tensor:
    """Say how much of every cell comes from some direction.

    Args:
        found: agreement with `AROUND` directions and with none (T', M, A + 1), of
            ``directions.agreement`` with `with_alike`.

    Returns:
        (T', M) in [0, 1]; near 0 where all channels are alike.
    """
    return torch.sigmoid(SHARP * (found[..., :-1].amax(dim=-1) - found[..., -1]))


def left_power(spectrum: Tensor) -> Tensor:
    """Give the power of a spectrum (1, C, T, F) without the mean of its channels, and all: (2,)."""
    whole = bin_power(spectrum).sum()
    mean = bin_power(spectrum.mean(dim=1)).sum() * spectrum.shape[1]
    return torch.stack([whole - mean, whole])


def telling(turning: Tensor, share: Tensor) -> Tensor:
    """Say in which bands a sound from nowhere is unlike one from anywhere: (M,), true or false.

    Args:
        turning: of `with_alike` over a circle (A + 1, C, F).
        share: weight of every band in every bin (M, F) of ``stft.spread_share``.
    """
    alike = torch.ones_like(turning[0])[:, None]
    found: Tensor = agreement(alike, turning[:-1], share, 1)[0].amax(dim=-1) < UNLIKE
    return found


def mixed_in(found: Tensor, weights: Tensor, power: Tensor) -> bool:
    """Say whether a sound without a direction was mixed into a recording.

    In rooms hardly any cell of those that can tell agrees with no direction: in 420 scenes of
    the validation split without such a sound, of one to three sources, dry and noisy rooms, they
    were 2e-4 of what was heard at most; with one, more than 7e-3 in 57 scenes of 60.

    Args:
        found: as of `directed`.
        weights: how much every cell matters, 0 in bands that are not `telling` (T', M).
        power: of `left_power`, of the whole recording; what is nothing but alike stays as it is.
    """
    share = float((weights * (found[..., -1] > SURE)).sum() / weights.sum().clamp_min(1e-12))
    return share > LEAST_SHARE and float(power[0]) > LEAST_LEFT * float(power[1])
