"""``tsel lessons``: let a teacher listen to the training clips.

What a large sound classifier makes of every clip, as recorded and in a few rooms, is averaged; the
network in training learns to tell it from a mixture (``mixing.teacher``), and how likely each of
the teacher's classes is, from its name. The teacher is not needed afterwards, and no part of it is
in the model.
"""

import csv
from collections.abc import Callable, Collection
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from tselcli.acoustics.convolution import convolve
from tselcli.acoustics.scene import scene_rng
from tselcli.acoustics.tracks import bank_of
from tselcli.console import progress_bar
from tselcli.corpora.audio import resample
from tselcli.corpora.clip import Clip, read_clip
from tselcli.dataset import corpus_of
from tselcli.errors import CheckpointError, DataError
from tselcli.models.lessons import Lessons, in_common, load_lessons, of_both, save_lessons, whitened
from tselcli.processes import spread
from tselcli.recipe import Recipe
from tselcli.stems import file_digest, room_rirs
from tselcli.teachers.teacher import Teacher, Vectors, open_teacher

ROOMS = 24
LONGEST_S = 10.0
PARTS = 32

Heard = dict[str, tuple[Vectors, Vectors]]


def lessons(
    teacher: Path,
    out: Path,
    *,
    recipe: Recipe,
    classes: Path | None = None,
    size: int = 192,
    rate: int = 32_000,
    rooms: int = 2,
    beside: Path | None = None,
    jobs: int = 2,
) -> dict[str, Any]:
    """Write what a teacher makes of the training clips of a recipe's corpus.

    Args:
        teacher: YAMNet as TensorFlow Lite, or a classifier of sounds (1, N) as ONNX.
        out: safetensors file to write.
        recipe: whose corpus and rooms.
        classes: CSV, or with tabs, that names the teacher's classes in order, in display_name.
        size: directions to keep of the embedding.
        rate: of the sounds that a classifier in ONNX takes, in Hz.
        rooms: in how many each clip is heard, besides as it was recorded.
        beside: lessons of another teacher, to be joined.
        jobs: processes.

    Returns:
        ``clips`` that the file tells of, and ``unreadable`` ones.

    Raises:
        DataError: the teacher cannot be used, or no clip can be read.
        RecipeError: what runs it is not installed.
        CheckpointError: ``beside`` holds no lessons, or of other clips or classes.
    """
    opened = open_teacher(teacher, rate)  # refuse what will not do before any work
    names = class_names(classes, opened.n_classes) if classes else []
    clips = {file_digest(clip): clip for clip in corpus_of(recipe, "train").clips}
    other = _of_the_same(beside, clips, names) if beside else None
    heard = _hear(partial(open_teacher, teacher, rate), clips, recipe, rooms, jobs)
    if not heard:
        raise DataError(f"{recipe.corpus.source}: no clip can be read; check the corpus")
    vectors = whitened(np.stack([embedding for embedding, _ in heard.values()]), size)
    odds = above_usual(np.stack([odds for _, odds in heard.values()])) if names else None
    told = _as_lessons(list(heard), vectors, odds, names)
    if other is not None:
        told = of_both(other, told)
    save_lessons(out, told)
    return {"clips": len(told.vectors), "unreadable": len(clips) - len(heard)}


def above_usual(odds: Vectors) -> Vectors:
    """Say by how much more than usual the log-odds (R, N) of recordings are, class by class.

    Else music and speech, which the teacher hears everywhere, would fit every sound.
    """
    return np.asarray(odds - odds.mean(axis=0), dtype=np.float32)


def class_names(table: Path, count: int) -> list[str]:
    """Read what the teacher's classes are called.

    Raises:
        DataError: the table cannot be read, or names another number of classes.
    """
    try:
        with table.open(encoding="utf-8", newline="") as file:
            between = "\t" if "\t" in file.readline() else ","
            file.seek(0)
            names = [row["display_name"] for row in csv.DictReader(file, delimiter=between)]
    except (OSError, UnicodeDecodeError, csv.Error, KeyError) as error:
        raise DataError(f"{table}: not a CSV with a column display_name ({error})") from error
    if len(names) != count:
        raise DataError(f"{table}: names {len(names)} classes instead of the teacher's {count}")
    return names


def _of_the_same(beside: Path, clips: Collection[str], names: list[str]) -> Lessons:
    """Read lessons of another teacher and see that they go with these clips and classes."""
    other = load_lessons(beside)
    try:
        in_common(other, clips, names)
    except CheckpointError as error:
        raise CheckpointError(f"{beside}: {error}") from error
    return other


def _hear(
    open_it: Callable[[], Teacher],
    clips: dict[str, Clip],
    recipe: Recipe,
    hearings: int,
    jobs: int,
) -> Heard:
    """Let the teacher hear all clips, in parallel: by digest, its embedding and log-odds."""
    bank = bank_of(recipe.scene)
    rooms = [room_rirs(recipe, bank, number) for number in range(ROOMS)] if hearings else []
    heard: Heard = {}
    parts = [list(clips.items())[first::PARTS] for first in range(PARTS)]
    with progress_bar(f"parts of {len(clips)} clips", PARTS) as advance:
        work = partial(_listen, open_it, rooms, recipe.features.sample_rate, hearings, recipe.seed)
        for part in spread(work, parts, jobs):
            heard |= part
            advance()
    return heard


def _listen(
    open_it: Callable[[], Teacher],
    rooms: list[npt.NDArray[Any]],
    rooms_rate: int,
    hearings: int,
    seed: int,
    clips: list[tuple[str, Clip]],
) -> Heard:
    """Average what the teacher makes of each clip, as recorded and in rooms."""
    teacher = open_it()
    heard: Heard = {}
    for digest, clip in clips:
        try:
            sound = read_clip(clip, teacher.rate)[: round(LONGEST_S * teacher.rate)]
        except DataError:
            continue
        if not np.any(sound):
            continue
        rng = scene_rng(seed, digest, 0)
        takes = [sound]
        for _ in range(hearings):
            rirs = rooms[rng.integers(len(rooms))]
            rir = resample(rirs[rng.integers(len(rirs)), :1], rooms_rate, teacher.rate)
            takes.append(convolve(np.pad(sound, (0, teacher.rate // 2)), rir)[0])
        told = [teacher.hear(take) for take in takes]
        embedding, odds = (np.mean(part, axis=0) for part in zip(*told, strict=True))
        heard[digest] = embedding, odds
    return heard


def _as_lessons(
    digests: list[str], vectors: Vectors, odds: Vectors | None, names: list[str]
) -> Lessons:
    rows = {} if odds is None else dict(zip(digests, torch.from_numpy(odds), strict=True))
    return Lessons(dict(zip(digests, torch.from_numpy(vectors), strict=True)), rows, tuple(names))
