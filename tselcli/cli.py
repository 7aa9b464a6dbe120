"""The command line: read arguments, call one function, print its result.

Results go to stdout and everything else to stderr. Nothing heavy is imported before a command
runs, so that help and recipes answer at once. A mistake that the user can mend is one line on
stderr and an exit code: 2 usage or recipe, 3 data, 4 checkpoint. Anything else is a bug of ours
and shows as a traceback.
"""

import io
import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from tselcli import cli_doctor, cli_eval, cli_export, cli_localize, cli_serve, cli_simulate
from tselcli.cli_data import data_app
from tselcli.cli_develop import (
    ADAPT_EXAMPLES,
    CALIBRATE_EXAMPLES,
    DEVELOPERS,
    DISTILL_EXAMPLES,
    JOIN_EXAMPLES,
    LESSONS_EXAMPLES,
    adapt,
    calibrate,
    distill,
    join,
    lessons,
)
from tselcli.cli_models import models_app
from tselcli.cli_options import (
    ALL_CORES,
    CorpusOption,
    DataOption,
    Device,
    DeviceOption,
    JobsOption,
    OutFolder,
    Overrides,
    RecipeArgument,
    examples,
    read_recipe,
)
from tselcli.cli_output import print_json, print_text
from tselcli.cli_recipes import recipes_app
from tselcli.cli_report import EXAMPLES as REPORT_EXAMPLES
from tselcli.cli_report import lay_out
from tselcli.errors import TselError

INTERRUPTED = 130  # 128 + the number of SIGINT


class _Commands(TyperGroup):
    """Tells a user's mistake in one line, where Typer would show a traceback."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except TselError as error:
            typer.echo(f"tsel: {error}", err=True)
            raise typer.Exit(error.exit_code) from error
        except KeyboardInterrupt as error:
            typer.echo("tsel: interrupted", err=True)
            raise typer.Exit(INTERRUPTED) from error


app = typer.Typer(
    name="tsel",
    cls=_Commands,
    help="Text-queried sound event localization: where is the sound I describe?",
    epilog=examples(
        'tsel localize mix.wav "a dog barking"',
        "tsel train tiny --out runs/tiny",
        "tsel eval runs/tiny",
    ),
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(recipes_app, name="recipes")
app.add_typer(models_app, name="models")
app.add_typer(data_app, name="data")


def _show_version(wanted: bool) -> None:
    if wanted:
        from tselcli.about import versions

        print_text("\n".join(f"{name} {version}" for name, version in versions()))
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=_show_version,
            is_eager=True,
            help="Of all parts.",
        ),
    ] = False,
) -> None:
    pass


app.command(epilog=cli_simulate.EXAMPLES)(cli_simulate.simulate)
app.command(epilog=cli_simulate.FEATURES_EXAMPLES)(cli_simulate.features)


@app.command(
    epilog=examples(
        "tsel train tiny --out runs/tiny",
        "tsel train mask --set corpus.source=my_sounds.csv --out runs/mine",
    )
)
def train(
    recipe: RecipeArgument,
    out: OutFolder,
    data: DataOption = None,
    val_data: DataOption = None,
    corpus: CorpusOption = None,
    device: DeviceOption = Device.auto,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in --out.")] = False,
    jobs: JobsOption = ALL_CORES,
    overrides: Overrides = None,
) -> None:
    """Train a model; without --data, scenes are rendered on the way."""
    from tselcli.commands.train import train

    figures = train(
        read_recipe(recipe, overrides, corpus),
        out,
        data=data,
        val_data=val_data,
        device=device.value,
        resume=resume,
        jobs=jobs,
    )
    if figures:  # under torchrun, only the first process has some
        print_json(figures)


app.command("eval", epilog=cli_eval.EXAMPLES)(cli_eval.evaluate)
app.command("report", epilog=REPORT_EXAMPLES)(lay_out)
app.command(epilog=cli_localize.EXAMPLES)(cli_localize.localize)
app.command(epilog=cli_doctor.EXAMPLES)(cli_doctor.doctor)
app.command(epilog=cli_serve.EXAMPLES)(cli_serve.serve)
app.command(epilog=cli_export.EXAMPLES)(cli_export.export)

app.command(rich_help_panel=DEVELOPERS, epilog=ADAPT_EXAMPLES)(adapt)
app.command(rich_help_panel=DEVELOPERS, epilog=CALIBRATE_EXAMPLES)(calibrate)
app.command(rich_help_panel=DEVELOPERS, epilog=DISTILL_EXAMPLES)(distill)
app.command(rich_help_panel=DEVELOPERS, epilog=JOIN_EXAMPLES)(join)
app.command(rich_help_panel=DEVELOPERS, epilog=LESSONS_EXAMPLES)(lessons)


def main() -> None:
    """Run ``tsel`` with the arguments of the process."""
    if isinstance(sys.stdout, io.TextIOWrapper):  # a name that stdout cannot spell is no crash
        sys.stdout.reconfigure(errors="backslashreplace")
    app(prog_name="tsel")
