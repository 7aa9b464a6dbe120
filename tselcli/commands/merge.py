"""Bring the shards of a simulation together: ``tsel simulate --merge``.

Machines that share no disk render shards into folders of their own. Merging links or copies
their recordings and labels into one folder, whose files then are those of a run on one machine.
Nothing of the shards changes, and the same command continues an interrupted merge.
"""

import filecmp
import os
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tselcli.acoustics.folder import (
    Entry,
    Key,
    append_lines,
    audio_place,
    differences,
    finished_entries,
    labels_place,
    leftovers,
    locked,
    prepare_folder,
    read_lines,
    sort_manifest,
    with_audio,
)
from tselcli.acoustics.manifest import MANIFEST, SHARDS
from tselcli.acoustics.packing import contents, pack
from tselcli.console import progress_bar
from tselcli.errors import DataError, RecipeError
from tselcli.files import replacing, write_bytes_atomically
from tselcli.recipe import Recipe, load_recipe

TOGETHER = 100  # scenes that are noted in the manifest at a time


@dataclass(frozen=True)
class Merged:
    """What a merge did.

    Attributes:
        out: the folder.
        scenes: that it holds now.
        merged: scenes brought in now.
        kept: scenes of the shards that were there already.
        repeated: scenes that stand in several shards, alike.
        missing: scenes below the highest number of their split that no shard has.
        seconds: how long it took.
    """

    out: Path
    scenes: int
    merged: int
    kept: int
    repeated: int
    missing: int
    seconds: float


def merge(folders: Sequence[Path], out: Path, *, webdataset: bool = False) -> Merged:
    """Merge the finished scenes of several folders of ``tsel simulate`` into one.

    Args:
        folders: shards of one simulation; they stay as they are.
        out: the folder, new or holding scenes of the same recipe and seed.
        webdataset: pack the scenes into tar files in the end.

    Raises:
        RecipeError: no folders, ``out`` is among them, or their recipes or seeds differ.
        DataError: a folder cannot be read or written, or the same scene differs in two of them;
            then nothing was merged.
    """
    began = time.monotonic()
    recipe = _agreed(folders, out)
    if (out / "recipe.yaml").exists():
        prepare_folder(out, recipe)
    shards = {folder: finished_entries(folder) for folder in folders}
    before = finished_entries(out)
    homes, repeated = _homes(shards)
    for key in sorted(homes.keys() & before.keys()):
        _compare(key, (out, before[key]), (homes[key], shards[homes[key]][key]))
    prepare_folder(out, recipe)
    missing = sorted(homes.keys() - before.keys())
    half_written = leftovers(out) if missing else set()
    with progress_bar("merge", len(homes), "scenes", len(homes) - len(missing)) as step:
        for start in range(0, len(missing), TOGETHER):
            part = missing[start : start + TOGETHER]
            lines = [_bring(key, homes[key], shards[homes[key]][key], out) for key in part]
            with locked(out):
                append_lines(out, lines)
            for _ in part:
                step()
    sort_manifest(out)
    for file in half_written:  # and still is: left by a kill
        file.unlink(missing_ok=True)
    if webdataset:
        pack(out)
    there = homes.keys() | before.keys()
    gaps = sum(1 + max(k[2] for k in there if k[1] == name) for name in {k[1] for k in there})
    seconds = time.monotonic() - began
    kept = len(homes) - len(missing)
    return Merged(out, len(there), len(missing), kept, repeated, gaps - len(there), seconds)


def _agreed(folders: Sequence[Path], out: Path) -> Recipe:
    """Check that all folders are shards of one simulation; gives its recipe."""
    if not folders:
        raise RecipeError("--merge: name the folders to merge")
    places = [folder.resolve() for folder in folders]
    if out.resolve() in places or len(set(places)) < len(places):
        raise RecipeError(f"--merge: {out} and the folders must all be different; name each once")
    recipes = []
    for folder in folders:
        if not (folder / MANIFEST).is_file() or not (folder / "recipe.yaml").is_file():
            raise DataError(
                f"{folder}: lacks {MANIFEST} or recipe.yaml; merge folders of `tsel simulate`"
            )
        recipes.append(load_recipe(str(folder / "recipe.yaml")))
    for folder, recipe in zip(folders, recipes, strict=True):
        other = differences(recipes[0], recipe)
        if other:
            raise RecipeError(
                f"{folder}: was made with another {' and '.join(other)} than {folders[0]}; "
                "merge shards of one simulation"
            )
    return recipes[0]


def _homes(shards: dict[Path, dict[Key, Entry]]) -> tuple[dict[Key, Path], int]:
    """Choose a folder for every scene, and count scenes that several folders have."""
    homes: dict[Key, Path] = {}
    repeated = set()
    for folder, entries in shards.items():
        for key, entry in entries.items():
            if key in homes:
                _compare(key, (homes[key], shards[homes[key]][key]), (folder, entry))
                repeated.add(key)
            else:
                homes[key] = folder
    return homes, len(repeated)


def _compare(key: Key, one: tuple[Path, Entry], other: tuple[Path, Entry]) -> None:
    """Refuse a scene that differs in two folders; links to one file are not read."""
    ((_, line),) = read_lines(one[0], {key: one[1]})
    ((_, second),) = read_lines(other[0], {key: other[1]})
    alike = with_audio(line, "") == with_audio(second, "")
    if not alike or not _same_files(key, one, other):
        _, split, index = key
        raise DataError(
            f"{other[0]}: scene {index} of {split} differs from that in {one[0]}; "
            "delete the wrong one, or merge the shards of one version of tsel"
        )


def _same_files(key: Key, one: tuple[Path, Entry], other: tuple[Path, Entry]) -> bool:
    places = [folder / entry.audio for folder, entry in (one, other)]
    if all(place.is_file() for place in places):
        labels = [folder / labels_place(entry.audio) for folder, entry in (one, other)]
        return _same(*places) and _same(*labels)
    return contents(one[0], key, one[1]) == contents(other[0], key, other[1])


def _same(one: Path, other: Path) -> bool:
    return one.samefile(other) or filecmp.cmp(one, other, shallow=False)


def _bring(key: Key, home: Path, entry: Entry, out: Path) -> str:
    """Link, copy or unpack the files of a scene; gives its line."""
    audio = audio_place(key[1], key[2])
    if entry.audio.startswith(f"{SHARDS}/"):
        sound, labels = contents(home, key, entry)
        write_bytes_atomically(out / audio, sound)
        write_bytes_atomically(out / labels_place(audio), labels)
    else:
        _link(home / entry.audio, out / audio)
        _link(home / labels_place(entry.audio), out / labels_place(audio))
    ((_, line),) = read_lines(home, {key: entry})
    return with_audio(line, audio)


def _link(source: Path, target: Path) -> None:
    """Give a file a second name where that is possible, and copy it elsewhere."""
    with replacing(target) as temporary:
        try:
            os.link(source, temporary)
        except OSError:  # another disk, or one without links
            shutil.copyfile(source, temporary)
