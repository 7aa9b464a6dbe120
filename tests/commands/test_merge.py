import json
import os
import tarfile
from pathlib import Path

import pytest

from tselcli.acoustics.manifest import read_manifest
from tselcli.acoustics.packing import pack
from tselcli.commands.merge import merge
from tselcli.commands.simulate import simulate
from tselcli.corpora.audio import read_audio
from tselcli.errors import DataError, RecipeError
from tselcli.recipe import recipe_from_dict

RECIPE = {
    "name": "quick",
    "scene": {
        "sample_rate": 8000,
        "duration_s": 0.3,
        "room": {"length_m": [4, 6], "width_m": [4, 6], "height_m": [3, 4], "max_order": 1},
    },
}


@pytest.fixture(scope="module")
def recipe():
    return recipe_from_dict(RECIPE)


@pytest.fixture(scope="module")
def made(recipe, tmp_path_factory):
    """A whole run of six scenes, and its three shards."""
    folder = tmp_path_factory.mktemp("made")
    simulate(recipe, folder / "whole", count=6)
    for part in (1, 2, 3):
        simulate(recipe, folder / f"part{part}", count=6, shard=f"{part}/3")
    return folder


@pytest.fixture
def parts(made):
    return [made / f"part{part}" for part in (2, 1, 3)]


def contents(folder: Path) -> dict[str, bytes]:
    files = (file for file in folder.rglob("*") if file.is_file())
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in files}


def test_merged_shards_are_a_whole_run(made, parts, tmp_path):
    before = [contents(part) for part in parts]
    done = merge(parts, tmp_path / "out")
    assert (done.scenes, done.merged, done.kept, done.repeated, done.missing) == (6, 6, 0, 0, 0)
    assert contents(tmp_path / "out") == contents(made / "whole")
    assert [contents(part) for part in parts] == before
    again = merge(parts, tmp_path / "out")
    assert (again.merged, again.kept) == (0, 6)
    assert contents(tmp_path / "out") == contents(made / "whole")


def test_files_are_linked_where_that_is_possible_and_copied_elsewhere(
    made, parts, tmp_path, monkeypatch
):
    merge(parts, made / "linked")
    name = "audio/train_000001.flac"
    assert (made / "linked" / name).samefile(made / "part2" / name)

    def refuse(source, target):
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    merge(parts, tmp_path / "out")
    assert not (tmp_path / "out" / name).samefile(made / "part2" / name)
    assert contents(tmp_path / "out") == contents(made / "whole")


def test_what_is_missing_is_counted_and_may_come_later(made, parts, tmp_path):
    done = merge(parts[1:], tmp_path / "out")  # without the second part: scenes 1 and 4
    assert (done.scenes, done.missing) == (4, 2)
    assert merge(parts[:1], tmp_path / "out").missing == 0
    assert contents(tmp_path / "out") == contents(made / "whole")


def test_an_interrupted_merge_goes_on(made, parts, tmp_path, monkeypatch):
    monkeypatch.setattr("tselcli.commands.merge.TOGETHER", 2)
    linked, link = [], os.link

    def interrupt(source, target):
        linked.append(source)
        if len(linked) == 8:
            raise KeyboardInterrupt
        link(source, target)

    monkeypatch.setattr(os, "link", interrupt)
    with pytest.raises(KeyboardInterrupt):
        merge(parts, tmp_path / "out")
    monkeypatch.undo()
    (tmp_path / "out" / "audio" / ".train_000003.flac.0123abcd.part").write_bytes(b"half")
    done = merge(parts, tmp_path / "out")
    assert (done.merged, done.kept) == (4, 2)
    assert contents(tmp_path / "out") == contents(made / "whole")


def test_scenes_that_are_alike_may_stand_in_several_shards(made, parts, tmp_path):
    done = merge([made / "whole", *parts], tmp_path / "out")
    assert (done.merged, done.repeated) == (6, 6)
    assert contents(tmp_path / "out") == contents(made / "whole")


@pytest.mark.parametrize("harmed", ["audio/train_000001.flac", "dcase/train_000001.csv", "line"])
@pytest.mark.parametrize("place", ["shard", "out"])
def test_a_scene_that_differs_is_refused_before_anything_happens(
    recipe, made, tmp_path, harmed, place
):
    other = tmp_path / "other"
    simulate(recipe, other, count=2)
    path = other / ("manifest.jsonl" if harmed == "line" else harmed)
    content = path.read_bytes()
    path.write_bytes(
        content.replace(b'"index": 1', b'"index":  1').replace(b'"gain": 0', b'"gain": 1')
        if harmed == "line"
        else content[:-1] + b"?"
    )
    before = contents(other)
    folders, out = ([made / "whole", other], tmp_path / "out")
    if place == "out":
        folders, out = [made / "whole"], other
    with pytest.raises(DataError, match=r"scene [01] of train differs from that in"):
        merge(folders, out)
    assert contents(other) == before
    assert not (tmp_path / "out").exists()


def test_shards_of_other_recipes_are_refused(recipe, made, tmp_path):
    simulate(recipe, tmp_path / "seed", count=1, seed=7)
    with pytest.raises(RecipeError, match=r"seed: was made with another seed than .*whole"):
        merge([made / "whole", tmp_path / "seed"], tmp_path / "out")
    with pytest.raises(RecipeError, match="holds scenes of another seed"):
        merge([made / "whole"], tmp_path / "seed")
    with pytest.raises(RecipeError, match="must all be different"):
        merge([made / "whole"], made / "whole")
    with pytest.raises(RecipeError, match="must all be different"):
        merge([made / "whole", made / "whole"], tmp_path / "out")
    with pytest.raises(RecipeError, match="name the folders to merge"):
        merge([], tmp_path / "out")
    with pytest.raises(DataError, match=r"lacks manifest\.jsonl"):
        merge([tmp_path / "none"], tmp_path / "out")


def test_packed_scenes_are_the_same_scenes(recipe, made, parts, tmp_path, monkeypatch):
    """From files to tar shards and back; two of three shards are full."""
    monkeypatch.setattr("tselcli.acoustics.packing.TOGETHER", 2)
    merge(parts, tmp_path / "packed", webdataset=True)
    names = [f"shards/train-00000{number}.tar" for number in range(3)]
    packed = contents(tmp_path / "packed")
    assert sorted(packed) == ["manifest.jsonl", "recipe.yaml", *names]
    assert not (tmp_path / "packed" / "audio").exists()
    whole = contents(made / "whole")
    with tarfile.open(tmp_path / "packed" / names[1]) as file:
        found = {one.name: file.extractfile(one).read() for one in file}
    assert list(found)[:4] == [f"train_000002.{kind}" for kind in ("flac", "json", "csv")] + [
        "train_000003.flac"
    ]
    assert found["train_000002.flac"] == whole["audio/train_000002.flac"]
    assert found["train_000002.csv"] == whole["dcase/train_000002.csv"]
    assert json.loads(found["train_000002.json"])["audio"] == "train_000002.flac"
    simulate(recipe, tmp_path / "direct", count=6, webdataset=True)
    assert contents(tmp_path / "direct") == packed
    assert simulate(recipe, tmp_path / "direct", count=6, webdataset=True).kept == 6
    merge([tmp_path / "packed"], tmp_path / "back")
    assert contents(tmp_path / "back") == whole


def test_a_packed_folder_reads_like_one_of_files_with_and_without_a_manifest(made, tmp_path):
    merge([made / "whole"], tmp_path / "packed", webdataset=True)
    expected = [(scene, read_audio(path)[0]) for scene, path in read_manifest(made / "whole")]
    for keep in (True, False):
        if not keep:
            (tmp_path / "packed" / "manifest.jsonl").unlink()
        found = [(scene, read_audio(path)[0]) for scene, path in read_manifest(tmp_path / "packed")]
        assert [scene for scene, _ in found] == [scene for scene, _ in expected]
        assert all((a == b).all() for (_, a), (_, b) in zip(found, expected, strict=True))


def test_a_packed_folder_grows(recipe, tmp_path, monkeypatch):
    monkeypatch.setattr("tselcli.acoustics.packing.TOGETHER", 4)
    simulate(recipe, tmp_path / "whole", count=6, webdataset=True)
    simulate(recipe, tmp_path / "grown", count=3, webdataset=True)
    summary = simulate(recipe, tmp_path / "grown", count=6, webdataset=True)
    assert (summary.rendered, summary.kept) == (3, 3)
    assert contents(tmp_path / "grown") == contents(tmp_path / "whole")


@pytest.mark.parametrize("moment", ["append_lines", "_delete"])
def test_packing_that_was_interrupted_goes_on(recipe, made, tmp_path, monkeypatch, moment):
    def interrupt(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(f"tselcli.acoustics.packing.{moment}", interrupt)
    with pytest.raises(KeyboardInterrupt):
        merge([made / "whole"], tmp_path / "packed", webdataset=True)
    monkeypatch.undo()
    (tmp_path / "packed" / "shards" / ".train-000000.tar.0123abcd.part").write_bytes(b"half")
    simulate(recipe, tmp_path / "packed", count=6, webdataset=True)
    simulate(recipe, tmp_path / "expected", count=6, webdataset=True)
    assert contents(tmp_path / "packed") == contents(tmp_path / "expected")
    assert pack(tmp_path / "packed") == 0
    with pytest.raises(RecipeError, match="--merge packs them"):
        simulate(recipe, tmp_path / "packed", count=6, shard="1/2", webdataset=True)


def test_a_lost_shard_is_made_again(recipe, tmp_path, monkeypatch):
    monkeypatch.setattr("tselcli.acoustics.packing.TOGETHER", 2)
    simulate(recipe, tmp_path / "out", count=4, webdataset=True)
    expected = contents(tmp_path / "out")
    (tmp_path / "out" / "shards" / "train-000001.tar").unlink()
    assert simulate(recipe, tmp_path / "out", count=4, webdataset=True).rendered == 2
    assert contents(tmp_path / "out") == expected
