"""What a person should know before believing an answer."""

from tselcli.acoustics.ambisonics import PLACES
from tselcli.acoustics.geometry import MicArray
from tselcli.acoustics.lines import line_of
from tselcli.acoustics.wiring import wiring
from tselcli.corpora.recording import Levels

DEAD = 1e-3  # peak under which a channel is silent, relative to the loudest: -60 dB
CLIPPED = 1e-3  # share of clipped samples that is worth a word


def cautions_about_recording(levels: Levels, array: MicArray) -> list[str]:
    """Name silent and clipped channels, counted from 1.

    Args:
        levels: of all channels of the recording.
        array: that is said to have recorded it.
    """
    wires = wiring(array, len(levels.peak))
    found = []
    quiet = levels.peak < DEAD * levels.peak[wires].max()
    if array.foa is not None:  # sound from the side has no height
        quiet[wires[PLACES[array.foa][2]]] = False
    dead = [str(channel + 1) for channel in wires if quiet[channel]]
    if dead:
        found.append(f"channel {' and '.join(dead)} is silent; see `tsel doctor`")
    loud = [channel for channel in wires if levels.clipped[channel] > CLIPPED]
    if loud:
        worst = 100 * levels.clipped[loud].max()
        names = ", ".join(str(channel + 1) for channel in loud)
        found.append(f"channel {names} is clipped (up to {worst:.1f} % of the samples)")
    return found


def caution_about_line(azimuth_deg: float, array: MicArray) -> list[str]:
    """Say that microphones in a line cannot tell one side from the other."""
    along = line_of(array)
    if along is None:
        return []
    mirrored = (2 * along - azimuth_deg + 180) % 360 - 180
    return [f"microphones in a line hear both sides alike: {mirrored:+.0f} degrees is as likely"]


def caution_about_alike(past_alike: bool) -> list[str]:
    """Say that a sound without a direction was looked past; it may be what was asked for."""
    if not past_alike:
        return []
    return [
        "a sound that is alike in all channels (hum, a commentary) has no direction: looked past"
    ]
