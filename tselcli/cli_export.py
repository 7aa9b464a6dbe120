"""``tsel export``: the model for where torch is not."""

from pathlib import Path
from typing import Annotated

import typer

from tselcli.cli_options import examples
from tselcli.cli_output import print_json

EXAMPLES = examples("tsel export model.onnx", "tsel export mine.onnx --model runs/mine")


def export(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The .onnx file to write.")],
    model: Annotated[str, typer.Option(help="Bundled model, run folder or file.")] = "mask-compact",
) -> None:
    """Write a mask model as ONNX, with its text encoder and vocabulary beside it.

    Needs the extra: pip install "tselcli[onnx]". The graphs are run with onnxruntime and
    compared with torch before the command ends; examples/locate_with_onnx.py uses them.
    """
    from tselcli.commands.export import export

    print_json(export(model, out))
