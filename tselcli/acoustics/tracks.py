"""Draw sources among the measured directions of a room."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tselcli.acoustics.geometry import wrap_deg
from tselcli.acoustics.measured import RirBank, Track, open_bank
from tselcli.acoustics.places import MeasuredRoom, Place, Spot, rounded_deg
from tselcli.acoustics.subarray import choose_mics
from tselcli.acoustics.trajectory import FRAME_S, Samples, arc_length, walk
from tselcli.corpora.audio import resample
from tselcli.errors import DataError
from tselcli.sections import SceneRecipe

TRIES = 200
WIDEST_STEP_DEG = 20.0  # a track whose neighbours are farther apart is no way but places


def bank_of(recipe: SceneRecipe) -> RirBank | None:
    """Open the measured responses that a recipe asks for; None for simulated rooms.

    Raises:
        DataError: they cannot be read.
        RecipeError: the array lacks the microphones that the recipe names.
    """
    if recipe.measured is None:
        return None
    rules = recipe.measured
    folder = Path(rules.folder).absolute()  # for workers with another working folder
    bank = open_bank(folder, rules.channels, rules.azimuth)
    return bank if rules.mics is None else choose_mics(bank, rules.mics)


def draw_measured(
    rng: np.random.Generator, recipe: SceneRecipe, bank: RirBank, split: str
) -> Place:
    """Draw a measured room of a split, and a direction or a way in it for every source.

    Raises:
        DataError: the database has no room of this split, or no directions as far apart as
            the recipe asks.
    """
    tracks = tracks_of(recipe, bank, split)
    rooms = sorted({track.room for track in tracks})
    room = rooms[int(rng.integers(len(rooms)))]
    ours = [track for track in tracks if track.room == room]
    sizes = np.array([len(track.azimuth_deg) for track in ours], dtype=np.float64)
    spots: list[Spot] = []
    for _ in range(TRIES):
        if len(spots) == recipe.directional:
            break
        track = ours[int(rng.choice(len(ours), p=sizes / sizes.sum()))]
        start = int(rng.integers(len(track.azimuth_deg)))
        apart = [abs(wrap_deg(track.azimuth_deg[start] - spot.azimuth_deg)) for spot in spots]
        if all(angle >= recipe.min_separation_deg for angle in apart):
            spots.append(_spot(rng, recipe, track, start))
    if len(spots) < recipe.directional:
        raise DataError(
            f"{bank.name}: room {room} has no {recipe.directional} directions that are "
            f"{recipe.min_separation_deg:g} degrees apart; lower scene.min_separation_deg"
        )
    return Place(MeasuredRoom(bank.name, room), bank.array, np.zeros(3), 0.0, spots)


def tracks_of(recipe: SceneRecipe, bank: RirBank, split: str) -> list[Track]:
    """List the trajectories in the rooms of a split; rooms without a number serve them all.

    Raises:
        DataError: there is none.
    """
    assert recipe.measured is not None
    rooms = recipe.measured.rooms(split)
    tracks = [track for track in bank.tracks if track.number in (0, *rooms)]
    if not tracks:
        there = sorted({track.number for track in bank.tracks})
        raise DataError(
            f"{recipe.measured.folder}: no room of the {split} split (rooms {list(rooms)}, there "
            f"are {there}); get the missing files or set scene.measured.{split}_rooms"
        )
    return tracks


def _spot(rng: np.random.Generator, recipe: SceneRecipe, track: Track, start: int) -> Spot:
    """Stay at a direction, or walk from there along the trajectory, as the recipe says.

    Nobody walks where directions are far apart, as those of a few loudspeakers are.
    """
    runs: tuple[tuple[int, int], ...] = ((0, start),)
    if recipe.motion.share and rng.random() < recipe.motion.share:
        speed = float(rng.choice(recipe.motion.speed_deg_s)) * float(rng.choice([-1, 1]))
        way = arc_length(track.azimuth_deg, track.elevation_deg, track.closed)
        frames = math.ceil(recipe.duration_s / FRAME_S)
        if np.diff(way).max(initial=0.0) <= WIDEST_STEP_DEG:
            runs = walk(way, start, speed, frames, track.closed)
    places = [
        (
            frame,
            rounded_deg(wrap_deg(track.azimuth_deg[k])),
            round(track.elevation_deg[k], 4),
            away if (away := track.distance_m[k]) is None else round(away, 4),
        )
        for frame, k in runs
    ]
    _, azimuth, elevation, distance = places[0]
    return Spot(
        azimuth_deg=azimuth,
        elevation_deg=elevation,
        distance_m=distance,
        positions=tuple(places) if len(places) > 1 else None,
        track=track.name,
        directions=runs,
    )


def measured_rirs(
    bank: RirBank, room: str, track: str | None, directions: Sequence[int], sample_rate: int
) -> Samples:
    """Read responses of a trajectory, at any rate.

    Args:
        bank: the database.
        room: name of the room.
        track: name of the trajectory.
        directions: numbers of the responses (K,); each is read once.
        sample_rate: Hz.

    Returns:
        (K, C, L) float32.

    Raises:
        DataError: there is no such trajectory or direction, or it cannot be read.
    """
    found = [t for t in bank.tracks if t.room == room and t.name == track]
    numbers = sorted(set(directions))
    if not found or not 0 <= numbers[0] <= numbers[-1] < len(found[0].azimuth_deg):
        raise DataError(f"{bank.name}: room {room} has no trajectory '{track}' with {numbers}")
    rirs = bank.rirs(found[0], numbers)
    if bank.sample_rate != sample_rate:
        flat = resample(rirs.reshape(-1, rirs.shape[-1]), bank.sample_rate, sample_rate)
        rirs = flat.reshape(*rirs.shape[:2], -1)
    order = [numbers.index(number) for number in directions]
    return np.asarray(rirs[order], dtype=np.float32)
