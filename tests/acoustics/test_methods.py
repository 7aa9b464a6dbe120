from dataclasses import replace

import numpy as np
import pytest

from tselcli.acoustics import methods
from tselcli.acoustics.geometry import parse_array
from tselcli.acoustics.manifest import read_line, scene_line
from tselcli.acoustics.methods import Setting, as_points, kept_rirs, rirs_of
from tselcli.acoustics.render import render_scene
from tselcli.acoustics.rirs import Room
from tselcli.acoustics.scene import draw_scene
from tselcli.errors import DataError
from tselcli.sections import MotionRecipe, RoomRecipe

RATE = 8_000
MICS = as_points(parse_array("square:0.12").positions + np.array([2.5, 2.2, 1.2]))
SETTING = Setting(
    method="images",
    room=Room((6.0, 5.0, 3.0), 0.4),
    mics_m=MICS,
    sources_m=((4.6, 3.4, 1.6), (1.2, 4.0, 0.9)),
    sample_rate=RATE,
    max_order=None,
    axes=None,
    seed=3,
)


@pytest.fixture
def tailed(quick):
    return quick.model_copy(update={"room": RoomRecipe(rt60_s=(0.6, 0.7), method="diffuse-tail")})


def test_images_are_the_default_and_those_of_pyroomacoustics(quick, corpus):
    scene = draw_scene(quick, corpus, 0, "train", 0)
    assert scene.method == "images"
    ours = render_scene(scene, corpus).signal
    theirs = render_scene(replace(scene, method="pyroomacoustics"), corpus).signal
    assert not np.array_equal(ours, theirs)
    assert np.linalg.norm(ours - theirs) <= 1e-5 * np.linalg.norm(theirs)


def test_a_tail_depends_on_its_place_and_the_seed_alone():
    setting = replace(SETTING, method="diffuse-tail")
    both = rirs_of(setting)
    second = rirs_of(replace(setting, sources_m=SETTING.sources_m[1:]))
    length = min(both.shape[-1], second.shape[-1])
    assert np.array_equal(both[1, :, :length], second[0, :, :length])
    assert not np.array_equal(both, rirs_of(replace(setting, seed=4)))
    assert not np.array_equal(both[0], both[1])


def test_torch_comes_from_above_or_is_refused():
    setting = replace(SETTING, method="torch")
    given = np.zeros((2, 4, 7), dtype=np.float32)
    assert rirs_of(setting, lambda *_: given) is given
    with pytest.raises(DataError, match=r"torch: cannot be used here; set .* to images"):
        rirs_of(setting)


def test_a_scene_with_a_tail_survives_the_disk_and_sounds_the_same(tailed, corpus):
    rendered = render_scene(draw_scene(tailed, corpus, 0, "train", 2), corpus)
    again, _ = read_line(scene_line(rendered.scene, "audio/a.flac"))
    assert again.method == "diffuse-tail"
    assert np.array_equal(render_scene(again, corpus).signal, rendered.signal)
    plain = render_scene(replace(again, method="images"), corpus).signal
    assert not np.array_equal(plain, rendered.signal)


def test_a_moving_source_has_a_tail_too(tailed, corpus):
    motion = MotionRecipe(share=1.0, speed_deg_s=(40.0,))
    scene = draw_scene(tailed.model_copy(update={"motion": motion}), corpus, 0, "train", 1)
    tail, full = (
        render_scene(replace(scene, method=method), corpus) for method in ("diffuse-tail", "images")
    )
    assert not np.array_equal(tail.signal, full.signal)
    levels = [np.square(of.images[0] / of.scene.sources[0].gain).sum() for of in (tail, full)]
    assert abs(10 * np.log10(levels[0] / levels[1])) <= 0.5
    assert np.array_equal(tail.signal, render_scene(tail.scene, corpus).signal)


def test_ambisonics_have_a_tail_too(tailed, corpus):
    array = tailed.array.model_copy(update={"geometry": "foa"})
    scene = draw_scene(tailed.model_copy(update={"array": array}), corpus, 0, "train", 1)
    tail, full = (
        render_scene(replace(scene, method=method), corpus) for method in ("diffuse-tail", "images")
    )
    loss = np.square(tail.images).sum(axis=-1) / np.square(full.images).sum(axis=-1)
    assert np.abs(10 * np.log10(loss[:, 0])).max() <= 1.5


@pytest.fixture
def banked(quick):
    room = quick.room.model_copy(update={"bank": 2})
    return quick.model_copy(update={"room": room})


def test_scenes_of_a_bank_share_rooms_and_places_and_nothing_else(banked, corpus):
    scenes = [draw_scene(banked, corpus, 0, "train", index) for index in range(12)]
    assert {scene.bank_room for scene in scenes} == {0, 1}
    for number in (0, 1):
        alike = [scene for scene in scenes if scene.bank_room == number]
        assert len({scene.room for scene in alike}) == 1
        places = {frozenset(source.position_m for source in scene.sources) for scene in alike}
        assert len(places) == 1
        assert len({scene.sources[0].position_m for scene in alike}) == 2  # any is the target
        assert len({scene.sources[0].clip_id for scene in alike}) > 1
    assert scenes[0].room != draw_scene(banked, corpus, 1, "train", 0).room
    assert {s.room for s in scenes}.isdisjoint(
        draw_scene(banked, corpus, 0, "test", index).room for index in range(6)
    )


def test_responses_of_a_bank_are_computed_once_and_change_nothing(banked, corpus, monkeypatch):
    kept_rirs.cache_clear()
    counted = []
    compute = methods.fast_rirs
    monkeypatch.setattr(methods, "fast_rirs", lambda *given: counted.append(1) or compute(*given))
    for index in range(6):
        scene = draw_scene(banked, corpus, 0, "train", index)
        shared = render_scene(scene, corpus)
        calls = len(counted)
        alone = render_scene(replace(scene, bank_room=None), corpus)
        assert len(counted) == calls + 1
        counted.pop()
        assert np.array_equal(shared.signal, alone.signal)
    assert len(counted) == 2


def test_kept_responses_cannot_be_spoilt():
    with pytest.raises(ValueError, match="read-only"):
        kept_rirs(SETTING)[0] = 0
