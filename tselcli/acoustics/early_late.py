"""Responses of a source that moves in a shoebox: early sound at every place, late at some.

The direct sound and the reflections of the 80 ms after it, which ISO 3382-1 calls early, tell
where a source is; they are followed at every place of its way. Later sound comes from all sides
and is what a room is like, so places within a few degrees share it. The two overlap by 10 ms
and add up to the whole response, exactly so at the places of which the late part is taken:

    response at place p = early(p) + late(anchor of p),    anchor of p near p
"""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from tselcli.acoustics.geometry import SPEED_OF_SOUND, Floats, wrap_deg
from tselcli.acoustics.images import image_rirs
from tselcli.acoustics.rirs import FRACTIONAL_TAPS, Room, Samples, cut_tail, high_passed

EARLY_S = 0.08  # after the direct sound
FADE_S = 0.01  # in which the early part goes over into the late one
LATE_DEG = 9.0  # with steps of 2 degrees, every fifth place has a late part of its own


def early_and_late(
    room: Room,
    mics_m: Floats,
    places_m: npt.ArrayLike,
    azimuth_deg: Sequence[float],
    sample_rate: int,
    max_order: int | None = None,
    axes: npt.ArrayLike | None = None,
    whole: Callable[[Floats], Samples] | None = None,
) -> tuple[Samples, Samples, list[int]]:
    """Compute the responses of a source on its way.

    Args:
        room: the shoebox, one corner at the origin.
        mics_m: microphones (C, 3), metres, inside.
        places_m: where the source is, one after the other (K, 3), metres, inside; may repeat.
        azimuth_deg: of these places, seen from the array (K,).
        sample_rate: Hz.
        max_order: walls in a row to follow; None is `Room.order`.
        axes: of figures of eight, as of `shoebox_rirs`.
        whole: gives the responses (G, C, L') from some places (G, 3), of which the late parts
            are taken; None is `image_rirs`.

    Returns:
        The early parts (K, C, L), the late parts (G, C, L'; L' is 0 where nothing is late), and
        which late part belongs to each place (K,).
    """
    places = np.asarray(places_m, dtype=np.float64)
    metres = np.linalg.norm(places[:, None] - mics_m, axis=-1).max()
    split_s = metres / SPEED_OF_SOUND + EARLY_S
    end_s = split_s + FADE_S / 2 + FRACTIONAL_TAPS / sample_rate
    unique, back = np.unique(places, axis=0, return_inverse=True)
    first = image_rirs(room, mics_m, unique, sample_rate, max_order, axes, end_s)
    early = high_passed(first * _fade(first.shape[-1], split_s, sample_rate), sample_rate)
    anchors = _anchors(np.asarray(azimuth_deg, dtype=np.float64))
    chosen = sorted(set(anchors))
    if whole is None:
        full = image_rirs(room, mics_m, places[chosen], sample_rate, max_order, axes)
    else:
        full = whole(places[chosen])
    rest = full * (1 - _fade(full.shape[-1], split_s, sample_rate))
    late = cut_tail(high_passed(rest, sample_rate))
    return early[back.ravel()], late, [chosen.index(anchor) for anchor in anchors]


def _anchors(azimuth_deg: Floats) -> list[int]:
    """Name for each place (K,) the nearest earlier one that has a late part, or itself."""
    anchors: list[int] = []
    named = []
    for number, azimuth in enumerate(azimuth_deg):
        away = np.abs(wrap_deg(azimuth_deg[anchors] - azimuth))
        if not anchors or away.min() > LATE_DEG:
            anchors.append(number)
            named.append(number)
        else:
            named.append(anchors[int(away.argmin())])
    return named


def _fade(length: int, split_s: float, sample_rate: int) -> Samples:
    """Fall from 1 to 0 around the split as a raised cosine: (length,)."""
    time = (np.arange(length) / sample_rate - split_s) / (FADE_S / 2)
    return np.asarray(0.5 - 0.5 * np.sin(np.pi / 2 * np.clip(time, -1, 1)), dtype=np.float32)
