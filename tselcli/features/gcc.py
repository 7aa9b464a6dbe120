"""Spatial features: GCC-PHAT and the steered response power of any array.

A plane wave from azimuth a reaches microphone m after tau_m(a) seconds, so the phase of the
cross-spectrum of a pair is -2 pi f (tau_m - tau_n). Turning it back by the expected phase and
summing over pairs and bins gives the steered response (SRP-PHAT):

    P(a) = sum_tf M(t, f) sum_mn Re{ PHAT_mn(t, f) exp(j 2 pi f (tau_m(a) - tau_n(a))) }

The weights M do not depend on a, so the sum over frames comes first and costs no more than one
correlation. Knapp and Carter (1976) for GCC-PHAT; DiBiase (2000) for SRP-PHAT.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from tselcli.acoustics.geometry import delays
from tselcli.corpora.audio import resample
from tselcli.features.stft import stft
from tselcli.sections import FeatureRecipe

TINY = 1e-15  # amplitude below which a bin is silent


def pair_indices(n_channels: int) -> tuple[Tensor, Tensor]:
    """List the unordered microphone pairs m < n: two index vectors of length P."""
    first, second = torch.triu_indices(n_channels, n_channels, offset=1)
    return first, second


def cross_phat(spectrum: Tensor) -> Tensor:
    """Keep only the phase of every pair's cross-spectrum.

    Args:
        spectrum: complex (B, C, T, F).

    Returns:
        Complex (B, P, T, F) of magnitude 1; silence stays 0 instead of NaN.
    """
    first, second = pair_indices(spectrum.shape[1])
    magnitude = spectrum.abs()
    phase = spectrum * torch.where(magnitude > TINY, 1 / magnitude.clamp_min(TINY), 0.0)
    return phase[:, first] * phase[:, second].conj()


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
    cross = cross_phat(spectrum)
    if mask is not None:
        cross = cross * mask[:, None]
    correlation = torch.fft.irfft(cross, n=n_fft, dim=-1)
    correlation = torch.roll(correlation, n_lags // 2, dims=-1)
    return correlation[..., :n_lags]


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
    spectrum = stft(torch.from_numpy(samples)[None], features.n_fft, features.hop)
    correlation = gcc_phat(spectrum, features.n_lags)[0]
    return np.asarray(correlation.half().numpy(), dtype=np.float16)


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
    arrival = torch.from_numpy(np.asarray(delays(mics, azimuth_deg), dtype=np.float64))  # (A, C)
    first, second = pair_indices(mics.shape[0])
    difference = arrival[:, first] - arrival[:, second]  # (A, P)
    hertz = torch.arange(n_fft // 2 + 1, dtype=torch.float64) * (sample_rate / n_fft)
    phase = 2 * torch.pi * difference[..., None] * hertz
    return torch.polar(torch.ones_like(phase), phase).to(torch.complex64)


def weighted_cross(cross: Tensor, weights: Tensor) -> Tensor:
    """Sum the cross-spectra over time under every query's weights.

    Args:
        cross: complex (B, P, T, F) of :func:`cross_phat`.
        weights: real (B, Q, T, F).

    Returns:
        Complex (B, Q, P, F).
    """
    real = torch.einsum("bqtf,bptf->bqpf", weights, cross.real)
    imag = torch.einsum("bqtf,bptf->bqpf", weights, cross.imag)
    return torch.complex(real, imag)


def steered_response(summed: Tensor, steer: Tensor) -> Tensor:
    """Steer summed cross-spectra over all azimuths.

    Args:
        summed: complex (..., P, F) of :func:`weighted_cross`.
        steer: complex (A, P, F) of :func:`steering`.

    Returns:
        Response P(a), real (..., A); divide by the sum of weights times P for [-1, 1].
    """
    flat = torch.view_as_real(summed).flatten(-3)  # (..., P * F * 2)
    table = torch.view_as_real(steer.conj().resolve_conj()).flatten(1)  # Re{xy} = x . conj(y)
    return flat @ table.T.to(flat)


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
    cross = cross_phat(spectrum)
    n_fft = 2 * (spectrum.shape[-1] - 1)
    weights = torch.ones_like(cross[:, 0].real) if mask is None else mask
    response = steered_response(
        weighted_cross(cross, weights[:, None])[:, 0],
        steering(mics, azimuth_deg, sample_rate, n_fft).to(cross.device),
    )
    total = weights.sum(dim=(1, 2)) * cross.shape[1]
    return response / total.clamp_min(1e-12)[:, None]
