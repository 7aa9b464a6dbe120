import json
import pickle
from dataclasses import replace

import numpy as np
import pytest

from tselcli.acoustics.manifest import (
    dcase_text,
    expand_positions,
    read_line,
    read_manifest,
    scene_from_json,
    scene_line,
    scene_to_json,
)
from tselcli.acoustics.render import render_scene
from tselcli.acoustics.scene import Scene, draw_scene
from tselcli.errors import DataError
from tselcli.sections import MotionRecipe


@pytest.fixture
def scene(quick, corpus) -> Scene:
    recipe = quick.model_copy(update={"additive": 1, "noise_snr_db": (5.0, 9.0)})
    return draw_scene(recipe, corpus, 0, "train", 4)


def test_a_scene_survives_the_disk_and_sounds_the_same(scene, corpus):
    rendered = render_scene(scene, corpus)
    again, audio = read_line(scene_line(rendered.scene, "audio/a.flac"))
    assert audio == "audio/a.flac"
    assert again == rendered.scene
    assert np.array_equal(render_scene(again, corpus).signal, rendered.signal)
    assert scene_from_json(scene_to_json(scene)) == scene  # also before it was rendered


def test_scenes_from_before_there_was_ambience_are_read(scene):
    values = scene_to_json(scene)
    assert (values.pop("ambience"), values.pop("bank_room")) == (None, None)
    assert values.pop("method") == "images"
    before = {**values, "schema": "tsel-scene/2"}
    then = replace(scene, method="pyroomacoustics")  # which rendered them
    assert scene_from_json(before) == then
    assert scene_from_json({**before, "array": {**values["array"], "channels": None}}) == then
    assert scene_from_json({**values, "ambience": None, "schema": "tsel-scene/3"}) == then
    measured = {"bank": "tau", "name": "gym"}
    assert scene_from_json({**before, "room": measured}).method is None
    with pytest.raises(DataError, match="unknown or missing"):
        scene_from_json(values)


def test_a_line_holds_what_was_promised_and_no_paths(scene, corpus, tmp_path):
    line = scene_line(render_scene(scene, corpus).scene, "audio/a.flac")
    assert "\n" not in line
    assert str(tmp_path) not in line
    values = json.loads(line)
    assert values["schema"] == "tsel-scene/4"
    assert {"room", "rt60_measured_s", "array", "sources"} <= set(values)
    for source in values["sources"]:
        assert {"clip_id", "corpus", "caption", "onset_s", "positions", "gain"} <= set(source)
    target = scene.sources[0]
    assert values["sources"][0]["positions"] == [
        [0, target.azimuth_deg, target.elevation_deg, target.distance_m]
    ]
    assert values["sources"][2]["positions"] == []


def test_a_moving_scene_survives_the_disk_and_sounds_the_same(quick, corpus):
    recipe = quick.model_copy(update={"motion": MotionRecipe(share=1.0, speed_deg_s=(40.0,))})
    scene = draw_scene(recipe, corpus, 0, "train", 1)
    rendered = render_scene(scene, corpus)
    again, _ = read_line(scene_line(rendered.scene, "audio/a.flac"))
    assert len(again.sources[0].positions) > 3
    assert again == rendered.scene
    assert np.array_equal(render_scene(again, corpus).signal, rendered.signal)
    rows = [line.split(",") for line in dcase_text(again).splitlines()]
    written = {(int(row[0]), int(row[3])) for row in rows if row[1] == "0"}
    truth = expand_positions(again.sources[0].positions, 1000)
    assert len({azimuth for _, azimuth in written}) > 3
    assert all(abs((truth[k, 0] - azimuth + 180) % 360 - 180) <= 0.5 for k, azimuth in written)


def test_positions_hold_until_the_next_entry():
    track = expand_positions([[0, 30.0, 0.0, 2.0], [3, 40.0, 5.0, 2.5]], 5)
    assert track[:, 0].tolist() == [30, 30, 30, 40, 40]
    assert track[4].tolist() == [40, 5, 2.5]
    assert np.isnan(expand_positions([], 2)).all()


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"schema": "tsel-scene/9"}, "no 'schema: tsel-scene/4'"),
        ({"colour": "red"}, "unknown or missing"),
        ({"sample_rate": "16000"}, "sample_rate"),
        ({"room": {"size_m": [1, 2], "rt60_s": 0.5}}, "room.Room.size_m"),
        ({"room": None}, "room"),
        ({"array_position_m": [1, 2, "x"]}, "array_position_m"),
        ({"sources": None}, "sources are missing or malformed"),
        ({"sources": [{"kind": "directional"}]}, "sources are missing or malformed"),
        ({"sources": [5]}, "sources are missing or malformed"),
    ],
)
def test_a_malformed_scene_is_explained(scene, change, complaint):
    with pytest.raises(DataError, match=complaint):
        scene_from_json({**scene_to_json(scene), **change})


@pytest.mark.parametrize(
    ("positions", "complaint"),
    [
        ([[0, 1.0, 2.0, 3.0], [0, 2.0, 2.0, 3.0]], "must ascend from 0"),
        ([[0, 1.0, 2.0, 3.0], [9, 2.0, 2.0, 3.0], [5, 2.0, 2.0, 3.0]], "must ascend from 0"),
        ([[4, 1.0, 2.0, 3.0]], "must ascend from 0"),
        ([[0, 1.0]], "malformed"),
        (7, "malformed"),
    ],
)
def test_malformed_positions_are_explained(scene, positions, complaint):
    values = scene_to_json(scene)
    values["sources"][0]["positions"] = positions
    with pytest.raises(DataError, match=complaint):
        scene_from_json(values)


def test_a_key_that_a_source_lacks_is_noticed(scene):
    values = scene_to_json(scene)
    del values["sources"][0]["gain"]
    with pytest.raises(DataError, match="unknown or missing"):
        scene_from_json(values)


def test_a_manifest_is_read_with_its_audio_paths(scene, tmp_path):
    lines = [scene_line(replace(scene, index=n), f"audio/{n}.flac") for n in range(3)]
    (tmp_path / "manifest.jsonl").write_text("".join(f"{line}\n" for line in lines))
    scenes = read_manifest(tmp_path)
    assert list(scenes) == list(read_manifest(tmp_path / "manifest.jsonl"))
    assert len(scenes) == 3
    assert [read.index for read, _ in scenes] == [0, 1, 2]
    assert scenes[2][1] == tmp_path / "audio" / "2.flac"


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("{", "manifest.jsonl:2: not a line of JSON"),
        ('{"duration_s": NaN}', "manifest.jsonl:2: not a line of JSON"),
        ("[]", "manifest.jsonl:2: 'audio' must be a path inside"),
        ('{"audio": "../../etc/passwd"}', "manifest.jsonl:2: 'audio' must be a path inside"),
        ('{"audio": "/etc/passwd"}', "manifest.jsonl:2: 'audio' must be a path inside"),
        ('{"audio": "a.flac"}', "manifest.jsonl:2: scene: no 'schema"),
    ],
)
def test_a_bad_line_is_named_by_its_number(scene, tmp_path, line, complaint):
    good = scene_line(scene, "audio/a.flac")
    (tmp_path / "manifest.jsonl").write_text(f"{good}\n{line}\n")
    scenes = read_manifest(tmp_path)
    assert scenes[0][0] == scene
    with pytest.raises(DataError, match=complaint):
        scenes[1]


def test_a_wrong_first_line_is_found_at_once(tmp_path):
    (tmp_path / "manifest.jsonl").write_text("{\n")
    with pytest.raises(DataError, match=r"manifest\.jsonl:1: not a line of JSON"):
        read_manifest(tmp_path)


def test_a_line_is_what_ends_with_a_newline_whatever_a_caption_holds(scene, tmp_path):
    odd = replace(scene.sources[0], caption="one\u2028two\x85three")
    scenes = [replace(scene, sources=(odd, *scene.sources[1:])), scene]
    lines = [scene_line(one, "a.flac") for one in scenes]
    (tmp_path / "manifest.jsonl").write_text("\n".join(lines), newline="")
    assert [read for read, _ in read_manifest(tmp_path)] == scenes


def test_the_digest_follows_every_byte(scene, tmp_path):
    path, line = tmp_path / "manifest.jsonl", scene_line(scene, "a.flac")
    path.write_text(f"{line}\n{line}\n")
    before = read_manifest(path).digest()
    assert read_manifest(tmp_path).digest() == before
    path.write_text(f"{line}\n{line.replace('a.flac', 'b.flac')}\n")
    assert read_manifest(path).digest() != before


def test_scenes_are_not_read_before_they_are_asked_for(scene, tmp_path):
    """Of many lines only the first is parsed, and what is kept is a few numbers a line."""
    line = scene_line(scene, "a.flac")
    (tmp_path / "manifest.jsonl").write_text(f"{line}\n" + "nonsense\n" * 20_000)
    scenes = read_manifest(tmp_path)
    assert len(scenes) == 20_001
    assert len(pickle.dumps(scenes)) < 30 * len(scenes)


def test_a_missing_or_empty_manifest_is_explained(tmp_path):
    with pytest.raises(DataError, match=r"manifest\.jsonl: No such file.*tsel simulate"):
        read_manifest(tmp_path)
    (tmp_path / "manifest.jsonl").write_text("")
    with pytest.raises(DataError, match="holds no scene"):
        read_manifest(tmp_path)
    (tmp_path / "manifest.jsonl").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="not text"):
        read_manifest(tmp_path)


def test_dcase_labels_list_active_frames_of_placed_sources(scene):
    first, second, added = scene.sources
    first = replace(first, azimuth_deg=179.7, elevation_deg=-3.4, active=((1, 3),))
    second = replace(second, azimuth_deg=-0.4, elevation_deg=10.6, active=((0, 1), (2, 3)))
    added = replace(added, active=((0, 9),))
    labels = dcase_text(replace(scene, sources=(first, second, added)))
    assert labels == "0,1,1,0,11\n1,0,0,-180,-3\n2,0,0,-180,-3\n2,1,1,0,11\n"
