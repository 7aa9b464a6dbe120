"""One recording and what is asked of it: answers as records, and files that show them.

recording -> answers -> records (azimuth, confidence, warnings, trajectory)
                     -> a plot, the masks, the sound that was localised
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tselcli.acoustics.geometry import MicArray
from tselcli.cautions import caution_about_alike, caution_about_line, cautions_about_recording
from tselcli.console import progress_bar
from tselcli.corpora.audio import read_audio
from tselcli.corpora.recording import BLOCK_S, Recording
from tselcli.errors import CheckpointError, DataError
from tselcli.features.streamed import Sound, Streamed
from tselcli.models.direct import DirectLocalizer
from tselcli.models.estimate import open_estimate
from tselcli.models.extract import extract
from tselcli.models.localizer import Answer, Localizer
from tselcli.models.scoring import MAX_CELLS
from tselcli.models.track import Track
from tselcli.outcomes import draw, numbered, save_masks, write_sound

CONVENTION = "degrees, counter-clockwise, 0 = front, [-180, 180)"
Locator = Localizer | DirectLocalizer


@dataclass(frozen=True)
class Wanted:
    """What is asked of a recording beside the queries.

    Attributes:
        array: that recorded it.
        top: alternatives to give at most.
        track: also say where each sound is in every 100 ms.
        start_s: where to begin, seconds.
        stop_s: where to end, seconds; None is the end.
        estimate: a file with the separated sound, in place of the network.
        plot: PNG, SVG or PDF to draw.
        posteriors: PNG, SVG or PDF for the directions of the clips, beside a plot of tracks.
        masks: NPZ, PNG, SVG or PDF for the masks.
        sound: WAV or FLAC for what was localised.
    """

    array: MicArray
    top: int = 3
    track: bool = False
    start_s: float = 0.0
    stop_s: float | None = None
    estimate: Path | None = None
    plot: Path | None = None
    masks: Path | None = None
    sound: Path | None = None
    posteriors: Path | None = None


def ask(
    localizer: Locator, path: Path, queries: Sequence[str], wanted: Wanted
) -> list[dict[str, Any]]:
    """Answer all queries about one recording, and write the files that are wanted.

    Returns:
        One record per query, in their order.

    Raises:
        DataError: the recording cannot be used, or a file cannot be written.
        CheckpointError: the model cannot do what is wanted.
    """
    try:
        levels = Recording(path, wanted.start_s, wanted.stop_s).levels()
        common = cautions_about_recording(levels, wanted.array)
        answers = _answers(localizer, path, queries, wanted)
    except DataError as error:
        known = str(error).startswith(str(path))
        raise error if known else DataError(f"{path}: {error}") from error
    if wanted.plot is not None:
        draw(wanted.plot, path.name, answers)
    if wanted.posteriors is not None:
        draw(wanted.posteriors, path.name, [replace(answer, track=None) for answer in answers])
    if wanted.masks is not None:
        save_masks(wanted.masks, path.name, answers)
    return [_record(path, localizer.name, answer, common, wanted) for answer in answers]


def _answers(
    localizer: Locator, path: Path, queries: Sequence[str], wanted: Wanted
) -> list[Answer]:
    array, top, track = wanted.array, wanted.top, wanted.track
    if isinstance(localizer, DirectLocalizer):
        if wanted.estimate or wanted.masks or wanted.sound:
            raise CheckpointError(
                f"{localizer.name}: makes no masks, so --save-mask, --extract and "
                "--target-estimate are not for it; take a mask model"
            )
        signal, rate = read_audio(path, wanted.start_s, wanted.stop_s)
        return localizer.locate(signal, rate, queries, array, alternatives=top, track=track)
    audio = localizer.open(path, array, wanted.start_s, wanted.stop_s)
    masked = bool(wanted.masks or wanted.sound or (wanted.plot and track))
    estimate = None
    if wanted.estimate is not None:
        estimate = open_estimate(localizer, wanted.estimate, wanted.start_s, wanted.stop_s)
    with _progress(audio, path, len(queries), wanted):
        answers = localizer.ask(audio, queries, array, top, track, masked, estimate)
        if wanted.sound is not None:
            _save_sounds(localizer, audio, answers, array, wanted.sound)
    return answers


def _save_sounds(
    localizer: Localizer, audio: Sound, answers: Sequence[Answer], array: MicArray, out: Path
) -> None:
    """Write what was localised of every query: a beam towards the answer, and its mask."""
    for number, answer in enumerate(answers):
        assert answer.mask is not None
        blocks = extract(localizer, audio, array, answer.mask.share, answer.azimuth_deg)
        rate = localizer.features.sample_rate
        write_sound(numbered(out, number, len(answers)), blocks, rate)


@contextmanager
def _progress(audio: Sound, path: Path, n_queries: int, wanted: Wanted) -> Iterator[None]:
    """Show how far a long recording is, in blocks of 20 s over all passes."""
    if not isinstance(audio, Streamed):
        yield
        return
    seconds = audio.recording.samples / audio.recording.rate
    cells = 64 * seconds / 0.04  # as many as the bundled model has
    groups = -(-n_queries // max(1, int(MAX_CELLS / cells)))
    passes = 2 + groups * (4 if wanted.track else 2) + 2 * n_queries * (wanted.sound is not None)
    with progress_bar(path.name, max(1, round(passes * seconds / BLOCK_S))) as advance:
        audio.advance = advance
        yield


def _record(
    path: Path, model: str, answer: Answer, common: Sequence[str], wanted: Wanted
) -> dict[str, Any]:
    record: dict[str, Any] = {
        "audio": str(path),
        "query": answer.query,
        "model": model,
        "azimuth_deg": round(answer.azimuth_deg, 1),
        "confidence": round(answer.confidence, 3),
        "present": answer.present,
        "alternatives": [
            {"azimuth_deg": round(azimuth, 1), "score": round(score, 3)}
            for azimuth, score in answer.alternatives
        ],
        "convention": CONVENTION,
    }
    if answer.track is not None:
        record["trajectory"] = _trajectory(answer.track, wanted.start_s)
    warnings = [*common, *caution_about_line(answer.azimuth_deg, wanted.array)]
    warnings += caution_about_alike(answer.past_alike)
    if warnings:
        record["warnings"] = warnings
    return record


def _trajectory(track: Track, start_s: float) -> list[dict[str, Any]]:
    """Give a row for every 100 ms; times count from the beginning of the file."""
    return [
        {
            "time_s": round(start_s + float(time_s), 6),
            "azimuth_deg": round(float(azimuth), 1),
            "confidence": round(float(confidence), 3),
            "active": bool(active),
        }
        for time_s, azimuth, confidence, active in zip(
            track.time_s, track.azimuth_deg, track.confidence, track.active, strict=True
        )
    ]
