"""Building blocks of the synthetic sounds: tones, noise, resonators, envelopes.

Everything is float64 and takes its frequencies in hertz and its times in seconds, so that a sound
is described without its sample rate. Random numbers come from the given generator; noise, or a
slow wander, takes exactly one draw from it, however long it is. Two sample rates therefore see the
same parameters: the same footsteps at the same instants, with other noise inside.

What would lie above 0.46 of the sample rate is left out, never folded back.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft, next_fast_len, rfft
from scipy.signal import lfilter

Signal = NDArray[np.float64]
Points = Sequence[tuple[float, float]]

TOP = 0.46  # of the sample rate: the highest frequency that is synthesised


def length(duration_s: float, rate: int) -> int:
    """Count the samples of a duration, at least one."""
    return max(1, round(duration_s * rate))


def silence(duration_s: float, rate: int) -> Signal:
    """Make an empty canvas (N,) to put events on."""
    return np.zeros(length(duration_s, rate))


def log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    """Draw a number whose logarithm is uniform: a pitch, a rate, a decay."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def curve(points: Points, n: int) -> Signal:
    """Draw straight lines through (share of the sound in [0, 1], value) points, (N,)."""
    share, value = np.array(points, dtype=float).T
    return np.asarray(np.interp(np.linspace(0, 1, n), share, value))


def wander(rng: np.random.Generator, n: int, rate: int, knots_per_s: float) -> Signal:
    """Draw a slow random curve (N,) in [-1, 1] that may turn ``knots_per_s`` times a second."""
    child = np.random.default_rng(int(rng.integers(2**63)))
    knots = child.uniform(-1, 1, int(np.ceil(n / rate * knots_per_s)) + 2)
    places = np.arange(n) / rate * knots_per_s
    return np.asarray(np.interp(places, np.arange(len(knots)), knots))


def strike(n: int, rate: int, decay_s: float, attack_s: float = 0.002) -> Signal:
    """Make the envelope of something struck: a quick rise, then an exponential fall, (N,)."""
    time = np.arange(n) / rate
    return np.asarray(np.minimum(1.0, time / attack_s) * np.exp(-time / decay_s))


def swell(n: int, rate: int, attack_s: float, release_s: float) -> Signal:
    """Make the envelope of something held: a raised cosine at both ends, 1 between, (N,)."""
    time = np.arange(n) / rate
    edges = np.minimum(time / attack_s, time[::-1] / release_s)
    return np.asarray(0.5 - 0.5 * np.cos(np.pi * np.clip(edges, 0, 1)))


def phase_of(frequency: Signal, rate: int) -> Signal:
    """Integrate a frequency in hertz (N,) to a phase in radians (N,)."""
    return np.asarray(2 * np.pi * np.cumsum(frequency) / rate)


def sine(frequency: Signal, rate: int) -> Signal:
    """Swing once for every turn of a moving frequency in hertz (N,): -1 to 1, (N,)."""
    return np.asarray(np.sin(phase_of(frequency, rate)))


def harmonics(pitch: Signal, rate: int, amplitudes: Sequence[float] | Signal) -> Signal:
    """Sum the harmonics of a moving pitch.

    Args:
        pitch: fundamental in hertz, (N,).
        rate: samples per second.
        amplitudes: of harmonic 1, 2, ..., (K,).

    Returns:
        (N,). A harmonic fades out where it comes near half the sample rate.
    """
    phase = phase_of(pitch, rate)
    previous, current, twice = np.zeros(len(pitch)), np.sin(phase), 2 * np.cos(phase)
    total = np.zeros(len(pitch))
    lowest = pitch.min()
    for number, amplitude in enumerate(amplitudes, start=1):
        if number * lowest >= TOP * rate:
            break
        if amplitude:
            audible = np.clip((TOP * rate - number * pitch) / (0.02 * rate), 0, 1)
            total += amplitude * audible * current
        previous, current = current, twice * current - previous  # sin((k + 1) x)
    return total


def rolloff(count: int, db_per_octave: float) -> Signal:
    """Make amplitudes of ``count`` harmonics that fall by so many decibels per octave, (K,)."""
    return np.asarray(np.arange(1, count + 1) ** (-db_per_octave / 6.02), dtype=np.float64)


def partials(
    frequencies: Sequence[float] | Signal,
    amplitudes: Sequence[float] | Signal,
    decays_s: Sequence[float] | Signal,
    n: int,
    rate: int,
) -> Signal:
    """Sum decaying sines, each with its own frequency, amplitude and time constant, (N,)."""
    time = np.arange(n) / rate
    total = np.zeros(n)
    for frequency, amplitude, decay_s in zip(frequencies, amplitudes, decays_s, strict=True):
        if frequency < TOP * rate:
            ringing = min(n, length(9 * decay_s, rate))  # -78 dB: the rest is not heard
            now = time[:ringing]
            total[:ringing] += (
                amplitude * np.exp(-now / decay_s) * np.sin(2 * np.pi * frequency * now)
            )
    return total


def white(rng: np.random.Generator, n: int) -> Signal:
    """Draw white Gaussian noise (N,), taking one draw from ``rng`` whatever its length."""
    return np.random.default_rng(int(rng.integers(2**63))).standard_normal(n)


def shaped_noise(rng: np.random.Generator, n: int, rate: int, spectrum_db: Points) -> Signal:
    """Draw Gaussian noise of a given spectrum.

    Args:
        rng: gives one draw.
        n: samples.
        rate: samples per second.
        spectrum_db: (hertz, decibels) points, joined by lines over log frequency; the first and
            the last level go on to both ends.

    Returns:
        (N,) of root mean square 1.
    """
    size = next_fast_len(n, real=True)
    bins = np.arange(size // 2 + 1) * (rate / size)
    frequency, level_db = np.array(spectrum_db, dtype=float).T
    level = np.interp(np.log(np.maximum(bins, 1.0)), np.log(frequency), level_db)
    gain = 10 ** (level / 20) * (bins < TOP * rate) * (bins > 15)
    noise = irfft(rfft(white(rng, size)) * gain, size)[:n]
    return np.asarray(noise / max(np.sqrt(np.mean(noise**2)), 1e-12))


def band_noise(rng: np.random.Generator, n: int, rate: int, low: float, high: float) -> Signal:
    """Draw noise between two frequencies, 24 dB per octave beyond, root mean square 1, (N,)."""
    low = min(low, 0.25 * rate)  # a band above half the sample rate becomes the top octave
    shape = [(low / 8, -72.0), (low, 0.0), (max(high, 1.2 * low), 0.0), (8 * high, -72.0)]
    return shaped_noise(rng, n, rate, shape)


def resonate(signal: Signal, rate: int, frequency: float, bandwidth: float) -> Signal:
    """Pass a signal (N,) through a two-pole resonator of gain about 1 at its frequency."""
    if frequency >= TOP * rate:
        return np.zeros(len(signal))
    radius = np.exp(-np.pi * bandwidth / rate)
    angle = 2 * np.pi * frequency / rate
    gain = (1 - radius) * np.sqrt(1 - 2 * radius * np.cos(2 * angle) + radius**2)
    return np.asarray(lfilter([gain], [1, -2 * radius * np.cos(angle), radius**2], signal))


def formants(signal: Signal, rate: int, peaks: Sequence[tuple[float, float, float]]) -> Signal:
    """Colour a voice (N,) by parallel (hertz, bandwidth, gain) resonances, signs alternating."""
    total = np.zeros(len(signal))
    for index, (frequency, bandwidth, gain) in enumerate(peaks):
        total += (-1) ** index * gain * resonate(signal, rate, frequency, bandwidth)
    return total


def put(canvas: Signal, event: Signal, start_s: float, rate: int) -> None:
    """Add an event to a canvas in place; what sticks out beyond the end is cut."""
    start = round(start_s * rate)
    piece = event[: max(0, len(canvas) - start)]
    canvas[start : start + len(piece)] += piece


def level(signal: Signal) -> Signal:
    """Scale a signal to peak 1; silence stays silence."""
    return np.asarray(signal / max(np.abs(signal).max(), 1e-9))
