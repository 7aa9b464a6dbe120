"""What a scene's sources are heard through: responses of a shoebox, or measured ones."""

import numpy as np

from tselcli.acoustics.ambisonics import figures_of_eight, from_acn_sn3d
from tselcli.acoustics.geometry import Floats, direction, turn
from tselcli.acoustics.measured import RirBank
from tselcli.acoustics.places import MeasuredRoom
from tselcli.acoustics.rirs import Samples, shoebox_rirs
from tselcli.acoustics.scene import Point, Scene, Source
from tselcli.acoustics.tracks import measured_rirs
from tselcli.acoustics.trajectory import FRAME_S
from tselcli.errors import DataError


def responses(scene: Scene, bank: RirBank | None = None) -> list[tuple[Samples, list[int]]]:
    """Give what every directional source is heard through.

    Returns:
        For each: the responses (K, C, L) in the order in which they are heard, and the sample
        at which each takes over (K,). A source at rest has one.

    Raises:
        DataError: the bank does not have them.
    """
    sources = [source for source in scene.sources if source.kind == "directional"]
    if isinstance(scene.room, MeasuredRoom):
        return [_measured(scene, scene.room, source, bank) for source in sources]
    places, order, starts = _waypoints(scene, sources)
    foa = scene.array.foa
    rirs = shoebox_rirs(
        scene.room,
        scene.mics_m,
        places,
        scene.sample_rate,
        scene.max_order,
        None if foa is None else figures_of_eight(scene.array_yaw_deg),
    )
    rirs = rirs if foa is None else from_acn_sn3d(rirs, foa)
    return [(rirs[numbers], start) for numbers, start in zip(order, starts, strict=True)]


def _waypoints(
    scene: Scene, sources: list[Source]
) -> tuple[Floats, list[list[int]], list[list[int]]]:
    """List the places (P, 3) of all sources once, and for each source which follow when."""
    places: dict[Point, int] = {}
    order, starts = [], []
    for source in sources:
        assert source.position_m is not None
        way = [(0, source.position_m)]
        if source.positions is not None:
            way = [(frame, _world(scene, az, el, away)) for frame, az, el, away in source.positions]
        order.append([places.setdefault(place, len(places)) for _, place in way])
        starts.append([round(frame * FRAME_S * scene.sample_rate) for frame, _ in way])
    return np.array(list(places)), order, starts


def _world(scene: Scene, azimuth: float, elevation: float, distance: float | None) -> Point:
    """Turn a place in the array frame into one in the room, to 0.1 mm."""
    assert distance is not None  # only measured rooms leave it open
    seen = distance * direction(azimuth, elevation)
    place = turn(seen, scene.array_yaw_deg) + scene.array_position_m
    x, y, z = np.round(place, 4).tolist()
    return x, y, z


def _measured(
    scene: Scene, room: MeasuredRoom, source: Source, bank: RirBank | None
) -> tuple[Samples, list[int]]:
    if bank is None or bank.name != room.bank:
        given = "none was given" if bank is None else f"'{bank.name}' was given"
        raise DataError(f"scene {scene.index}: needs the responses of '{room.bank}'; {given}")
    runs = source.directions or ((0, -1),)
    rirs = measured_rirs(bank, room.name, source.track, [k for _, k in runs], scene.sample_rate)
    return rirs, [round(frame * FRAME_S * scene.sample_rate) for frame, _ in runs]
