"""Finished scenes packed into tar files of a thousand, as WebDataset reads them.

    OUT/shards/train-000012.tar
        train_012000.flac    the recording
        train_012000.json    the scene's line, in which "audio" is the member above
        train_012000.csv     DCASE labels

The same scenes give the same bytes: no times, no owners, members in the order of the scenes. A
shard is renamed into place before the manifest names it, and recordings are deleted after that,
so an interruption loses nothing and the next call goes on.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from itertools import groupby
from pathlib import Path, PurePosixPath

from tselcli.acoustics.folder import (
    TOGETHER,
    Entry,
    Key,
    append_lines,
    audio_place,
    finished_entries,
    labels_place,
    locked,
    read_lines,
    sort_manifest,
    with_audio,
)
from tselcli.acoustics.manifest import SHARDS
from tselcli.corpora.audio import MAX_PACKED_BYTES
from tselcli.errors import DataError
from tselcli.files import is_leftover
from tselcli.tars import read_member, write_tar


def pack(out: Path) -> int:
    """Move the recordings and labels of finished scenes into shards, one at a time.

    Other processes that add scenes to the folder wait meanwhile.

    Returns:
        How many shards were written; those that hold their scenes already are left alone.

    Raises:
        DataError: a file cannot be read, or a shard cannot be written.
    """
    with locked(out):
        entries = finished_entries(out)
        loose, written = _files(out), 0
        for (split, number), group in groupby(sorted(entries), _shard_of):
            shard = f"{SHARDS}/{split}-{number:06d}.tar"
            part = {key: entries[key] for key in group}
            if any(not entry.audio.startswith(f"{shard}/") for entry in part.values()):
                _pack_one(out, shard, part)
                written += 1
            _delete(out, loose & _places(part))
        _delete(out, {name for name in _files(out) if _is_half_a_shard(name)})
        for folder in sorted(map(Path, _folders(out)), reverse=True):
            with suppress(OSError):  # not empty, as where somebody adds scenes
                folder.rmdir()
    sort_manifest(out)
    return written


def _shard_of(key: Key) -> tuple[str, int]:
    return key[1], key[2] // TOGETHER


def contents(out: Path, key: Key, entry: Entry) -> tuple[bytes, bytes]:
    """Read the recording and the labels of a scene, loose or packed.

    Raises:
        DataError: one of them cannot be read.
    """
    place = PurePosixPath(entry.audio)
    if entry.audio.startswith(f"{SHARDS}/"):
        archive = out / place.parent
        labels = place.with_suffix(".csv").name
        return (
            read_member(archive, place.name, MAX_PACKED_BYTES),
            read_member(archive, labels, MAX_PACKED_BYTES),
        )
    try:
        return (out / entry.audio).read_bytes(), (out / labels_place(entry.audio)).read_bytes()
    except OSError as error:
        raise DataError(f"{error.filename}: {error.strerror}; simulate the scene again") from error


def _pack_one(out: Path, shard: str, part: Mapping[Key, Entry]) -> None:
    lines = dict(read_lines(out, part))
    write_tar(out / shard, _members(out, part, lines))
    packed = [with_audio(line, f"{shard}/{_name(key)}.flac") for key, line in lines.items()]
    append_lines(out, packed)


def _members(
    out: Path, part: Mapping[Key, Entry], lines: Mapping[Key, str]
) -> Iterator[tuple[str, bytes]]:
    for key, entry in part.items():
        name = _name(key)
        sound, labels = contents(out, key, entry)
        yield f"{name}.flac", sound
        yield f"{name}.json", with_audio(lines[key], f"{name}.flac").encode()
        yield f"{name}.csv", labels


def _files(out: Path) -> set[str]:
    """List loose recordings and labels, whatever wrote them, and what lies beside shards."""
    return {
        Path(folder, name).relative_to(out).as_posix()
        for folder, names in _folders(out).items()
        for name in names
    }


def _folders(out: Path) -> dict[str, list[str]]:
    kinds = ("audio", "dcase", SHARDS)
    return {folder: names for kind in kinds for folder, _, names in os.walk(out / kind)}


def _places(part: Mapping[Key, Entry]) -> set[str]:
    """Say where scenes that are packed may still lie loose, also after a kill."""
    audio = {audio_place(split, index) for _, split, index in part}
    audio |= {f"audio/{_name(key)}.flac" for key in part}  # before there were sub-folders
    return audio | {labels_place(one) for one in audio}


def _is_half_a_shard(name: str) -> bool:
    """Say whether a kill left it: only who holds the lock writes shards."""
    return name.startswith(f"{SHARDS}/") and is_leftover(PurePosixPath(name).name)


def _delete(out: Path, names: set[str]) -> None:
    for name in names:
        (out / name).unlink(missing_ok=True)


def _name(key: Key) -> str:
    _, split, index = key
    return f"{split}_{index:06d}"
