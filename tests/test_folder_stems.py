import numpy as np
import pytest

from tselcli.acoustics.manifest import read_manifest
from tselcli.commands.features import features
from tselcli.commands.simulate import simulate
from tselcli.corpora.audio import read_audio
from tselcli.dataset import folder_trials
from tselcli.errors import DataError
from tselcli.examples import FolderExamples
from tselcli.features.cache import FeatureCache
from tselcli.features.gcc import clip_gcc
from tselcli.folder_stems import FolderStems
from tselcli.recipe import recipe_from_dict

RECIPE = {
    "name": "quick",
    "scene": {
        "duration_s": 0.6,
        "room": {"length_m": [4, 6], "width_m": [4, 6], "height_m": [3, 4], "max_order": 2},
    },
}


@pytest.fixture(scope="module")
def recipe():
    return recipe_from_dict(RECIPE)


@pytest.fixture(scope="module")
def folder(recipe, tmp_path_factory):
    out = tmp_path_factory.mktemp("scenes") / "train"
    simulate(recipe, out, count=3)
    return out


@pytest.fixture
def cache(tmp_path):
    return FeatureCache(tmp_path / "cache")


@pytest.fixture
def stems(recipe, folder, cache):
    made = FolderStems(recipe.features, folder, cache)
    assert not made.complete
    assert list(made.fill(1)) == [2, 2, 2]
    return made


def forbid(*arguments):
    raise AssertionError("was not to be called")


def test_stems_are_the_sources_in_the_order_of_the_scenes(folder, stems):
    sources = [source for scene, _ in read_manifest(folder) for source in scene.sources]
    assert [stem.clip.id for stem in stems] == [source.clip_id for source in sources]
    assert len(stems) == 6
    assert stems.frames == sum(len(stem.mel) for stem in stems)
    assert all(stem.mel.dtype == np.float16 for stem in stems)


def test_a_second_look_reads_neither_scenes_nor_stems(recipe, folder, cache, stems, monkeypatch):
    expected = [stem.mel for stem in stems]
    monkeypatch.setattr("tselcli.folder_stems._fill_scene", forbid)
    looked = []
    monkeypatch.setattr(
        FeatureCache,
        "get",
        lambda self, key, get=FeatureCache.get: looked.append(key) or get(self, key),
    )
    again = FolderStems(recipe.features, folder, cache)
    assert again.complete
    assert len(looked) == 2  # what was written down of them
    assert [stem.clip for stem in again] == [stem.clip for stem in stems]
    assert all((a.mel == b).all() for a, b in zip(again, expected, strict=True))


def test_features_return_at_once_when_nothing_changed(folder, tmp_path, monkeypatch):
    first = features(folder, jobs=1, cache=tmp_path / "store")
    monkeypatch.setattr("tselcli.folder_stems._fill_scene", forbid)
    assert features(folder, jobs=1, cache=tmp_path / "store") == first


def test_another_analysis_or_a_changed_scene_is_computed(recipe, folder, cache, stems, tmp_path):
    other = recipe.features.model_copy(update={"n_mels": 32})
    assert not FolderStems(other, folder, cache).complete
    copy = tmp_path / "copy"
    copy.mkdir()
    for name in ("manifest.jsonl", "recipe.yaml"):
        (copy / name).write_bytes((folder / name).read_bytes())
    assert FolderStems(recipe.features, copy, cache).complete
    lines = (copy / "manifest.jsonl").read_text().splitlines()
    (copy / "manifest.jsonl").write_text("\n".join(lines[:2]) + "\n")
    assert not FolderStems(recipe.features, copy, cache).complete


@pytest.mark.parametrize("harm", ["gone", "damaged"])
def test_a_stem_that_was_lost_is_made_again_when_it_is_used(recipe, folder, cache, stems, harm):
    expected = stems[3].mel
    path = cache.path(stems.record["key"][3].decode())
    if harm == "gone":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-1])
    again = FolderStems(recipe.features, folder, cache)
    assert again.complete
    np.testing.assert_array_equal(again[3].mel, expected)
    assert cache.get(path.stem) is not None


def test_memory_is_bounded_and_changes_nothing(recipe, folder, cache, stems):
    one = stems[0].mel.nbytes
    small = FolderStems(recipe.features, folder, cache, memory=one)
    for _ in range(2):
        assert all((a.mel == b.mel).all() for a, b in zip(small, stems, strict=True))
    assert sum(mel.nbytes for mel in small._kept.values()) <= one
    assert len(stems._kept) == 6
    assert stems[2].mel is stems[2].mel


def test_a_folder_of_two_splits_is_refused(recipe, folder, cache, tmp_path):
    both = tmp_path / "both"
    simulate(recipe, both, count=1)
    simulate(recipe, both, count=1, split="val")
    with pytest.raises(DataError, match=r"holds the splits \['train', 'val'\]"):
        FolderStems(recipe.features, both, cache)


def test_correlations_are_remembered_as_a_whole_too(recipe, folder, cache, monkeypatch):
    examples = FolderExamples.open(folder, recipe.features, cache)
    assert examples.frames() is None
    frames = sum(examples.fill(1))
    again = FolderExamples.open(folder, recipe.features, cache)
    assert again.frames() == frames
    signal, rate = read_audio(folder / "audio" / "train_000001.flac")
    monkeypatch.setattr("tselcli.examples.clip_gcc", forbid)
    found = list(again)
    monkeypatch.undo()
    np.testing.assert_array_equal(found[1].gcc, clip_gcc(signal, rate, recipe.features))
    assert [example.mono for example in found] == [None] * 3


def test_trials_of_a_folder_are_read_one_by_one(folder, tmp_path):
    trials = folder_trials(folder)
    assert len(trials) == 3
    assert [trial.scene.index for trial in trials] == [0, 1, 2]
    assert [trial.scene.index for trial in trials] == [0, 1, 2]  # as often as one likes
    copy = tmp_path / "copy"
    copy.mkdir()
    (copy / "manifest.jsonl").write_bytes((folder / "manifest.jsonl").read_bytes())
    trials = folder_trials(copy)  # the recordings are not looked for yet
    with pytest.raises(DataError, match=r"train_000000\.flac: no such file"):
        next(iter(trials))
