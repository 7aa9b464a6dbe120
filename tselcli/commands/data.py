"""``tsel data``: public collections, what they are, getting them, and what a folder lacks."""

import os
from pathlib import Path
from typing import Any

from tselcli.archives import unpack
from tselcli.corpora.catalogue import CATALOGUE, Collection, find_collection
from tselcli.downloads import download
from tselcli.errors import CheckpointError, DataError

EXAMPLES_SHOWN = 3


def list_collections() -> list[dict[str, str]]:
    """Describe every collection of the catalogue.

    Returns:
        Rows of ``name``, ``what``, ``page``, ``licence``, ``checksums`` and ``note``.
    """
    return [
        {
            "name": name,
            "what": collection.what,
            "page": collection.page,
            "licence": collection.licence,
            "checksums": _checksums(collection),
            "note": collection.note,
        }
        for name, collection in CATALOGUE.items()
    ]


def check_collection(name: str, folder: Path) -> list[dict[str, Any]]:
    """Count what a folder has of a collection.

    Returns:
        Rows of ``pattern``, ``wanted`` and ``found`` (files).

    Raises:
        DataError: there is no such collection or folder.
    """
    collection = find_collection(name)
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; `tsel data fetch {name} --to {folder}`")
    paths = [
        os.path.relpath(os.path.join(place, file), folder).replace(os.sep, "/")
        for place, _, files in os.walk(folder)
        for file in files
    ]
    return [
        {"pattern": part.pattern, "wanted": part.count, "found": part.matching(paths)}
        for part in collection.expected
    ]


def explain_missing(name: str, folder: Path, rows: list[dict[str, Any]]) -> str:
    """Say in one line what is missing, and the way out; "" where nothing is."""
    lacking = [row["pattern"] for row in rows if row["found"] < row["wanted"]]
    if not lacking:
        return ""
    shown = ", ".join(lacking[:EXAMPLES_SHOWN]) + (", ..." if len(lacking) > EXAMPLES_SHOWN else "")
    note = find_collection(name).note
    return (
        f"{folder}: {len(lacking)} of {len(rows)} kinds of files are missing or too few ({shown}); "
        + f"`tsel data fetch {name} --to {folder}` gets them" * (not note)
        + f"`tsel data fetch {name} --to {folder}`, then {note}" * bool(note)
    )


def fetch_collection(name: str, folder: Path, url_base: str | None = None) -> dict[str, Any]:
    """Download what is missing of a collection and unpack it; archives are kept.

    Args:
        name: in the catalogue.
        folder: where to; made if it is not there.
        url_base: web address of a folder with the same files; None is the official one.

    Returns:
        ``name``, ``folder``, ``complete`` and ``next`` (what remains to be done by hand, or "").

    Raises:
        DataError: there is no such collection, it cannot be downloaded, is damaged or cannot
            be written. The same command goes on from there.
    """
    collection = find_collection(name)
    if not folder.is_dir() or explain_missing(name, folder, check_collection(name, folder)):
        for file, md5 in collection.files.items():
            _fetch(f"{(url_base or collection.base).rstrip('/')}/{file}", folder / file, md5)
        for file in collection.files:
            if file.endswith(".zip"):
                unpack(folder / file, folder)
    left = explain_missing(name, folder, check_collection(name, folder))
    return {
        "name": name,
        "folder": str(folder),
        "complete": not left,
        "next": (collection.note or left) if left else "",
    }


def _fetch(url: str, target: Path, md5: str | None) -> None:
    if target.is_file():  # under its own name a file is whole
        return
    try:
        download(url, target, md5)
    except CheckpointError as problem:
        raise DataError(str(problem)) from problem


def _checksums(collection: Collection) -> str:
    known = sum(md5 is not None for md5 in collection.files.values())
    if not known:
        return "not known"
    return "all known" if known == len(collection.files) else f"{known} of {len(collection.files)}"
