"""A folder of simulated scenes that survives being interrupted, and several writers at once.

Every file is written beside its place and renamed, so that what has its name is whole. A line
of the manifest is added when all files of its scene are there: it is the proof that the scene
is finished. A kill may leave half a line at the end; it counts as no line.
"""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tselcli.acoustics.manifest import MANIFEST
from tselcli.acoustics.scene import SPLITS
from tselcli.files import write_text_atomically

if sys.platform != "win32":
    import fcntl

Key = tuple[int, str, int]  # rank of the split, split, index: the order of a manifest


def finished_scenes(out: Path, split: str) -> set[int]:
    """List the scenes of a split that have a line and all their files."""
    return {index for (_, name, index) in _lines(out) if name == split}


def add_line(out: Path, line: str) -> None:
    """Add a scene's line to the manifest, after any half line."""
    with _locked(out), (out / MANIFEST).open("ab+") as file:
        if file.tell() > 0:
            file.seek(-1, os.SEEK_END)
            if file.read(1) != b"\n":
                file.write(b"\n")
        file.write(line.encode() + b"\n")


def sort_manifest(out: Path) -> None:
    """Bring the manifest into order: train, val, test, by index, a line per finished scene."""
    with _locked(out):
        if (out / MANIFEST).exists():
            lines = sorted(_lines(out).items())
            write_text_atomically(out / MANIFEST, "".join(f"{line}\n" for _, line in lines))


def _lines(out: Path) -> dict[Key, str]:
    """Read the lines of finished scenes; of several for one scene, the last counts."""
    try:
        content = (out / MANIFEST).read_bytes()
    except FileNotFoundError:
        return {}
    lines = {}
    for line in content.decode(errors="replace").split("\n"):
        try:
            values = json.loads(line)
            split, index, audio = values["split"], values["index"], values["audio"]
            rank = SPLITS.index(split)
        except (ValueError, KeyError, TypeError):
            continue  # half a line
        labels = out / "dcase" / f"{Path(audio).stem}.csv"
        if (out / audio).is_file() and labels.is_file():
            lines[rank, split, index] = line
    return lines


@contextmanager
def _locked(out: Path) -> Iterator[None]:
    """Keep other processes that write into the folder waiting; the lock dies with us.

    Windows cannot lock a folder: there, shards must be written one after the other.
    """
    if sys.platform == "win32":
        yield
        return
    handle = os.open(out, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
