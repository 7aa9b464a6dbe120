"""Zip archives, also split ones (.z01, .z02, ..., .zip), unpacked with care.

The parts of a split archive are one stream of bytes. Only its table of contents at the end is
in the way: it counts positions from the beginning of each part, which Python's `zipfile` does
not read. So the stream is shown to it with a table that counts from the very beginning:

    .z01             .z02             .zip
    [local entries ... | ... | ...    table, end]
    [local entries ... | ... | ...   ][new table, new end]

Format: PKWARE, APPNOTE.TXT, sections 4.3.12 to 4.3.16 and 4.5.3.
"""

import bisect
import io
import itertools
import shutil
import stat
import struct
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from tselcli.errors import DataError

ENTRY = struct.Struct("<4s6H3L5H2L")  # of the table of contents
END = struct.Struct("<4s4H2LH")
END64 = struct.Struct("<4sQ2H2L4Q")
LOCATOR64 = struct.Struct("<4sLQL")
FULL16, FULL32 = 0xFFFF, 0xFFFFFFFF  # the value stands in the extra field instead
EXTRA64 = 1
MAX_TABLE_BYTES = 256 << 20
MAX_UNPACKED_BYTES = 200 << 30
BROKEN = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, NotImplementedError)


class _Joined(io.RawIOBase):
    """Pieces of files and of memory, read as one file."""

    def __init__(self, parts: Sequence[Path], cut: int, tail: bytes) -> None:
        """Show ``parts`` up to byte ``cut`` of all of them, then the tail."""
        self._files: list[BinaryIO] = [part.open("rb") for part in parts]
        lengths = [part.stat().st_size for part in parts]
        self.starts = [0, *itertools.accumulate(lengths)]
        self._cut, self._tail, self._at = cut, tail, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at}.get(whence, self._cut + len(self._tail))
        self._at = max(base + offset, 0)
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: "memoryview") -> int:  # type: ignore[override]
        if self._at >= self._cut:
            piece = self._tail[self._at - self._cut :][: len(buffer)]
        else:
            number = bisect.bisect_right(self.starts, self._at) - 1
            end = min(self.starts[number + 1], self._cut)
            self._files[number].seek(self._at - self.starts[number])
            piece = self._files[number].read(min(len(buffer), end - self._at))
        buffer[: len(piece)] = piece
        self._at += len(piece)
        return len(piece)

    def close(self) -> None:
        for file in self._files:
            file.close()
        super().close()


def split_parts(last: Path) -> list[Path]:
    """List the parts of the archive that ends with ``last``: .z01, .z02, ... and itself.

    Raises:
        DataError: a part between others is missing.
    """
    numbers = sorted(
        int(path.suffix[2:])
        for path in last.parent.glob(f"{last.stem}.z*")
        if path.suffix[2:].isdigit()
    )
    lacking = set(range(1, max(numbers, default=0) + 1)) - set(numbers)
    if lacking:
        raise DataError(f"{last}: part .z{min(lacking):02d} is missing; get it, too")
    return [*(last.with_suffix(f".z{number:02d}") for number in numbers), last]


def unpack(archive: Path, folder: Path, limit: int = MAX_UNPACKED_BYTES) -> list[Path]:
    """Unpack a zip archive, split or not; files that are there already are kept.

    Args:
        archive: the .zip; the other parts stand beside it.
        folder: where to; nothing is written outside of it.
        limit: bytes that it may grow to.

    Returns:
        The files of the archive.

    Raises:
        DataError: a part is missing or damaged, the archive is too large or wants to write
            elsewhere, or the disk is full.
    """
    parts = split_parts(archive)
    try:
        with _open(parts) as stream, zipfile.ZipFile(stream) as opened:
            entries = [entry for entry in opened.infolist() if not entry.is_dir()]
            size = sum(entry.file_size for entry in entries)
            if size > limit:
                raise DataError(
                    f"{archive}: grows to {size / 1e9:.1f} GB, more than {limit / 1e9:.1f}; "
                    f"unpack it by hand if it is right"
                )
            targets = [folder / _safe(archive, entry) for entry in entries]
            for entry, target in zip(entries, targets, strict=True):
                _extract(opened, entry, target)
    except BROKEN as problem:
        raise DataError(
            f"{archive}: damaged or cut ({problem}); remove it and get it again"
        ) from problem
    except (OSError, RuntimeError) as problem:  # a full disk; a password
        raise DataError(f"{archive}: cannot be unpacked ({problem}); mend that first") from problem
    return targets


def _safe(archive: Path, entry: zipfile.ZipInfo) -> PurePosixPath:
    """Give the relative path of an entry; refuse one that leads out of the folder."""
    path = PurePosixPath(entry.filename.replace("\\", "/"))
    link = stat.S_ISLNK(entry.external_attr >> 16)
    outside = path.is_absolute() or ".." in path.parts or ":" in entry.filename
    if outside or link or not path.parts:
        raise DataError(f"{archive}: '{entry.filename}' leads elsewhere; do not trust this archive")
    return path


def _extract(opened: zipfile.ZipFile, entry: zipfile.ZipInfo, target: Path) -> None:
    if target.is_file() and target.stat().st_size == entry.file_size:
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(target.name + ".part")
    with opened.open(entry) as source, part.open("wb") as file:
        shutil.copyfileobj(source, file, 1 << 20)  # compares the checksum at the end
    part.replace(target)


def _open(parts: Sequence[Path]) -> BinaryIO:
    """Open an archive as one that is not split."""
    if len(parts) == 1:
        return parts[0].open("rb")
    size = sum(part.stat().st_size for part in parts)
    with io.BufferedReader(_Joined(parts, size, b"")) as stream:
        starts = stream.raw.starts
        count, length, start = _find_table(stream, starts, size)
        if length > MAX_TABLE_BYTES:
            raise zipfile.BadZipFile("its table of contents is too large")
        stream.seek(start)
        table = _renumber(stream.read(length), count, starts)
    tail = table + _end(count, len(table), start)
    return io.BufferedReader(_Joined(parts, start, tail))


def _find_table(stream: BinaryIO, starts: Sequence[int], size: int) -> tuple[int, int, int]:
    """Find the table of contents: entries, bytes, and position in the whole stream."""
    stream.seek(max(size - END.size - FULL16, 0))
    tail = stream.read()
    at = tail.rfind(b"PK\x05\x06")
    if at < 0:
        raise zipfile.BadZipFile("no end of a zip archive; perhaps the last part is cut")
    _, _, disk, _, count, length, offset, _ = END.unpack_from(tail, at)
    if at >= LOCATOR64.size:
        mark, disk64, offset64, _ = LOCATOR64.unpack_from(tail, at - LOCATOR64.size)
        if mark == b"PK\x06\x07":
            stream.seek(starts[min(disk64, len(starts) - 1)] + offset64)
            end64 = END64.unpack(stream.read(END64.size))
            disk, count, length, offset = end64[5], end64[7], end64[8], end64[9]
    if disk >= len(starts) - 1:
        raise zipfile.BadZipFile(f"{disk + 1} parts are needed, {len(starts) - 1} are here")
    return count, length, starts[disk] + offset


def _renumber(table: bytes, count: int, starts: Sequence[int]) -> bytes:
    """Write the table of contents anew, with positions in the whole stream, in 64 bits."""
    entries, at = [], 0
    for _ in range(count):
        fields = list(ENTRY.unpack_from(table, at))
        if fields[0] != b"PK\x01\x02":
            raise zipfile.BadZipFile("its table of contents is broken")
        packed, size, names, extras, comments, disk, offset = (
            fields[number] for number in (8, 9, 10, 11, 12, 13, 16)
        )
        name = table[at + ENTRY.size :][:names]
        extra = table[at + ENTRY.size + names :][:extras]
        comment = table[at + ENTRY.size + names + extras :][:comments]
        at += ENTRY.size + names + extras + comments
        wide, others = _extra64(extra)
        size = wide.pop(0) if size == FULL32 else size
        packed = wide.pop(0) if packed == FULL32 else packed
        offset = wide.pop(0) if offset == FULL32 else offset
        disk = wide.pop(0) & FULL32 if disk == FULL16 else disk
        whole = struct.pack("<2H3Q", EXTRA64, 24, size, packed, starts[disk] + offset) + others
        fields[8], fields[9], fields[11], fields[13], fields[16] = (
            FULL32,
            FULL32,
            len(whole),
            0,
            FULL32,
        )
        entries.append(ENTRY.pack(*fields) + name + whole + comment)
    return b"".join(entries)


def _extra64(extra: bytes) -> tuple[list[int], bytes]:
    """Part the 64-bit numbers of an entry from its other extra fields."""
    wide, others, at = [], b"", 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<2H", extra, at)
        content = extra[at + 4 : at + 4 + length]
        if kind == EXTRA64:
            content += b"\0" * (-length % 8)  # the number of the part has only 32 bits
            wide = list(struct.unpack(f"<{len(content) // 8}Q", content))
        else:
            others += extra[at : at + 4 + length]
        at += 4 + length
    return wide, others


def _end(count: int, length: int, start: int) -> bytes:
    end64 = END64.pack(b"PK\x06\x06", END64.size - 12, 45, 45, 0, 0, count, count, length, start)
    locator = LOCATOR64.pack(b"PK\x06\x07", 0, start + length, 1)
    return end64 + locator + END.pack(b"PK\x05\x06", 0, 0, FULL16, FULL16, FULL32, FULL32, 0)
