"""Where training data come from: clips placed in rooms, each heard alone.

Stems are computed in parallel processes, do not depend on how many there are, and stay in a
cache, so that only the first run of an experiment waits for its rooms.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from tselcli.acoustics.convolution import convolve
from tselcli.acoustics.geometry import turn
from tselcli.acoustics.measured import RirBank
from tselcli.acoustics.methods import Setting, as_points, rirs_of
from tselcli.acoustics.places import MeasuredRoom, draw_place
from tselcli.acoustics.rirs import Room
from tselcli.acoustics.scene import scene_rng
from tselcli.acoustics.tracks import bank_of, draw_measured, measured_rirs
from tselcli.corpora.clip import Clip, Corpus, read_clip
from tselcli.dataset import corpus_of
from tselcli.errors import DataError
from tselcli.features.cache import FeatureCache, content_key
from tselcli.features.stft import mel_bands, mel_power, reference_power, stft
from tselcli.models.mixer import Stem
from tselcli.processes import spread
from tselcli.recipe import Recipe
from tselcli.sections import FeatureRecipe, MotionRecipe
from tselcli.shoeboxes import shoebox_of

PLACES_PER_ROOM = 4
Parts = Iterator[list[Stem]]

STEM_VERSION = 1  # changes whenever the same inputs would give another stem


def file_digest(clip: Clip) -> str:
    """Hash what a clip's sound depends on: its bytes on disk, or its synthetic seed."""
    if clip.path is None:
        return f"{clip.label}/{clip.seed}"
    return hashlib.sha256(clip.path.read_bytes()).hexdigest()


def stem_mel(image: npt.NDArray[Any], features: FeatureRecipe) -> npt.NDArray[Any]:
    """Describe one source's image at the array as a stem.

    Args:
        image: (C, N) float32 at ``features.sample_rate``.
        features: analysis.

    Returns:
        log10 of mel power, float16 (T, M), scaled so that the mean power over the frames within
        40 dB of the loudest is 1, and cut where nothing within 60 dB follows.
    """
    spectrum = stft(torch.from_numpy(image)[None], features.n_fft, features.hop)
    power = reference_power(spectrum)
    loudness = power.sum(dim=-1)[0]
    active = loudness > loudness.max() * 1e-4
    power = power / loudness[active].mean().clamp_min(1e-20)
    bands = mel_bands(features.sample_rate, features.n_fft, features.n_mels)
    mel = mel_power(power, bands, features.mel_pool)[0]
    heard = torch.nonzero(mel.sum(dim=-1) > mel.sum(dim=-1).max() * 1e-6)
    last = int(heard[-1]) + 1 if len(heard) else 1
    return np.asarray(mel[:last].clamp_min(1e-12).log10().half().numpy())


@dataclass(frozen=True)
class Take:
    """One hearing of a clip: which version of it, and the cache key of the stem."""

    clip: Clip
    version: int
    key: str


def stem_takes(recipe: Recipe, corpus: Corpus) -> list[list[Take]]:
    """Deal every clip, ``rooms_per_clip`` times, into rooms.

    A clip's rooms depend on the recipe and its own sound only, so a corpus may grow and keep
    the stems it has.

    Returns:
        The takes of each of the ``train.rooms`` rooms.
    """
    rooms: list[list[Take]] = [[] for _ in range(recipe.mixing.rooms)]
    shared = {
        "kind": "stem",
        "version": STEM_VERSION,
        "room": recipe.scene.room.model_dump(mode="json"),
        "array": recipe.scene.array.model_dump(mode="json"),
        "longest_s": recipe.scene.duration_s,
        "features": recipe.features.model_dump(mode="json"),
        "speed": recipe.mixing.speed,
        "rooms": recipe.mixing.rooms,
        "seed": recipe.seed,
    }
    if recipe.scene.measured is not None:
        shared["measured"] = recipe.scene.measured.model_dump(mode="json")
    for clip in corpus.clips:
        sound = file_digest(clip)
        for version in range(recipe.mixing.rooms_per_clip):
            key = content_key(**shared, sound=sound, take=version)
            rooms[int(key[:8], 16) % len(rooms)].append(Take(clip, version, key))
    return rooms


def fresh_stems(recipe: Recipe, cache: FeatureCache, jobs: int) -> tuple[int, Parts]:
    """Make (or find in the cache) the stems of the recipe's training clips, room by room.

    Returns:
        How many parts there will be, and the stems of each; unreadable clips are left out.
    """
    rooms = list(enumerate(stem_takes(recipe, corpus_of(recipe, "train"))))
    return len(rooms), _rooms(recipe, bank_of(recipe.scene), cache, rooms, jobs)


def _rooms(
    recipe: Recipe,
    bank: RirBank | None,
    cache: FeatureCache,
    rooms: list[tuple[int, list[Take]]],
    jobs: int,
) -> Parts:
    work = partial(_fill_room, recipe, bank, cache)
    for (_, takes), heard in zip(rooms, spread(work, rooms, jobs), strict=True):
        mels = [cache.get(take.key) if ok else None for take, ok in zip(takes, heard, strict=True)]
        yield [Stem(t.clip, mel) for t, mel in zip(takes, mels, strict=True) if mel is not None]


def _fill_room(
    recipe: Recipe, bank: RirBank | None, cache: FeatureCache, room: tuple[int, list[Take]]
) -> list[bool]:
    """Compute what the cache lacks of one room; says which takes could be heard."""
    number, takes = room
    missing = [take for take in takes if cache.get(take.key) is None]
    if not missing:
        return [True] * len(takes)
    torch.set_num_threads(1)
    rirs = room_rirs(recipe, bank, number)
    return [cache.get(t.key) is not None or _hear(recipe, cache, t, rirs) for t in takes]


def room_rirs(recipe: Recipe, bank: RirBank | None, number: int) -> npt.NDArray[Any]:
    """Give the responses (S, C, L) of some places in one room."""
    changes = {"directional": PLACES_PER_ROOM, "motion": MotionRecipe(), "min_separation_deg": 0}
    rng = scene_rng(recipe.seed, "rooms", number)
    rate, scene = recipe.features.sample_rate, recipe.scene.model_copy(update=changes)
    if bank is not None:
        place = draw_measured(rng, scene, bank, "train")
        assert isinstance(place.room, MeasuredRoom)
        room = place.room.name
        takes = [(spot.track, [k for _, k in spot.directions or ()]) for spot in place.sources]
        rirs = [measured_rirs(bank, room, track, numbers, rate)[0] for track, numbers in takes]
        return np.stack(rirs) if bank.array.foa is None else np.stack(rirs)[:, :1]  # W alone
    place = draw_place(rng, scene)
    assert isinstance(place.room, Room)
    mics = turn(place.array.positions, place.yaw_deg) + place.centre
    spots = tuple(spot.position_m for spot in place.sources if spot.position_m is not None)
    rules = scene.room
    setting = Setting(
        method=rules.method,
        room=place.room,
        mics_m=as_points(mics),
        sources_m=spots,
        sample_rate=rate,
        max_order=rules.max_order,
        axes=None,
        seed=recipe.seed,
    )
    return rirs_of(setting, shoebox_of(rules.method))


def _hear(recipe: Recipe, cache: FeatureCache, take: Take, rirs: npt.NDArray[Any]) -> bool:
    """Put one take's stem into the cache; False where the clip is unreadable or silent."""
    rng = scene_rng(recipe.seed, take.key, 0)
    rate = recipe.features.sample_rate
    speed = float(rng.uniform(1 - recipe.mixing.speed, 1 + recipe.mixing.speed))
    try:
        sound = _at_speed(read_clip(take.clip, rate), speed)
    except DataError:
        return False
    sound = sound[: round(recipe.scene.duration_s * rate)]
    if not np.any(sound):
        return False
    image = convolve(np.pad(sound, (0, rirs.shape[-1])), rirs[rng.integers(len(rirs))])
    cache.put(take.key, stem_mel(image, recipe.features))
    return True


def _at_speed(sound: npt.NDArray[Any], speed: float) -> npt.NDArray[Any]:
    """Play a sound faster or slower; pitch follows, as with a tape."""
    from scipy.signal import resample_poly

    ratio = Fraction(1 / speed).limit_denominator(20)
    return np.asarray(resample_poly(sound, ratio.numerator, ratio.denominator), dtype=np.float32)
