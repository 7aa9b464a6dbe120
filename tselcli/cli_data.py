"""``tsel data ls | fetch | check``."""

from pathlib import Path
from typing import Annotated

import typer

from tselcli.cli_options import examples
from tselcli.cli_output import print_json, print_text

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="A name of `tsel data ls`.")]

data_app = typer.Typer(
    no_args_is_help=True,
    help="List, download and check public collections of sounds and room responses.",
    epilog=examples(
        "tsel data ls",
        "tsel data fetch tau-srir --to TAU",
        "tsel data check tau-srir TAU",
    ),
)


@data_app.command("ls")
def ls() -> None:
    """List collections: what they are, where from, and their licence."""
    from tselcli import report
    from tselcli.commands.data import list_collections

    print_text(report.collections_text(list_collections()), end="")


@data_app.command("fetch")
def fetch(
    name: NameArgument,
    to: Annotated[Path, typer.Option("--to", metavar="DIR", help="Where to; made if missing.")],
    url_base: Annotated[
        str | None, typer.Option(metavar="URL", help="A mirror: a folder with the same files.")
    ] = None,
) -> None:
    """Download and unpack what is missing; the same command goes on after an interruption."""
    from tselcli.commands.data import fetch_collection

    print_json(fetch_collection(name, to, url_base))


@data_app.command("check")
def check(
    name: NameArgument,
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of the collection.")],
) -> None:
    """Say what is there and what is missing; exit code 3 when something is."""
    from tselcli import report
    from tselcli.commands.data import check_collection, explain_missing
    from tselcli.errors import DataError

    rows = check_collection(name, folder)
    print_text(report.check_text(rows), end="")
    missing = explain_missing(name, folder, rows)
    if missing:
        raise DataError(missing)
