"""Hear what was localised: a beam towards the answer, and the mask on top of it.

The beam is MVDR (J. Capon, 1969): of all filters that pass a plane wave from the answer's azimuth
unchanged, the one that lets least through of what the mask leaves out,

    w(f) = R(f)^-1 d(f) / (d(f)^H R(f)^-1 d(f)),   R(f) = sum_t (1 - M(t, f)) x(t, f) x(t, f)^H

What still comes through from elsewhere is turned down by the mask. Two passes over the recording,
block by block, so its length does not matter.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from tselcli.acoustics.ambisonics import encode
from tselcli.acoustics.geometry import MicArray, delays
from tselcli.features.stft import spread_mask
from tselcli.features.streamed import Sound
from tselcli.sections import FeatureRecipe

if TYPE_CHECKING:
    from tselcli.models.localizer import Localizer

LOADING = 0.01  # of the mean power on the diagonal: trust in positions and gains is limited
FLOOR = 0.03  # of the mask: 30 dB down, where silence would sound chopped


@torch.no_grad()
def extract(
    localizer: "Localizer",
    audio: Sound,
    array: MicArray,
    share: npt.NDArray[np.float32],
    azimuth_deg: float,
) -> Iterator[npt.NDArray[np.float32]]:
    """Listen towards an azimuth, through a mask.

    Args:
        localizer: whose analysis it is.
        audio: (C, N) of its `prepare` or `open`.
        array: that heard it.
        share: mask of mel cells in [0, 1], (T', M).
        azimuth_deg: of the sound.

    Yields:
        Consecutive blocks of the sound, mono at the model's rate (n,); N samples in all.
    """
    masks = torch.from_numpy(share).to(localizer.device)
    toward = gains(array, azimuth_deg, localizer.features).to(localizer.device)
    beam = _mvdr(_left_over(localizer, audio, masks), toward)
    filtered = (
        torch.einsum("fc,ctf->tf", beam.conj(), spectrum[0]) * mask.clamp_min(FLOOR)
        for spectrum, mask in _masked(localizer, audio, masks)
    )
    yield from _overlap_add(filtered, localizer.features, audio.shape[1])


def gains(array: MicArray, azimuth_deg: float, features: FeatureRecipe) -> Tensor:
    """Say how every channel hears a plane wave from an azimuth: complex (F, C)."""
    bins = features.n_fft // 2 + 1
    if array.foa is not None:
        pattern = torch.from_numpy(encode(azimuth_deg)).to(torch.complex64)
        return pattern.expand(bins, -1)
    late = torch.from_numpy(delays(array.positions, [azimuth_deg])[0])  # (C,)
    hertz = torch.arange(bins, dtype=torch.float64) * (features.sample_rate / features.n_fft)
    phase = -2 * torch.pi * hertz[:, None] * late
    return torch.polar(torch.ones_like(phase), phase).to(torch.complex64)


def _masked(localizer: "Localizer", audio: Sound, masks: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield blocks of the spectrum (1, C, T, F) with the mask of their bins (T, F)."""
    first, pool = 0, localizer.features.mel_pool
    for spectrum in localizer.spectra(audio):
        count = spectrum.shape[2]
        rows = masks[first : first - (-count // pool)]
        yield spectrum, spread_mask(rows, localizer.bands, pool, count)
        first += len(rows)


def _left_over(localizer: "Localizer", audio: Sound, masks: Tensor) -> Tensor:
    """Sum the covariance of what the mask leaves out, complex (F, C, C)."""
    total: Tensor | None = None
    for spectrum, mask in _masked(localizer, audio, masks):
        rest = spectrum[0] * (1 - mask)
        part = torch.einsum("ctf,dtf->fcd", rest, spectrum[0].conj())
        total = part if total is None else total + part
    assert total is not None
    return total


def _mvdr(noise: Tensor, toward: Tensor) -> Tensor:
    """Solve for the beam (F, C)."""
    size = noise.shape[-1]
    power = noise.diagonal(dim1=-2, dim2=-1).real.mean(dim=-1).clamp_min(1e-20)
    loaded = noise / power[:, None, None] + LOADING * torch.eye(size, device=noise.device)
    solved = torch.linalg.solve(loaded, toward[..., None])[..., 0]
    passed = (toward.conj() * solved).sum(dim=-1, keepdim=True)
    beam: Tensor = solved / passed
    return beam


def _overlap_add(
    spectra: Iterator[Tensor], features: FeatureRecipe, samples: int
) -> Iterator[npt.NDArray[np.float32]]:
    """Turn blocks of frames (T, F), centred ones, back into samples."""
    n_fft, hop = features.n_fft, features.hop
    window = torch.hann_window(n_fft).numpy()
    tail, weight = np.zeros(n_fft - hop), np.zeros(n_fft - hop)
    skip, left = n_fft // 2, samples
    for block in spectra:
        frames = torch.fft.irfft(block, n=n_fft, dim=-1).cpu().numpy() * window
        total = np.concatenate([tail, np.zeros(len(frames) * hop)])
        power = np.concatenate([weight, np.zeros(len(frames) * hop)])
        for number, frame in enumerate(frames):
            total[number * hop : number * hop + n_fft] += frame
            power[number * hop : number * hop + n_fft] += window**2
        ready = len(frames) * hop
        piece = total[:ready] / np.maximum(power[:ready], 1e-6)
        tail, weight = total[ready:], power[ready:]
        skip, piece = max(0, skip - len(piece)), piece[skip:]
        left, piece = left - min(left, len(piece)), piece[:left]
        yield piece.astype(np.float32)
    yield (tail / np.maximum(weight, 1e-6))[skip : skip + left].astype(np.float32)
