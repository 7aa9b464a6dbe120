"""SRP-PHAT: the response of any array, steered over all azimuths.

Turning the phases of a pair's cross-spectrum (`tselcli.features.gcc`) back by what a direction
would make of them, and summing over pairs and bins, gives the steered response:

    P(a) = sum_tf M(t, f) sum_mn Re{ PHAT_mn(t, f) exp(j 2 pi f (tau_m(a) - tau_n(a))) }

The weights M do not depend on a, so the sum over frames comes first and costs no more than one
correlation. J. H. DiBiase, "A high-accuracy, low-latency technique for talker localization in
reverberant environments", PhD thesis, Brown University, 2000.
"""

import functools
import itertools
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from tselcli.acoustics.geometry import delays
from tselcli.features.gcc import pair_indices, pair_products, phases
from tselcli.features.stft import block_frames

MANY_MICS = 8  # from here on it costs less to work with microphones than with their pairs


def steering(
    mics: npt.NDArray[Any], azimuth_deg: npt.NDArray[Any], sample_rate: int, n_fft: int
) -> Tensor:
    """Compute the phase that undoes each pair's delay.

    Args:
        mics: positions (C, 3) in metres.
        azimuth_deg: directions (A,).
        sample_rate: in Hz.
        n_fft: transform length.

    Returns:
        exp(j 2 pi f (tau_m - tau_n)), complex64 (A, P, F).
    """
    return pair_products(turning(mics, azimuth_deg, sample_rate, n_fft))


def turning(
    mics: npt.NDArray[Any], azimuth_deg: npt.NDArray[Any], sample_rate: int, n_fft: int
) -> Tensor:
    """Compute the phase that undoes each microphone's delay, as `steering`: (A, C, F)."""
    arrival = torch.from_numpy(np.asarray(delays(mics, azimuth_deg), dtype=np.float64))  # (A, C)
    hertz = torch.arange(n_fft // 2 + 1, dtype=torch.float64) * (sample_rate / n_fft)
    phase = 2 * torch.pi * arrival[..., None] * hertz
    return torch.complex(phase.cos().float(), phase.sin().float())


def weighted_cross(phase: Tensor, weights: Tensor | None = None) -> Tensor:
    """Sum the cross-spectra over time under every query's weights.

    Each bin is a matrix product over time: of weights and pairs, or, of many microphones, of
    weighted microphones and microphones, whose pairs would fill the memory.

    Args:
        phase: complex (B, C, T, F) of :func:`phases`.
        weights: real (B, Q, T, F); None is one query that weighs all alike.

    Returns:
        Complex (B, Q, P, F).
    """
    batch, channels, _, bins = phase.shape
    if channels < MANY_MICS and weights is None:
        other = phase.conj().resolve_conj()
        rows = [(phase[:, m : m + 1] * other[:, m + 1 :]).sum(dim=2) for m in range(channels - 1)]
        return torch.cat(rows, dim=1)[:, None]
    if channels < MANY_MICS and weights is not None:
        pairs = torch.view_as_real(pair_products(phase)).permute(0, 3, 2, 1, 4)
        # (B * F, Q, T); of rows that do not lie side by side, each product would be made alone.
        listed = weights.permute(0, 3, 1, 2).flatten(0, 1).contiguous()
        summed = listed.to(pairs) @ pairs.flatten(3).flatten(0, 1)  # (B * F, Q, P * 2)
        both = summed.unflatten(-1, (-1, 2)).contiguous()
        found: Tensor = torch.view_as_complex(both).unflatten(0, (batch, bins))
        return found.permute(0, 2, 3, 1)
    bent = phase.permute(0, 3, 1, 2).flatten(0, 1)  # (B * F, C, T)
    heard = bent
    if weights is not None:
        each = weights.permute(0, 3, 1, 2).flatten(0, 1)[:, :, None]  # (B * F, Q, 1, T)
        heard = (bent[:, None] * each.to(bent.real)).flatten(1, 2)
    first, second = pair_indices(channels)
    products: Tensor = heard @ bent.mH
    chosen: Tensor = products.unflatten(1, (-1, channels))[:, :, first, second]
    split: Tensor = chosen.unflatten(0, (batch, bins))
    return split.permute(0, 2, 3, 1)


def steered_response(summed: Tensor, steer: Tensor) -> Tensor:
    """Steer summed cross-spectra over all azimuths.

    Args:
        summed: complex (..., P, F) of :func:`weighted_cross`.
        steer: complex (A, P, F) of :func:`steering`.

    Returns:
        Response P(a), real (..., A); divide by the sum of weights times P for [-1, 1].
    """
    flat: Tensor = torch.view_as_real(summed).flatten(-3)  # (..., P * F * 2)
    return flat @ _real_table(steer).T.to(flat)


def _real_table(steer: Tensor) -> Tensor:
    """Lay complex (A, P, F) out for real products, Re{xy} = x . conj(y): (A, P * F * 2)."""
    table: Tensor = torch.view_as_real(steer.conj().resolve_conj())
    return table.flatten(1)


class SteeringTable:
    """Steers summed cross-spectra of all pairs over a grid of azimuths.

    The phases of the 496 pairs of 32 microphones fill 700 MB, those of the microphones 47: of
    many microphones, their matrix of pairs is steered instead, Re sum_m s_m (sum_n U_mn s_n*).

    Args:
        mics: positions (C, 3) in metres.
        azimuth_deg: directions (A,).
        sample_rate: in Hz.
        n_fft: transform length.
        device: where to compute.
    """

    def __init__(
        self,
        mics: npt.NDArray[Any],
        azimuth_deg: npt.NDArray[Any],
        sample_rate: int,
        n_fft: int,
        device: torch.device | str = "cpu",
    ) -> None:
        self.turning = turning(mics, azimuth_deg, sample_rate, n_fft).to(device)
        self._table: Tensor | None = None
        if len(mics) < MANY_MICS:
            self._table = _real_table(pair_products(self.turning))

    def respond(self, summed: Tensor, step: int = 1) -> Tensor:
        """Steer complex (..., P, F) over every ``step``-th azimuth, as `steered_response`."""
        if self._table is not None:
            flat: Tensor = torch.view_as_real(summed).flatten(-3)
            return flat @ self._table[::step].T.to(flat)
        steer = self.turning[::step].permute(2, 1, 0)  # (F, C, A)
        other = steer.conj().resolve_conj().to(summed)
        rows = [_steered(row, steer, other) for row in summed.flatten(0, -3)]
        return torch.stack(rows).reshape(*summed.shape[:-2], -1)


def _steered(summed: Tensor, steer: Tensor, other: Tensor) -> Tensor:
    """Steer (P, F) with (F, C, A) and its conjugate: (A,)."""
    channels = steer.shape[1]
    first, second = pair_indices(channels)
    square = summed.new_zeros(channels, channels, summed.shape[-1])
    square[first, second] = summed
    beams = square.permute(2, 0, 1) @ other  # (F, C, A)
    return (beams.real * steer.real - beams.imag * steer.imag).sum(dim=(0, 1))


def srp_phat(
    spectrum: Tensor,
    mics: npt.NDArray[Any],
    azimuth_deg: npt.NDArray[Any],
    sample_rate: int,
    mask: Tensor | None = None,
) -> Tensor:
    """Steer a recording over azimuths, optionally listening to some bins only.

    Args:
        spectrum: complex (B, C, T, F).
        mics: positions (C, 3) in metres.
        azimuth_deg: directions (A,).
        sample_rate: in Hz.
        mask: weight of each bin (B, T, F), not negative; None weighs all bins alike.

    Returns:
        (B, A), normalised to [-1, 1]: 1 means that all weighted bins agree with one delay.
    """
    size = block_frames(spectrum[:, :, 0, 0].numel(), 2 * (spectrum.shape[-1] - 1))
    blocks = spectrum.split(size, 2)
    masks = None if mask is None else mask.split(size, 1)
    return srp_of_blocks(blocks, mics, azimuth_deg, sample_rate, masks)


def srp_of_blocks(
    spectra: Iterable[Tensor],
    mics: npt.NDArray[Any],
    azimuth_deg: npt.NDArray[Any],
    sample_rate: int,
    masks: Iterable[Tensor] | None = None,
) -> Tensor:
    """Steer a recording that comes in blocks of its spectrum, as `srp_phat`.

    Args:
        spectra: complex (B, C, T of the block, F), such as `stft_blocks` gives.
        mics: positions (C, 3) in metres.
        azimuth_deg: directions (A,).
        sample_rate: in Hz.
        masks: weight of each bin (B, T of the block, F), not negative; None weighs all alike.

    Returns:
        (B, A), normalised to [-1, 1].
    """
    summed, mass, n_bins = torch.zeros(()), torch.zeros(()), 0
    for block, mask in zip(spectra, itertools.repeat(None) if masks is None else masks):  # noqa: B905
        weights = None if mask is None else mask[:, None]
        summed = summed + weighted_cross(phases(block), weights)[:, 0]
        bins = float(block.shape[2] * block.shape[3])
        mass = mass + (bins if mask is None else mask.sum(dim=(1, 2)))
        n_bins = block.shape[3]
    places, grid = (np.asarray(part, dtype=np.float64) for part in (mics, azimuth_deg))
    known = (places.tobytes(), grid.tobytes(), sample_rate, 2 * (n_bins - 1), str(summed.device))
    response = _table_of(*known).respond(summed)
    return response / (mass * summed.shape[1]).clamp_min(1e-12).reshape(-1, 1)


@functools.lru_cache(maxsize=4)
def _table_of(mics: bytes, grid: bytes, sample_rate: int, n_fft: int, device: str) -> SteeringTable:
    """Remember the tables of the arrays and grids that were seen last."""
    places = np.frombuffer(mics).reshape(-1, 3)
    return SteeringTable(places, np.frombuffer(grid), sample_rate, n_fft, device)
