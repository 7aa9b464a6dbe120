"""The list of questions of ``tsel localize --batch``: a CSV file of recordings and queries.

    audio,query
    kitchen.wav,a kettle whistling
    street.wav,"a tram, braking"

Further columns are ignored. A recording is looked for where the command runs, then beside the
CSV file.
"""

import csv
import io
import sys
from pathlib import Path

from tselcli.errors import DataError

COLUMNS = ("audio", "query")
MAX_BYTES = 100_000_000


def read_pairs(path: Path) -> tuple[list[Path], list[str]]:
    """Read recordings and queries, row by row, into two lists of the same length.

    Blank lines are passed over; a cell that is missing is read as empty, so that the row fails
    when it is answered and not before. ``-`` is standard input.

    Raises:
        DataError: the file cannot be read, is no CSV, lacks a column or holds no row.
    """
    reader = csv.DictReader(io.StringIO(_text(path), newline=""), strict=True, restval="")
    try:
        missing = [column for column in COLUMNS if column not in (reader.fieldnames or ())]
        if missing:
            raise DataError(
                f"{path}: no column {' and no column '.join(map(repr, missing))}; "
                "the first line must be audio,query"
            )
        rows = [(_beside(row["audio"].strip(), path), row["query"].strip()) for row in reader]
    except csv.Error as error:
        raise DataError(f"{path}: line {reader.line_num}: not CSV ({error}); mend it") from error
    if not rows:
        raise DataError(f"{path}: holds no rows; add one line per question below audio,query")
    return [audio for audio, _ in rows], [query for _, query in rows]


def _text(path: Path) -> str:
    """Read the whole file, with or without a byte order mark."""
    try:
        if str(path) == "-":
            content = sys.stdin.buffer.read(MAX_BYTES + 1)
        else:
            with path.open("rb") as file:
                content = file.read(MAX_BYTES + 1)
        text = content.decode("utf-8-sig")
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); check the path") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 text; save the table as CSV in UTF-8") from error
    if len(content) > MAX_BYTES:
        raise DataError(f"{path}: larger than {MAX_BYTES} bytes; split it")
    return text


def _beside(audio: str, table: Path) -> Path:
    beside = table.parent / audio
    return beside if audio and not Path(audio).exists() and beside.exists() else Path(audio)
