"""Diffuse noise: sound that comes from everywhere alike.

In a spherically isotropic field two microphones at a distance d are coherent by
sinc(2 f d / c) (R. K. Cook et al., "Measurement of correlation coefficients in reverberant
sound fields", J. Acoust. Soc. Am. 27(6), 1955). Independent noises W become such a field by

    X(f) = R(f) W(f),    R(f) R(f)^T = coherence matrix at f

where R is the symmetric square root, which is real: it moves nothing in time. First-order
ambisonics hear such a field as four signals without any coherence, W three times as strong as
each of Y, Z and X in the scale SN3D: the mean squares of their gains over the sphere.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import scipy.fft

from tselcli.acoustics.geometry import SPEED_OF_SOUND, Floats
from tselcli.acoustics.rirs import Samples

PINK_FROM_HZ = 50.0  # power falls by 3 dB an octave above
FINE, COARSE = 32, 8  # values of a coherence in one of its waves


def diffuse_noise(
    mics: npt.ArrayLike, samples: int, sample_rate: int, rng: np.random.Generator
) -> Samples:
    """Make pink noise that arrives from all directions alike.

    Args:
        mics: microphones (C, 3), metres, any frame.
        samples: how many, N.
        sample_rate: Hz.
        rng: source of randomness.

    Returns:
        (C, N) with a power of about 1.
    """
    places = np.asarray(mics, dtype=np.float64)
    frequencies, white = _pink(len(places), samples, sample_rate, rng)
    mixed = np.einsum("ijf,jf->if", _mixing(places, frequencies), white)
    return _heard(mixed, samples)


def diffuse_foa_noise(samples: int, sample_rate: int, rng: np.random.Generator) -> Samples:
    """Make pink noise from all directions alike, as first-order ambisonics hear it.

    Args:
        samples: how many, N.
        sample_rate: Hz.
        rng: source of randomness.

    Returns:
        W, Y, Z, X (4, N), scale SN3D; the power of W is about 1, of the others a third.
    """
    _, spectrum = _pink(4, samples, sample_rate, rng)
    return _heard(spectrum * np.sqrt([[1.0], [1 / 3], [1 / 3], [1 / 3]]), samples)


def diffuse_spectra(
    mics: npt.ArrayLike,
    length: int,
    sample_rate: int,
    rngs: Sequence[np.random.Generator],
    axes: npt.ArrayLike | None = None,
) -> npt.NDArray[np.complex64]:
    """Draw spectra of white noises that arrive from all directions alike.

    Args:
        mics: microphones (C, 3), metres, any frame.
        length: samples of the noises, even; they are periodic.
        sample_rate: Hz.
        rngs: source of randomness for each noise (S,).
        axes: unit vectors (C, 3) of figures of eight at one point, zeros for one that hears all
            directions alike; None is that for all.

    Returns:
        (S, C, length // 2 + 1); the noises have the power 1, those of figures of eight 1/3.

    Raises:
        ValueError: figures of eight at several points.
    """
    places = np.asarray(mics, dtype=np.float64)
    bins = length // 2 + 1
    if axes is None:
        root = _mixing(places, scipy.fft.rfftfreq(length, 1 / sample_rate), COARSE)
    else:
        if np.ptp(places, axis=0).any():
            raise ValueError("figures of eight must all be at one point")
        root = _mixing_eights(np.asarray(axes, dtype=np.float64))[..., None]
    root = root.astype(np.float32)
    mixed = np.zeros((len(rngs), len(places), bins), dtype=np.complex64)
    for noise, rng in zip(mixed, rngs, strict=True):
        parts = rng.standard_normal((len(places), bins, 2), dtype=np.float32)
        for number, white in enumerate(parts.view(np.complex64)[..., 0]):
            noise += root[:, number] * white
    mixed[..., 0] = 0
    mixed *= np.float32(np.sqrt(length / 2))
    return mixed


def _mixing_eights(axes: Floats) -> Floats:
    """Take the square root (C, C) of the coherence of figures of eight at one point."""
    omni = (~axes.any(axis=1)).astype(np.float64)
    power, vectors = np.linalg.eigh(axes @ axes.T / 3 + np.outer(omni, omni))
    return np.asarray((vectors * np.sqrt(np.maximum(power, 0))) @ vectors.T)


def _pink(
    count: int, samples: int, sample_rate: int, rng: np.random.Generator
) -> tuple[Floats, npt.NDArray[np.complex128]]:
    """Draw independent pink noises: frequencies (F,) in Hz, and spectra (count, F)."""
    length = scipy.fft.next_fast_len(samples, real=True)
    frequencies = scipy.fft.rfftfreq(length, 1 / sample_rate)
    real, imaginary = rng.standard_normal((2, count, len(frequencies)), dtype=np.float32)
    colour = np.maximum(frequencies, PINK_FROM_HZ) ** -0.5
    colour[0] = 0.0
    white = (real + 1j * imaginary) * (colour * np.sqrt(length / (2 * np.mean(colour**2))))
    return frequencies, white


def _heard(spectrum: npt.NDArray[np.complex128], samples: int) -> Samples:
    length = scipy.fft.next_fast_len(samples, real=True)
    return np.asarray(scipy.fft.irfft(spectrum, length)[:, :samples], dtype=np.float32)


def coherence(mics: Floats, frequencies: Floats) -> Floats:
    """Give the coherence (F, C, C) of a spherically isotropic field.

    Args:
        mics: microphones (C, 3), metres.
        frequencies: (F,), Hz.
    """
    apart = np.linalg.norm(mics[:, None] - mics[None], axis=-1)
    return np.asarray(np.sinc(2 * frequencies[:, None, None] * apart / SPEED_OF_SOUND))


def _mixing(mics: Floats, frequencies: Floats, fineness: int = FINE) -> Floats:
    """Take the square root (C, C, F) of the coherence, on a coarser grid, and interpolate."""
    aperture = np.ptp(mics, axis=0).max() * np.sqrt(3)
    points = 2 * fineness + int(fineness * 2 * frequencies[-1] * aperture / SPEED_OF_SOUND)
    grid = np.linspace(0, frequencies[-1], min(points, len(frequencies)))
    power, vectors = np.linalg.eigh(coherence(mics, grid))
    # Rounding makes the smallest eigenvalues of low frequencies slightly negative.
    scaled = vectors * np.sqrt(np.maximum(power, 0))[:, None]
    root = np.einsum("fik,fjk->ijf", scaled, vectors)
    place = frequencies * ((len(grid) - 1) / max(frequencies[-1], 1e-9))
    below = np.minimum(place.astype(np.intp), max(len(grid) - 2, 0))
    share = place - below
    above = np.minimum(below + 1, len(grid) - 1)
    mixing = np.empty((*root.shape[:2], len(frequencies)))
    for a, b in zip(*np.triu_indices(len(root)), strict=True):
        mixing[a, b] = mixing[b, a] = root[a, b][below] * (1 - share) + root[a, b][above] * share
    return mixing
