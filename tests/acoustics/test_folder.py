import json
from pathlib import Path

import pytest

from tselcli.acoustics.folder import add_line, finished_scenes, sort_manifest


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
