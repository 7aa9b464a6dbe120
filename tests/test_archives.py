import io
import shutil
import stat
import struct
import subprocess
import zipfile

import numpy as np
import pytest

from tselcli.archives import split_parts, unpack
from tselcli.errors import DataError

CONTENT = {
    "DB/rirdata.mat": np.random.default_rng(0).bytes(30_000),
    "DB/a/long.mat": np.random.default_rng(1).bytes(200_000) + b"0" * 100_000,
    "DB/empty.txt": b"",
    "DB/zeros.bin": b"\0" * 50_000,
}


def zipped(content=CONTENT, kind=zipfile.ZIP_DEFLATED):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", kind) as archive:
        for name, inside in content.items():
            archive.writestr(name, inside)
    return buffer.getvalue()


def split(folder, name, sizes, content=CONTENT, wide=False):
    """Cut an archive as the format asks: a mark in front, positions counted in each part.

    ``wide`` writes positions and part numbers into the extra fields for large archives.
    """
    whole = b"PK\x07\x08" + zipped(content)
    end = whole.rfind(b"PK\x05\x06")
    count, _, start = struct.unpack_from("<HLL", whole, end + 10)
    start += 4
    cuts = [0, *np.cumsum(sizes).tolist()]
    assert cuts[-1] < start  # the table is in the last part
    place = lambda at: max(n for n, cut in enumerate(cuts) if cut <= at)  # noqa: E731
    table, at = b"", start
    for _ in range(count):
        names, extras, comments = struct.unpack_from("<3H", whole, at + 28)
        packed, size = struct.unpack_from("<2L", whole, at + 20)
        offset = struct.unpack_from("<L", whole, at + 42)[0] + 4
        disk = place(offset)
        entry = bytearray(whole[at : at + 46])
        extra = b"XX\x02\x00ab"
        if wide:
            extra += struct.pack("<2H3QL", 1, 28, size, packed, offset - cuts[disk], disk)
            struct.pack_into("<2L", entry, 20, 2**32 - 1, 2**32 - 1)
        struct.pack_into("<H", entry, 30, len(extra))
        struct.pack_into("<H", entry, 34, 2**16 - 1 if wide else disk)
        struct.pack_into("<L", entry, 42, 2**32 - 1 if wide else offset - cuts[disk])
        table += bytes(entry) + whole[at + 46 : at + 46 + names] + extra
        at += 46 + names + extras + comments
    last, inside = len(sizes), start - cuts[-1]
    tail = struct.pack("<4s4H2LH", b"PK\5\6", last, last, count, count, len(table), inside, 0)
    parts = [whole[a:b] for a, b in zip(cuts, [*cuts[1:], start], strict=True)]
    for number, part in enumerate(parts[:-1], start=1):
        (folder / f"{name}.z{number:02d}").write_bytes(part)
    (folder / f"{name}.zip").write_bytes(parts[-1] + table + tail)
    return folder / f"{name}.zip"


def read(folder):
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize("sizes", [[], [70_000], [100, 25_000, 1, 180_000]])
def test_split_archives_are_unpacked_as_one(tmp_path, sizes, wide):
    archive = split(tmp_path, "db", sizes, wide=wide)
    unpack(archive, tmp_path / "out")
    assert read(tmp_path / "out") == CONTENT


@pytest.mark.skipif(shutil.which("zip") is None, reason="Info-ZIP is not installed")
def test_archives_of_info_zip_are_understood(tmp_path):
    for name, inside in CONTENT.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(inside)
    command = ["zip", "-q", "-r", "-s", "64k", "db.zip", "DB"]
    subprocess.run(command, cwd=tmp_path, check=True)
    assert len(split_parts(tmp_path / "db.zip")) > 3
    unpack(tmp_path / "db.zip", tmp_path / "out")
    assert read(tmp_path / "out") == CONTENT


def test_what_is_there_is_kept_and_the_rest_goes_on(tmp_path):
    archive = split(tmp_path, "db", [70_000])
    (tmp_path / "out/DB").mkdir(parents=True)
    ours = b"!" * len(CONTENT["DB/rirdata.mat"])
    (tmp_path / "out/DB/rirdata.mat").write_bytes(ours)
    (tmp_path / "out/DB/zeros.bin").write_bytes(b"cut")
    unpack(archive, tmp_path / "out")
    assert read(tmp_path / "out") == {**CONTENT, "DB/rirdata.mat": ours}


@pytest.mark.parametrize("name", ["../evil", "/evil", "a/../../evil", "..\\evil", "C:\\evil"])
def test_nothing_is_written_elsewhere(tmp_path, name):
    archive = tmp_path / "db.zip"
    archive.write_bytes(zipped({"good": b"1", name: b"2"}))
    with pytest.raises(DataError, match="leads elsewhere; do not trust this archive"):
        unpack(archive, tmp_path / "in" / "out")
    assert list(read(tmp_path)) == ["db.zip"]


def test_links_are_refused(tmp_path):
    entry = zipfile.ZipInfo("link")
    entry.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "db.zip", "w") as archive:
        archive.writestr(entry, "/etc/passwd")
    with pytest.raises(DataError, match="'link' leads elsewhere"):
        unpack(tmp_path / "db.zip", tmp_path / "out")


def test_there_is_a_limit(tmp_path):
    archive = split(tmp_path, "db", [70_000])
    with pytest.raises(DataError, match=r"grows to 0.0 GB, more than 0.0; unpack it by hand"):
        unpack(archive, tmp_path / "out", limit=300_000)
    assert not (tmp_path / "out").exists()


def test_a_missing_part_is_named(tmp_path):
    archive = split(tmp_path, "db", [50_000, 50_000, 50_000])
    (tmp_path / "db.z02").unlink()
    with pytest.raises(DataError, match=r"db.zip: part .z02 is missing"):
        unpack(archive, tmp_path / "out")
    (tmp_path / "db.z03").unlink()
    with pytest.raises(DataError, match=r"4 parts are needed, 2 are here"):
        unpack(archive, tmp_path / "out")
    (tmp_path / "db.z01").unlink()
    with pytest.raises(DataError, match=r"db.zip: damaged or cut"):
        unpack(archive, tmp_path / "out")


def test_a_damaged_archive_leaves_no_file_of_its_own_name(tmp_path):
    archive = split(tmp_path, "db", [70_000])
    part = tmp_path / "db.z01"
    whole = part.read_bytes()
    part.write_bytes(whole[:40_000] + bytes(1000) + whole[41_000:])
    with pytest.raises(DataError, match=r"db.zip: damaged or cut .*get it again"):
        unpack(archive, tmp_path / "out")
    assert not (tmp_path / "out/DB/a/long.mat").exists()
    archive.write_bytes(archive.read_bytes()[:-100])
    with pytest.raises(DataError, match=r"db.zip: damaged or cut \(no end of a zip archive"):
        unpack(archive, tmp_path / "out")
