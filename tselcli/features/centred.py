"""Directions beside a sound that is alike in all channels: what is left without their mean.

A commentary mixed into a recording or hum on the cables is the same in every channel, so that
taking the mean of the channels away removes it, however loud it is, and takes from a plane wave
only what its microphones have in common. With H the projection onto what sums to zero over the
microphones, s(a) the phases of a direction and x those C channels of a bin:

    u(a) = H s(a) / |H s(a)|    y = H x / |H x|    agreement(a) = g (C' |u* y|^2 - 1) / (C' - 1)

C' = C - 1 is how many dimensions are left; noise from all sides agrees by 0 on average, a plane
wave by g = max over a of |H s(a)|^2 / C, which is small where the microphones stand closer than
the wave is long and their differences drown in noise. The squared product is a product of the
matrices u u* and y y*, real numbers of which are laid out like the phases of pairs, so that the
ways of `tselcli.features.directions` apply.
"""

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from tselcli.features.srp import turning
from tselcli.features.stft import bin_power

Grid = npt.NDArray[np.float64]
FEWEST_MICS, MOST_MICS = 4, 8  # differences of fewer tell no azimuths; of more, squares fill memory
LEAST_GAIN = 0.01  # of differences, to make up for what they lack
TINY = 1e-30


def can_centre(n_mics: int) -> bool:
    """Say whether so many microphones can do without their mean."""
    return FEWEST_MICS <= n_mics <= MOST_MICS


def basis(n_mics: int) -> Tensor:
    """Give an orthonormal basis (C - 1, C) of what sums to zero over the microphones."""
    upright = torch.linalg.svd(torch.ones(1, n_mics, dtype=torch.float64)).Vh
    return torch.as_tensor(upright[1:]).float()


def squares(bins: Tensor) -> Tensor:
    """Lay out the matrices of unit vectors as real numbers in complex pairs.

    Args:
        bins: complex (B, C', ...), of length 1 along C'; zeros stay zeros.

    Returns:
        Complex (B, P, ...) with P = ceil(C'^2 / 2). The real product of two of them, divided by
        P, is (C' |u* y|^2 - 1) / (C' - 1).
    """
    size = bins.shape[1]
    first, second = torch.triu_indices(size, size, offset=1)
    off = (bins[:, first] * bins[:, second].conj()) * 2**0.5
    power = bin_power(bins)
    diagonal = power - power.sum(dim=1, keepdim=True) / size
    real = torch.cat([diagonal, off.real, off.imag], dim=1)
    if size % 2:
        real = torch.cat([real, torch.zeros_like(real[:, :1])], dim=1)
    count = real.shape[1] // 2
    real = real * (count * size / (size - 1)) ** 0.5
    return torch.complex(real[:, :count].contiguous(), real[:, count:].contiguous())


class Differences:
    """Turns spectra into squares of what is left without the mean, and directions likewise.

    Args:
        mics: positions (C, 3) in metres.
        azimuth_deg: grid (A,).
        sample_rate: Hz.
        n_fft: transform length.
        device: where to compute.
    """

    def __init__(
        self,
        mics: Grid,
        azimuth_deg: Grid,
        sample_rate: int,
        n_fft: int,
        device: torch.device | str,
    ) -> None:
        self.basis = basis(len(mics)).to(device)
        waves = turning(mics, azimuth_deg, sample_rate, n_fft).to(device).conj().resolve_conj()
        left = self._left(waves)  # (A, C', F)
        length = bin_power(left).sum(dim=1)
        self.gain = (length.amax(dim=0) / len(mics)).clamp(max=1.0)  # (F,)
        left = left / length.clamp_min(TINY).sqrt()[:, None]
        self.towards = left.conj().resolve_conj() * left.shape[1] ** 0.5  # (A, C', F)
        table = squares(left)
        # Products of pairs take the conjugate of what a direction would make of them.
        self.table = table.conj().resolve_conj()  # (A, P, F)

    def __call__(self, spectrum: Tensor) -> Tensor:
        """Lay out a spectrum (B, C, T, F): complex (B, P, T, F)."""
        return squares(self._units(spectrum)) * self.gain

    def few(self, spectrum: Tensor, indices: list[int]) -> tuple[Tensor, Tensor]:
        """Give what `directions.beam_agreement` takes for some azimuths, which costs less.

        Its power of a beam without that of the channels is C' (C' |u* y|^2 - 1), and it divides
        by C' (C' - 1).

        Args:
            spectrum: (1, C, T, F).
            indices: into the grid (A',).

        Returns:
            Complex (C', T, F) and (A', C', F).
        """
        units = self._units(spectrum)[0]
        return units * (len(units) * self.gain).sqrt(), self.towards[indices]

    def power(self, spectrum: Tensor) -> Tensor:
        """Give the power of what is not alike in a spectrum (B, C, T, F): (B, T, F).

        What the differences of a wave lack of its power is made up for; it is that of a
        microphone, and exact in the direction that is seen best.
        """
        left = bin_power(self._left(spectrum)).sum(dim=1) / len(self.basis.T)
        return left / self.gain.clamp_min(LEAST_GAIN)

    def weighted(self, spectrum: Tensor, weights: Tensor) -> Tensor:
        """Sum a spectrum (1, C, T, F) over time under weights (Q, T, F): (Q, P, F, 2)."""
        pairs = torch.view_as_real(self(spectrum)[0])
        return torch.einsum("qtf,ptfr->qpfr", weights, pairs)

    def respond(self, summed: Tensor, step: int = 1) -> Tensor:
        """Steer sums (N, P, F, 2) over every ``step``-th azimuth: (N, A'), not divided."""
        table = torch.view_as_real(self.table.conj().resolve_conj())[::step]
        return summed.flatten(1) @ table.flatten(1).T / summed.shape[1]

    def by_frame(
        self, spectrum: Tensor, weights: Tensor, frames: Tensor, step: int
    ) -> tuple[Tensor, Tensor]:
        """Steer every frame anew, as `Steering.by_frame`."""
        pairs, count = torch.view_as_real(self(spectrum)[0]), int(frames[-1]) + 1
        weighed = (pairs * weights[..., None]).transpose(0, 1)  # (T, P, F, 2)
        summed = weighed.new_zeros(count, *weighed.shape[1:]).index_add(0, frames, weighed)
        mass = weights.new_zeros(count).index_add(0, frames, weights.sum(dim=1))
        return self.respond(summed, step), mass

    def _units(self, spectrum: Tensor) -> Tensor:
        """Bring what is left of a spectrum (B, C, T, F) to length 1: (B, C', T, F)."""
        left = self._left(spectrum)
        length = bin_power(left).sum(dim=1, keepdim=True)
        return left * torch.rsqrt(length.clamp_min(TINY))

    def _left(self, channels: Tensor) -> Tensor:
        """Take the mean away from (B, C, ...): (B, C', ...)."""
        mixed = torch.einsum("dc,bc...->bd...", self.basis.to(channels.dtype), channels)
        return mixed
