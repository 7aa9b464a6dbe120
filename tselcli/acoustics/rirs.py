"""Room impulse responses of a shoebox, by the image source method of pyroomacoustics.

The walls absorb alike at all frequencies, as much as Sabine's formula asks for the requested
reverberation time; air absorbs nothing. Reverberation comes out somewhat longer than requested
(Sabine's formula assumes a diffuse field), so it is measured afterwards.

Method: J. B. Allen and D. A. Berkley, "Image method for efficiently simulating small-room
acoustics", J. Acoust. Soc. Am. 65(4), 1979; decay: M. R. Schroeder, "New method of measuring
reverberation time", J. Acoust. Soc. Am. 37(3), 1965.
"""

import functools
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tselcli.acoustics.geometry import SPEED_OF_SOUND, Floats

Samples = npt.NDArray[np.float32]

FRACTIONAL_TAPS = 81  # of the filter that places a reflection between two samples
HIGH_PASS_HZ = 20.0
TAIL_DB = -60.0  # where no more energy is left than this, responses are cut
SHORTEST_DECAY_S = 0.03
SETTLE_S = 0.1  # until the high-pass filter has died away


@dataclass(frozen=True)
class Room:
    """A shoebox: (length x, width y, height z) in metres, and the requested RT60 in seconds."""

    size_m: tuple[float, float, float]
    rt60_s: float

    @property
    def rt60_min_s(self) -> float:
        """The RT60 of walls that absorb everything; nothing shorter can be requested."""
        x, y, z = self.size_m
        surface = 2 * (x * y + y * z + x * z)
        return 24 * math.log(10) / SPEED_OF_SOUND * x * y * z / surface

    @property
    def order(self) -> int:
        """How many walls in a row a sound can meet within the RT60.

        Mirrored rooms of an order form a diamond; the RT60 is a sphere that must fit into it.
        """
        x, y, z = self.size_m
        thinnest = min(a * b / math.hypot(a, b) for a, b in ((x, y), (y, z), (x, z)))
        return max(math.ceil(SPEED_OF_SOUND * self.rt60_s / thinnest) - 1, 0)

    def reflections(self, max_order: int | None = None) -> float:
        """Estimate how many reflections `shoebox_rirs` has to follow."""
        order = self.order if max_order is None else max_order
        return 4 / 3 * (order + 1) ** 3


def shoebox_rirs(
    room: Room,
    mics_m: npt.ArrayLike,
    sources_m: npt.ArrayLike,
    sample_rate: int,
    max_order: int | None = None,
    axes: npt.ArrayLike | None = None,
) -> Samples:
    """Compute the impulse response from every source to every microphone.

    Time zero is when the source emits: the direct sound stands at distance / c. All
    reflections are positive pulses, which add up to a false pressure at 0 Hz; a high-pass
    filter of zero phase at 20 Hz removes it without moving anything in time.

    Args:
        room: the shoebox, one corner at the origin.
        mics_m: microphones (C, 3), metres, absolute.
        sources_m: sources (S, 3), metres, absolute.
        sample_rate: Hz.
        max_order: walls in a row to follow; None is `Room.order`.
        axes: unit vectors (C, 3) along which microphones are figures of eight, positive in
            front; where it is zeros, and everywhere for None, they hear all directions alike.

    Returns:
        (S, C, L); the direct sound is a pulse of height 1 / distance in metres, times the
        cosine of the angle to its axis for a figure of eight. L ends where the energy left is
        below -60 dB in all responses.

    Raises:
        ValueError: the RT60 is below `Room.rt60_min_s`, or a position is outside the room.
    """
    import pyroomacoustics as pra

    mics, sources = np.asarray(mics_m, dtype=np.float64), np.asarray(sources_m, dtype=np.float64)
    check_inside(room, mics, sources)
    with _constants():
        shoebox = pra.ShoeBox(
            list(room.size_m),
            fs=sample_rate,
            materials=pra.Material(min(room.rt60_min_s / room.rt60_s, 1.0)),
            max_order=room.order if max_order is None else max_order,
            air_absorption=False,
        )
        shoebox.add_microphone_array(mics.T, directivity=_patterns(axes))
        for place in sources:
            shoebox.add_source(place)
        shoebox.compute_rir()
    # pyroomacoustics delays everything by half of the filter that places a reflection.
    return cut_tail(_stack(shoebox.rir, FRACTIONAL_TAPS // 2))


def check_inside(room: Room, *positions: Floats) -> None:
    """Refuse what a shoebox cannot be asked.

    Raises:
        ValueError: the RT60 is below `Room.rt60_min_s`, or a position (..., 3) is outside.
    """
    if room.rt60_s < room.rt60_min_s:
        raise ValueError(f"RT60 {room.rt60_s} s is below the room's least, {room.rt60_min_s:.3f} s")
    for places in positions:
        if (places <= 0).any() or (places >= room.size_m).any():
            raise ValueError(f"positions {places.tolist()} are not all inside {room.size_m}")


def _patterns(axes: npt.ArrayLike | None) -> list[Any] | None:
    """Make pyroomacoustics' patterns of the microphones; None hears all directions alike."""
    from pyroomacoustics.directivities import FigureEight

    if axes is None:
        return None
    return [FigureEight(axis) if axis.any() else None for axis in np.asarray(axes, dtype=float)]


@contextmanager
def _constants() -> Iterator[None]:
    """Set the constants of pyroomacoustics that decide the result, and put them back.

    One thread only: with more, sums are taken in another order and bits differ.
    """
    import pyroomacoustics as pra

    ours = {
        "c": SPEED_OF_SOUND,
        "num_threads": 1,
        "frac_delay_length": FRACTIONAL_TAPS,
        "rir_hpf_enable": True,
        "rir_hpf_fc": HIGH_PASS_HZ,
    }
    before = {name: pra.constants.get(name) for name in ours}
    try:
        for name, value in ours.items():
            pra.constants.set(name, value)
        yield
    finally:
        for name, value in before.items():
            pra.constants.set(name, value)


def _stack(rirs: list[list[Floats]], lead: int) -> Samples:
    """Put responses [mic][source] into (S, C, L) without their first ``lead`` samples."""
    length = max(len(rir) for of_mic in rirs for rir in of_mic) - lead
    stacked = np.zeros((len(rirs[0]), len(rirs), length), dtype=np.float32)
    for mic, of_mic in enumerate(rirs):
        for source, rir in enumerate(of_mic):
            stacked[source, mic, : len(rir) - lead] = rir[lead:]
    return stacked


def cut_tail(rirs: Samples) -> Samples:
    """Cut responses (S, C, L) where hardly any energy is left in each of them.

    What is left is below -60 dB.
    """
    left = _energy_left(rirs.astype(np.float64))
    audible = (left > left[..., :1] * 10 ** (TAIL_DB / 10)).any(axis=(0, 1))
    return np.ascontiguousarray(rirs[..., : int(audible.sum())])


def high_passed(rirs: Samples, sample_rate: int, settle_s: float = SETTLE_S) -> Samples:
    """Take the false pressure at 0 Hz off responses (..., L), as `shoebox_rirs` does.

    They become longer by ``settle_s``, in which the filter dies away.
    """
    from scipy.signal import sosfiltfilt

    silence = [(0, 0)] * (rirs.ndim - 1) + [(0, round(settle_s * sample_rate))]
    return np.asarray(sosfiltfilt(_high_pass(sample_rate), np.pad(rirs, silence)), dtype=np.float32)


@functools.cache
def _high_pass(sample_rate: int) -> Floats:
    """Design the filter of :func:`high_passed`: second-order sections."""
    from scipy.signal import butter

    return np.asarray(butter(2, HIGH_PASS_HZ, "highpass", fs=sample_rate, output="sos"))


def _energy_left(rir: Floats) -> Floats:
    """Integrate the squared response (..., L) from its end: what is still to come."""
    return np.asarray(np.cumsum(rir[..., ::-1] ** 2, axis=-1)[..., ::-1])


def measure_rt60(rir: npt.ArrayLike, sample_rate: int) -> float:
    """Measure the reverberation time by Schroeder's backward integration.

    A line is fitted to the decay between -5 and -35 dB (T30), or between -5 and -25 dB (T20)
    where the response ends too soon after, and extrapolated to 60 dB.

    Args:
        rir: one response (L,).
        sample_rate: Hz.

    Returns:
        Seconds; NaN for a silent response, and where the decay lasts under 30 ms, as that
        of a direct sound alone.
    """
    left = _energy_left(np.asarray(rir, dtype=np.float64))
    if not len(left) or left[0] <= 0:
        return math.nan
    decay_db = 10 * np.log10(np.maximum(left / left[0], 1e-30))
    start, t20, t30 = (int((decay_db > level).sum()) for level in (-5, -25, -35))
    stop = t30 if t30 < 0.95 * len(left) else t20
    if stop - start < SHORTEST_DECAY_S * sample_rate:
        return math.nan
    slope, _ = np.polyfit(np.arange(start, stop) / sample_rate, decay_db[start:stop], 1)
    return float(-60.0 / slope)
