"""``tsel localize``: where is the sound I describe?"""

import csv
import io
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from tselcli.acoustics.geometry import MicArray, parse_array
from tselcli.corpora.audio import read_audio
from tselcli.errors import DataError, RecipeError, TselError
from tselcli.models.direct import DirectLocalizer
from tselcli.models.direct_checkpoint import open_localizer
from tselcli.models.localizer import Answer, Localizer
from tselcli.models.track import Track
from tselcli.models.training import pick_device
from tselcli.plots import Line, check_plot, draw_posteriors, draw_tracks

CONVENTION = "degrees, counter-clockwise, 0 = front, [-180, 180)"
Locator = Localizer | DirectLocalizer
MAX_QUERY_LETTERS = 100_000
MAX_PAIRS_BYTES = 100_000_000


def localize(
    audio: Sequence[Path],
    queries: Sequence[str],
    *,
    model: str = "mask-compact",
    array: str = "square:0.12",
    device: str = "auto",
    top: int = 3,
    track: bool = False,
    plot: Path | None = None,
) -> Iterator[dict[str, Any]]:
    """Answer every query for every recording.

    Args:
        audio: recordings of one array.
        queries: descriptions.
        model: bundled name, checkpoint file or run folder.
        array: geometry as in :func:`tselcli.acoustics.geometry.parse_array`.
        device: auto, cpu, cuda or mps.
        top: alternatives to give at most.
        track: also say where each sound is in every 100 ms.
        plot: PNG, SVG or PDF file to draw the answers of the one recording in.

    Yields:
        One record per recording and query, in order.

    Raises:
        RecipeError: an empty query or a bad array.
        DataError: a recording that cannot be used.
        CheckpointError: the model cannot be loaded.
    """
    for query in queries:
        check_query(query)
    if plot is not None:
        check_plot(plot)
    geometry = parse_array(array)
    localizer = open_localizer(model, pick_device(device))
    for path in audio:
        answers = _answers(localizer, path, queries, geometry, top, track)
        if plot is not None:
            _draw(plot, path, answers)
        for answer in answers:
            yield _record(str(path), localizer.name, answer)


def localize_batch(
    pairs: Path,
    *,
    model: str = "mask-compact",
    array: str = "square:0.12",
    device: str = "auto",
    top: int = 3,
    track: bool = False,
) -> Iterator[dict[str, Any]]:
    """Answer every row of a CSV file with the columns ``audio`` and ``query``, in order.

    A row that fails gives ``{"audio", "query", "error"}`` and the rest goes on. Paths are
    relative to the current folder; ``-`` reads the rows from standard input. Neighbouring rows
    of one recording share its analysis.

    Raises:
        DataError: the file cannot be read, or lacks a column.
        RecipeError: a bad array.
        CheckpointError: the model cannot be loaded.
    """
    rows = read_pairs(pairs)
    geometry = parse_array(array)
    localizer = open_localizer(model, pick_device(device))
    for audio, queries in _runs(rows):
        yield from _ask_each(localizer, audio, queries, geometry, top, track)


def check_query(query: str) -> None:
    """Refuse what describes nothing.

    Raises:
        RecipeError: the query is empty, or longer than any description.
    """
    if not query.strip():
        raise RecipeError('the query is empty; describe the sound, for example "a dog barking"')
    if len(query) > MAX_QUERY_LETTERS:
        raise RecipeError(
            f"the query has {len(query)} characters; describe the sound in a sentence or two"
        )


def read_pairs(path: Path) -> list[tuple[str, str]]:
    """Read (audio, query) rows of a CSV file, or of standard input for ``-``.

    Raises:
        DataError: missing, too large, not UTF-8, or without the two columns.
    """
    text = sys.stdin.read() if str(path) == "-" else _read_text(path)
    reader = csv.DictReader(io.StringIO(text.removeprefix("\ufeff")), strict=True)
    try:
        columns = reader.fieldnames or []
        if not {"audio", "query"} <= set(columns):
            raise DataError(
                f"{path}: has the columns {', '.join(columns) or 'none'}; needs audio,query"
            )
        return [(row["audio"] or "", row["query"] or "") for row in reader]
    except csv.Error as error:
        raise DataError(f"{path}: not a CSV file ({error}); write columns audio,query") from error


def _read_text(path: Path) -> str:
    try:
        if path.stat().st_size > MAX_PAIRS_BYTES:
            raise DataError(f"{path}: larger than {MAX_PAIRS_BYTES // 10**6} MB; split it")
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}; give a CSV file, or - for stdin") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 text; save the CSV file as UTF-8") from error


def _runs(rows: Iterable[tuple[str, str]]) -> Iterator[tuple[str, list[str]]]:
    """Gather neighbouring rows of the same recording."""
    run: tuple[str, list[str]] | None = None
    for audio, query in rows:
        if run is not None and run[0] == audio:
            run[1].append(query)
            continue
        if run is not None:
            yield run
        run = (audio, [query])
    if run is not None:
        yield run


def _ask_each(
    localizer: Locator,
    audio: str,
    queries: list[str],
    array: MicArray,
    top: int,
    track: bool,
) -> Iterator[dict[str, Any]]:
    """Answer the queries of one recording; what cannot be answered becomes an error record."""
    problems: dict[int, str] = {}
    for number, query in enumerate(queries):
        try:
            check_query(query)
        except RecipeError as error:
            problems[number] = str(error)
    good = [query for number, query in enumerate(queries) if number not in problems]
    answers: Iterator[Answer] = iter(())
    try:
        answers = iter(_answers(localizer, Path(audio), good, array, top, track) if good else [])
    except TselError as error:
        problems = {number: problems.get(number, str(error)) for number in range(len(queries))}
    for number, query in enumerate(queries):
        if number in problems:
            yield {"audio": audio, "query": query, "error": problems[number]}
        else:
            yield _record(str(Path(audio)), localizer.name, next(answers))


def _answers(
    localizer: Locator,
    path: Path,
    queries: Sequence[str],
    array: MicArray,
    top: int,
    track: bool,
) -> list[Answer]:
    signal, rate = read_audio(path)
    try:
        return localizer.locate(signal, rate, queries, array, alternatives=top, track=track)
    except DataError as error:
        raise DataError(f"{path}: {error}") from error


def _draw(plot: Path, audio: Path, answers: Sequence[Answer]) -> None:
    """Draw azimuth over time where there are tracks, otherwise posteriors around the circle."""
    tracks = [answer.track for answer in answers if answer.track is not None]
    if tracks:
        lines = [Line(t.query, t.azimuth_deg, t.active) for t in tracks]
        draw_tracks(plot, lines, audio.name)
    else:
        draw_posteriors(plot, [(a.query, a.azimuth_deg, a.posterior) for a in answers], audio.name)


def _record(audio: str, model: str, answer: Answer) -> dict[str, Any]:
    record = {
        "audio": audio,
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
        record["trajectory"] = _trajectory(answer.track)
    return record


def _trajectory(track: Track) -> list[dict[str, Any]]:
    return [
        {
            "time_s": float(time_s),
            "azimuth_deg": round(float(azimuth), 1),
            "confidence": round(float(confidence), 3),
            "active": bool(active),
        }
        for time_s, azimuth, confidence, active in zip(
            track.time_s, track.azimuth_deg, track.confidence, track.active, strict=True
        )
    ]
