from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tselcli.acoustics.scene import draw_scene
from tselcli.corpora.clip import compatible
from tselcli.dataset import corpus_of, fresh_trials
from tselcli.judging import Lacking, judge, recipe_of
from tselcli.models.localizer import Localizer
from tselcli.recipe import load_recipe

SHORT = ["scene.duration_s=1.0", "scene.room.max_order=1", "scene.directional=3"]


@pytest.fixture(scope="module")
def recipe():
    return load_recipe("tiny", SHORT)


@pytest.fixture(scope="module")
def scenes(recipe):
    corpus = corpus_of(recipe, "test")
    return [draw_scene(recipe.scene, corpus, 5, "test", index) for index in range(30)]


def test_absent_captions_could_be_of_nothing_in_the_scene(recipe, scenes):
    clips = corpus_of(recipe, "test").clips
    for scene in scenes:
        captions = Lacking(recipe, 4).captions(scene)
        present = [clip for clip in clips if clip.id in {s.clip_id for s in scene.sources}]
        assert len(set(captions)) == 4
        assert len(present) == 3
        for caption in captions:
            owners = [clip for clip in clips if caption in clip.captions]
            assert any(all(compatible(o, p) for p in present) for o in owners)
            assert not any(caption in clip.captions for clip in present)


def test_a_scene_is_always_asked_the_same_and_others_something_else(recipe, scenes):
    lacking = Lacking(recipe, 2)
    first = [lacking.captions(scene) for scene in scenes]
    again = [Lacking(recipe, 2).captions(scene) for scene in reversed(scenes)]
    assert again == first[::-1]
    assert len({caption for captions in first for caption in captions}) > 10


def test_nothing_is_asked_where_nobody_can_say_what_is_absent(recipe, scenes, tmp_path):
    scene = scenes[0]
    strange = replace(scene, sources=(*scene.sources[:2], replace(scene.sources[2], clip_id="?")))
    gone = load_recipe("tiny", [f"corpus.source={tmp_path / 'gone'}"])
    assert Lacking(recipe, 2).captions(strange) == []
    assert Lacking(gone, 2).captions(scene) == []
    assert Lacking(None, 2).captions(scene) == []
    assert Lacking(recipe, 0).captions(scene) == []


def test_a_folder_without_a_recipe_has_none(tmp_path):
    assert recipe_of(tmp_path) is None
    assert recipe_of(Path(f"starss:{tmp_path}")) is None
    (tmp_path / "recipe.yaml").write_text("name: x\nunknown: 1\n")
    assert recipe_of(tmp_path) is None
    (tmp_path / "recipe.yaml").write_text("name: mine\n")
    assert recipe_of(tmp_path).name == "mine"


def test_what_is_asked_besides_changes_no_answer(recipe):
    localizer = Localizer.load()
    (trial,) = fresh_trials(recipe, "test", 3, 1, 1)
    alone, track = judge(localizer, trial, Lacking(recipe, 0), False, False)
    beside, _ = judge(localizer, trial, Lacking(recipe, 2), False, False)
    absent = beside.pop("absent")
    assert track is None
    assert alone.pop("absent") == []
    assert beside["confidence"] == pytest.approx(alone.pop("confidence"), abs=1e-3)
    assert beside["presence"] == pytest.approx(alone.pop("presence"), abs=1e-4)
    turned = np.subtract(*(one.pop("answers")[localizer.name] for one in (alone, beside)))
    assert abs((turned + 180) % 360 - 180) < 0.1
    assert {name: beside[name] for name in alone} == alone
    assert [one["query"] for one in absent] == Lacking(recipe, 2).captions(trial.scene)
    for one in absent:
        (direct,) = localizer.locate(trial.signal, 16_000, [one["query"]], trial.array)
        assert one["presence"] == pytest.approx(direct.presence, abs=1e-4)
