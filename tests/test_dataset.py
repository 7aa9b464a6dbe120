from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from tselcli.acoustics.scene import draw_scene
from tselcli.dataset import Trial, anything_moves, corpus_of, frame_truth, truth_track
from tselcli.recipe import recipe_from_dict


@pytest.fixture(scope="module")
def scene():
    recipe = recipe_from_dict({"name": "test"})
    return draw_scene(recipe.scene, corpus_of(recipe, "val"), 0, "val", 0)


def test_a_source_at_rest_is_in_one_place(scene):
    source = scene.sources[0]
    place = [source.azimuth_deg, source.elevation_deg, source.distance_m]
    assert truth_track(source, 3).tolist() == [place] * 3
    assert np.isnan(truth_track(replace(source, azimuth_deg=None), 2)).all()


def test_each_position_holds_until_the_next():
    source = SimpleNamespace(positions=((0, 10.0, 1.0, 2.0), (2, 20.0, 1.0, 2.5)), azimuth_deg=10.0)
    track = truth_track(source, 4)
    assert track[:, 0].tolist() == [10, 10, 20, 20]
    assert track[3].tolist() == [20, 1, 2.5]


def test_frames_say_who_sounds_when(scene):
    target, other = scene.sources
    scene = replace(scene, sources=(replace(target, active=((1, 3),)), other))
    truth = frame_truth(scene, 4)
    assert truth.active.tolist() == [False, True, True, False]
    assert truth.target_deg.tolist() == [target.azimuth_deg] * 4
    assert truth.others_deg.tolist() == [[other.azimuth_deg]] * 4
    assert truth.others_active.all()  # not rendered: nobody knows better
    assert not truth.moves


def test_a_look_at_what_moves_loses_nothing(scene):
    still = Trial(scene, np.zeros((4, 3200), np.float32))
    moving = replace(still, labels=replace(still.frames, target_deg=np.array([5.0, 6.0])))
    moves, trials = anything_moves(iter([still] * 20))
    assert not moves
    assert len(list(trials)) == 20
    moves, trials = anything_moves(iter([still, moving]))
    assert moves
    assert list(trials) == [still, moving]


@pytest.mark.parametrize(("samples", "frames"), [(16_000, 10), (16_001, 11), (10, 1)])
def test_every_frame_that_begins_has_a_truth(scene, samples, frames):
    trial = Trial(scene, np.zeros((4, samples), np.float32))
    assert len(trial.frames.active) == frames
