"""``tsel models ls | path | fetch``."""

from typing import Annotated

import typer

from tselcli.cli_options import examples
from tselcli.cli_output import print_text

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="A name of `tsel models ls`.")]

models_app = typer.Typer(
    no_args_is_help=True,
    help="List, find and download models and encoders.",
    epilog=examples(
        "tsel models ls",
        "tsel models fetch flan-t5",
        "tsel models path mask-compact",
    ),
)


@models_app.command("ls")
def ls() -> None:
    """List models and encoders: which are here, where, their size and licence."""
    from tselcli import report
    from tselcli.commands.models import list_models

    print_text(report.models_text(list_models()), end="")


@models_app.command("path")
def path(name: NameArgument) -> None:
    """Print where a model stands; exit code 4 when it is not on this machine."""
    from tselcli.commands.models import model_path

    print_text(str(model_path(name)))


@models_app.command("fetch")
def fetch(
    name: NameArgument,
    url_base: Annotated[
        str | None,
        typer.Option(metavar="URL", help="A mirror of the hub; default: $HF_ENDPOINT or the hub."),
    ] = None,
) -> None:
    """Download what is missing of an encoder; the same command goes on after an interruption."""
    from tselcli.commands.models import fetch_model

    print_text(str(fetch_model(name, url_base)))
