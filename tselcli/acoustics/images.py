"""Room impulse responses of a shoebox, image by image and fast.

The same images, gains and pulses as those of pyroomacoustics behind `shoebox_rirs`, to five
millionths of a response, with its roundings to single precision, which move pulses by up to a few
thousandths of a sample. Three things make it fast:

    places     an image is at x[i], y[j], z[k]: its squared distance is the sum of table entries
    pulses     are counted on a grid and filtered together (`tselcli.acoustics.pulses`)
    leftovers  the images of an order form a diamond, whose corners sound long after the
               reverberation has died away; what comes after -90 dB is not computed
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tselcli.acoustics.geometry import SPEED_OF_SOUND, Floats
from tselcli.acoustics.pulses import STEPS, count_pulses, filter_grid
from tselcli.acoustics.rirs import (
    FRACTIONAL_TAPS,
    Room,
    Samples,
    check_inside,
    cut_tail,
    high_passed,
)

CHUNK = 1 << 14  # images that are placed at once
LEFT_DB = -90.0  # of the energy: later images are left out
LEAD = FRACTIONAL_TAPS // 2  # samples by which pyroomacoustics delays everything
Indices = npt.NDArray[np.intp]


@dataclass(frozen=True)
class Cells:
    """Mirrored rooms: numbers n of each axis, room 0 is the room itself.

    Attributes:
        numbers: for each axis, those that occur (X,), (Y,), (Z,), ascending.
        flat: which x and y each has, x + X * y (I,).
        high: which z (I,).
        walls: how many walls a sound meets on its way (I,).
        reach_m: no image can be farther away.
        whole: none of the order is left out.
    """

    numbers: tuple[Indices, ...]
    flat: Indices
    high: Indices
    walls: Indices
    reach_m: float
    whole: bool


def fast_rirs(
    room: Room,
    mics_m: npt.ArrayLike,
    sources_m: npt.ArrayLike,
    sample_rate: int,
    max_order: int | None = None,
    axes: npt.ArrayLike | None = None,
) -> Samples:
    """Compute the responses of `shoebox_rirs`, arguments and errors alike, but faster.

    Returns:
        (S, C, L) as of `shoebox_rirs`, from which they differ by 5e-6 of their norm.
    """
    rirs, ends = _with_lead(room, mics_m, sources_m, sample_rate, max_order, axes, None)
    return finished(rirs, ends, sample_rate)


def finished(rirs: Samples, ends: Indices | None, sample_rate: int) -> Samples:
    """Filter and cut responses (S, C, LEAD + L) that are LEAD samples late: (S, C, L')."""
    if ends is None:
        return cut_tail(high_passed(rirs, sample_rate)[..., LEAD:])
    # Of few reflections all are there: pyroomacoustics stops its filter where the last one ends.
    for rir, end in zip(rirs.reshape(-1, rirs.shape[-1]), ends.ravel(), strict=True):
        rir[:end] = high_passed(rir[:end], sample_rate, settle_s=0)
    return cut_tail(rirs[..., LEAD:])


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
        until_s: leave out what arrives later; None is nothing but what is below -90 dB.

    Returns:
        (S, C, L) as of `shoebox_rirs`, but neither cut nor filtered: it holds the false pressure
        at 0 Hz.

    Raises:
        ValueError: as `shoebox_rirs`.
    """
    rirs, _ = _with_lead(room, mics_m, sources_m, sample_rate, max_order, axes, until_s)
    return np.ascontiguousarray(rirs[..., LEAD:])


def _with_lead(
    room: Room,
    mics_m: npt.ArrayLike,
    sources_m: npt.ArrayLike,
    sample_rate: int,
    max_order: int | None,
    axes: npt.ArrayLike | None,
    until_s: float | None,
) -> tuple[Samples, Indices | None]:
    """Compute responses (S, C, LEAD + L), LEAD samples late, and their `ends_of`."""
    mics, sources = np.asarray(mics_m, dtype=np.float64), np.asarray(sources_m, dtype=np.float64)
    check_inside(room, mics, sources)
    eights = np.zeros_like(mics) if axes is None else np.asarray(axes, dtype=np.float64)
    cells, loudness = mirrored(room, room.order if max_order is None else max_order, until_s)
    last_s = min(cells.reach_m / SPEED_OF_SOUND, until_s or math.inf)
    last = LEAD + math.ceil(last_s * sample_rate)  # sample in which a pulse may begin
    rirs = np.empty((len(sources), len(mics), last + LEAD + 2), dtype=np.float32)
    farthest = np.zeros(rirs.shape[:2])
    grid = np.empty((last + 2, STEPS + 1), dtype=np.float32)
    for number, source in enumerate(sources):
        places = placed(room, cells, source)
        for channel, (mic, axis) in enumerate(zip(mics, eights, strict=True)):
            grid.fill(0)
            away = [place - at for place, at in zip(places, mic, strict=True)]
            last_m = _count(grid, cells, away, loudness, axis, sample_rate)
            farthest[number, channel] = last_m
            rirs[number, channel] = filter_grid(grid)[LEAD : LEAD + rirs.shape[-1]]
    return rirs, ends_of(cells, farthest, sample_rate)


def ends_of(cells: Cells, farthest_m: Floats, sample_rate: int) -> Indices | None:
    """Say where responses end for pyroomacoustics, LEAD samples late.

    Args:
        cells: the mirrored rooms.
        farthest_m: how far the last image of each response is, metres, any shape.
        sample_rate: Hz.

    Returns:
        Their lengths; None where images are left out, so that all end later than ours.
    """
    if not cells.whole:
        return None
    samples = (farthest_m / SPEED_OF_SOUND + LEAD / sample_rate) * sample_rate
    return np.asarray(np.ceil(samples + LEAD + 1).astype(np.intp) + 1)


def mirrored(room: Room, order: int, until_s: float | None = None) -> tuple[Cells, Floats]:
    """List the mirrored rooms up to an order, and how much the walls leave of an amplitude (I,).

    Left out is what arrives after ``until_s``, or for None what is below -90 dB.
    """
    echo = math.sqrt(max(1 - room.rt60_min_s / room.rt60_s, 0.0))
    cells = _cells(room, order, echo, until_s)
    return cells, (echo ** np.arange(cells.walls.max() + 1))[cells.walls]


def _cells(room: Room, order: int, echo: float, until_s: float | None) -> Cells:
    """List the mirrored rooms up to an order from which sound comes that counts."""
    limit = [order if until_s is None else _limit(order, until_s, side) for side in room.size_m]
    y, z = (n.ravel() for n in np.mgrid[-limit[1] : limit[1] + 1, -limit[2] : limit[2] + 1])
    far = order - np.abs(y) - np.abs(z)  # rooms on either side in a row along x
    y, z, far = y[far >= 0], z[far >= 0], np.minimum(far[far >= 0], limit[0])
    row = np.repeat(np.arange(len(far)), 2 * far + 1)
    x = np.arange(len(row)) - (np.cumsum(2 * far + 1) - far - 1)[row]
    y, z = y[row], z[row]
    walls = np.abs(x) + np.abs(y) + np.abs(z)
    metres = _norm(x, y, z, room)
    if until_s is None:
        diagonal = math.hypot(*room.size_m)
        energy = echo ** (2 * walls) / np.maximum(metres, diagonal / 2) ** 2
        left = np.bincount(metres.astype(np.intp), energy)[::-1].cumsum()[::-1]  # metre by metre
        heard = metres < (left > left[0] * 10 ** (LEFT_DB / 10)).sum()
    else:  # room n of an axis lies at least abs(n) - 1 lengths away
        near_x, near_y, near_z = (np.maximum(np.abs(n) - 1, 0) for n in (x, y, z))
        nearest = _norm(near_x, near_y, near_z, room)
        heard = nearest <= until_s * SPEED_OF_SOUND
    x, y, z = x[heard], y[heard], z[heard]
    numbers = tuple(np.arange(n.min(), n.max() + 1) for n in (x, y, z))
    flat = x - x.min() + len(numbers[0]) * (y - y.min())
    whole = until_s is None and bool(heard.all())
    reach = metres[heard].max() + math.hypot(*room.size_m)
    return Cells(numbers, flat, z - z.min(), walls[heard], float(reach), whole)


def _limit(order: int, until_s: float, side_m: float) -> int:
    """Say how many lengths of a side sound can come from in time."""
    return min(order, int(until_s * SPEED_OF_SOUND / side_m) + 1)


def _norm(x: Indices, y: Indices, z: Indices, room: Room) -> Floats:
    length, width, height = room.size_m
    return np.asarray(np.sqrt((x * length) ** 2 + (y * width) ** 2 + (z * height) ** 2))


def placed(room: Room, cells: Cells, source: Floats) -> list[Floats]:
    """Tabulate where the images of a source (3,) are along x, y and z, metres.

    They are rounded to single precision as pyroomacoustics does.
    """
    return [
        (
            numbers.astype(np.float32) * np.float32(side)
            + np.where(numbers & 1, np.float32(side) - np.float32(at), np.float32(at))
        ).astype(np.float64)
        for numbers, side, at in zip(cells.numbers, room.size_m, source, strict=True)
    ]


def _count(
    grid: Samples, cells: Cells, away: list[Floats], loudness: Floats, axis: Floats, rate: int
) -> float:
    """Count the pulses of one source at one microphone; those after the grid are left out.

    ``away`` are the tables of `placed`, seen from the microphone. Gives how far the last is.
    """
    x, y, z = away
    flat = (x**2 + y[:, None] ** 2).ravel()
    high = z**2
    along = (axis[0] * x + axis[1] * y[:, None]).ravel()
    lead_s, farthest = LEAD / rate, 0.0
    for first in range(0, len(cells.flat), CHUNK):
        chunk = slice(first, first + CHUNK)
        metres = np.sqrt(flat.take(cells.flat[chunk]) + high.take(cells.high[chunk]))
        farthest = max(farthest, float(metres.max()))
        gain = loudness[chunk] / metres
        if axis.any():
            ahead = along.take(cells.flat[chunk]) + (axis[2] * z).take(cells.high[chunk])
            gain *= ahead / metres
        samples = (metres / SPEED_OF_SOUND + lead_s).astype(np.float32) * np.float32(rate)
        early = samples < len(grid) - 1
        if not early.all():
            samples, gain = samples[early], gain[early]
        count_pulses(grid, samples, gain.astype(np.float32))
    return farthest
