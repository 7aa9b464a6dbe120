from dataclasses import replace

import numpy as np
import pytest

from tselcli.acoustics.geometry import azimuth_of, turn, wrap_deg
from tselcli.acoustics.scene import draw_scene, scene_rng
from tselcli.corpora.clip import Corpus
from tselcli.errors import DataError, RecipeError
from tselcli.sections import ArrayRecipe, RoomRecipe, SceneRecipe


def test_a_scene_depends_on_seed_split_and_index_only(quick, corpus):
    scene = draw_scene(quick, corpus, 3, "train", 7)
    draw_scene(quick, corpus, 3, "train", 6)
    assert draw_scene(quick, corpus, 3, "train", 7) == scene
    others = [(4, "train", 7), (3, "val", 7), (3, "train", 8)]
    assert len({scene.room} | {draw_scene(quick, corpus, *other).room for other in others}) == 4


def test_streams_of_a_scene_are_independent():
    values = {scene_rng(0, "train", 1, *stream).random() for stream in [(), (1,), (2,)]}
    assert len(values) == 3


def test_everything_lies_in_the_ranges_of_the_recipe(corpus):
    recipe = SceneRecipe(
        directional=3,
        additive=1,
        level_difference_db=(-3, 6),
        noise_snr_db=(10, 20),
        min_separation_deg=15,
    )
    for index in range(60):
        scene = draw_scene(recipe, corpus, 0, "train", index)
        size, centre = np.array(scene.room.size_m), np.array(scene.array_position_m)
        assert (size >= 5).all()
        assert (size <= 15).all()
        assert 0.5 <= scene.room.rt60_s <= 1.0
        assert 1.0 <= centre[2] <= 1.2
        assert 10 <= scene.noise_snr_db <= 20
        assert 0.1 <= np.linalg.norm(scene.mics_m[0] - scene.mics_m[1]) <= 0.13 + 1e-9
        assert [source.kind for source in scene.sources] == ["directional"] * 3 + ["additive"]
        assert scene.sources[0].level_db == 0
        assert all(-6 <= source.level_db <= 3 for source in scene.sources[1:])
        assert len({source.label for source in scene.sources}) == 4
        assert all(source.caption.endswith(source.label) for source in scene.sources)
        for source in scene.sources[:3]:
            place = np.array(source.position_m)
            assert (place[:2] >= 0.5).all()
            assert (place[:2] <= size[:2] - 0.5).all()
            assert 0.5 <= place[2] <= 2.0
            assert np.linalg.norm(place - centre) == pytest.approx(source.distance_m, abs=1e-3)
            assert source.distance_m >= 1.0
        azimuths = np.array([source.azimuth_deg for source in scene.sources[:3]])
        apart = np.abs(wrap_deg(azimuths[:, None] - azimuths))[np.triu_indices(3, 1)]
        assert apart.min() >= 15 - 1e-3


def test_azimuths_and_ranges_are_used_whole(quick, corpus):
    scenes = [draw_scene(quick, corpus, 0, "train", index) for index in range(300)]
    counts, _ = np.histogram([s.sources[0].azimuth_deg for s in scenes], 4, (-180, 180))
    assert counts.min() > 40
    assert len({s.sources[0].clip_id for s in scenes}) == 6
    assert len({s.sources[0].caption for s in scenes}) == 12


def test_azimuth_is_seen_from_the_turned_array(quick, corpus):
    recipe = quick.model_copy(update={"array": ArrayRecipe(rotate=True)})
    yaws = []
    for index in range(20):
        scene = draw_scene(recipe, corpus, 0, "train", index)
        yaws.append(scene.array_yaw_deg)
        away = np.array(scene.sources[0].position_m) - scene.array_position_m
        expected = wrap_deg(azimuth_of(away) - scene.array_yaw_deg)
        assert abs(wrap_deg(scene.sources[0].azimuth_deg - expected)) < 1e-3
        front_left = scene.mics_m[0] - scene.array_position_m
        assert abs(wrap_deg(azimuth_of(front_left) - scene.array_yaw_deg - 45)) < 1e-6
        assert turn(front_left, -scene.array_yaw_deg) == pytest.approx(scene.array.positions[0])
    assert np.ptp(yaws) > 180


def test_random_onsets_leave_the_clip_whole(quick, corpus):
    recipe = quick.model_copy(update={"onset": "random"})
    onsets = []
    for index in range(20):
        for source in draw_scene(recipe, corpus, 0, "train", index).sources:
            length = 8_000 // 4 + 700 * int(source.clip_id[-1])
            assert 0 <= source.onset_s <= 1.0 - length / 8_000
            onsets.append(source.onset_s)
    assert max(onsets) > 0.5
    short = recipe.model_copy(update={"duration_s": 0.2})
    assert draw_scene(short, corpus, 0, "train", 0).sources[0].onset_s == 0


def test_clips_of_one_group_never_meet(quick, corpus):
    clips = tuple(
        replace(clip, groups=frozenset({"odd" if number % 2 else "even"}))
        for number, clip in enumerate(corpus.clips)
    )
    for index in range(20):
        scene = draw_scene(quick, Corpus("grouped", clips), 0, "train", index)
        first, second = (int(source.clip_id[-1]) for source in scene.sources)
        assert first % 2 != second % 2


def test_too_few_kinds_are_explained(quick, corpus):
    clips = tuple(replace(clip, label="rain") for clip in corpus.clips)
    with pytest.raises(DataError, match="rainy: no 2 clips of different kinds"):
        draw_scene(quick, Corpus("rainy", clips), 0, "train", 0)


@pytest.mark.parametrize(
    "changes",
    [
        {"length_m": (0.8, 0.9)},
        {"source_distance_min_m": 40.0},
        {"rt60_s": (0.01, 0.05)},
        {"source_height_m": (14.8, 14.9)},
        {"rt60_s": (100.0, 100.0)},
    ],
)
def test_an_impossible_room_is_explained(corpus, changes):
    recipe = SceneRecipe(room=RoomRecipe(**changes))
    with pytest.raises(RecipeError, match="no room out of 100 holds the array and 2 source"):
        draw_scene(recipe, corpus, 0, "train", 0)


def test_an_impossible_separation_or_array_is_explained(quick, corpus, tmp_path):
    with pytest.raises(RecipeError, match="min_separation_deg"):
        draw_scene(
            quick.model_copy(update={"directional": 3, "min_separation_deg": 130.0}),
            corpus,
            0,
            "train",
            0,
        )
    (tmp_path / "wide.yaml").write_text("mics: [[-9, 0], [9, 0]]")
    array = ArrayRecipe(geometry=str(tmp_path / "wide.yaml"))
    with pytest.raises(RecipeError, match="no room out of 100"):
        draw_scene(quick.model_copy(update={"array": array}), corpus, 0, "train", 0)


def test_the_array_stands_near_the_middle_unless_told_otherwise(quick, corpus):
    """Seen from the middle, independent sources are 90 degrees apart; from anywhere, 60."""
    apart = {}
    assert ArrayRecipe().from_middle_m == 0.5
    for distance in (0.0, None):
        array = ArrayRecipe(from_middle_m=distance)
        recipe = quick.model_copy(update={"array": array, "directional": 2, "additive": 0})
        gaps = []
        for index in range(300):
            scene = draw_scene(recipe, corpus, 0, "train", index)
            if distance is not None:
                middle = np.array(scene.room.size_m[:2]) / 2
                away = np.abs(np.array(scene.array_position_m[:2]) - middle)
                assert away.max() <= distance + 1e-3
            first, second = (source.azimuth_deg for source in scene.sources)
            gaps.append(abs((first - second + 180) % 360 - 180))
        apart[distance] = np.mean(gaps)
    assert apart[0.0] == pytest.approx(90, abs=8)
    assert apart[None] < 75
