"""Pulses between samples: counted on a grid of a twentieth of a sample, then filtered together.

pyroomacoustics places a pulse at sample n + f by adding 81 taps of a windowed sinc, which it
takes from a table of twenty steps a sample and interpolates along a line. Both are linear, so
the work can be turned round: first count all pulses in the steps, then filter every step once.

    pulse at n + f  ->  step s, share a  ->  grid[n, s] += 1 - a,  grid[n, s + 1] += a
    response = sum over s of grid[:, s] convolved with row s of the table

A pulse is then two additions instead of 81. The 21 rows are nearly the same filter, moved by
up to a sample, so seven filters span them to one part in a million: seven convolutions do.
"""

import functools

import numpy as np
import numpy.typing as npt
import scipy.fft

from tselcli.acoustics.geometry import Floats
from tselcli.acoustics.rirs import FRACTIONAL_TAPS, Samples

STEPS = 20  # of the table, in a sample
RANK = 7  # filters that span the table's rows
BLOCK = 1024  # samples transformed at once


def count_pulses(grid: Samples, samples: Samples, gain: Samples) -> None:
    """Count pulses on a grid.

    Args:
        grid: (L, STEPS + 1), contiguous; the pulses are added to it.
        samples: when they come (I,), in samples, at least 0 and below L - 1.
        gain: their heights (I,).
    """
    whole = np.floor(samples)
    steps = (1 - (samples - whole)) * np.float32(STEPS)
    step = np.floor(steps)
    # A pulse right on a sample has step 20 and share 0: its neighbour, of the next row, gets 0.
    place = whole.astype(np.intp) * (STEPS + 1) + step.astype(np.intp)
    share = (steps - step) * gain
    flat = grid.reshape(-1)
    np.add.at(flat, place, gain - share)
    np.add.at(flat, place + 1, share)


def table() -> Floats:
    """Give the taps (STEPS + 1, FRACTIONAL_TAPS) of every step.

    pyroomacoustics adds up the places of its table in single precision, by which the sinc stands
    0.0003 samples early: so does ours, which brings the two together to 1e-7.
    """
    half = FRACTIONAL_TAPS // 2
    steps = np.full((FRACTIONAL_TAPS + 2) * STEPS, 1 / STEPS, dtype=np.float32)
    steps[0] = -half - 1
    sinc = np.sinc(np.add.accumulate(steps).astype(np.float64))
    taps = np.arange(STEPS + 1)[:, None] + STEPS * np.arange(FRACTIONAL_TAPS)
    return np.asarray(sinc[taps] * np.hanning(FRACTIONAL_TAPS))


@functools.cache
def _spanned() -> tuple[Samples, npt.NDArray[np.complex64]]:
    """Span the table by few filters: weights (RANK, STEPS + 1), spectra (RANK, 1, F)."""
    weights, sizes, taps = np.linalg.svd(table(), full_matrices=False)
    filters = (sizes[:RANK, None] * taps[:RANK]).astype(np.float32)
    return weights[:, :RANK].T.astype(np.float32), scipy.fft.rfft(filters, BLOCK)[:, None]


def filter_grid(grid: Samples) -> Samples:
    """Filter a grid (L, STEPS + 1) into a response (L + FRACTIONAL_TAPS - 1,).

    It begins half a filter before the grid.
    """
    weights, spectra = _spanned()
    hop = BLOCK - FRACTIONAL_TAPS + 1
    blocks = -(-len(grid) // hop)
    rows = np.zeros((RANK, blocks * hop), dtype=np.float32)
    np.matmul(weights, grid.T, out=rows[:, : len(grid)])
    spectrum = scipy.fft.rfft(rows.reshape(RANK, blocks, hop), BLOCK)
    spectrum *= spectra
    pieces = scipy.fft.irfft(spectrum.sum(axis=0), BLOCK)
    sound = np.zeros((blocks + 1, hop), dtype=np.float32)
    sound[:-1] = pieces[:, :hop]
    sound[1:, : BLOCK - hop] += pieces[:, hop:]
    return sound.reshape(-1)[: len(grid) + FRACTIONAL_TAPS - 1]
