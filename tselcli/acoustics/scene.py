"""A scene as data: which clips sound together, where, in which room, heard by which array.

`draw_scene` draws one from a recipe without computing any sound, `tselcli.acoustics.render`
turns it into sound. Scene number ``index`` of a seed and split is always the same scene,
whichever process draws it and whatever was drawn before.

    world frame: a corner of the room is the origin, z up
    array frame: origin at ``array_position_m``, turned by ``array_yaw_deg``; azimuths are in it
"""

import zlib
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from tselcli.acoustics.ambience import Ambience, draw_ambience
from tselcli.acoustics.geometry import Floats, MicArray, turn
from tselcli.acoustics.measured import RirBank
from tselcli.acoustics.places import MeasuredRoom, Place, Positions, draw_place
from tselcli.acoustics.rirs import Room
from tselcli.acoustics.tracks import draw_measured
from tselcli.acoustics.trajectory import Runs
from tselcli.corpora.clip import Clip, Corpus, compatible, read_clip
from tselcli.errors import DataError
from tselcli.sections import RoomMethod, SceneRecipe

Point = tuple[float, float, float]
SPLITS = ("train", "val", "test")

CLIP_TRIES = 20
AMBIENCE_STREAM, BANK_STREAM = 2, 4  # of random numbers


@dataclass(frozen=True)
class Source:
    """One sound of a scene.

    Attributes:
        kind: ``directional`` has a place; ``additive`` is added alike to every channel.
        clip_id: of a clip in the corpus.
        corpus: name of the corpus that the clip belongs to.
        label: the clip's kind of sound.
        caption: the sentence that describes it here.
        position_m: in the world frame; None for an additive source, as the next three, and in
            a measured room. Of a moving source: where it begins, as the next three.
        azimuth_deg: in the array frame, [-180, 180).
        elevation_deg: in the array frame, [-90, 90].
        distance_m: from the origin of the array frame; None where it is not known.
        onset_s: when the clip starts.
        level_db: over the target at the array, each over its active part; 0 for the target.
        gain: from the clip convolved with its RIR to the file; None until rendered.
        active: runs of 100 ms frames, first and one past the last, in which the clip sounds
            (within 40 dB of its loudest); None until rendered.
        positions: of a moving source: (frame of 100 ms, azimuth, elevation, distance), each
            holding until the next; None at rest.
        track: of a measured room: the trajectory whose responses are heard.
        directions: on that trajectory: (frame, number of the response), each holding until
            the next.
    """

    kind: Literal["directional", "additive"]
    clip_id: str
    corpus: str
    label: str
    caption: str
    position_m: Point | None
    azimuth_deg: float | None
    elevation_deg: float | None
    distance_m: float | None
    onset_s: float
    level_db: float
    gain: float | None = None
    active: tuple[tuple[int, int], ...] | None = None
    positions: Positions | None = None
    track: str | None = None
    directions: Runs | None = None


@dataclass(frozen=True)
class Scene:
    """Everything that is needed to render a scene, given the corpus.

    Attributes:
        index: number of the scene in its split, from 0.
        seed: that it was drawn with.
        split: ``train``, ``val`` or ``test``.
        sample_rate: Hz.
        duration_s: of the recording; clips are cut or padded to it.
        room: the shoebox and the RT60 that was requested, or a measured room.
        max_order: reflections to follow; None is as many as the RT60 needs.
        array: the microphones in their own frame.
        array_position_m: origin of the array frame in the world frame.
        array_yaw_deg: how far the array is turned, counter-clockwise.
        sources: the first is the target; directional ones come before additive ones.
        noise_snr_db: active part of all sources together over noise; None is no noise.
        ambience: what the noise is; None is diffuse noise.
        method: how responses of a shoebox are computed; None in a measured room.
        bank_room: which room of the recipe's bank it is; None is a room of its own.
        rt60_measured_s: at the first microphone, for the target; None until rendered, and
            where it cannot be measured.
    """

    index: int
    seed: int
    split: str
    sample_rate: int
    duration_s: float
    room: Room | MeasuredRoom
    max_order: int | None
    array: MicArray
    array_position_m: Point
    array_yaw_deg: float
    sources: tuple[Source, ...]
    noise_snr_db: float | None
    ambience: Ambience | None = None
    method: RoomMethod | None = None
    bank_room: int | None = None
    rt60_measured_s: float | None = None

    @property
    def mics_m(self) -> Floats:
        """The microphones (C, 3) in the world frame, metres."""
        return turn(self.array.positions, self.array_yaw_deg) + self.array_position_m

    @property
    def samples(self) -> int:
        """Length of the recording in samples."""
        return round(self.duration_s * self.sample_rate)


def scene_rng(seed: int, split: str, index: int, *stream: int) -> np.random.Generator:
    """Make the random numbers of one scene; ``stream`` makes further, independent ones."""
    return np.random.default_rng([seed, zlib.crc32(split.encode()), index, *stream])


def draw_scene(
    recipe: SceneRecipe,
    corpus: Corpus,
    seed: int,
    split: str,
    index: int,
    bank: RirBank | None = None,
) -> Scene:
    """Draw scene number ``index`` of a seed and split; ``bank`` for measured rooms.

    Raises:
        RecipeError: the rooms cannot hold the array and the sources as asked.
        DataError: too few clips that may sound together; a clip that cannot be read, which
            only ``onset: random`` has to try.
    """
    rng = scene_rng(seed, split, index)
    clips = _draw_clips(rng, corpus, recipe.directional + recipe.additive)
    number = None
    if bank is not None:
        place = draw_measured(rng, recipe, bank, split)
    elif recipe.room.bank is None:
        place = draw_place(rng, recipe)
    else:
        number = int(rng.integers(recipe.room.bank))
        place = _from_bank(rng, recipe, seed, split, number)
    sources = tuple(
        _draw_source(rng, recipe, clip, place, number) for number, clip in enumerate(clips)
    )
    noise = None
    if recipe.noise_snr_db is not None:
        noise = round(rng.uniform(*recipe.noise_snr_db), 2)
    return Scene(
        index=index,
        seed=seed,
        split=split,
        sample_rate=recipe.sample_rate,
        duration_s=recipe.duration_s,
        room=place.room,
        max_order=recipe.room.max_order,
        array=place.array,
        array_position_m=_point(place.centre),
        array_yaw_deg=place.yaw_deg,
        sources=sources,
        noise_snr_db=noise,
        ambience=None if noise is None else _draw_ambience(recipe, place, bank, seed, split, index),
        method=None if bank is not None else recipe.room.method,
        bank_room=number,
    )


def _from_bank(
    rng: np.random.Generator, recipe: SceneRecipe, seed: int, split: str, number: int
) -> Place:
    """Draw a room of the bank, always the same, and which source is at which of its places."""
    place = draw_place(scene_rng(seed, split, number, BANK_STREAM), recipe)
    spots = [place.sources[k] for k in rng.permutation(len(place.sources))]
    return replace(place, sources=spots)


def _draw_ambience(
    recipe: SceneRecipe, place: Place, bank: RirBank | None, seed: int, split: str, index: int
) -> Ambience | None:
    """Draw a part of the room's own noise, where there is some and the recipe wants it.

    It has random numbers of its own: the scene is otherwise that with diffuse noise.
    """
    rules, room = recipe.measured, place.room
    if bank is None or rules is None or rules.ambience == "diffuse":
        return None
    path = bank.ambiences.get(room.name) if isinstance(room, MeasuredRoom) else None
    rng = scene_rng(seed, split, index, AMBIENCE_STREAM)
    return None if path is None else draw_ambience(rng, path, recipe.duration_s)


def _draw_clips(rng: np.random.Generator, corpus: Corpus, count: int) -> list[Clip]:
    """Draw clips that may all sound together; the first is uniform over the corpus."""
    for _ in range(CLIP_TRIES):
        chosen: list[Clip] = []
        for number in rng.permutation(len(corpus.clips)):
            clip = corpus.clips[number]
            if all(compatible(clip, other) for other in chosen):
                chosen.append(clip)
            if len(chosen) == count:
                return chosen
    raise DataError(
        f"{corpus.name}: no {count} clips of different kinds that may sound together "
        f"among {len(corpus.clips)}; use a larger corpus or fewer sources in the recipe"
    )


def _draw_source(
    rng: np.random.Generator, recipe: SceneRecipe, clip: Clip, place: Place, number: int
) -> Source:
    """Draw what is left to say of a source: its caption, level and onset."""
    spot = place.sources[number] if number < recipe.directional else None
    level = round(float(rng.uniform(*recipe.level_difference_db)), 2)
    return Source(
        kind="additive" if spot is None else "directional",
        clip_id=clip.id,
        corpus=clip.source,
        label=clip.label,
        caption=clip.captions[rng.integers(len(clip.captions))],
        position_m=None if spot is None else spot.position_m,
        azimuth_deg=None if spot is None else spot.azimuth_deg,
        elevation_deg=None if spot is None else spot.elevation_deg,
        distance_m=None if spot is None else spot.distance_m,
        onset_s=_draw_onset(rng, recipe, clip),
        level_db=0.0 - level if number else 0.0,
        positions=None if spot is None else spot.positions,
        track=None if spot is None else spot.track,
        directions=None if spot is None else spot.directions,
    )


def _draw_onset(rng: np.random.Generator, recipe: SceneRecipe, clip: Clip) -> float:
    """Draw when the clip starts, seconds: whole milliseconds in what its length leaves."""
    if recipe.onset == "start":
        return 0.0
    left_s = recipe.duration_s - len(read_clip(clip, recipe.sample_rate)) / recipe.sample_rate
    return int(rng.uniform(0, max(left_s, 0.0)) * 1000) / 1000


def _point(position: Floats) -> Point:
    x, y, z = position.tolist()
    return x, y, z
