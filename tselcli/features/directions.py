"""Where every cell of the log-mel picture points: agreement with each direction by its phase.

In a room most cells hold an echo of what sounded before. Those in which the power just rose
hold the direct sound; they agree with one direction, and that is where the source is.
"""

import math

import torch
from torch import Tensor

TINY = 1e-30  # power of silence


def cell_agreement(cross: Tensor, steer: Tensor, share: Tensor, pool: int) -> Tensor:
    """Say how well every cell agrees with every direction.

    Args:
        cross: phases of one recording's pairs, complex (P, T, F), of ``gcc.cross_phat``.
        steer: complex (A, P, F) of ``gcc.steering``.
        share: weight of every band in every bin (M, F) of ``stft.spread_share``.
        pool: STFT frames per cell; a rest shorter than ``pool`` is padded with silence.

    Returns:
        (ceil(T / pool), M, A) in [-1, 1]; 1 means that all pairs and bins of the cell have the
        delays of that direction.
    """
    n_pairs, n_frames, _ = cross.shape
    parts = torch.view_as_real(cross).permute(1, 2, 0, 3)  # (T, F, P, 2)
    parts = torch.nn.functional.pad(parts, (0, 0, 0, 0, 0, 0, 0, -n_frames % pool))
    parts = parts.unflatten(0, (-1, pool)).mean(dim=1).flatten(2)  # (T', F, P * 2)
    table = torch.view_as_real(steer.conj().resolve_conj()).permute(2, 1, 3, 0).flatten(1, 2)
    agreement: Tensor = parts.new_zeros(len(parts), len(share), len(steer))
    for band, weights in enumerate(share):
        bins = weights.nonzero()[:, 0]
        if len(bins) == 0:
            continue
        low, high = int(bins[0]), int(bins[-1]) + 1
        weighted = parts[:, low:high] * weights[low:high, None]
        total = float(weights.sum()) * n_pairs
        agreement[:, band] = weighted.flatten(1) @ table[low:high].flatten(0, 1) / total
    return agreement


def onsets(power: Tensor, decay: float, before: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Say how much of every cell is new and no echo of what was before.

    Args:
        power: of mel cells (T, M), not negative.
        decay: factor by which an echo's power falls from one frame to the next, in (0, 1).
        before: what earlier sound leaves behind in the first frame (M,); None is nothing.

    Returns:
        (T, M) in [0, 1], 0 where the power is no more than earlier sound leaves behind; and
        what is left behind in the frame that follows (M,).
    """
    fall = math.log(decay) * torch.arange(len(power) + 1.0, device=power.device)[:, None].double()
    first = torch.zeros_like(power[:1]) if before is None else before[None]
    heard = torch.cat([first, decay * power]).double().clamp_min(TINY).log()
    left = torch.exp(fall + torch.cummax(heard - fall, dim=0).values).to(power)
    new: Tensor = 1 - left[:-1] / power.clamp_min(TINY)
    return new.clamp_min(0), left[-1]
