"""``tsel report RUN...``."""

from pathlib import Path
from typing import Annotated

import typer

from tselcli.cli_options import ReportFormat, examples
from tselcli.cli_output import print_text

EXAMPLES = examples("tsel report runs/I-2 runs/II-1", "tsel report runs/I-1 runs/I-2 -o tables.tex")
BY_ENDING = {".tex": ReportFormat.latex, ".csv": ReportFormat.csv}


def lay_out(
    runs: Annotated[
        list[Path],
        typer.Argument(metavar="RUN", help="Evaluated run folders, or files of `tsel eval -o`."),
    ],
    form: Annotated[
        ReportFormat | None,
        typer.Option("--format", help="Default: by the ending of -o, else markdown."),
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="File to write.")] = None,
) -> None:
    """Lay evaluated runs out as the paper's two tables, ours beside the published figures."""
    from tselcli.commands.report import gather
    from tselcli.files import write_text_atomically
    from tselcli.report_tables import WRITERS

    ending = out.suffix.lower() if out else ""
    chosen = form or BY_ENDING.get(ending, ReportFormat.markdown)
    text = WRITERS[chosen.value](gather(runs))
    if out is None:
        print_text(text, end="")
    else:
        write_text_atomically(out, text)
