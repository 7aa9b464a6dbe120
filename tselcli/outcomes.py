"""Files that show what was localised: plots, masks and the sound itself."""

import io
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile

from tselcli.errors import DataError, RecipeError
from tselcli.models.localizer import Answer
from tselcli.plot_masks import draw_heard
from tselcli.plots import FORMATS, Line, draw_posteriors, draw_tracks

SOUND_SUFFIXES = (".wav", ".flac")
MASK_SUFFIXES = (".npz", *FORMATS)


def check_outputs(plot: Path | None, masks: Path | None, sound: Path | None) -> None:
    """Refuse names of files that nothing can be written to, before any work.

    Raises:
        RecipeError: another suffix than the file can have, or no folder to write to.
    """
    wanted = (
        ("--plot", plot, FORMATS),
        ("--save-mask", masks, MASK_SUFFIXES),
        ("--extract", sound, SOUND_SUFFIXES),
    )
    for option, path, suffixes in wanted:
        if path is None:
            continue
        if path.suffix.lower() not in suffixes:
            raise RecipeError(f"{path}: {option} writes {', '.join(suffixes)}; name it like that")
        if not path.parent.is_dir():
            raise RecipeError(f"{path}: no such folder; create it first")


def draw(path: Path, title: str, answers: Sequence[Answer]) -> None:
    """Draw azimuth over time where there are tracks, otherwise posteriors around the circle.

    Below a track stands what was heard of the sound: its share of the spectrogram.
    """
    tracks = [answer.track for answer in answers if answer.track is not None]
    if not tracks:
        draw_posteriors(path, [(a.query, a.azimuth_deg, a.posterior) for a in answers], title)
        return
    lines = [Line(track.query, track.azimuth_deg, track.active) for track in tracks]
    masks = [answer.mask for answer in answers if answer.mask is not None]
    if len(masks) == len(lines):
        draw_heard(path, lines, masks, title)
    else:
        draw_tracks(path, lines, title)


def save_masks(path: Path, title: str, answers: Sequence[Answer]) -> None:
    """Write the masks of all queries: numbers (.npz), or a drawing (.png, .svg, .pdf).

    The numbers are ``share`` (Q, T, M) in [0, 1], ``level_db`` (T, M) relative to the loudest
    frame, ``time_s`` (T,) and ``band_hz`` (M,) of the middle of every point, ``queries`` and
    ``azimuth_deg`` (Q,).

    Raises:
        DataError: the file cannot be written.
    """
    masks = [answer.mask for answer in answers if answer.mask is not None]
    if path.suffix.lower() != ".npz":
        draw_heard(path, [Line(answer.query, np.zeros(0)) for answer in answers], masks, title)
        return
    first = masks[0]
    packed = io.BytesIO()
    np.savez_compressed(
        packed,
        share=np.stack([mask.share for mask in masks]).astype(np.float16),
        level_db=first.level_db.astype(np.float16),
        time_s=(np.arange(len(first.share)) + 0.5) * first.step_s,
        band_hz=first.band_hz,
        queries=np.array([answer.query for answer in answers]),
        azimuth_deg=np.array([answer.azimuth_deg for answer in answers]),
    )
    try:
        path.write_bytes(packed.getvalue())
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}; give another place for the mask") from error


def numbered(path: Path, number: int, count: int) -> Path:
    """Name the file of one query of several: ``out-2.wav``; of one alone as it was given."""
    return path if count == 1 else path.with_name(f"{path.stem}-{number + 1}{path.suffix}")


def write_sound(path: Path, blocks: Iterable[npt.NDArray[np.float32]], rate: int) -> None:
    """Write a mono sound block by block, 16 bits, whole or not at all.

    Raises:
        DataError: the file cannot be written.
    """
    temporary = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    try:
        with soundfile.SoundFile(str(temporary), "w", rate, 1, "PCM_16") as file:
            for block in blocks:
                file.write(np.clip(block, -1.0, 1.0))
        os.replace(temporary, path)
    except (soundfile.LibsndfileError, OSError) as error:
        raise DataError(f"{path}: cannot be written ({error}); check the folder") from error
    finally:
        temporary.unlink(missing_ok=True)
