"""The only place that formats: JSON, CSV, tables and summaries, and files written whole.

Commands return plain values; what they look like on a screen or in a file is decided here. Text
that came from outside (a query, a file name) is stripped of control characters before it
reaches a terminal.
"""

import csv
import dataclasses
import io
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from rich import box
from rich.table import Table
from rich.text import Text

Row = Mapping[str, Any]

DIGITS = 6  # significant digits of a number in JSON and CSV
ANSWER_COLUMNS = (
    "audio",
    "query",
    "model",
    "azimuth_deg",
    "confidence",
    "present",
    "alternatives",
    "warnings",
    "error",
)
EVAL_HEADINGS = ("System", "Scenes", "MAE [95 %]", "Median", "ACC@5", "@10", "@20", "Selection")
EVAL_NOTE = "Angles in degrees, rates in %, brackets hold 95 % intervals over scenes."


def to_json(value: Any) -> str:
    """Write a value as one line of strict JSON.

    Numpy values and data classes become plain ones, NaN and infinity become null, and numbers
    keep six significant digits. Everything outside ASCII is escaped, so that any terminal and
    any pipe can carry it.
    """
    return json.dumps(_plain(value), allow_nan=False)


def to_csv(rows: Iterable[Row], columns: Sequence[str], header: bool = True) -> str:
    """Write rows as CSV (comma, LF, quoted where needed) with the given columns.

    A missing or undefined value is an empty cell, a truth is 1 or 0, a list is written as
    ``a;b`` and the alternatives of an answer as ``azimuth:score``.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    if header:
        writer.writerow(columns)
    for row in map(_plain, rows):
        writer.writerow([_cell(row.get(column)) for column in columns])
    return text.getvalue()


def eval_rows(result: Row) -> list[Row]:
    """Arrange what ``tsel eval`` found as the rows of a table.

    The model comes first and carries its labels; where the recipe names a published figure,
    that stands below it and says that it is not ours.
    """
    ours, *others = result["rows"]
    labels = "".join(f" ({label})" for label in result.get("labels") or ())
    rows = [{**ours, "system": f"{ours['system']}{labels}"}, *others]
    published = result.get("published")
    if published:
        name = f"paper, Table {published['table']} row {published['row']} (published)"
        rows.insert(1, {"system": name, "mae_deg": published["mae_deg"], "published": True})
    return rows


def eval_table(rows: Iterable[Row], title: str = "") -> Table:
    """Lay out the figures of ``metrics.score`` for a terminal, one system per row.

    Args:
        rows: ``system`` and the figures; what is missing or None shows as a dash.
        title: above the table.
    """
    table = Table(
        title=title or None,
        caption=EVAL_NOTE,
        box=box.SIMPLE_HEAVY,
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )
    for heading in EVAL_HEADINGS:
        name = heading == "System"
        side: Literal["left", "right"] = "left" if name else "right"
        table.add_column(heading, justify=side, no_wrap=not name, overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in _eval_cells(row)))
    return table


def eval_markdown(rows: Iterable[Row]) -> str:
    """Write the same table as Markdown, padded so that it also reads well as plain text."""
    lines = [_eval_cells(row) for row in rows]
    right = [heading != "System" for heading in EVAL_HEADINGS]
    return f"{markdown_table(EVAL_HEADINGS, lines, right)}\n{EVAL_NOTE}\n"


def markdown_table(
    headings: Sequence[str], lines: Iterable[Sequence[str]], right: Sequence[bool]
) -> str:
    """Write a Markdown table, padded so that it also reads well as plain text.

    Args:
        headings: of the columns.
        lines: a text per column.
        right: which columns stand at the right, as numbers do.
    """
    cells = [[cell.replace("|", "\\|") for cell in line] for line in [headings, *lines]]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    rule = ["-" * (width - at) + ":" * at for width, at in zip(widths, right, strict=True)]
    padded = [
        [cell.rjust(width) if at else cell.ljust(width) for cell, width, at in places]
        for places in (zip(line, widths, right, strict=True) for line in cells)
    ]
    return "".join(f"| {' | '.join(line)} |\n" for line in [padded[0], rule, *padded[1:]])


def models_text(rows: Iterable[Row]) -> str:
    """Write a list of models as aligned text: name, size, licence and what it is, then where."""
    lines = []
    for row in rows:
        about = f"{row['name']:13} {row['size_mb']:5d} MB  {row['licence']:22}  {row['what']}"
        missing = f"not here; `tsel models fetch {row['name']}`"
        lines.append(f"{printable(about)}\n{'':13} {printable(row['where'] or missing)}\n")
    return "".join(lines)


def collections_text(rows: Iterable[Row]) -> str:
    """Write a list of collections: name and what it is, then licence, checksums and address."""
    lines = []
    for row in rows:
        lines.append(f"{row['name']:12} {row['what']}\n")
        lines.append(f"{'':12} licence: {row['licence']}; checksums: {row['checksums']}\n")
        lines.append(f"{'':12} {row['page']}\n")
        lines.extend([f"{'':12} note: {row['note']}\n"] if row["note"] else [])
    return "".join(lines)


def check_text(rows: Iterable[Row]) -> str:
    """Write what a folder has of a collection: found and wanted files of each pattern."""
    return "".join(
        f"{'ok' if row['found'] >= row['wanted'] else 'missing':8} "
        f"{row['found']:5d} of {row['wanted']:5d}  {row['pattern']}\n"
        for row in rows
    )


def _plain(value: Any) -> Any:
    """Turn a value into what JSON knows: dict, list, text, number, truth or None."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if hasattr(value, "tolist"):  # numpy arrays and scalars, torch tensors
        value = value.tolist()
    if isinstance(value, Mapping):
        plain = {str(key): _plain(inner) for key, inner in value.items()}
        if plain.get("azimuth_deg") == 180.0:  # rounded up and out of [-180, 180)
            plain["azimuth_deg"] = -180.0
        return plain
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(inner) for inner in value]
    if isinstance(value, float):
        return _rounded(value)
    return str(value) if isinstance(value, Path) else value


def _rounded(value: float) -> float | None:
    return float(f"{value:.{DIGITS}g}") + 0.0 if math.isfinite(value) else None  # + 0.0: no -0.0


def _cell(value: Any) -> Any:
    """Turn a plain value into one CSV cell."""
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, list):
        return ";".join(str(_cell(inner)) for inner in value)
    if isinstance(value, dict):
        return ":".join(str(_cell(inner)) for inner in value.values())
    return value


def _eval_cells(row: Row) -> list[str]:
    mae = number(row.get("mae_deg"), 1, "g" if row.get("published") else ".1f")
    selection = number(row.get("selection"), 100, ".0f")
    return [
        printable(str(row["system"])),
        number(row.get("scenes"), 1, "d"),
        mae + interval(row.get("mae_deg_interval"), 1, ".1f"),
        number(row.get("median_deg"), 1, ".1f"),
        *(number(row.get(f"acc_{tolerance}"), 100, ".0f") for tolerance in (5, 10, 20)),
        selection + interval(row.get("selection_interval"), 100, ".0f"),
    ]


def number(value: float | None, scale: int, pattern: str) -> str:
    """Write a figure times ``scale``; a dash for none."""
    return "-" if value is None or math.isnan(value) else format(scale * value, pattern)


def interval(bounds: Sequence[float] | None, scale: int, pattern: str) -> str:
    """Write bounds as `` [low, high]``; nothing for none."""
    return f" [{', '.join(number(bound, scale, pattern) for bound in bounds)}]" if bounds else ""


def printable(text: str) -> str:
    """Replace what could steer a terminal (escape sequences, line ends) by spaces."""
    return "".join(character if character.isprintable() else " " for character in text)
