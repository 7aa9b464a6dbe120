from collections import Counter

import pytest

from tselcli.corpora.tables import Row, existing, hashed_split, inside, read_table
from tselcli.errors import DataError


def write(path, content):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize(
    "content",
    [
        "file,caption\na.wav,a dog\nb.wav,rain\n",
        "\ufefffile,caption\r\na.wav,a dog\r\n\r\nb.wav,rain",
        'File , CAPTION\n"a.wav","a dog"\n b.wav , rain \n,\n',
    ],
    ids=["plain", "bom-crlf-blank", "quotes-spaces-case"],
)
def test_one_table_in_many_spellings(tmp_path, content):
    rows = read_table(write(tmp_path / "t.csv", content), ["file", "caption"])
    assert [row.cells for row in rows] == [
        {"file": "a.wav", "caption": "a dog"},
        {"file": "b.wav", "caption": "rain"},
    ]


def test_quoted_cells_hold_commas_quotes_and_line_ends(tmp_path):
    table = write(tmp_path / "t.csv", 'file,caption\na.wav,"a ""dog"", then\na cat"\nb.wav,x\n')
    first, second = read_table(table, ["file"])
    assert first.cells["caption"] == 'a "dog", then\na cat'
    assert second.where.endswith("t.csv, line 4")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", r"columns found: none; columns wanted: file, caption"),
        ("name;text\na;b\n", r"columns found: name;text; columns wanted: file, caption"),
        ("file,caption,file\na,b,c\n", "one occurs twice"),
        ("file,caption\n", "no rows"),
        ("file,caption\na.wav,a dog, a cat\n", r"line 2: 3 cells under 2 columns; put quotes"),
        ("file,caption\na.wav\n", r"line 2: 1 cells under 2 columns"),
        ('file,caption\na.wav,"a dog\n', "not valid CSV"),
        ("file,caption\na.wav," + "x" * 200_000 + "\n", "not valid CSV"),
        ("file,caption\na.wav,ein Käuzchen\n".encode("latin-1"), "not UTF-8 at byte 24"),
        ("file,caption\na.wav,a\0dog\n", "NUL"),
    ],
)
def test_what_is_wrong_with_a_table_is_said(tmp_path, content, message):
    table = write(tmp_path / "t.csv", content)
    with pytest.raises(DataError, match=message) as caught:
        read_table(table, ["file", "caption"])
    assert str(caught.value).startswith(str(table))
    assert "\n" not in str(caught.value)


def test_size_limit_and_missing_file(tmp_path):
    table = write(tmp_path / "t.csv", "file\na\n")
    assert len(read_table(table, ["file"], max_bytes=7)) == 1
    with pytest.raises(DataError, match="larger than the limit of 6 bytes"):
        read_table(table, ["file"], max_bytes=6)
    with pytest.raises(DataError, match="no such file"):
        read_table(tmp_path / "none.csv", ["file"])


def test_hashed_split_is_fixed_and_eight_to_one_to_one():
    """The values are pinned: a change would move users' clips from training into test."""
    assert hashed_split("clips/0.wav") == "train"
    assert hashed_split("clips/1.wav") == "val"
    assert hashed_split("clips/12.wav") == "test"
    counts = Counter(hashed_split(f"{n}.wav") for n in range(10_000))
    assert counts["train"] == pytest.approx(8000, abs=150)
    assert counts["val"] == pytest.approx(1000, abs=120)
    assert counts["test"] == pytest.approx(1000, abs=120)


@pytest.mark.parametrize("name", ["../x.wav", "a/../../x.wav", "/etc/passwd", "..\\x.wav", "", "."])
def test_names_that_leave_the_folder_are_refused(tmp_path, name):
    with pytest.raises(DataError, match=r"t\.csv, line 2: .* is not inside"):
        inside(tmp_path, Row("t.csv, line 2", {"file": name}))


@pytest.mark.parametrize("name", ["a/b.wav", "a\\b.wav", "./c/../a/b.wav"])
def test_names_inside_the_folder_are_one_path(tmp_path, name):
    assert inside(tmp_path, Row("t.csv, line 2", {"file": name})) == tmp_path / "a" / "b.wav"


def test_existing_gives_files_and_neither_folders_nor_gaps(tmp_path):
    (tmp_path / "folder.wav").mkdir()
    (tmp_path / "a.wav").touch()
    names = ["a.wav", "b.wav", "folder.wav", "none/c.wav"]
    assert existing(tmp_path / name for name in names) == {tmp_path / "a.wav"}
