"""CSV tables of a corpus, read strictly: every mistake names its file, its line and the way out.

Also what all corpora share about files: names stay inside the corpus folder, folders are listed
once instead of asking for every file, and a clip without a split gets one from its own name.
"""

import csv
import hashlib
import io
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from tselcli.errors import DataError

MAX_TABLE_BYTES = 64 * 2**20
SPLITS = ("train", "val", "test")
SPLIT_NAMES = {  # "development" is Clotho's and DCASE's training part, "dev" the usual small one
    "train": "train",
    "training": "train",
    "development": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "dev": "val",
    "test": "test",
    "testing": "test",
    "eval": "test",
    "evaluation": "test",
}


class Row(NamedTuple):
    """One line of a table."""

    where: str  # "FILE.csv, line 3", for messages
    cells: dict[str, str]  # by column name, stripped


def read_table(path: Path, wanted: Sequence[str], max_bytes: int = MAX_TABLE_BYTES) -> list[Row]:
    """Read a CSV file with a header.

    Args:
        path: UTF-8 with or without BOM, any line ends, commas between the cells.
        wanted: columns that must be there; further ones are kept. Case does not matter.
        max_bytes: a larger file is refused.

    Returns:
        The rows in order, without blank lines.

    Raises:
        DataError: the file or a column is missing, or a line cannot be understood.
    """
    reader = csv.reader(io.StringIO(_read_text(path, max_bytes), newline=""), strict=True)
    rows: list[Row] = []
    try:
        columns = [name.strip().lower() for name in next(reader, [])]
        _check_columns(path, columns, wanted)
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            where = f"{path}, line {reader.line_num}"
            if len(cells) != len(columns):
                raise DataError(
                    f"{where}: {len(cells)} cells under {len(columns)} columns; put quotes around "
                    "a cell that holds a comma"
                )
            stripped = (cell.strip() for cell in cells)
            rows.append(Row(where, dict(zip(columns, stripped, strict=True))))
    except csv.Error as error:
        raise DataError(
            f"{path}, line {reader.line_num}: not valid CSV ({error}); check its quotes"
        ) from error
    if not rows:
        raise DataError(f"{path}: no rows under the header; add one line per clip")
    return rows


def _read_text(path: Path, max_bytes: int) -> str:
    """Read a text file whole, with a limit."""
    if not os.path.isfile(path):
        raise DataError(f"{path}: no such file; check the name")
    try:
        with path.open("rb") as file:
            content = file.read(max_bytes + 1)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); check its rights") from error
    if len(content) > max_bytes:
        raise DataError(f"{path}: larger than the limit of {max_bytes} bytes; divide it")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 at byte {error.start}; save it as UTF-8") from error
    if "\0" in text:
        raise DataError(f"{path}: holds NUL characters, so it is no text; save it as UTF-8 CSV")
    return text


def _check_columns(path: Path, columns: list[str], wanted: Sequence[str]) -> None:
    """Refuse a header that lacks a wanted column, or has one twice."""
    found = ", ".join(columns) or "none"
    if not set(wanted) <= set(columns):
        raise DataError(
            f"{path}: columns found: {found}; columns wanted: {', '.join(wanted)}; the first "
            "line must name them, with commas between"
        )
    if len(set(columns)) < len(columns):
        raise DataError(f"{path}: columns found: {found}; one occurs twice, remove it")


def cell(row: Row, column: str) -> str:
    """Give a cell that must not be empty, in printable characters and single spaces."""
    text = "".join(c for c in " ".join(row.cells[column].split()) if c.isprintable())
    if not text:
        raise DataError(f"{row.where}: '{column}' is empty; fill it or remove the line")
    return text


def split_name(row: Row) -> str:
    """Give the split of a row as train, val or test."""
    text = row.cells["split"]
    try:
        return SPLIT_NAMES[text.lower()]
    except KeyError:
        raise DataError(
            f"{row.where}: unknown split '{text}'; use one of {', '.join(SPLIT_NAMES)}"
        ) from None


def hashed_split(name: str) -> str:
    """Draw a split from a name alone: about 8 train to 1 val to 1 test.

    The same name gives the same split on any machine, whatever else the corpus holds.
    """
    tenth = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") % 10
    return "train" if tenth < 8 else SPLITS[tenth - 7]


def inside(root: Path, row: Row, column: str = "file") -> Path:
    """Give the path that a row names, refusing one that leaves the folder of the corpus.

    Links inside the folder may lead anywhere, since their owner put them there.
    """
    name = row.cells[column].replace("\\", "/")
    base = os.path.abspath(root)
    path = Path(os.path.normpath(os.path.join(base, name)))
    if not name or path == Path(base) or not path.is_relative_to(base):
        raise DataError(
            f"{row.where}: '{name}' is not inside {root}; name a file in it, relative to it"
        )
    return path


def existing(paths: Iterable[Path]) -> set[Path]:
    """Give those paths that exist and are no folders, listing each folder once."""
    folders: dict[Path, set[str]] = {}
    found = set()
    for path in paths:
        if path.parent not in folders:
            folders[path.parent] = set(file_names(path.parent))
        if path.name in folders[path.parent]:
            found.add(path)
    return found


def file_names(folder: Path) -> list[str]:
    """Give the sorted names of the files in a folder; none when it cannot be listed."""
    try:
        with os.scandir(folder) as entries:
            return sorted(entry.name for entry in entries if entry.is_file())
    except OSError:
        return []
