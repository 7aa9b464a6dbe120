import io
import tarfile

import pytest

from tselcli.errors import DataError
from tselcli.tars import members, read_member, split_path, write_tar

CONTENTS = [("a.flac", b"sound" * 300), ("a.json", b"{}"), ("b.flac", b"")]


def tar_with(path, *headers, form=tarfile.USTAR_FORMAT):
    with tarfile.open(path, "w", format=form) as file:
        for header, content in headers:
            header.size = len(content)
            file.addfile(header, io.BytesIO(content))
    return path


def header(name, kind=tarfile.REGTYPE, **fields):
    made = tarfile.TarInfo(name)
    made.type = kind
    for field, value in fields.items():
        setattr(made, field, value)
    return made


def test_what_is_written_can_be_read_and_tarfile_agrees(tmp_path):
    path = tmp_path / "new" / "x.tar"
    write_tar(path, CONTENTS)
    assert [(name, read_member(path, name, 1500)) for name in members(path)] == CONTENTS
    with tarfile.open(path) as file:
        found = [(one.name, file.extractfile(one).read()) for one in file]
        assert {(one.mtime, one.uid, one.gid, one.uname) for one in file} == {(0, 0, 0, "")}
    assert found == CONTENTS
    assert [one.name for one in path.parent.iterdir()] == ["x.tar"]


def test_the_same_contents_give_the_same_bytes(tmp_path):
    for name in ("one", "two"):
        write_tar(tmp_path / f"{name}.tar", CONTENTS)
    assert (tmp_path / "one.tar").read_bytes() == (tmp_path / "two.tar").read_bytes()


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_what_other_programs_write_is_read(tmp_path, form):
    """Long names, times that are no whole seconds, and letters beyond ASCII."""
    long = "folder/" * 20 + "ü.flac"
    given = [(header(long, mtime=1.5), b"one"), (header("./b.flac", mtime=2.5), b"two")]
    path = tar_with(tmp_path / "x.tar", *given, form=form)
    assert list(members(path)) == [long, "b.flac"]
    assert [read_member(path, name, 9) for name in members(path)] == [b"one", b"two"]


def test_only_ordinary_files_count(tmp_path):
    (tmp_path / "secret").write_text("secret")
    odd = [
        (header("link.flac", tarfile.SYMTYPE, linkname=str(tmp_path / "secret")), b""),
        (header("hard.flac", tarfile.LNKTYPE, linkname="a.flac"), b""),
        (header("pipe.flac", tarfile.FIFOTYPE), b""),
        (header("folder.flac", tarfile.DIRTYPE), b""),
        (header("thin.flac", tarfile.GNUTYPE_SPARSE), b"0123"),
    ]
    path = tar_with(tmp_path / "x.tar", *odd, (header("a.flac"), b"sound"))
    assert list(members(path)) == ["a.flac"]
    with pytest.raises(DataError, match=r"x\.tar: holds no link\.flac"):
        read_member(path, "link.flac", 100)


@pytest.mark.parametrize("name", ["../a.flac", "/etc/a.flac", "b/../../a.flac"])
def test_names_that_lead_outside_are_refused(tmp_path, name):
    path = tar_with(tmp_path / "x.tar", (header(name), b"sound"))
    with pytest.raises(DataError, match="leads outside"):
        members(path)


def test_members_above_the_limit_are_not_read(tmp_path):
    path = tar_with(tmp_path / "x.tar", (header("a.flac"), b"12345"))
    with pytest.raises(DataError, match=r"a\.flac has 5 bytes, the limit is 4"):
        read_member(path, "a.flac", 4)


def test_a_huge_name_is_refused_before_it_is_read(tmp_path):
    path = tar_with(tmp_path / "x.tar", (header("a" * 70_000), b""), form=tarfile.GNU_FORMAT)
    with pytest.raises(DataError, match="too long"):
        members(path)


@pytest.mark.parametrize(
    ("harm", "complaint"),
    [
        (lambda raw: raw[:900], "cut short"),
        (lambda raw: b"not a tar" * 100, "not a tar file, or damaged at byte 0"),
        (lambda raw: raw[:10] + b"x" + raw[11:], "damaged at byte 0"),
        (lambda raw: raw[:2060] + b"x" + raw[2061:], "damaged at byte 2048"),
    ],
)
def test_a_damaged_archive_is_one_line(tmp_path, harm, complaint):
    path = tmp_path / "x.tar"
    write_tar(path, CONTENTS)
    path.write_bytes(harm(path.read_bytes()))
    with pytest.raises(DataError, match=complaint):
        members(path)


def test_a_replaced_archive_is_read_anew(tmp_path):
    path = tmp_path / "x.tar"
    write_tar(path, CONTENTS)
    assert len(members(path)) == 3
    write_tar(path, [*CONTENTS, ("c.flac", bytes(20_000))])
    assert len(members(path)) == 4
    with pytest.raises(DataError, match="No such file"):
        members(tmp_path / "none.tar")


def test_a_path_through_an_archive_is_split(tmp_path):
    path = tmp_path / "x.tar"
    write_tar(path, CONTENTS)
    assert split_path(path / "folder" / "a.flac") == (path, "folder/a.flac")
    assert split_path(path) is None
    assert split_path(tmp_path / "a.flac") is None
    (tmp_path / "y.tar").mkdir()
    assert split_path(tmp_path / "y.tar" / "a.flac") is None
