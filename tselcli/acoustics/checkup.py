"""Does a recording fit the array that is said to have made it?

In the frames in which sound begins, one source arrives before its echoes. Steered with the right
positions, some azimuth then explains the phases of all microphones; with two channels swapped, a
polarity inverted or a wrong size, none does as well. So every mistake is a hypothesis with
positions and signs of its own, and all are asked the same question: how much agreement is there
at the best azimuth, on average?

A swap that mirrors the array onto itself (two opposite corners of a square) changes no distance,
and no recording can show it.
"""

from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
import numpy.typing as npt

from tselcli.acoustics.findings import Finding
from tselcli.acoustics.geometry import Floats, delays

Complex = npt.NDArray[np.complex128]
Samples = npt.NDArray[np.float32]

N_FFT, HOP = 1024, 256  # samples; 64 and 16 ms at 16 kHz
BAND_HZ = (200.0, 5000.0)
THIN = 2  # every so-manieth bin is steered
AZIMUTHS = np.arange(-180.0, 180.0, 4.0)
FRAMES = 100  # that are listened to
DECAY = 0.9  # of the power from frame to frame that is taken for an echo
SCALES = (0.5, 0.7, 1.4, 2.0)
BETTER, RATIO = 0.03, 1.08  # by how much a hypothesis must agree more than the declared array
ALIKE = 0.003  # hypotheses that agree as much as this are one
LEAST = 0.12  # agreement below which nothing can be told
OFF_SCALE = (0.65, 1.5)


@dataclass(frozen=True)
class _Hypothesis:
    """What might be wrong, and the array that it would make."""

    finding: Finding
    mics: Floats
    signs: Floats
    scale: float = 1.0


def onset_phases(signal: Samples, rate: int) -> Complex:
    """Pick the frames in which sound begins: phases (T, F, C), zero in silent bins.

    Args:
        signal: (C, N).
        rate: Hz.
    """
    spectrum = spectra(signal)  # (C, T, F)
    hertz = np.arange(N_FFT // 2 + 1) * rate / N_FFT
    band = (hertz >= BAND_HZ[0]) & (hertz <= BAND_HZ[1])
    power = (np.abs(spectrum[:, :, band]) ** 2).mean(axis=(0, 2))
    echo = np.zeros_like(power)
    for frame in range(1, len(power)):
        echo[frame] = max(DECAY * echo[frame - 1], DECAY * power[frame - 1])
    rise = np.maximum(power - echo, 0) * (power > 1e-5 * power.max())
    chosen = np.sort(np.argsort(-rise)[:FRAMES])
    chosen = chosen[rise[chosen] > 0]
    some = spectrum[:, chosen][:, :, band][:, :, ::THIN].transpose(1, 2, 0)  # (T, F, C)
    loud = (np.abs(some) ** 2).mean(axis=2)
    audible = loud > 1e-4 * loud.max(axis=1, keepdims=True)
    phases = some / np.maximum(np.abs(some), 1e-12)
    return np.asarray(phases * audible[..., None])


def spectra(signal: Samples) -> Complex:
    """Transform (C, N) with a Hann window of N_FFT samples: complex (C, T, F)."""
    short = max(0, N_FFT - signal.shape[1])
    padded = np.pad(signal, ((0, 0), (0, short)))
    frames = np.lib.stride_tricks.sliding_window_view(padded, N_FFT, axis=1)[:, ::HOP]
    return np.asarray(np.fft.rfft(frames * np.hanning(N_FFT), axis=-1))


def agreement(phases: Complex, mics: Floats, signs: Floats, rate: int) -> float:
    """Say how well the best azimuth of each frame explains all microphones, on average.

    Args:
        phases: of `onset_phases` (T, F, C).
        mics: positions (C, 3), metres.
        signs: polarity of each channel, 1 or -1 (C,).
        rate: Hz.

    Returns:
        At most 1, which is one plane wave in every frame; about 0 is chance.
    """
    n_frames, n_bins, n_mics = phases.shape
    first = int(np.ceil(BAND_HZ[0] * N_FFT / rate))
    hertz = (first + THIN * np.arange(n_bins)) * rate / N_FFT
    late = delays(mics, AZIMUTHS)  # (A, C)
    counts = (np.abs(phases[..., 0]) > 0).sum(axis=1)
    response = np.zeros((n_frames, len(AZIMUTHS)))
    for bin_, frequency in enumerate(hertz):
        steer = signs * np.exp(2j * np.pi * frequency * late)  # (A, C)
        response += np.abs(phases[:, bin_] @ steer.T) ** 2
    pairs = (response / np.maximum(counts, 1)[:, None] / n_mics - 1) / (n_mics - 1)
    return float(pairs.max(axis=1).mean()) if n_frames else 0.0


def check_geometry(signal: Samples, rate: int, mics: Floats, channels: list[int]) -> list[Finding]:
    """Compare the declared array with what a mistake would make of it.

    Args:
        signal: of the microphones (C, N), none of them silent.
        rate: Hz.
        mics: positions (C, 3), metres.
        channels: of the recording, from 0, that the microphones are on.

    Returns:
        The mistake that explains the recording much better than the declared array; none mostly.
    """
    phases = onset_phases(signal, rate)
    declared = agreement(phases, mics, np.ones(len(mics)), rate)
    scored = [
        (agreement(phases, guess.mics, guess.signs, rate), guess)
        for guess in _hypotheses(mics, [channel + 1 for channel in channels])
    ]
    best, guess = max(scored, key=lambda pair: pair[0])
    enough = max(declared + BETTER, RATIO * declared, LEAST)
    if best < enough or (OFF_SCALE[0] < guess.scale < OFF_SCALE[1] and guess.scale != 1.0):
        return []
    if guess.finding.kind != "swap":
        return [guess.finding]
    alike = [other.finding for value, other in scored if value > best - ALIKE]
    pairs = [f"{found.channels[0]} and {found.channels[1]}" for found in alike if found.channels]
    finding = alike[0]
    if len(pairs) > 1:  # the array mirrors one onto the other
        what = f"two channels seem to be swapped: {', or '.join(pairs)}, which sound the same"
        finding = replace(finding, what=what, channels=())
    return [finding]


def _hypotheses(mics: Floats, names: list[int]) -> list[_Hypothesis]:
    ones = np.ones(len(mics))
    found = []
    for scale in SCALES:
        size = "smaller" if scale < 1 else "larger"
        factor = scale if scale > 1 else 1 / scale
        what = f"the delays are those of an array about {factor:.1f} times {size} than declared"
        remedy = "check the size in --array (metres; side, radius or step?)"
        finding = Finding("spacing", (), what, remedy)
        found.append(_Hypothesis(finding, scale * mics, ones, scale))
    for index, name in enumerate(names if len(names) > 2 else []):
        signs = ones.copy()
        signs[index] = -1
        what = f"channel {name} has the opposite polarity of the others"
        remedy = f"swap the wires of channel {name}, or multiply it by -1"
        found.append(_Hypothesis(Finding("polarity", (name,), what, remedy), mics, signs))
    for one, other in combinations(range(len(mics)), 2):
        order = np.arange(len(mics))
        order[[one, other]] = order[[other, one]]
        pair = (names[one], names[other])
        what = f"channels {pair[0]} and {pair[1]} seem to be swapped"
        remedy = "mend the cables, or list the channels in a YAML array with 'channels:'"
        found.append(_Hypothesis(Finding("swap", pair, what, remedy), mics[order], ones))
    return found
