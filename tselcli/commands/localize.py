"""``tsel localize``: where is the sound I describe?"""

import csv
import io
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from tselcli.acoustics.geometry import parse_array
from tselcli.corpora.audio import AUDIO_SUFFIXES
from tselcli.errors import DataError, RecipeError, TselError
from tselcli.inquiry import Locator, Wanted, ask
from tselcli.models.direct_checkpoint import open_localizer
from tselcli.models.training import pick_device
from tselcli.outcomes import check_outputs

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
    start_s: float = 0.0,
    stop_s: float | None = None,
    target_estimate: Path | None = None,
    plot: Path | None = None,
    save_mask: Path | None = None,
    extract: Path | None = None,
) -> Iterator[dict[str, Any]]:
    """Answer every query for every recording.

    With several recordings, or a folder, one that cannot be used gives a record
    ``{"audio", "query", "error"}`` for each query, and the others go on.

    Args:
        audio: recordings of one array, and folders of them.
        queries: descriptions; with ``target_estimate`` there may be none.
        model: bundled name, checkpoint file or run folder.
        array: geometry as in :func:`tselcli.acoustics.geometry.parse_array`.
        device: auto, cpu, cuda or mps.
        top: alternatives to give at most.
        track: also say where each sound is in every 100 ms.
        start_s: where to begin in every recording, seconds.
        stop_s: where to end, seconds; None is the end.
        target_estimate: file with the separated sound, in place of the network.
        plot: PNG, SVG or PDF file to draw the answers of the one recording in.
        save_mask: NPZ, PNG, SVG or PDF file for its masks.
        extract: WAV or FLAC file for what was localised in it.

    Yields:
        One record per recording and query, in order.

    Raises:
        RecipeError: an empty query or a bad array.
        DataError: a recording that cannot be used, where it is the only one.
        CheckpointError: the model cannot be loaded.
    """
    if target_estimate is not None and not queries:
        queries = [target_estimate.stem]
    for query in queries:
        check_query(query)
    check_outputs(plot, save_mask, extract)
    geometry = parse_array(array)
    paths = find_recordings(audio)
    alone = len(paths) == 1 and not audio[0].is_dir()
    files = plot, save_mask, extract, target_estimate
    if any(files) and not alone:
        raise RecipeError(
            "--plot, --save-mask, --extract, --target-estimate: are of one recording; give one"
        )
    wanted = Wanted(geometry, top, track, start_s, stop_s, target_estimate, *files[:3])
    localizer = open_localizer(model, pick_device(device))
    for path in paths:
        if alone:
            yield from ask(localizer, path, queries, wanted)
        else:
            yield from _ask_each(localizer, str(path), queries, wanted)


def find_recordings(audio: Sequence[Path]) -> list[Path]:
    """List recordings: files as they are given, and all those in and below folders, by name.

    Raises:
        DataError: a folder holds none.
    """
    found: list[Path] = []
    for path in audio:
        if not path.is_dir():
            found.append(path)
            continue
        inside = sorted(
            inner
            for inner in path.rglob("*")
            if inner.suffix.lower() in AUDIO_SUFFIXES
            and not inner.name.startswith(".")
            and inner.is_file()
        )
        if not inside:
            raise DataError(
                f"{path}: holds no recordings ({', '.join(AUDIO_SUFFIXES)}); give another folder"
            )
        found += inside
    return found


def localize_batch(
    pairs: Path,
    *,
    model: str = "mask-compact",
    array: str = "square:0.12",
    device: str = "auto",
    top: int = 3,
    track: bool = False,
    start_s: float = 0.0,
    stop_s: float | None = None,
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
    wanted = Wanted(parse_array(array), top, track, start_s, stop_s)
    localizer = open_localizer(model, pick_device(device))
    for audio, queries in _runs(rows):
        yield from _ask_each(localizer, audio, queries, wanted)


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
    localizer: Locator, audio: str, queries: Sequence[str], wanted: Wanted
) -> Iterator[dict[str, Any]]:
    """Answer the queries of one recording; what cannot be answered becomes an error record."""
    problems: dict[int, str] = {}
    for number, query in enumerate(queries):
        try:
            check_query(query)
        except RecipeError as error:
            problems[number] = str(error)
    good = [query for number, query in enumerate(queries) if number not in problems]
    records: Iterator[dict[str, Any]] = iter(())
    try:
        records = iter(ask(localizer, Path(audio), good, wanted) if good else [])
    except TselError as error:
        problems = {number: problems.get(number, str(error)) for number in range(len(queries))}
    for number, query in enumerate(queries):
        if number in problems:
            yield {"audio": audio, "query": query, "error": problems[number]}
        else:
            yield next(records)
