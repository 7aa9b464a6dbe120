import io
import json
from collections import Counter
from pathlib import Path

import pytest

from tselcli.acoustics.folder import (
    add_line,
    audio_place,
    finished_scenes,
    labels_place,
    leftovers,
    sort_manifest,
)
from tselcli.errors import DataError
from tselcli.files import replacing


def finish(out: Path, split: str, index: int, note: str = "") -> str:
    name = f"{split}_{index:06d}"
    for folder, suffix in [("audio", "flac"), ("dcase", "csv")]:
        (out / folder).mkdir(exist_ok=True)
        (out / folder / f"{name}.{suffix}").write_text("x")
    line = json.dumps({"split": split, "index": index, "note": note, "audio": f"audio/{name}.flac"})
    add_line(out, line)
    return line


def test_lines_are_sorted_by_split_and_index(tmp_path: Path):
    order = [("test", 0), ("train", 11), ("val", 2), ("train", 2)]
    lines = {key: finish(tmp_path, *key) for key in order}
    sort_manifest(tmp_path)
    expected = [lines[key] for key in [("train", 2), ("train", 11), ("val", 2), ("test", 0)]]
    assert (tmp_path / "manifest.jsonl").read_text() == "".join(f"{line}\n" for line in expected)


def test_half_a_line_counts_as_none_and_harms_no_other(tmp_path: Path):
    finish(tmp_path, "train", 0)
    with (tmp_path / "manifest.jsonl").open("a") as file:
        file.write('{"split": "train", "index": 1, "au')
    assert finished_scenes(tmp_path, "train") == {0}
    finish(tmp_path, "train", 2)
    assert finished_scenes(tmp_path, "train") == {0, 2}
    sort_manifest(tmp_path)
    assert len((tmp_path / "manifest.jsonl").read_text().splitlines()) == 2


@pytest.mark.parametrize("lost", ["audio/train_000000.flac", "dcase/train_000000.csv"])
def test_a_scene_without_one_of_its_files_is_not_finished(tmp_path: Path, lost):
    finish(tmp_path, "train", 0)
    finish(tmp_path, "val", 0)
    (tmp_path / lost).unlink()
    assert finished_scenes(tmp_path, "train") == set()
    assert finished_scenes(tmp_path, "val") == {0}


def test_the_last_of_several_lines_counts(tmp_path: Path):
    finish(tmp_path, "train", 0, "old")
    newer = finish(tmp_path, "train", 0, "new")
    sort_manifest(tmp_path)
    assert (tmp_path / "manifest.jsonl").read_text() == newer + "\n"


def test_an_empty_folder_has_no_scenes_and_no_manifest(tmp_path: Path):
    assert finished_scenes(tmp_path, "train") == set()
    sort_manifest(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_no_folder_grows_beyond_a_thousand_scenes_of_a_split():
    places = [audio_place("train", index) for index in range(50_000)]
    assert len(set(places)) == 50_000
    assert places[999:1001] == ["audio/train_000999.flac", "audio/001/train_001000.flac"]
    counts = Counter(place.rpartition("/")[0] for place in places)
    assert set(counts.values()) == {1000}
    assert labels_place(places[0]) == "dcase/train_000000.csv"
    assert labels_place(places[-1]) == "dcase/049/train_049999.csv"


def test_scenes_of_a_flat_folder_still_count(tmp_path: Path):
    """As folders were before there were sub-folders."""
    finish(tmp_path, "train", 41_000)
    assert finished_scenes(tmp_path, "train") == {41_000}


def test_a_sorted_manifest_is_left_alone(tmp_path: Path):
    for index in range(3):
        finish(tmp_path, "train", index)
    before = (tmp_path / "manifest.jsonl").stat()
    sort_manifest(tmp_path)
    after = (tmp_path / "manifest.jsonl").stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_a_line_that_leads_outside_is_none(tmp_path: Path):
    out = tmp_path / "out"
    out.mkdir()
    finish(out, "train", 0)
    for place in (tmp_path / "secret.flac", out / "dcase" / "secret.csv"):
        place.write_text("x")
    add_line(out, json.dumps({"split": "train", "index": 1, "audio": "../secret.flac"}))
    assert finished_scenes(out, "train") == {0}


def test_a_line_that_does_not_fit_on_the_disk_leaves_the_manifest_as_it_was(
    tmp_path: Path, monkeypatch
):
    finish(tmp_path, "train", 0)
    before = (tmp_path / "manifest.jsonl").read_bytes()

    class Full(io.FileIO):
        def write(self, content):
            if len(content) < 20:
                raise OSError(28, "No space left on device")
            return super().write(bytes(content)[:-10])

    monkeypatch.setattr(Path, "open", lambda path, mode, buffering=0: Full(path, mode))
    with pytest.raises(DataError, match=r"manifest\.jsonl: cannot be written \(No space left"):
        add_line(tmp_path, "x" * 200)
    monkeypatch.undo()
    assert (tmp_path / "manifest.jsonl").read_bytes() == before


def test_half_written_files_are_found(tmp_path: Path):
    (tmp_path / "audio" / "001").mkdir(parents=True)
    with replacing(tmp_path / "audio" / "001" / "a.flac") as temporary:
        temporary.write_bytes(b"half")
        assert leftovers(tmp_path) == {temporary}
    assert leftovers(tmp_path) == set()
    assert (tmp_path / "audio" / "001" / "a.flac").exists()
