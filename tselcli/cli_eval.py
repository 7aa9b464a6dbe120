"""``tsel eval MODEL``."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from tselcli.cli_options import (
    ALL_CORES,
    CorpusOption,
    CountOption,
    Device,
    DeviceOption,
    JobsOption,
    Overrides,
    SeedOption,
    Split,
    TableFormat,
    examples,
    read_recipe,
)
from tselcli.cli_output import print_json, print_rich, print_text
from tselcli.errors import RecipeError

EXAMPLES = examples(
    "tsel eval runs/tiny --recipe tiny",
    "tsel eval mask-compact --data scenes/test",
    "tsel eval mask-compact --by level,angle,label",
)


def evaluate(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="A run folder, a file or a bundled model.")
    ],
    data: Annotated[
        Path | None,
        typer.Option(
            help="A folder of `tsel simulate`; starss:DIR or starss-foa:DIR reads STARSS22/23."
        ),
    ] = None,
    recipe: Annotated[
        str | None,
        typer.Option(help="Render the test scenes of this recipe; default: the model's."),
    ] = None,
    split: Annotated[Split, typer.Option(help="Part of the corpus.")] = Split.test,
    count: CountOption = None,
    seed: SeedOption = None,
    corpus: CorpusOption = None,
    device: DeviceOption = Device.auto,
    jobs: JobsOption = ALL_CORES,
    baselines: Annotated[bool, typer.Option(help="Also score what needs no training.")] = True,
    absent: Annotated[
        int, typer.Option(min=0, help="Sounds that are not there to ask about every scene.")
    ] = 2,
    by: Annotated[
        str | None,
        typer.Option(metavar="KEYS", help="Also score by level,angle,rt60,sources,label."),
    ] = None,
    track: Annotated[
        bool | None,
        typer.Option("--track/--no-track", help="Score every 100 ms; default: where sources move."),
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Draw the tracks of some scenes.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="JSON file to write; default: eval.json in a run folder."),
    ] = None,
    form: Annotated[
        TableFormat, typer.Option("--format", help="What to print.")
    ] = TableFormat.table,
    overrides: Overrides = None,
) -> None:
    """Measure a model on test scenes, beside published figures and chance levels."""
    from tselcli.breakdowns import parse_keys
    from tselcli.commands.eval import evaluate

    if recipe is None and (overrides or corpus):
        raise RecipeError("--set, --corpus: nothing to override; name a recipe with --recipe")
    result = evaluate(
        model,
        data=data,
        recipe=None if recipe is None else read_recipe(recipe, overrides, corpus),
        split=split.value,
        count=count,
        seed=seed,
        device=device.value,
        jobs=jobs,
        baselines=baselines,
        absent=absent,
        by=parse_keys(by) if by else (),
        track=track,
        plot=plot,
        out=out,
    )
    if form is TableFormat.json:
        print_json(result)
    else:
        _print_tables(result, form is TableFormat.table and sys.stdout.isatty())


def _print_tables(result: Mapping[str, Any], rich: bool) -> None:
    from tselcli import report, report_eval, report_tracks

    rows = report.eval_rows(result)
    if rich:
        print_rich(report.eval_table(rows))
    else:
        print_text(report.eval_markdown(rows), end="")
    print_text(report_tracks.below_table(result), end="")
    print_text(report_eval.certainty_text(result), end="")
    print_text(report_eval.breakdown_markdown(result.get("breakdowns", {})), end="")
