"""Room impulse responses of a shoebox, image by image: fast where many places are asked.

The same images, gains and filters as those of pyroomacoustics behind `shoebox_rirs`, but all
pulses are first counted on a grid of a twentieth of a sample and filtered together:

    pulse at sample n + u   ->   grid[p, n] and grid[p + 1, n],  u between p / 20 and (p + 1) / 20
    response = sum over p of grid[p] convolved with the filter that delays by p / 20

so that the work of a reflection is two additions and not 81. What arrives late can be left out
before it is computed, which makes the early part of a response cheap.
"""

import math
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import scipy.fft

from tselcli.acoustics.geometry import SPEED_OF_SOUND, Floats
from tselcli.acoustics.rirs import FRACTIONAL_TAPS, Room, Samples, check_inside

STEPS = 20  # of the grid, in a sample
CHUNK = 1 << 16  # images that are placed at once
Cells = npt.NDArray[np.int_]


def image_rirs(
    room: Room,
    mics_m: npt.ArrayLike,
    sources_m: npt.ArrayLike,
    sample_rate: int,
    max_order: int | None = None,
    axes: npt.ArrayLike | None = None,
    until_s: float | None = None,
) -> Samples:
    """Compute the impulse response from every source to every microphone.

    Args:
        room: the shoebox, one corner at the origin.
        mics_m: microphones (C, 3), metres, inside.
        sources_m: sources (S, 3), metres, inside.
        sample_rate: Hz.
        max_order: walls in a row to follow; None is `Room.order`.
        axes: unit vectors (C, 3) of figures of eight; zeros hear all directions alike.
        until_s: leave out what arrives later; None is nothing.

    Returns:
        (S, C, L) as of `shoebox_rirs`, but neither cut nor filtered: it holds the false pressure
        at 0 Hz.

    Raises:
        ValueError: as `shoebox_rirs`.
    """
    mics, sources = np.asarray(mics_m, dtype=np.float64), np.asarray(sources_m, dtype=np.float64)
    check_inside(room, mics, sources)
    eights = np.zeros_like(mics) if axes is None else np.asarray(axes, dtype=np.float64)
    cells = _cells(room, room.order if max_order is None else max_order, until_s)
    farthest = np.linalg.norm((np.abs(cells) + 1) * room.size_m, axis=1).max() / SPEED_OF_SOUND
    length = math.ceil(min(farthest, until_s or math.inf) * sample_rate) + FRACTIONAL_TAPS
    filters = _filters(length)
    echo = math.sqrt(max(1 - room.rt60_min_s / room.rt60_s, 0.0))  # of an amplitude, at a wall
    rirs = [
        [
            _filtered(_grid(_heard(room, cells, echo, source, *mic), sample_rate, length), filters)
            for mic in zip(mics, eights, strict=True)
        ]
        for source in sources
    ]
    return np.array(rirs, dtype=np.float32)


def _cells(room: Room, order: int, until_s: float | None) -> Cells:
    """List the mirrored rooms (I, 3) of up to an order from which sound can arrive in time.

    Room 0 is the room itself; room n of an axis lies at least abs(n) - 1 lengths away.
    """
    reach = [order] * 3
    if until_s is not None:
        reach = [min(order, int(until_s * SPEED_OF_SOUND / side) + 1) for side in room.size_m]
    x, y, z = np.ogrid[tuple(slice(-far, far + 1) for far in reach)]
    chosen = np.abs(x) + np.abs(y) + np.abs(z) <= order
    if until_s is not None:
        nearest = sum(
            np.square(np.maximum(np.abs(n) - 1, 0) * side)
            for n, side in zip((x, y, z), room.size_m, strict=True)
        )
        chosen &= nearest <= (until_s * SPEED_OF_SOUND) ** 2
    return np.argwhere(chosen) - reach


def _heard(
    room: Room, cells: Cells, echo: float, source: Floats, mic: Floats, axis: Floats
) -> Iterator[tuple[Floats, Floats]]:
    """Yield distances and amplitudes of the images in mirrored rooms, a chunk at a time."""
    size = np.array(room.size_m)
    echoes = echo ** np.arange(np.abs(cells).sum(axis=1).max() + 1)
    for first in range(0, len(cells), CHUNK):
        cell = cells[first : first + CHUNK]
        away = cell * size + np.where(cell & 1, size - source - mic, source - mic)
        distance = np.sqrt(np.einsum("ix,ix->i", away, away))
        gain = echoes[np.abs(cell).sum(axis=1)] / distance
        if axis.any():
            gain = gain * (away @ axis) / distance
        yield distance, gain


def _grid(heard: Iterator[tuple[Floats, Floats]], sample_rate: int, length: int) -> Samples:
    """Count pulses on the grid (STEPS + 1, length); what arrives after its end is left out."""
    grid = np.zeros((STEPS + 1) * length)
    for distance, gain in heard:
        samples = distance * (sample_rate / SPEED_OF_SOUND)
        whole = samples.astype(np.int64)
        steps = (samples - whole) * STEPS
        step = steps.astype(np.int64)
        late = whole >= length - FRACTIONAL_TAPS + 1
        place = np.where(late, 0, step * length + whole)
        share = steps - step
        gain = np.where(late, 0.0, gain)
        grid += np.bincount(place, gain * (1 - share), len(grid))
        grid += np.bincount(place + length, gain * share, len(grid))
    return grid.reshape(STEPS + 1, length).astype(np.float32)


def _filters(length: int) -> npt.NDArray[np.complex64]:
    """Give the spectra of the windowed sincs that delay by 0, 1 / 20 ... 1 samples.

    They begin half a filter early, so responses do too.
    """
    taps = np.arange(FRACTIONAL_TAPS) - FRACTIONAL_TAPS // 2
    delays = np.arange(STEPS + 1)[:, None] / STEPS
    sincs = np.sinc(taps - delays) * np.hanning(FRACTIONAL_TAPS)
    return np.asarray(scipy.fft.rfft(sincs.astype(np.float32), _transform(length)))


def _filtered(grid: Samples, filters: npt.NDArray[np.complex64]) -> Samples:
    """Filter every row of the grid by its own delay and add them: (L,)."""
    length = grid.shape[1]
    spectrum = np.einsum("pf,pf->f", scipy.fft.rfft(grid, _transform(length)), filters)
    lead = FRACTIONAL_TAPS // 2
    return np.asarray(scipy.fft.irfft(spectrum, _transform(length))[lead : lead + length])


def _transform(length: int) -> int:
    return int(scipy.fft.next_fast_len(length + FRACTIONAL_TAPS, real=True))
