"""``tsel models``: which models and encoders there are, where they stand, and getting them.

Nothing else in the package downloads: an encoder whose files are missing names this command.
"""

import os
from pathlib import Path
from typing import Any

from tselcli.downloads import NotOnServerError, download
from tselcli.errors import CheckpointError
from tselcli.files import write_text_atomically
from tselcli.models.weights import (
    CATALOGUE,
    LAION_CHECKPOINT,
    Part,
    bundled_files,
    checksum_file,
    find_bundled,
    find_weights,
    models_folder,
)

HUB = "https://huggingface.co"
COMPACT = "compact"  # stands inside the bundled model
COMPACT_HOST = "mask-compact"


def list_models() -> list[dict[str, Any]]:
    """Describe every bundled model and every encoder.

    Returns:
        Rows of ``name``, ``what``, ``size_mb``, ``licence`` and ``where``: a file or folder, or
        None for what is not on this machine.
    """
    rows = [
        {
            "name": name,
            "what": "bundled model, with the text encoder `compact` inside",
            "size_mb": round(path.stat().st_size / 1e6),
            "licence": "MIT; see its card",
            "where": str(path),
        }
        for name, path in bundled_files().items()
    ]
    for name, weights in CATALOGUE.items():
        try:
            where = str(model_path(name))
        except CheckpointError:
            where = None
        rows.append(
            {
                "name": name,
                "what": weights.what,
                "size_mb": weights.size_mb,
                "licence": weights.licence,
                "where": where,
            }
        )
    return rows


def model_path(name: str) -> Path:
    """Find a model: the file of a bundled one or of a checkpoint, else the folder of its files.

    Raises:
        CheckpointError: there is no such model, or it is not on this machine.
    """
    if name not in CATALOGUE:
        return find_bundled(COMPACT_HOST if name == COMPACT else name)
    files = find_weights(name)
    return files.get(LAION_CHECKPOINT) or files["config.json"].parent


def fetch_model(name: str, url_base: str | None = None) -> Path:
    """Download what is missing of an encoder into our own folder.

    Args:
        name: in the catalogue; what is bundled needs no download.
        url_base: of a mirror of the hub; None is ``$HF_ENDPOINT`` or the hub itself.

    Returns:
        As ``model_path``.

    Raises:
        CheckpointError: no such model, or it cannot be downloaded.
        DataError: it cannot be written.
    """
    if name not in CATALOGUE:
        return model_path(name)
    base = (url_base or os.environ.get("HF_ENDPOINT") or HUB).rstrip("/")
    for part in CATALOGUE[name].parts:
        for alternatives in part.files:
            _fetch_first(base, part, alternatives, models_folder(name))
    return model_path(name)


def _fetch_first(base: str, part: Part, alternatives: tuple[str, ...], folder: Path) -> None:
    """Download one of several files of the same use, unless one is there."""
    if any((folder / name).is_file() for name in alternatives):
        return
    for name in alternatives:
        target = folder / name
        try:
            checksum = download(f"{base}/{part.repo}/resolve/{part.revision}/{name}", target)
        except NotOnServerError:
            if name == alternatives[-1]:
                raise
        else:
            write_text_atomically(checksum_file(target), f"{checksum}  {name}\n")
            return
