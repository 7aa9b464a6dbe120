"""``tsel localize``: one recording and its queries, or a table of both."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from tselcli.cli_options import AnswerFormat, Device, DeviceOption, examples
from tselcli.cli_output import print_answers
from tselcli.errors import DataError

DEFAULT_MODEL = "mask-compact"  # comes with the package
DEFAULT_ARRAY = "square:0.12"
EXAMPLES = examples(
    'tsel localize mix.wav "a dog barking" "a car passing"',
    "tsel localize mix.wav rain --array tetra:0.042 --format json",
    'tsel localize mix.wav "a car passing" --track --plot track.png',
    "tsel localize --batch pairs.csv -o answers.csv",
)


def localize(
    audio: Annotated[
        Path | None, typer.Argument(metavar="AUDIO", help="A recording with several channels.")
    ] = None,
    queries: Annotated[
        list[str] | None, typer.Argument(metavar="QUERY", help="Descriptions of sounds.")
    ] = None,
    batch: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="CSV with columns audio,query; - is standard input."),
    ] = None,
    model: Annotated[str, typer.Option(help="Bundled model, run folder or file.")] = DEFAULT_MODEL,
    array: Annotated[
        str | None,
        typer.Option(
            help="square:0.12, tetra:0.042, circular:6:0.05, linear:4:0.03, foa, "
            "FILE.yaml or FILE.sofa."
        ),
    ] = None,
    device: DeviceOption = Device.auto,
    track: Annotated[
        bool, typer.Option("--track", help="Follow each sound: an azimuth for every 100 ms.")
    ] = False,
    plot: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Draw the answers: .png, .svg or .pdf."),
    ] = None,
    top: Annotated[int, typer.Option(min=0, help="Alternatives to list.")] = 3,
    form: Annotated[
        AnswerFormat | None,
        typer.Option("--format", help="Default: rich on a terminal, else json (csv for -o X.csv)."),
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="File instead of stdout.")] = None,
) -> None:
    """Say where the described sounds are.

    With --batch, a row that fails gives an error line, the others go on, and the exit code is 3.
    """
    from tselcli.commands.localize import localize, localize_batch

    options: dict[str, Any] = {
        "model": model,
        "array": array or DEFAULT_ARRAY,
        "device": device.value,
        "top": top,
        "track": track,
    }
    if form is AnswerFormat.dcase and not (track and batch is None):
        raise typer.BadParameter("--format dcase writes the tracks of one AUDIO; add --track")
    if plot is not None and batch is not None:
        raise typer.BadParameter("--plot draws the answers of one AUDIO, not of a --batch")
    if batch is not None and audio is None:
        answers = localize_batch(batch, **options)
    elif batch is None and audio is not None and queries:
        answers = localize([audio], queries, plot=plot, **options)
    else:
        raise typer.BadParameter("give AUDIO and at least one QUERY, or --batch FILE")
    chosen = form or _default_format(out)
    failures = print_answers(answers, chosen.value, out, track)
    if array is None and chosen is AnswerFormat.rich:
        typer.echo(f"array: {DEFAULT_ARRAY} was assumed; give yours with --array", err=True)
    if failures:
        typer.echo(f"tsel: {failures} row(s) failed", err=True)
        raise typer.Exit(DataError.exit_code)


def _default_format(out: Path | None) -> AnswerFormat:
    if out is not None:
        return AnswerFormat.csv if out.suffix.lower() == ".csv" else AnswerFormat.json
    return AnswerFormat.rich if sys.stdout.isatty() else AnswerFormat.json
