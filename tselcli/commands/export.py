"""``tsel export``: the model as ONNX, for where torch is not."""

from pathlib import Path
from typing import Any

from tselcli.errors import RecipeError
from tselcli.models.checkpoint import load_checkpoint
from tselcli.models.onnx_export import check_onnx, export_onnx


def export(model: str, out: Path) -> dict[str, Any]:
    """Write a mask model as ONNX and compare it with torch.

    Args:
        model: bundled name, checkpoint file or run folder.
        out: ``NAME.onnx``; ``NAME.text.onnx`` and ``NAME.vocab.txt`` stand beside it.

    Returns:
        The files, and the largest difference from torch over several lengths.

    Raises:
        RecipeError: another suffix, or a folder that is not there.
        CheckpointError: the model cannot be loaded, or the extra ``onnx`` is not installed.
    """
    if out.suffix.lower() != ".onnx":
        raise RecipeError(f"{out}: cannot write that; name a file .onnx")
    if not out.parent.is_dir():
        raise RecipeError(f"{out}: no such folder; create it first")
    checkpoint = load_checkpoint(model)
    files = export_onnx(checkpoint, out)
    return {
        "model": checkpoint.name,
        "files": files,
        "largest_difference": check_onnx(checkpoint, out),
    }
