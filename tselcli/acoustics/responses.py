"""What a scene's sources are heard through: responses of a shoebox, or measured ones."""

from functools import partial

import numpy as np

from tselcli.acoustics.ambisonics import figures_of_eight, from_acn_sn3d
from tselcli.acoustics.early_late import early_and_late
from tselcli.acoustics.geometry import Floats, direction, turn
from tselcli.acoustics.measured import RirBank
from tselcli.acoustics.methods import (
    Points,
    Setting,
    Shoebox,
    as_points,
    kept_rirs,
    rirs_of,
    tailed,
)
from tselcli.acoustics.places import MeasuredRoom
from tselcli.acoustics.rirs import Room, Samples
from tselcli.acoustics.scene import Point, Scene, Source
from tselcli.acoustics.tracks import measured_rirs
from tselcli.acoustics.trajectory import FRAME_S, runs_of
from tselcli.errors import DataError

Layer = tuple[Samples, list[int]]  # responses (K, C, L), and the sample at which each begins (K,)


def responses(
    scene: Scene, bank: RirBank | None = None, shoebox: Shoebox | None = None
) -> list[list[Layer]]:
    """Give what every directional source is heard through.

    Args:
        scene: whose sources.
        bank: that the responses of a measured room are in.
        shoebox: what computes responses by the method ``torch``.

    Returns:
        For each source, layers whose sounds add up: responses in the order in which they are
        heard, and the sample at which each takes over. A source at rest has one layer of one
        response.

    Raises:
        DataError: the bank does not have them, or ``torch`` is asked for and not given.
    """
    sources = [source for source in scene.sources if source.kind == "directional"]
    room = scene.room
    if isinstance(room, MeasuredRoom):
        return [[_measured(scene, room, source, bank)] for source in sources]
    resting = [source.position_m for source in sources if source.positions is None]
    rirs = iter(_at_rest(scene, room, np.array(resting), shoebox) if resting else ())
    return [
        [(next(rirs)[None], [0])] if source.positions is None else _moving(scene, room, source)
        for source in sources
    ]


def first_response(layers: list[Layer]) -> Samples:
    """Add up what a source is heard through at first: (C, L)."""
    firsts = [rirs[0] for rirs, _ in layers]
    whole = np.zeros((len(firsts[0]), max(rir.shape[-1] for rir in firsts)), dtype=np.float32)
    for rir in firsts:
        whole[:, : rir.shape[-1]] += rir
    return whole


def _at_rest(scene: Scene, room: Room, places: Floats, shoebox: Shoebox | None) -> Samples:
    """Compute the responses (S, C, L) from places (S, 3) of a shoebox."""
    if scene.bank_room is None:
        return _as_heard(scene, rirs_of(_setting(scene, room, as_points(places)), shoebox))
    # Scenes of this room name its places in any order.
    points = as_points(places)
    ordered = tuple(sorted(set(points)))
    rirs = kept_rirs(_setting(scene, room, ordered), shoebox)
    return _as_heard(scene, rirs[[ordered.index(point) for point in points]])


def _setting(scene: Scene, room: Room, places: Points) -> Setting:
    axes = _axes(scene)
    return Setting(
        method=scene.method or "images",
        room=room,
        mics_m=as_points(scene.mics_m),
        sources_m=places,
        sample_rate=scene.sample_rate,
        max_order=scene.max_order,
        axes=None if axes is None else as_points(axes),
        seed=scene.seed,
    )


def _moving(scene: Scene, room: Room, source: Source) -> list[Layer]:
    """Compute the early and the late responses along the way of a source in a shoebox."""
    way = source.positions or ()
    places = [_world(scene, azimuth, elevation, away) for _, azimuth, elevation, away in way]
    early, late, which = early_and_late(
        room,
        scene.mics_m,
        places,
        [azimuth for _, azimuth, _, _ in way],
        scene.sample_rate,
        scene.max_order,
        _axes(scene),
        partial(tailed, _setting(scene, room, ())) if scene.method == "diffuse-tail" else None,
    )
    starts = [round(frame * FRAME_S * scene.sample_rate) for frame, *_ in way]
    layers = [(_as_heard(scene, early), starts)]
    if late.shape[-1]:
        runs = runs_of(which)
        numbers = [number for _, number in runs]
        layers.append((_as_heard(scene, late[numbers]), [starts[k] for k, _ in runs]))
    return layers


def _axes(scene: Scene) -> Floats | None:
    return None if scene.array.foa is None else figures_of_eight(scene.array_yaw_deg)


def _as_heard(scene: Scene, rirs: Samples) -> Samples:
    """Bring responses of ambisonics from ACN, SN3D to the convention of the scene."""
    return rirs if scene.array.foa is None else from_acn_sn3d(rirs, scene.array.foa)


def _world(scene: Scene, azimuth: float, elevation: float, distance: float | None) -> Point:
    """Turn a place in the array frame into one in the room, to 0.1 mm."""
    assert distance is not None  # only measured rooms leave it open
    seen = distance * direction(azimuth, elevation)
    place = turn(seen, scene.array_yaw_deg) + scene.array_position_m
    x, y, z = np.round(place, 4).tolist()
    return x, y, z


def _measured(scene: Scene, room: MeasuredRoom, source: Source, bank: RirBank | None) -> Layer:
    if bank is None or bank.name != room.bank:
        given = "none was given" if bank is None else f"'{bank.name}' was given"
        raise DataError(f"scene {scene.index}: needs the responses of '{room.bank}'; {given}")
    runs = source.directions or ((0, -1),)
    rirs = measured_rirs(bank, room.name, source.track, [k for _, k in runs], scene.sample_rate)
    return rirs, [round(frame * FRAME_S * scene.sample_rate) for frame, _ in runs]
