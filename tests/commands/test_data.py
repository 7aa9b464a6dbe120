import hashlib
import io
import json
import re
import zipfile

import pytest
from typer.testing import CliRunner

from tselcli import cli
from tselcli.corpora import catalogue
from tselcli.corpora.catalogue import CATALOGUE, Collection, Expected, find_collection
from tselcli.errors import DataError


def tsel(*arguments):
    return CliRunner().invoke(cli.app, ["data", *map(str, arguments)])


def zipped(names):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in names:
            archive.writestr(name, name * 100)
    return buffer.getvalue()


@pytest.fixture
def small(web, monkeypatch):
    """A small collection on a server of this machine."""
    sounds = zipped(["dev/a/1.wav", "dev/b/2.wav"])
    web.files.update({"/x/dev.zip": sounds, "/x/table.csv": b"a,b\n" * 1000})
    files = {"dev.zip": hashlib.md5(sounds).hexdigest(), "table.csv": None}
    expected = (Expected("table.csv"), Expected("dev/*.wav", 2))
    collection = Collection("small", "page", "CC0", f"{web.url}/x", files, expected)
    monkeypatch.setitem(catalogue.CATALOGUE, "small", collection)
    return collection


def test_fetched_and_unpacked_once(web, small, tmp_path):
    folder = tmp_path / "new" / "small"
    first = tsel("fetch", "small", "--to", folder)
    assert first.exit_code == 0
    expected = {"name": "small", "folder": str(folder), "complete": True, "next": ""}
    assert json.loads(first.stdout) == expected
    assert (folder / "dev/b/2.wav").read_text() == "dev/b/2.wav" * 100
    assert len(web.asked) == 2
    (folder / "dev.zip").unlink()  # what is unpacked is enough
    assert json.loads(tsel("fetch", "small", "--to", folder).stdout) == expected
    assert len(web.asked) == 2


def test_an_interrupted_fetch_goes_on(web, small, tmp_path):
    web.cut_after = 100
    first = tsel("fetch", "small", "--to", tmp_path)
    assert (first.exit_code, first.stdout) == (3, "")
    assert first.stderr.count("\n") == 1
    assert "dev.zip: broke off after" in first.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["dev.zip.part"]
    assert tsel("fetch", "small", "--to", tmp_path).exit_code == 0
    assert web.asked[1] == ("/x/dev.zip", "bytes=100-")
    assert tsel("check", "small", tmp_path).exit_code == 0


def test_a_wrong_checksum_leaves_nothing(web, small, tmp_path):
    web.files["/x/dev.zip"] = zipped(["dev/a/1.wav", "dev/b/3.wav"])
    result = tsel("fetch", "small", "--to", tmp_path)
    assert result.exit_code == 3
    wanted = small.files["dev.zip"][:12]
    assert re.search(rf"dev.zip: arrived with MD5 \w+\.\.\. instead of {wanted}", result.stderr)
    assert list(tmp_path.iterdir()) == []


def test_a_mirror_has_the_same_files(web, small, tmp_path):
    web.files = {path.replace("/x/", "/mirror/"): what for path, what in web.files.items()}
    assert tsel("fetch", "small", "--to", tmp_path).exit_code == 3
    assert (
        tsel("fetch", "small", "--to", tmp_path, "--url-base", web.url + "/mirror/").exit_code == 0
    )


def test_check_tells_what_is_missing(small, tmp_path):
    (tmp_path / "deep/dev").mkdir(parents=True)
    (tmp_path / "deep/dev/1.wav").touch()
    result = tsel("check", "small", tmp_path)
    assert result.exit_code == 3
    assert result.stdout.split("\n") == [
        "missing      0 of     1  table.csv",
        "missing      1 of     2  dev/*.wav",
        "",
    ]
    assert "2 of 2 kinds of files are missing or too few (table.csv, dev/*.wav)" in result.stderr
    assert f"`tsel data fetch small --to {tmp_path}` gets them" in result.stderr
    (tmp_path / "deep/dev/2.wav").touch()
    (tmp_path / "table.csv").touch()
    assert tsel("check", "small", tmp_path).exit_code == 0


def test_what_remains_to_be_done_by_hand_is_said(web, small, tmp_path, monkeypatch):
    by_hand = Collection(
        "7z", "page", "CC0", f"{web.url}/x", {"table.csv": None}, (Expected("a.wav"),), "run 7z x"
    )
    monkeypatch.setitem(catalogue.CATALOGUE, "small", by_hand)
    result = tsel("fetch", "small", "--to", tmp_path)
    assert (result.exit_code, json.loads(result.stdout)["next"]) == (0, "run 7z x")
    assert "then run 7z x" in tsel("check", "small", tmp_path).stderr


def test_a_wrong_name_has_a_nearest_one(tmp_path):
    result = tsel("fetch", "tau-sri", "--to", tmp_path)
    assert (result.exit_code, result.stdout) == (3, "")
    assert "no such collection; did you mean 'tau-srir'?" in result.stderr
    with pytest.raises(DataError, match="known are tau-srir, tau-snoise, audiocaps, starss22"):
        find_collection("xyz")
    assert "no such folder; `tsel data fetch" in tsel("check", "clotho", tmp_path / "x").stderr


def test_every_collection_says_where_it_is_from_and_under_what_licence():
    listed = tsel("ls").stdout
    for name, collection in CATALOGUE.items():
        assert f"{name:12} {collection.what}\n" in listed
        assert f"licence: {collection.licence}; checksums: " in listed
        assert collection.page.startswith("https://")
        assert all(
            md5 is None or re.fullmatch("[0-9a-f]{32}", md5) for md5 in collection.files.values()
        )


def test_the_room_responses_are_those_that_the_reader_reads():
    from tselcli.acoustics.tau import NUMBERS

    wanted = {f"rirs_{number:02d}_{room}.mat" for room, number in NUMBERS.items()}
    patterns = {part.pattern for part in CATALOGUE["tau-srir"].expected}
    assert patterns == wanted | {"rirdata.mat", "measinfo.mat"}


def test_an_interrupted_unpacking_is_not_a_whole_collection(small, tmp_path):
    assert tsel("fetch", "small", "--to", tmp_path).exit_code == 0
    (tmp_path / "dev/a/1.wav").unlink()
    (tmp_path / "dev/b/2.wav").write_text("cut")
    assert tsel("fetch", "small", "--to", tmp_path).exit_code == 0
    assert (tmp_path / "dev/b/2.wav").read_text() == "dev/b/2.wav" * 100
