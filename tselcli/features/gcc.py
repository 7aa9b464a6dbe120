"""GCC-PHAT: how every pair of microphones is delayed, by phase alone.

A plane wave from azimuth a reaches microphone m after tau_m(a) seconds, so the phase of the
cross-spectrum of a pair is -2 pi f (tau_m - tau_n), and its transform peaks at that delay.
C. H. Knapp and G. C. Carter, "The generalized correlation method for estimation of time delay",
IEEE Trans. ASSP 24(4), 1976.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from tselcli.corpora.audio import resample
from tselcli.features.stft import block_frames, stft_blocks
from tselcli.sections import FeatureRecipe


def pair_indices(n_channels: int) -> tuple[Tensor, Tensor]:
    """List the unordered microphone pairs m < n: two index vectors of length P."""
    first, second = torch.triu_indices(n_channels, n_channels, offset=1)
    return first, second


def phases(spectrum: Tensor) -> Tensor:
    """Keep only the phase of every bin: magnitude 1, and silence stays 0 instead of NaN."""
    return torch.sgn(spectrum)


def cross_phat(spectrum: Tensor) -> Tensor:
    """Keep only the phase of every pair's cross-spectrum.

    Args:
        spectrum: complex (B, C, T, F).

    Returns:
        Complex (B, P, T, F) of magnitude 1; silence stays 0 instead of NaN.
    """
    return pair_products(phases(spectrum))


def pair_products(phase: Tensor) -> Tensor:
    """Multiply every microphone's bins with the conjugates of those behind it.

    Args:
        phase: complex (B, C, ...).

    Returns:
        Complex (B, P, ...).
    """
    other = phase.conj().resolve_conj()  # once, and not for every pair
    rows = [phase[:, m : m + 1] * other[:, m + 1 :] for m in range(phase.shape[1] - 1)]
    return torch.cat(rows, dim=1)


def gcc_phat(spectrum: Tensor, n_lags: int, mask: Tensor | None = None) -> Tensor:
    """Correlate every microphone pair in every frame, by phase alone (paper, equation 1).

    Args:
        spectrum: one-sided STFT, complex (B, C, T, F).
        n_lags: lags to keep, in samples, centred on zero: ``-(n // 2) ... n - n // 2 - 1``.
        mask: weight of each bin in [0, 1], (B, T, F); None weighs all bins alike.

    Returns:
        (B, P, T, n_lags). Bin ``n_lags // 2`` is lag zero. A peak at a positive lag means
        that the first microphone of the pair hears the sound later.

    Raises:
        ValueError: there are fewer lags in the transform than asked for.
    """
    n_fft = 2 * (spectrum.shape[-1] - 1)
    if n_lags > n_fft:
        raise ValueError(f"n_lags={n_lags} exceeds the {n_fft} lags of the transform")
    size = block_frames(spectrum[:, :, 0, 0].numel(), n_fft)
    masks = [None] * len(spectrum.split(size, 2)) if mask is None else mask.split(size, 1)
    blocks = zip(spectrum.split(size, 2), masks, strict=True)
    return torch.cat([_correlated(block, n_lags, part) for block, part in blocks], dim=2)


def _correlated(spectrum: Tensor, n_lags: int, mask: Tensor | None) -> Tensor:
    """Correlate a block of frames, as `gcc_phat`."""
    phase = phases(spectrum)
    other = phase.conj().resolve_conj()  # once, and not for every pair
    size, before, rows = 2 * (spectrum.shape[-1] - 1), n_lags // 2, []
    for m in range(spectrum.shape[1] - 1):
        cross = phase[:, m : m + 1] * other[:, m + 1 :]
        if mask is not None:
            cross = cross * mask[:, None]
        lags = torch.fft.irfft(cross, n=size, dim=-1)
        rows.append(torch.cat([lags[..., size - before :], lags[..., : n_lags - before]], dim=-1))
    return torch.cat(rows, dim=1)


def recording_gcc(signal: Tensor, n_fft: int, hop: int, n_lags: int) -> Tensor:
    """Correlate recordings (B, C, N) as `gcc_phat` does their `stft`: (B, P, T, n_lags)."""
    blocks = stft_blocks(signal, n_fft, hop)
    return torch.cat([gcc_phat(block, n_lags) for block in blocks], dim=2)


def clip_gcc(
    signal: npt.NDArray[Any], sample_rate: int, features: FeatureRecipe
) -> npt.NDArray[np.float16]:
    """Analyse a recording as the paper's networks hear it (section V).

    Args:
        signal: (C, N).
        sample_rate: of the signal, Hz.
        features: analysis rate, window, hop and lags.

    Returns:
        GCC-PHAT (P, T, n_lags), half precision, which is how it is stored.
    """
    samples = np.ascontiguousarray(resample(signal, sample_rate, features.sample_rate))
    one = torch.from_numpy(samples)[None]
    correlation = recording_gcc(one, features.n_fft, features.hop, features.n_lags)[0]
    return np.asarray(correlation.half().numpy(), dtype=np.float16)
