"""Ways to compute the responses of a shoebox; a recipe and a scene name one of them.

    images          every image source, fast (`tselcli.acoustics.images`)
    pyroomacoustics the same by that package: the reference, equal to 5e-6
    torch           the same in batches, on a GPU where there is one; it comes from above, so that
                    simulation starts without torch
    diffuse-tail    image sources while they are few, then noise: another response that measures
                    like the first (`tselcli.acoustics.diffuse_tail`)

What is computed depends on the geometry and a seed alone. Scenes in a room of a bank, which share
that geometry, therefore share their responses: each process keeps the latest ones.
"""

import functools
import zlib
from collections.abc import Callable
from dataclasses import astuple, dataclass

import numpy as np

from tselcli.acoustics.diffuse_tail import diffuse_tail_rirs, tailed_rirs
from tselcli.acoustics.geometry import Floats
from tselcli.acoustics.images import fast_rirs
from tselcli.acoustics.rirs import Room, Samples, shoebox_rirs
from tselcli.errors import DataError
from tselcli.sections import RoomMethod

TAIL_STREAM = 3  # of random numbers
KEPT = 64  # rooms of a bank whose responses a process keeps; about 1 MB each

Point = tuple[float, float, float]
Points = tuple[Point, ...]
Shoebox = Callable[[Room, Floats, Floats, int, int | None, Floats | None], Samples]


@dataclass(frozen=True)
class Setting:
    """All that responses depend on.

    Attributes:
        method: how to compute them.
        room: the shoebox, one corner at the origin.
        mics_m: microphones, metres, inside.
        sources_m: sources at rest, metres, inside.
        sample_rate: Hz.
        max_order: walls in a row to follow; None is `Room.order`.
        axes: of figures of eight, one for each microphone, as of `shoebox_rirs`.
        seed: of a diffuse tail.
    """

    method: RoomMethod
    room: Room
    mics_m: Points
    sources_m: Points
    sample_rate: int
    max_order: int | None
    axes: Points | None
    seed: int


def as_points(places: Floats) -> Points:
    """Write places (K, 3) as tuples, which can be compared."""
    return tuple((x, y, z) for x, y, z in places.tolist())


def rirs_of(setting: Setting, shoebox: Shoebox | None = None) -> Samples:
    """Compute the responses from every source to every microphone.

    Args:
        setting: of what.
        shoebox: what computes them by the method ``torch``.

    Returns:
        (S, C, L) as of `shoebox_rirs`.

    Raises:
        DataError: ``torch`` is asked for, and not given.
    """
    mics, sources = np.array(setting.mics_m), np.array(setting.sources_m)
    axes = None if setting.axes is None else np.array(setting.axes)
    room, rate, order = setting.room, setting.sample_rate, setting.max_order
    if setting.method == "diffuse-tail":
        return diffuse_tail_rirs(room, mics, sources, rate, tail_rngs(setting, sources), axes)
    if setting.method == "torch":
        if shoebox is None:
            raise DataError(
                "room.method torch: cannot be used here; set scene.room.method to images, "
                "which gives the same to 1e-5"
            )
        return shoebox(room, mics, sources, rate, order, axes)
    compute = shoebox_rirs if setting.method == "pyroomacoustics" else fast_rirs
    return compute(room, mics, sources, rate, order, axes)


@functools.lru_cache(maxsize=KEPT)
def kept_rirs(setting: Setting, shoebox: Shoebox | None = None) -> Samples:
    """Do as `rirs_of`, once; the responses cannot be written to."""
    rirs = rirs_of(setting, shoebox)
    rirs.flags.writeable = False
    return rirs


def tailed(setting: Setting, places: Floats) -> Samples:
    """Compute responses (S, C, L) with a diffuse tail from places (S, 3), not yet filtered."""
    axes = None if setting.axes is None else np.array(setting.axes)
    rngs = tail_rngs(setting, places)
    mics, rate = np.array(setting.mics_m), setting.sample_rate
    return tailed_rirs(setting.room, mics, places, rate, rngs, axes)


def tail_rngs(setting: Setting, places: Floats) -> list[np.random.Generator]:
    """Make the random numbers of each place (S, 3), whatever other places there are."""
    where = [
        repr((astuple(setting.room), setting.mics_m, setting.axes, place)).encode()
        for place in places.tolist()
    ]
    return [np.random.default_rng([setting.seed, TAIL_STREAM, zlib.crc32(key)]) for key in where]
