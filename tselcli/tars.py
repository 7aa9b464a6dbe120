"""Tar files that are read where they stand: nothing is ever unpacked.

A member is named by a path through its archive, ``shards/train-000000.tar/train_000000.flac``,
and is read by seeking to it. What an archive holds is not trusted: headers are read one by one
with a limit on each, only ordinary files count (links, devices and sparse files are passed
over), a name that leads outside is refused, and whoever reads a member says how large it may be.
"""

import functools
import io
import os
import tarfile
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from tselcli.errors import DataError
from tselcli.files import replacing

SUFFIX = ".tar"
MAX_MEMBERS = 1_000_000
MAX_EXTRA = 2**16  # bytes of a long name, or of a header of the kind "pax"
REMEMBERED = 64  # archives whose members are kept in mind

Span = tuple[int, int]  # where a member begins in its archive, and how many bytes it has


def split_path(path: Path) -> tuple[Path, str] | None:
    """Split a path through an archive into the archive and the member; None for other paths."""
    if SUFFIX not in str(path):
        return None
    for parent in path.parents:
        if parent.suffix == SUFFIX and parent.is_file():
            return parent, path.relative_to(parent).as_posix()
    return None


def read_member(archive: Path, name: str, limit: int) -> bytes:
    """Read one member of an archive.

    Args:
        archive: an uncompressed tar file.
        name: of the member.
        limit: the most bytes that it may have.

    Raises:
        DataError: no such archive or member, a damaged archive, or a member above the limit.
    """
    span = members(archive).get(name)
    if span is None:
        raise DataError(f"{archive}: holds no {name}; pack it again")
    return read_span(archive, span, limit, name)


def read_span(archive: Path, span: Span, limit: int, name: str) -> bytes:
    """Read a member whose place is known; arguments and errors as of `read_member`."""
    start, size = span
    if size > limit:
        raise DataError(f"{archive}: {name} has {size} bytes, the limit is {limit}; pack it again")
    try:
        with archive.open("rb") as file:
            file.seek(start)
            content = file.read(size)
    except OSError as error:
        raise _unreadable(archive, error) from error
    if len(content) < size:
        raise DataError(f"{archive}: cut short; copy or pack it again")
    return content


def members(archive: Path) -> dict[str, Span]:
    """List the ordinary files of an archive, in its order; of equal names the last counts.

    Raises:
        DataError: no such file, not a tar file, a damaged one, or a name that leads outside.
    """
    try:
        state = archive.stat()
    except OSError as error:
        raise _unreadable(archive, error) from error
    return _members(archive, state.st_mtime_ns, state.st_size)


@functools.lru_cache(maxsize=REMEMBERED)
def _members(archive: Path, _changed: int, size: int) -> dict[str, Span]:
    try:
        with archive.open("rb") as file:
            found = _scan(file, archive, size)
    except OSError as error:
        raise _unreadable(archive, error) from error
    for name in found:
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts:
            raise DataError(f"{archive}: holds {name!r}, which leads outside; pack it again")
    return found


def _scan(file: BinaryIO, archive: Path, size: int) -> dict[str, Span]:
    """Go from header to header, past the contents."""
    found: dict[str, Span] = {}
    position, long_name = 0, None
    while position + tarfile.BLOCKSIZE <= size:
        file.seek(position)
        block = file.read(tarfile.BLOCKSIZE)
        if not block.strip(b"\0"):
            return found
        try:
            header = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
        except tarfile.TarError as error:
            raise DataError(
                f"{archive}: not a tar file, or damaged at byte {position}; copy or pack it again"
            ) from error
        start = position + tarfile.BLOCKSIZE
        if header.size < 0 or start + header.size > size:
            raise DataError(f"{archive}: cut short, or damaged at byte {position}; copy it again")
        if header.type in (tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME):
            if header.size > MAX_EXTRA:
                raise DataError(f"{archive}: a name at byte {position} is too long; pack it again")
            long_name = _long_name(header.type, file.read(header.size)) or long_name
        else:
            if header.type in (tarfile.REGTYPE, tarfile.AREGTYPE):
                found[(long_name or header.name).removeprefix("./")] = (start, header.size)
            long_name = None
        if len(found) > MAX_MEMBERS:
            raise DataError(f"{archive}: more than {MAX_MEMBERS} members; pack smaller shards")
        # Links, folders and devices may name a size, but nothing of it follows.
        filled = header.isreg() or header.type not in tarfile.SUPPORTED_TYPES or _is_extra(header)
        position = start + filled * -(-header.size // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE
    return found


def _is_extra(header: tarfile.TarInfo) -> bool:
    """Say whether a header speaks of others: names and remarks of GNU tar, pax and Solaris."""
    kinds = (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE)
    return header.type in (*kinds, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK)


def _long_name(kind: bytes, content: bytes) -> str | None:
    """Find the name of the next member; pax writes records of ``length key=value``."""
    if kind == tarfile.GNUTYPE_LONGNAME:
        return content.rstrip(b"\0").decode("utf-8", "surrogateescape")
    while content:
        length, _, _ = content.partition(b" ")
        if not length.isdigit() or not len(length) < int(length) <= len(content):
            return None
        key, _, value = content[len(length) + 1 : int(length) - 1].partition(b"=")
        if key == b"path":
            return value.decode("utf-8", "surrogateescape")
        content = content[int(length) :]
    return None


def write_tar(archive: Path, contents: Iterable[tuple[str, bytes]]) -> None:
    """Write an archive whole or not at all; the same contents give the same bytes everywhere.

    Args:
        archive: where; folders above it are made.
        contents: name and bytes of each member, in order.

    Raises:
        DataError: it cannot be written.
    """
    with (
        replacing(archive) as temporary,
        tarfile.open(temporary, "w", format=tarfile.USTAR_FORMAT) as file,
    ):
        for name, content in contents:
            header = tarfile.TarInfo(name)  # no owner, and a time of zero
            header.size = len(content)
            file.addfile(header, io.BytesIO(content))


def _unreadable(archive: Path, error: OSError) -> DataError:
    reason = error.strerror or os.strerror(error.errno or 0)
    return DataError(f"{archive}: cannot be read ({reason}); check the name")
