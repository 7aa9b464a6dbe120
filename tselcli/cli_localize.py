"""``tsel localize``: recordings and queries, or a table of both."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from tselcli.cli_options import AnswerFormat, Device, DeviceOption, examples
from tselcli.cli_output import print_answers
from tselcli.errors import DataError

DEFAULT_MODEL = "mask-compact"  # comes with the package
DEFAULT_ARRAY = "square:0.12"
RECORDINGS = (".wav", ".flac", ".ogg", ".mp3", ".aiff", ".aif")
EXAMPLES = examples(
    'tsel localize mix.wav "a dog barking" "a car passing"',
    "tsel localize mix.wav rain --array tetra:0.042 --format json",
    'tsel localize mix.wav "a car passing" --track --plot track.png',
    'tsel localize hour.flac "a baby crying" --from 12:30 --to 14:00 --extract baby.wav',
    'tsel localize recordings/ -q "a dog barking" -q rain --format csv -o answers.csv',
    "tsel localize mix.wav --target-estimate separated.wav",
    "tsel localize --batch pairs.csv -o answers.csv",
)


def seconds(text: str) -> float:
    """Read a time: seconds, or minutes and hours before them (``90``, ``1:30``, ``1:02:03.5``)."""
    parts = text.split(":")
    try:
        numbers = [float(part) for part in parts]
    except ValueError:
        numbers = []
    if not 1 <= len(numbers) <= 3 or not all(0 <= number < 1e7 for number in numbers):
        raise typer.BadParameter(f"'{text}' is no time; write 90, 1:30 or 1:02:03.5")
    total = 0.0
    for number in numbers:
        total = 60 * total + number
    return total


def localize(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="AUDIO... QUERY...",
            help="Recordings or a folder of them, then descriptions of sounds.",
        ),
    ] = None,
    more: Annotated[
        list[str] | None,
        typer.Option("--query", "-q", metavar="QUERY", help="A description; repeatable."),
    ] = None,
    batch: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="CSV with columns audio,query; - is standard input."),
    ] = None,
    model: Annotated[str, typer.Option(help="Bundled model, run folder or file.")] = DEFAULT_MODEL,
    array: Annotated[
        str | None,
        typer.Option(
            help="square:0.12, tetra:0.042, circular:6:0.05, linear:4:0.03, foa, foa-n3d, "
            "foa-fuma, FILE.yaml or FILE.sofa."
        ),
    ] = None,
    device: DeviceOption = Device.auto,
    track: Annotated[
        bool, typer.Option("--track", help="Follow each sound: an azimuth for every 100 ms.")
    ] = False,
    start: Annotated[
        str, typer.Option("--from", metavar="TIME", help="Begin there: 90, 1:30 or 1:02:03.5.")
    ] = "0",
    stop: Annotated[
        str | None, typer.Option("--to", metavar="TIME", help="End there; default: the end.")
    ] = None,
    target_estimate: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The sound as a separator gives it; needs no QUERY."),
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Draw the answers: .png, .svg or .pdf."),
    ] = None,
    save_mask: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="What was heard of it: .npz, or drawn as .png."),
    ] = None,
    extract: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Hear what was localised: .wav or .flac."),
    ] = None,
    top: Annotated[int, typer.Option(min=0, help="Alternatives to list.")] = 3,
    form: Annotated[
        AnswerFormat | None,
        typer.Option("--format", help="Default: rich on a terminal, else json (csv for -o X.csv)."),
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="File instead of stdout.")] = None,
) -> None:
    """Say where the described sounds are.

    Of several recordings, or rows of a --batch, one that fails gives an error line, the others
    go on, and the exit code is 3.
    """
    from tselcli.commands.localize import localize, localize_batch

    audio, queries = divide(words or [], more or [])
    start_s, stop_s = seconds(start), None if stop is None else seconds(stop)
    if stop_s is not None and stop_s <= start_s:
        raise typer.BadParameter("--to must be after --from")
    chosen = form or _default_format(out)
    labels = chosen in (AnswerFormat.dcase, AnswerFormat.audacity)
    options: dict[str, Any] = {
        "model": model,
        "array": array or DEFAULT_ARRAY,
        "device": device.value,
        "top": top,
        "track": track or labels,
        "start_s": start_s,
        "stop_s": stop_s,
    }
    files: dict[str, Any] = {
        "target_estimate": target_estimate,
        "plot": plot,
        "save_mask": save_mask,
        "extract": extract,
    }
    if (labels or any(files.values())) and (batch is not None or len(audio) > 1):
        raise typer.BadParameter("labels, plots, masks and sounds are of one AUDIO; give one")
    if batch is not None and not audio and not queries:
        answers = localize_batch(batch, **options)
    elif batch is None and audio and (queries or target_estimate is not None):
        answers = localize(audio, queries, **options, **files)
    else:
        raise typer.BadParameter("give AUDIO and at least one QUERY, or --batch FILE")
    failures = print_answers(answers, chosen.value, out, options["track"])
    if array is None and chosen is AnswerFormat.rich:
        typer.echo(f"array: {DEFAULT_ARRAY} was assumed; give yours with --array", err=True)
    if failures:
        typer.echo(f"tsel: {failures} row(s) failed", err=True)
        raise typer.Exit(DataError.exit_code)


def divide(words: list[str], queries: list[str]) -> tuple[list[Path], list[str]]:
    """Tell recordings from queries: the first word, and those after it that end like a file.

    With ``--query``, every word is a recording.
    """
    count = len(words)
    if not queries:
        named = [word.lower().endswith(RECORDINGS) for word in words]
        count = next((k for k in range(1, len(words)) if not named[k]), len(words))
    return [Path(word) for word in words[:count]], [*words[count:], *queries]


def _default_format(out: Path | None) -> AnswerFormat:
    if out is not None:
        return AnswerFormat.csv if out.suffix.lower() == ".csv" else AnswerFormat.json
    return AnswerFormat.rich if sys.stdout.isatty() else AnswerFormat.json
