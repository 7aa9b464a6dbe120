"""``tsel doctor``: does a recording fit the array that is said to have made it?

What users of such tools report most is a wrong direction from a right program: channels in
another order than the array's, a wrong size, a dead microphone, ambisonics of another convention.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tselcli.acoustics.ambisonics import PLACES
from tselcli.acoustics.checkup import Samples, check_geometry
from tselcli.acoustics.checkup_clock import check_clocks
from tselcli.acoustics.checkup_foa import check_ambisonics
from tselcli.acoustics.findings import Finding
from tselcli.acoustics.geometry import MicArray, parse_array
from tselcli.acoustics.wiring import wiring
from tselcli.corpora.recording import Levels, Recording
from tselcli.errors import DataError

RATE = 16_000  # Hz, of the checks
LONGEST_S = 60.0  # that is looked at
SILENT, FAINT = 1e-4, 0.02  # RMS of a channel relative to the median one: -80 and -34 dB
CLIPPED = 1e-3  # share of clipped samples
SAME = 1e-6  # power of a difference, relative, under which two channels are copies


def doctor(
    audio: Path, *, array: str = "square:0.12", start_s: float = 0.0, stop_s: float | None = None
) -> list[Finding]:
    """Look for what makes directions wrong.

    Args:
        audio: a recording; the first minute from ``start_s`` is looked at.
        array: geometry as in :func:`tselcli.acoustics.geometry.parse_array`.
        start_s: where to begin, seconds.
        stop_s: where to end, seconds; None is the end.

    Returns:
        What was found; nothing, if all seems well.

    Raises:
        RecipeError: a bad array.
        DataError: the recording cannot be read, or is silent.
    """
    geometry = parse_array(array)
    end = start_s + LONGEST_S if stop_s is None else min(stop_s, start_s + LONGEST_S)
    levels = Recording(audio, start_s, end).levels()
    if levels.peak.max() == 0:
        raise DataError(f"{audio}: silent; there is nothing to check")
    try:
        channels = wiring(geometry, len(levels.peak))
    except DataError as error:
        return [Finding("channels", (), str(error).split(";")[0], _arrays_of(len(levels.peak)))]
    recording = Recording(audio, start_s, end, RATE)
    signal = recording.read(0, recording.samples)[channels]
    return _check(signal, channels, levels, geometry)


def _arrays_of(count: int) -> str:
    """Name the arrays that have so many channels."""
    fitting = [f"circular:{count}:RADIUS", f"linear:{count}:STEP", "a YAML file"]
    if count == 4:
        fitting = ["square:SIDE", "tetra:RADIUS", "foa", *fitting]
    if count < 2:
        return "one channel has no direction; give the multichannel recording"
    return f"--array for {count} channels: {', '.join(fitting)}, which can pick 'channels:'"


def _check(signal: Samples, channels: list[int], levels: Levels, array: MicArray) -> list[Finding]:
    found = [*_clipped(channels, levels), *_silent(signal, channels, array)]
    bad = {name for finding in found if finding.kind == "silent" for name in finding.channels}
    found += _copies(signal, channels, bad)
    bad |= {name for finding in found if finding.kind == "copy" for name in finding.channels[1:]}
    good = [index for index, channel in enumerate(channels) if channel + 1 not in bad]
    names = [channels[index] for index in good]
    heard, mics = signal[good], array.positions[good]
    if array.foa is not None:
        if len(good) == len(channels):
            found += check_ambisonics(signal, RATE, array.foa)
        return found
    if len(good) < 2:
        return found
    misfit = check_geometry(heard, RATE, mics, names)
    if not misfit and len(good) > 3:  # with three, the others do not tell front from back
        misfit = check_clocks(heard, RATE, mics, names)
    return [*found, *misfit]


def _clipped(channels: Sequence[int], levels: Levels) -> list[Finding]:
    loud = tuple(channel + 1 for channel in channels if levels.clipped[channel] > CLIPPED)
    if not loud:
        return []
    share = 100 * max(levels.clipped[name - 1] for name in loud)
    what = f"channel {_listed(loud)} is clipped: up to {share:.1f} % of the samples"
    return [Finding("clipping", loud, what, "turn the gain down and record again")]


def _silent(signal: Samples, channels: Sequence[int], array: MicArray) -> list[Finding]:
    """Find dead and faint channels; a vertical one has a right to be quiet."""
    rms = np.sqrt((signal.astype(np.float64) ** 2).mean(axis=1))
    usual = float(np.median(rms[rms > 0])) if rms.any() else 0.0
    found = []
    for index, channel in enumerate(channels):
        if array.foa is not None and index == PLACES[array.foa][2]:
            continue
        name = (channel + 1,)
        if rms[index] <= SILENT * usual:
            remedy = "mend it, or leave it out with 'channels:' in a YAML array"
            found.append(Finding("silent", name, f"channel {channel + 1} is silent", remedy))
        elif rms[index] < FAINT * usual and array.foa is None:
            below = -20 * np.log10(rms[index] / usual)
            what = f"channel {channel + 1} is {below:.0f} dB below the others"
            found.append(Finding("silent", name, what, "check its gain, its cable and its cover"))
    return found


def _copies(signal: Samples, channels: Sequence[int], bad: set[int]) -> list[Finding]:
    found = []
    for one in range(len(signal)):
        for other in range(one + 1, len(signal)):
            pair = (channels[one] + 1, channels[other] + 1)
            rest = float(((signal[one] - signal[other]) ** 2).sum())
            if bad.isdisjoint(pair) and rest < SAME * float((signal[one] ** 2).sum()):
                what = f"channels {pair[0]} and {pair[1]} hold the same sound"
                remedy = "check the routing: two microphones never hear exactly the same"
                found.append(Finding("copy", pair, what, remedy))
    return found


def _listed(names: Sequence[int]) -> str:
    return ", ".join(map(str, names))
