"""``tsel doctor``: what makes directions wrong, and the way out."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from tselcli.cli_localize import DEFAULT_ARRAY, seconds
from tselcli.cli_options import FindingsFormat, examples
from tselcli.cli_output import print_json, print_rich, print_text
from tselcli.errors import DataError

EXAMPLES = examples(
    "tsel doctor mix.wav --array square:0.12",
    "tsel doctor mix.wav --array foa --format json",
)


def doctor(
    audio: Annotated[Path, typer.Argument(metavar="AUDIO", help="A recording.")],
    array: Annotated[
        str, typer.Option(help="As in `tsel localize`: square:0.12, foa, FILE.yaml, ...")
    ] = DEFAULT_ARRAY,
    start: Annotated[
        str, typer.Option("--from", metavar="TIME", help="Begin there; a minute is looked at.")
    ] = "0",
    form: Annotated[
        FindingsFormat, typer.Option("--format", help="What to print.")
    ] = FindingsFormat.text,
) -> None:
    """Check a recording and its array for what makes directions wrong.

    Channel count, clipping, silent or copied channels, swapped channels, inverted polarity, a wrong
    spacing, ambisonics of another order or scale, and channels on different clocks. A swap that
    mirrors the array onto itself cannot be seen. The exit code is 3 if something was found.
    """
    from tselcli import report_findings
    from tselcli.commands.doctor import doctor

    found = doctor(audio, array=array, start_s=seconds(start))
    if form is FindingsFormat.json:
        print_json({"audio": str(audio), "array": array, "findings": found})
    elif sys.stdout.isatty():
        print_rich(report_findings.findings_rich(found))
    else:
        print_text(report_findings.findings_text(found), end="")
    if found:
        raise typer.Exit(DataError.exit_code)
