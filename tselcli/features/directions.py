"""Where every cell of the log-mel picture points: agreement with each direction by its phase.

In a room most cells hold an echo of what sounded before. Those in which the power just rose
hold the direct sound; they agree with one direction, and that is where the source is.
"""

import math

import torch
from torch import Tensor

from tselcli.features.gcc import pair_products
from tselcli.features.srp import MANY_MICS

TINY = 1e-30  # power of silence
FEW_DIRECTIONS = 24  # up to here it always does
BEAM_CELLS = 2**19  # bins x directions at once: 4 MB


def agreement(phase: Tensor, turning: Tensor, share: Tensor, pool: int) -> Tensor:
    """Say how well every cell agrees with every direction, in the way that costs less.

    Arguments and result are those of `beam_agreement`.
    """
    if len(phase) < MANY_MICS and len(turning) > FEW_DIRECTIONS:
        cross = pair_products(phase[None])[0]
        return cell_agreement(cross, pair_products(turning), share, pool)
    return beam_agreement(phase, turning, share, pool)


def beam_agreement(phase: Tensor, turning: Tensor, share: Tensor, pool: int) -> Tensor:
    """Say how well every cell agrees with every direction, by a beam towards each.

    The power of a beam holds all pairs, so that the cost grows with the microphones and not
    with their pairs:

        |sum_m p_m s_m|^2 = sum_m |p_m|^2 + 2 sum_{m<n} Re{ p_m p_n* s_m s_n* }

    Args:
        phase: phases of one recording's microphones, complex (C, T, F), of ``gcc.phases``.
        turning: complex (A, C, F) of ``gcc.turning``.
        share: weight of every band in every bin (M, F) of ``stft.spread_share``.
        pool: STFT frames per cell; a rest shorter than ``pool`` is padded with silence.

    Returns:
        (ceil(T / pool), M, A) as `cell_agreement`.
    """
    n_mics, n_frames, n_bins = phase.shape
    phase = torch.nn.functional.pad(phase, (0, 0, 0, -n_frames % pool)).permute(2, 1, 0)
    steer = turning.permute(2, 1, 0)  # (F, C, A)
    real, imag = steer.real, steer.imag
    table = torch.cat([torch.cat([real, imag], 2), torch.cat([-imag, real], 2)], 1)
    size = max(1, BEAM_CELLS // (n_bins * len(turning) * pool)) * pool
    total = share.sum(dim=1)[:, None, None] * n_mics * (n_mics - 1)
    parts = []
    for heard in phase.split(size, dim=1):  # (F, T, C)
        both = torch.cat([heard.real, heard.imag], 2)  # a product of real matrices is quicker
        beams = (both @ table).square()  # (F, T, 2 * A)
        power = beams[..., : len(turning)] + beams[..., len(turning) :]
        power = power - both.square().sum(dim=2, keepdim=True)
        pooled = power.unflatten(1, (-1, pool)).mean(dim=2)  # (F, T', A)
        bands = (share @ pooled.flatten(1)).unflatten(1, pooled.shape[1:])
        parts.append((bands / total.clamp_min(TINY)).transpose(0, 1))
    return torch.cat(parts)


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
    found: Tensor = parts.new_zeros(len(parts), len(share), len(steer))
    for band, weights in enumerate(share):
        bins = weights.nonzero()[:, 0]
        if len(bins) == 0:
            continue
        low, high = int(bins[0]), int(bins[-1]) + 1
        weighted = parts[:, low:high] * weights[low:high, None]
        total = float(weights.sum()) * n_pairs
        found[:, band] = weighted.flatten(1) @ table[low:high].flatten(0, 1) / total
    return found


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
