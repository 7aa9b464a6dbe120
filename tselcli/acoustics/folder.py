"""A folder of simulated scenes that survives being interrupted, and several writers at once.

Every file is written beside its place and renamed, so that what has its name is whole. A line
of the manifest is added when all files of its scene are there: it is the proof that the scene
is finished. A kill may leave half a line at the end; it counts as no line.

    audio/train_000000.flac          the first thousand of a split
    audio/012/train_012345.flac      each further thousand has a folder of its own
    shards/train-000012.tar          or: a thousand packed into one file, labels and all
"""

import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from tselcli.acoustics.manifest import MANIFEST, SHARDS, is_inside
from tselcli.acoustics.scene import SPLITS
from tselcli.errors import DataError, RecipeError
from tselcli.files import is_leftover, replacing, unwritable, write_text_atomically
from tselcli.recipe import Recipe, load_recipe, recipe_to_yaml

if sys.platform != "win32":
    import fcntl

Key = tuple[int, str, int]  # rank of the split, split, index: the order of a manifest

TOGETHER = 1_000  # scenes of a split in a folder, or in a shard


@dataclass(frozen=True)
class Entry:
    """A finished scene: where its line is in the manifest, and where its recording is."""

    start: int
    size: int
    audio: str


def audio_place(split: str, index: int) -> str:
    """Say where the recording of a scene is, relative to the folder."""
    thousand = index // TOGETHER
    within = f"{thousand:03d}/" if thousand else ""
    return f"audio/{within}{split}_{index:06d}.flac"


def labels_place(audio: str) -> str:
    """Say where the labels of a recording are, relative to the folder."""
    return str(PurePosixPath("dcase", *PurePosixPath(audio).parts[1:]).with_suffix(".csv"))


def prepare_folder(out: Path, recipe: Recipe) -> None:
    """Make the folder, or check that its scenes were drawn from the same recipe and seed.

    Raises:
        DataError: it cannot be made.
        RecipeError: it holds something else.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"{out}: {error.strerror}; give a folder that can be written") from error
    if not (out / "recipe.yaml").exists():
        if (out / MANIFEST).exists():
            raise RecipeError(f"{out}: holds scenes without a recipe.yaml; give another folder")
        write_text_atomically(out / "recipe.yaml", recipe_to_yaml(recipe))
        return
    other = differences(load_recipe(str(out / "recipe.yaml")), recipe)
    if other:
        raise RecipeError(
            f"{out}: holds scenes of another {' and '.join(other)} (see its recipe.yaml); "
            f"give another folder, or delete this one"
        )


def differences(a: Recipe, b: Recipe) -> list[str]:
    """Name what two recipes disagree on, of that which decides their scenes."""
    return [name for name in ("seed", "corpus", "scene") if getattr(a, name) != getattr(b, name)]


def finished_scenes(out: Path, split: str) -> set[int]:
    """List the scenes of a split that have a line and all their files."""
    return {index for (_, name, index) in finished_entries(out) if name == split}


def finished_entries(out: Path) -> dict[Key, Entry]:
    """Find the finished scenes of all splits; of several lines for one scene, the last counts.

    Folders are listed once, no file is looked at by itself.
    """
    found: dict[Key, Entry] = {}
    there = _Listing(out)
    for start, line in _manifest_lines(out):
        known = _read_key(line)
        if known is not None and there.complete(known[1]):
            found[known[0]] = Entry(start, len(line), known[1])
    return found


def _manifest_lines(out: Path) -> Iterator[tuple[int, bytes]]:
    """Yield the place and the bytes of every line, half ones included, without line ends."""
    try:
        with (out / MANIFEST).open("rb") as file:
            start = 0
            for line in file:
                yield start, line.removesuffix(b"\n")
                start += len(line)
    except FileNotFoundError:
        return


def _read_key(line: bytes) -> tuple[Key, str] | None:
    try:
        values = json.loads(line)
        split, index, audio = values["split"], values["index"], values["audio"]
        key = (SPLITS.index(split), split, index)
        sound = isinstance(index, int) and isinstance(audio, str) and is_inside(audio)
    except (ValueError, KeyError, TypeError):
        return None  # half a line
    return (key, audio) if sound else None


class _Listing:
    """Answers whether files are there from one listing of each folder."""

    def __init__(self, out: Path) -> None:
        self.out = out
        self.names: dict[str, set[str]] = {}

    def complete(self, audio: str) -> bool:
        """Say whether a recording has its files; what is packed has them all in its shard."""
        if audio.startswith(f"{SHARDS}/"):
            return self._has(str(PurePosixPath(audio).parent))
        return self._has(audio) and self._has(labels_place(audio))

    def _has(self, place: str) -> bool:
        folder, _, name = place.rpartition("/")
        if folder not in self.names:
            try:
                self.names[folder] = set(os.listdir(self.out / folder))
            except OSError:
                self.names[folder] = set()
        return name in self.names[folder]


def add_line(out: Path, line: str) -> None:
    """Add a scene's line to the manifest, after any half line.

    Raises:
        DataError: it cannot be written; the manifest is as it was.
    """
    with locked(out):
        append_lines(out, [line])


def append_lines(out: Path, lines: Sequence[str]) -> None:
    """Add lines to the manifest, all or none; the folder must be locked."""
    path = out / MANIFEST
    try:
        with path.open("ab+", buffering=0) as file:
            end = file.seek(0, os.SEEK_END)
            file.seek(max(0, end - 1))
            start = b"" if end == 0 or file.read(1) == b"\n" else b"\n"
            rest = memoryview(start + "".join(f"{line}\n" for line in lines).encode())
            try:
                while rest:
                    rest = rest[file.write(rest) :]
            except OSError:
                file.truncate(end)
                raise
    except OSError as error:
        raise unwritable(path, error) from error


def sort_manifest(out: Path) -> None:
    """Bring the manifest into order: train, val, test, by index, a line per finished scene.

    Raises:
        DataError: it cannot be written; the manifest is as it was.
    """
    with locked(out):
        path = out / MANIFEST
        if not path.exists():
            return
        entries = finished_entries(out)
        ordered = [entries[key] for key in sorted(entries)]
        after = 0
        for entry in ordered:
            if entry.start != after:
                break
            after += entry.size + 1
        if after == path.stat().st_size:
            return
        with replacing(path) as temporary, path.open("rb") as old, temporary.open("wb") as new:
            for entry in ordered:
                new.write(_line_at(old, entry) + b"\n")


def read_lines(out: Path, entries: Mapping[Key, Entry]) -> Iterator[tuple[Key, str]]:
    """Read the lines of scenes, in the order of the entries."""
    with (out / MANIFEST).open("rb") as file:
        for key, entry in entries.items():
            yield key, _line_at(file, entry).decode()


def with_audio(line: str, audio: str) -> str:
    """Write a line with another place of the recording."""
    values = json.loads(line)
    if values["audio"] == audio:
        return line
    return json.dumps({**values, "audio": audio}, ensure_ascii=False)


def leftovers(out: Path) -> set[Path]:
    """List files that somebody was writing when we looked: just now, or before a kill."""
    found = {Path(out, name) for name in os.listdir(out) if is_leftover(name)}
    for kind in ("audio", "dcase"):
        for folder, _, names in os.walk(out / kind):
            found |= {Path(folder, name) for name in names if is_leftover(name)}
    return found


@contextmanager
def locked(out: Path) -> Iterator[None]:
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


def _line_at(file: BinaryIO, entry: Entry) -> bytes:
    file.seek(entry.start)
    return file.read(entry.size)
