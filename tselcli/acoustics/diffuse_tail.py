"""Responses of a shoebox whose late part is noise: images while they are few, statistics then.

Reflections arrive at a rate that grows with the square of time, 4 pi c^3 t^2 / V a second. Up to
10,000 a second they are followed one by one; later ones, of which there are tens of thousands,
are drawn as noise that decays as they would, and comes from all sides alike:

    power at time t = 4 pi c / V * mean over directions u of r^(c t (|ux|/Lx + |uy|/Ly + |uz|/Lz))

with r what a wall reflects of the power: the exponent counts the walls on the way. It is the
shoebox's own decay, steep at first and flatter later, and not an exponential of the requested
RT60. Both parts cross over in 10 ms so that their powers add up to what they should.

Method: E. A. Lehmann and A. M. Johansson, "Prediction of energy decay in room impulse responses
simulated with an image-source model", J. Acoust. Soc. Am. 124(1), 2008, for the decay; H. Kuttruff,
"Room Acoustics", for the rate of reflections.
"""

import functools
import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import scipy.fft

from tselcli.acoustics.geometry import SPEED_OF_SOUND, Floats
from tselcli.acoustics.images import image_rirs
from tselcli.acoustics.noise import diffuse_spectra
from tselcli.acoustics.pulses import table
from tselcli.acoustics.rirs import HIGH_PASS_HZ, TAIL_DB, Room, Samples, cut_tail, high_passed

RATE_OF_ECHOES = 10_000.0  # a second, from which on they are noise
AFTER_DIRECT_S = 0.03  # images at least, after the direct sound
FADE_S = 0.01
COLOUR = 513  # frequencies
RAYS = 16  # of each angle, in an octant
STEP_S = 0.01  # between two values of the decay


def diffuse_tail_rirs(
    room: Room,
    mics_m: npt.ArrayLike,
    sources_m: npt.ArrayLike,
    sample_rate: int,
    rngs: Sequence[np.random.Generator],
    axes: npt.ArrayLike | None = None,
) -> Samples:
    """Compute the impulse response from every source to every microphone.

    Args:
        room: the shoebox, one corner at the origin.
        mics_m: microphones (C, 3), metres, inside.
        sources_m: sources (S, 3), metres, inside.
        sample_rate: Hz.
        rngs: source of randomness for each source (S,).
        axes: of figures of eight, as of `shoebox_rirs`; then all microphones are at one point.

    Returns:
        (S, C, L) as of `shoebox_rirs`.

    Raises:
        ValueError: as `shoebox_rirs`; figures of eight at several points.
    """
    early, tail, first = _parts(room, mics_m, sources_m, sample_rate, rngs, axes)
    if not tail.shape[-1]:
        return cut_tail(high_passed(early, sample_rate))
    return _added(high_passed(early, sample_rate), tail, first)[..., : first + tail.shape[-1]]


def tailed_rirs(
    room: Room,
    mics_m: npt.ArrayLike,
    sources_m: npt.ArrayLike,
    sample_rate: int,
    rngs: Sequence[np.random.Generator],
    axes: npt.ArrayLike | None = None,
) -> Samples:
    """Compute what `diffuse_tail_rirs` gives, but neither cut nor filtered: (S, C, L)."""
    return _added(*_parts(room, mics_m, sources_m, sample_rate, rngs, axes))


def _parts(
    room: Room,
    mics_m: npt.ArrayLike,
    sources_m: npt.ArrayLike,
    sample_rate: int,
    rngs: Sequence[np.random.Generator],
    axes: npt.ArrayLike | None,
) -> tuple[Samples, Samples, int]:
    """Compute images (S, C, L), unfiltered, noise (S, C, L'), and where the noise begins."""
    mics, sources = np.asarray(mics_m, dtype=np.float64), np.asarray(sources_m, dtype=np.float64)
    metres = np.linalg.norm(sources[:, None] - mics, axis=-1)
    split_s = split_time(room, float(metres.max()))
    early = image_rirs(room, mics, sources, sample_rate, None, axes, split_s + FADE_S / 2)
    power = _power(room, float(metres.min()), sample_rate)
    first = round((split_s - FADE_S / 2) * sample_rate)
    if len(power) <= first:  # it has died away before it is diffuse
        return early, np.zeros((*early.shape[:2], 0), dtype=np.float32), first
    rise = np.clip((np.arange(first, len(power)) / sample_rate - split_s) / FADE_S + 0.5, 0, 1)
    tail = _noise(mics, len(rise), sample_rate, rngs, axes)
    tail *= (np.sqrt(power[first:]) * np.sin(np.pi / 2 * rise)).astype(np.float32)
    fall = np.clip((np.arange(early.shape[-1]) / sample_rate - split_s) / FADE_S + 0.5, 0, 1)
    early *= np.cos(np.pi / 2 * fall).astype(np.float32)
    return early, tail, first


def _added(early: Samples, tail: Samples, first: int) -> Samples:
    length = max(early.shape[-1], first + tail.shape[-1])
    rirs = np.zeros((*early.shape[:2], length), dtype=np.float32)
    rirs[..., : early.shape[-1]] = early
    rirs[..., first : first + tail.shape[-1]] += tail
    return rirs


def split_time(room: Room, distance_m: float) -> float:
    """Say when reflections become noise, in seconds after the source emits.

    Args:
        room: the shoebox.
        distance_m: of the farthest microphone, whose direct sound is no noise.
    """
    volume = math.prod(room.size_m)
    dense = math.sqrt(RATE_OF_ECHOES * volume / (4 * math.pi * SPEED_OF_SOUND**3))
    return max(dense, distance_m / SPEED_OF_SOUND + AFTER_DIRECT_S)


def decay(room: Room, seconds: Floats) -> Floats:
    """Give the expected power (T,) of the reflections that arrive at some times (T,), a second.

    It is that of responses whose direct sound has the power 1 / distance squared.
    """
    middle = (np.arange(RAYS) + 0.5) / RAYS
    height, around = middle[:, None], np.pi / 2 * middle
    flat = np.sqrt(1 - height**2)
    x, y, z = room.size_m
    walls = flat * np.cos(around) / x + flat * np.sin(around) / y + height / z  # in a metre
    kept = max(1 - room.rt60_min_s / room.rt60_s, 1e-30)
    ways = np.exp(math.log(kept) * SPEED_OF_SOUND * seconds[:, None] * walls.ravel())
    return np.asarray(4 * np.pi * SPEED_OF_SOUND / math.prod(room.size_m) * ways.mean(axis=1))


def _power(room: Room, distance_m: float, sample_rate: int) -> Floats:
    """Give the expected power of every sample, up to where hardly any is left: (L,)."""
    seconds = np.arange(0, 4 * room.rt60_s, STEP_S)
    logarithm = np.log(np.maximum(decay(room, seconds), 1e-300))
    left = np.exp(logarithm)[::-1].cumsum()[::-1] * STEP_S
    direct = 1 / distance_m**2
    count = int((left > (left[0] + direct) * 10 ** (TAIL_DB / 10)).sum())
    time = np.arange(round(count * STEP_S * sample_rate)) / sample_rate
    return np.asarray(np.exp(np.interp(time, seconds, logarithm)) / sample_rate)


def _noise(
    mics: Floats,
    samples: int,
    sample_rate: int,
    rngs: Sequence[np.random.Generator],
    axes: npt.ArrayLike | None,
) -> Samples:
    """Draw noises (S, C, samples) from all sides, of power 1, in the colour of placed pulses."""
    length = scipy.fft.next_fast_len(samples + samples % 2, real=True)
    length += length % 2
    spectra = diffuse_spectra(mics, length, sample_rate, rngs, axes)
    hertz = np.linspace(0, sample_rate / 2, spectra.shape[-1])
    spectra *= np.interp(hertz, np.linspace(0, sample_rate / 2, COLOUR), _colour())
    spectra *= 1 / (1 + (HIGH_PASS_HZ / np.maximum(hertz, 1e-3)) ** 4).astype(np.float32)
    return np.asarray(scipy.fft.irfft(spectra, length)[..., :samples], dtype=np.float32)


@functools.cache
def _colour() -> Samples:
    """Give the mean spectrum (COLOUR,) of pulses between samples: flat nearly to the end."""
    spectra = np.abs(scipy.fft.rfft(table(), 2 * COLOUR - 2))
    return np.asarray(np.sqrt(np.square(spectra).mean(axis=0)), dtype=np.float32)
