"""Draw a room, an array in it and the positions of the sources around it.

All by rejection: draw, look whether everything has its place, else draw anew. Lengths are drawn
to the millimetre, so that the numbers of a manifest are readable and exactly those rendered.
"""

import math
from dataclasses import dataclass, replace

import numpy as np

from tselcli.acoustics.geometry import (
    Floats,
    MicArray,
    azimuth_of,
    direction,
    elevation_of,
    sized_array,
    turn,
    wrap_deg,
)
from tselcli.acoustics.rirs import Room
from tselcli.acoustics.trajectory import FRAME_S, Runs, walk
from tselcli.errors import RecipeError
from tselcli.sections import RoomRecipe, SceneRecipe

ROOM_TRIES = 100
POSITION_TRIES = 100
MAX_REFLECTIONS = 2e7  # of one source; about 2 GB
STEP_DEG = 2  # between neighbouring places of a source on its way
MIC_CLEARANCE_M = 0.01  # between a microphone and the nearest wall

Positions = tuple[tuple[int, float, float, float | None], ...]


@dataclass(frozen=True)
class MeasuredRoom:
    """A room of a database of measured responses."""

    bank: str
    name: str


@dataclass(frozen=True)
class Spot:
    """Where a directional source is; attributes as those of a scene's source."""

    azimuth_deg: float
    elevation_deg: float
    distance_m: float | None
    position_m: tuple[float, float, float] | None = None
    positions: Positions | None = None
    track: str | None = None
    directions: Runs | None = None


@dataclass(frozen=True)
class Place:
    """A room with an array and the directional sources."""

    room: Room | MeasuredRoom
    array: MicArray
    centre: Floats  # (3,), origin of the array frame in the world frame, metres
    yaw_deg: float  # how far the array frame is turned, counter-clockwise
    sources: list[Spot]


def draw_place(rng: np.random.Generator, recipe: SceneRecipe) -> Place:
    """Draw rooms until one holds the array and all directional sources.

    Raises:
        RecipeError: none of many does.
    """
    for _ in range(ROOM_TRIES):
        room = _draw_room(rng, recipe.room)
        spacing = round(rng.uniform(*recipe.array.spacing_m), 4)
        array = sized_array(recipe.array.geometry, spacing)
        yaw = rounded_deg(rng.uniform(-180, 180)) if recipe.array.rotate else 0.0
        size = np.array(room.size_m)
        if not _is_possible(room, recipe.room):
            continue
        margin: float | Floats = recipe.room.wall_margin_m
        if recipe.array.from_middle_m is not None:
            margin = np.maximum(size[:2] / 2 - recipe.array.from_middle_m, margin)
        centre = _draw_position(rng, size, margin, recipe.array.height_m)
        mics = turn(array.positions, yaw) + centre
        if (mics < MIC_CLEARANCE_M).any() or (mics > size - MIC_CLEARANCE_M).any():
            continue
        sources = _draw_positions(rng, recipe, size, centre)
        if len(sources) == recipe.directional:
            spots = [_spot(source, centre, yaw) for source in sources]
            spots = [move(rng, recipe, spot, size, centre, yaw) for spot in spots]
            return Place(room, array, centre, yaw, spots)
    raise RecipeError(
        f"scene: no room out of {ROOM_TRIES} holds the array and {recipe.directional} source(s); "
        f"enlarge scene.room, lower its wall_margin_m or source_distance_min_m, lengthen its "
        f"rt60_s (large rooms cannot be that dry) or shorten it (small rooms need too many "
        f"reflections then; max_order limits them), or lower min_separation_deg"
    )


def _is_possible(room: Room, recipe: RoomRecipe) -> bool:
    """Say whether a room can be as dry as asked, be computed, and keep the wall margin."""
    return (
        room.rt60_s >= room.rt60_min_s
        and room.reflections(recipe.max_order) <= MAX_REFLECTIONS
        and min(room.size_m[:2]) > 2 * recipe.wall_margin_m
    )


def _draw_room(rng: np.random.Generator, recipe: RoomRecipe) -> Room:
    """Draw the sizes to the millimetre and the RT60 to the millisecond."""
    x, y, z = (
        round(rng.uniform(*side), 3) for side in (recipe.length_m, recipe.width_m, recipe.height_m)
    )
    return Room((x, y, z), round(rng.uniform(*recipe.rt60_s), 3))


def _draw_position(
    rng: np.random.Generator, size: Floats, margin: float | Floats, height_m: tuple[float, float]
) -> Floats:
    """Draw a position (3,) away from the walls and at a height, to the millimetre."""
    flat = rng.uniform(margin, size[:2] - margin)
    return np.round([*flat, rng.uniform(*height_m)], 3)


def _draw_positions(
    rng: np.random.Generator, recipe: SceneRecipe, size: Floats, centre: Floats
) -> list[Floats]:
    """Draw the sources by rejection; fewer than asked when the room is too small."""
    rules, found = recipe.room, list[Floats]()
    for _ in range(POSITION_TRIES * recipe.directional):
        if len(found) == recipe.directional:
            break
        place = _draw_position(rng, size, rules.wall_margin_m, rules.source_height_m)
        azimuth = azimuth_of(place - centre)
        apart = [abs(wrap_deg(azimuth - azimuth_of(other - centre))) for other in found]
        if (
            place[2] <= size[2] - rules.wall_margin_m
            and np.linalg.norm(place - centre) >= rules.source_distance_min_m
            and all(angle >= recipe.min_separation_deg for angle in apart)
        ):
            found.append(place)
    return found


def _spot(position: Floats, centre: Floats, yaw_deg: float) -> Spot:
    seen = turn(position - centre, -yaw_deg)
    x, y, z = position.tolist()
    return Spot(
        azimuth_deg=rounded_deg(azimuth_of(seen)),
        elevation_deg=round(float(elevation_of(seen)), 4),
        distance_m=round(float(np.linalg.norm(seen)), 4),
        position_m=(x, y, z),
    )


def move(
    rng: np.random.Generator,
    recipe: SceneRecipe,
    spot: Spot,
    size: Floats,
    centre: Floats,
    yaw_deg: float,
) -> Spot:
    """Let a source walk around the array from its spot, or stay, as the recipe says.

    It keeps its height and its distance, and turns back where the circle comes closer to a
    wall than sources may.
    """
    if not recipe.motion.share or rng.random() >= recipe.motion.share or spot.distance_m is None:
        return spot
    speed = float(rng.choice(recipe.motion.speed_deg_s)) * float(rng.choice([-1, 1]))
    angles = spot.azimuth_deg + STEP_DEG * np.arange(-(360 // STEP_DEG) + 1, 360 // STEP_DEG)
    ring = spot.distance_m * direction(angles, spot.elevation_deg)
    flat = (turn(ring, yaw_deg) + centre)[:, :2]
    margin = recipe.room.wall_margin_m
    inside = ((flat >= margin) & (flat <= size[:2] - margin)).all(axis=1)
    middle = len(angles) // 2
    inside[middle] = True
    closed = bool(inside.all())
    low = 0 if closed else middle - int((~inside[middle::-1]).argmax()) + 1
    high = len(angles) if closed else middle + int((~inside[middle:]).argmax())
    path = angles[middle : middle + 360 // STEP_DEG] if closed else angles[low:high]
    start = 0 if closed else middle - low
    walked = STEP_DEG * np.arange(len(path) + closed, dtype=np.float64)
    frames = math.ceil(recipe.duration_s / FRAME_S)
    runs = walk(walked, start, speed, frames, closed)
    positions = tuple(
        (frame, rounded_deg(wrap_deg(path[k])), spot.elevation_deg, spot.distance_m)
        for frame, k in runs
    )
    return replace(spot, positions=positions)


def rounded_deg(angle: Floats | float) -> float:
    """Round an angle to 0.0001 degrees; 180 becomes -180."""
    rounded = round(float(angle), 4)
    return -180.0 if rounded >= 180.0 else rounded
