"""What reaches stdout: text, JSON lines, tables, and answers as soon as they are there.

When the reader goes away (``tsel localize ... | head -1``) the command ends quietly with the
code that a shell gives for a closed pipe.
"""

import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from tselcli.errors import DataError
from tselcli.files import write_text_atomically

if TYPE_CHECKING:
    from rich.console import RenderableType

Answer = Mapping[str, Any]

PIPE_CLOSED = 141  # 128 + the number of SIGPIPE


def print_text(text: str, end: str = "\n") -> None:
    """Print text at once; colours only where stdout is a terminal.

    Raises:
        DataError: stdout cannot be written, as on a full disk.
    """
    try:
        typer.echo(text + end, nl=False)
        sys.stdout.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # so that exit cannot fail
        if isinstance(error, BrokenPipeError):
            raise typer.Exit(PIPE_CLOSED) from error
        raise DataError(f"stdout: {error.strerror}; send the output elsewhere") from error


def print_json(value: Any) -> None:
    """Print one line of JSON."""
    from tselcli import report

    print_text(report.to_json(value))


def print_rich(renderable: "RenderableType") -> None:
    """Print a table or summary as wide as the terminal."""
    from rich.console import Console

    console = Console()
    with console.capture() as capture:
        console.print(renderable)
    print_text(capture.get(), end="")


def print_answers(
    answers: Iterable[Answer], form: str, out: Path | None, track: bool = False
) -> int:
    """Write answers in the form ``rich``, ``json``, ``csv``, ``dcase`` or ``audacity``.

    With ``track``, CSV has a line for every frame; labels need it. Without ``out``, JSON and CSV
    lines appear one by one; a file is written whole at the end.

    Returns:
        The number of answers that are errors.
    """
    failures: list[Answer] = []
    counted = _counted(answers, failures)
    if form == "rich":
        from tselcli.report_answers import localize_summary

        renderable = localize_summary(list(counted))
        if out is None:
            print_rich(renderable)
        else:
            write_text_atomically(out, _as_text(renderable))
    elif out is None:
        for line in _lines(counted, form, track):
            print_text(line, end="")
    else:
        write_text_atomically(out, "".join(_lines(counted, form, track)))
    return len(failures)


def _counted(answers: Iterable[Answer], failures: list[Answer]) -> Iterator[Answer]:
    for answer in answers:
        if "error" in answer:
            failures.append(answer)
        yield answer


def _lines(answers: Iterable[Answer], form: str, track: bool) -> Iterator[str]:
    from tselcli import report, report_tracks

    columns = report_tracks.TRACK_COLUMNS if track else report.ANSWER_COLUMNS
    if form in report_tracks.LABELS:
        yield report_tracks.LABELS[form](list(answers))
        return
    if form == "csv":
        yield report.to_csv([], columns)
    for answer in answers:
        if form == "csv":
            rows = report_tracks.frame_rows(answer) if track else [answer]
            yield report.to_csv(rows, columns, header=False)
        else:
            yield report.to_json(answer) + "\n"


def _as_text(renderable: "RenderableType") -> str:
    from io import StringIO

    from rich.console import Console

    file = StringIO()
    Console(file=file, width=100, no_color=True).print(renderable)
    return file.getvalue()
