"""``tsel lessons``: let a teacher listen to the training clips.

The teacher is YAMNet (M. Plakal and D. Ellis), a classifier of AudioSet, as a TensorFlow Lite
file that takes log-mel patches of 0.96 s. What it makes of every clip, as recorded and in two
rooms, is averaged; the network in training learns to tell it from a mixture
(``mixing.teacher``), and how likely each of the teacher's classes is, from its name. The teacher
is not needed afterwards, and no part of it is in the model.
"""

import csv
import warnings
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tselcli.acoustics.convolution import convolve
from tselcli.acoustics.scene import scene_rng
from tselcli.acoustics.tracks import bank_of
from tselcli.console import progress_bar
from tselcli.corpora.clip import Clip, read_clip
from tselcli.dataset import corpus_of
from tselcli.errors import DataError, RecipeError
from tselcli.models.lessons import Vectors, save_lessons, whitened
from tselcli.processes import spread
from tselcli.recipe import Recipe
from tselcli.stems import file_digest, room_rirs

RATE, WINDOW, HOP, N_FFT = 16_000, 400, 160, 512
BANDS, LOW_HZ, HIGH_HZ = 64, 125.0, 7500.0
PATCH, PATCH_HOP = 96, 48  # frames
EMBEDDING = 1024
ROOMS, HEARINGS = 24, 2
LONGEST_S = 10.0
PARTS = 32
SILENT_DB = -40.0


def lessons(
    teacher: Path,
    out: Path,
    *,
    recipe: Recipe,
    classes: Path | None = None,
    size: int = 192,
    jobs: int = 2,
) -> dict[str, Any]:
    """Write what a teacher makes of the training clips of a recipe's corpus.

    Args:
        teacher: YAMNet as a TensorFlow Lite file: patches (1, 96, 64) in, 521 scores out.
        out: safetensors file to write.
        recipe: whose corpus and rooms.
        classes: CSV, or with tabs, that names the teacher's classes in order, in display_name.
        size: directions to keep of the embedding's 1024.
        jobs: processes.

    Returns:
        ``clips`` heard and ``unreadable`` ones.

    Raises:
        DataError: the teacher cannot be used, or no clip can be read.
        RecipeError: the interpreter is not installed.
    """
    interpreter = _open(teacher)  # refuse it before any work
    layer = class_layer(interpreter, teacher) if classes else None
    names = class_names(classes, len(layer[1])) if classes and layer else []
    clips = {file_digest(clip): clip for clip in corpus_of(recipe, "train").clips}
    bank = bank_of(recipe.scene)
    rooms = [room_rirs(recipe, bank, number) for number in range(ROOMS)]
    heard: dict[str, Vectors] = {}
    parts = [list(clips.items())[first::PARTS] for first in range(PARTS)]
    with progress_bar(f"parts of {len(clips)} clips", PARTS) as advance:
        work = partial(_listen, teacher, rooms, recipe.seed)
        for part in spread(work, parts, jobs):
            heard |= part
            advance()
    if not heard:
        raise DataError(f"{recipe.corpus.source}: no clip can be read; check the corpus")
    embeddings = np.stack(list(heard.values()))
    odds = above_usual(embeddings @ layer[0].T + layer[1]) if layer else None
    save_lessons(out, list(heard), whitened(embeddings, size), odds, names)
    return {"clips": len(heard), "unreadable": len(clips) - len(heard)}


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


def class_layer(interpreter: Any, teacher: Path) -> tuple[Vectors, Vectors]:
    """Read how the teacher goes from its embedding to log-odds: matrix (521, 1024), offset (521,).

    Raises:
        DataError: it does not do so in one step.
    """
    details = interpreter.get_tensor_details()
    of = {tuple(one["shape"]): one for one in details}
    matrix = next((one for shape, one in of.items() if shape[1:] == (EMBEDDING,)), None)
    offset = matrix and next(
        (one for one in details if tuple(one["shape"]) == (matrix["shape"][0],)), None
    )
    if matrix is None or offset is None:
        raise DataError(f"{teacher}: no layer of classes behind the embedding; not YAMNet")
    return _numbers(interpreter, matrix), _numbers(interpreter, offset)


def log_mel_frames(sound: npt.NDArray[Any]) -> Vectors:
    """Draw the teacher's picture of a sound (N,) at 16 kHz: (T, 64).

    Frames of 25 ms every 10 ms, periodic Hann window, magnitudes in 64 triangular bands that
    are evenly spaced on the mel scale from 125 to 7500 Hz.
    """
    sound = np.pad(sound, (0, max(0, WINDOW + (PATCH - 1) * HOP - len(sound))))
    frames = np.lib.stride_tricks.sliding_window_view(sound, WINDOW)[::HOP]
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WINDOW) / WINDOW)
    magnitude = np.abs(np.fft.rfft(frames * window, N_FFT))
    mel = np.log(magnitude @ _bands() + 0.001)
    return np.asarray(mel * 0.9908 + 1.3994, dtype=np.float32)  # as it was quantised


def _bands() -> npt.NDArray[np.float64]:
    bins = _mel(np.linspace(0, RATE / 2, N_FFT // 2 + 1))[:, None]
    edges = np.linspace(_mel(np.array(LOW_HZ)), _mel(np.array(HIGH_HZ)), BANDS + 2)
    low, centre, high = edges[:-2], edges[1:-1], edges[2:]
    rise, fall = (bins - low) / (centre - low), (high - bins) / (high - centre)
    bands: npt.NDArray[np.float64] = np.maximum(0.0, np.minimum(rise, fall))
    bands[0] = 0.0
    return bands


def _mel(hertz: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.asarray(1127.0 * np.log1p(hertz / 700.0))


def _open(teacher: Path) -> Any:
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError as error:
        raise RecipeError(
            'the teacher needs an interpreter; pip install "tselcli[teacher]"'
        ) from error
    try:
        with warnings.catch_warnings():  # keeping what lies before the scores is meant
            warnings.simplefilter("ignore", UserWarning)
            interpreter = Interpreter(
                str(teacher), experimental_preserve_all_tensors=True, num_threads=1
            )
        interpreter.allocate_tensors()
        shape = list(interpreter.get_input_details()[0]["shape"])
    except (ValueError, RuntimeError, OSError) as error:
        raise DataError(f"{teacher}: not a TensorFlow Lite model ({error})") from error
    if shape != [1, PATCH, BANDS] or _embedding(interpreter) is None:
        raise DataError(f"{teacher}: takes {shape} instead of [1, {PATCH}, {BANDS}]; not YAMNet")
    return interpreter


def _embedding(interpreter: Any) -> dict[str, Any] | None:
    """Find the tensor before the scores, or None."""
    wanted = [1, 1, 1, EMBEDDING]
    found: list[dict[str, Any]] = [
        tensor for tensor in interpreter.get_tensor_details() if list(tensor["shape"]) == wanted
    ]
    return found[-1] if found else None


def _numbers(interpreter: Any, details: dict[str, Any]) -> Vectors:
    """Read a tensor, in 8 bits or not."""
    scale, zero = details["quantization"]
    raw = interpreter.get_tensor(details["index"]).astype(np.float32)
    return np.asarray((raw - zero) * (scale or 1.0), dtype=np.float32)


def _listen(
    teacher: Path,
    rooms: list[npt.NDArray[Any]],
    seed: int,
    clips: list[tuple[str, Clip]],
) -> dict[str, Vectors]:
    """Average what the teacher makes of each clip, as recorded and in rooms."""
    interpreter = _open(teacher)
    heard = {}
    for digest, clip in clips:
        try:
            sound = read_clip(clip, RATE)[: round(LONGEST_S * RATE)]
        except DataError:
            continue
        if not np.any(sound):
            continue
        rng = scene_rng(seed, digest, 0)
        takes = [sound]
        for _ in range(HEARINGS):
            rirs = rooms[rng.integers(len(rooms))]
            rir = rirs[rng.integers(len(rirs)), :1]
            takes.append(convolve(np.pad(sound, (0, RATE // 2)), rir)[0])
        heard[digest] = np.mean([_embed(interpreter, take) for take in takes], axis=0)
    return heard


def _embed(interpreter: Any, sound: npt.NDArray[Any]) -> Vectors:
    """Average the teacher's embedding over a sound (N,), loud patches more: (1024,)."""
    sound = 0.5 * sound / np.abs(sound).max()
    vectors, levels = [], []
    details = _embedding(interpreter)
    assert details is not None
    for start, patch in _patches(log_mel_frames(sound)):
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], patch[None])
        interpreter.invoke()
        vectors.append(_numbers(interpreter, details).reshape(-1))
        piece = sound[start * HOP : (start + PATCH) * HOP]
        levels.append(np.square(piece).mean() if len(piece) else 0.0)
    loudness = 10 * np.log10(np.array(levels) / max(levels) + 1e-9)
    weight = np.maximum(loudness - SILENT_DB, 0.0)
    return np.asarray(weight / weight.sum() @ np.stack(vectors), dtype=np.float32)


def _patches(frames: Vectors) -> Iterator[tuple[int, Vectors]]:
    """Cut frames (T, 64) into overlapping patches (96, 64), with their first frame."""
    for start in range(0, len(frames) - PATCH + 1, PATCH_HOP):
        yield start, frames[start : start + PATCH]
