import json

import numpy as np
import pytest

from tselcli.breakdowns import KEYS, break_down, parse_keys
from tselcli.errors import RecipeError
from tselcli.metrics import score
from tselcli.report import to_json


def scene(error=0.0, azimuth=0.0, others=(90.0,), level=(0.0,), rt60=0.6, label="dog", extra=()):
    return {
        "azimuth_deg": azimuth,
        "others_deg": list(others),
        "level_db": list(level),
        "other_labels": ["x"] * len(level),
        "rt60_s": rt60,
        "label": label,
        "answers": {"m": azimuth + error, "peer": azimuth, **dict(extra)},
    }


def tables(*scenes, keys=KEYS, **options):
    return break_down({"model": "m", "scenes": list(scenes)}, keys, **options)


def bins(key, *scenes):
    return {row["bin"]: row["scenes"] for row in tables(*scenes, keys=[key])[key]}


def random_scenes(count=60):
    rng = np.random.default_rng(3)
    return [
        scene(
            rng.normal(0, 40),
            rng.uniform(-180, 180),
            rng.uniform(-180, 180, number := rng.integers(0, 4)).tolist(),
            rng.uniform(-10, 10, number).tolist(),
            rng.uniform(0.2, 1.3),
            "abcdefgh"[rng.integers(8)],
        )
        for _ in range(count)
    ]


@pytest.mark.parametrize("key", KEYS)
def test_the_bins_together_are_all_scenes(key):
    scenes = random_scenes()
    rows = tables(*scenes)[key]
    counts = [row["scenes"] for row in rows]
    errors = [abs(s["answers"]["m"] - s["azimuth_deg"]) for s in scenes]
    assert sum(counts) == 60
    assert len(rows) > 1
    assert np.average([row["mae_deg"] for row in rows], weights=counts) == pytest.approx(
        np.mean([min(error, 360 - error) for error in errors])
    )


def test_a_bin_has_the_figures_of_its_scenes_alone():
    near, far = scene(5.0, others=[100.0], label="dog"), scene(60.0, others=[70.0], label="cat")
    cat, dog = tables(near, far, keys=["label"])["label"]
    alone = score([60.0], [0.0], [[70.0]], np.random.default_rng(0))
    assert cat == {"bin": "cat", **alone}
    assert (dog["mae_deg"], dog["selection"], cat["selection"]) == (5.0, 1.0, 0.0)
    assert tables(far, keys=["label"], system="peer")["label"][0]["mae_deg"] == 0.0


def test_what_eval_keeps_in_a_file_is_enough():
    scenes = random_scenes(20)
    scenes[0]["rt60_s"], scenes[1]["level_db"] = float("nan"), [float("nan")]
    result = {"model": "m", "scenes": scenes}
    stored = json.loads(to_json(result))
    for key, rows in break_down(stored, KEYS).items():
        fresh = break_down(result, [key])[key]
        assert [row["bin"] for row in rows] == [row["bin"] for row in fresh]
        for name in ("mae_deg", "selection"):
            assert [row[name] for row in rows] == pytest.approx(
                [row[name] for row in fresh], abs=1e-2
            )


def test_front_and_back_count_alike_for_microphones_in_a_line():
    result = {"model": "m", "line_deg": 90.0, "scenes": [scene(-136.0, 160.0, [157.0])]}
    (row,) = break_down(result, ["sources"])["sources"]
    assert row["mae_deg"] == pytest.approx(4.0)  # 24 degrees are 156
    assert row["selection"] == 0.0
    (row,) = break_down({**result, "line_deg": None}, ["sources"])["sources"]
    assert row["mae_deg"] == pytest.approx(136.0)


def test_the_level_is_that_over_the_loudest_other():
    quiet, loud = scene(level=(-8.0, -3.0)), scene(level=(-20.0, 9.0))
    assert bins("level", quiet, loud, scene(level=(2.6,)), scene(level=(0.0,))) == {
        "below -7.5": 1,
        "-7.5 to -2.5": 1,
        "-2.5 to 2.5": 1,
        "2.5 to 7.5": 1,
    }
    assert bins("level", scene(level=(-7.5,))) == {"7.5 and more": 1}
    assert bins("level", scene(level=(2.5,))) == {"-2.5 to 2.5": 1}
    assert bins("level", scene(level=(), others=())) == {"no other": 1}
    assert bins("level", scene(level=(None,))) == {"unknown": 1}


def test_the_angle_is_the_shorter_way_to_the_nearest():
    assert bins("angle", scene(azimuth=179.0, others=(-175.0, 60.0))) == {"below 15": 1}
    assert bins("angle", scene(others=(120.0, -60.0))) == {"60 to 120": 1}
    assert bins("angle", scene(others=(180.0,))) == {"120 and more": 1}
    assert bins("angle", scene(others=())) == {"no other": 1}  # additive


def test_rooms_and_crowds_come_in_order():
    assert [*bins("rt60", *(scene(rt60=t) for t in (1.2, None, 0.2, 0.5)))] == [
        "below 0.3",
        "0.5 to 0.7",
        "1.1 and more",
        "unknown",
    ]
    many = scene(level=(0.0,) * 9)
    assert bins("sources", many, scene(), scene(level=(), others=())) == {"1": 1, "2": 1, "10": 1}
    assert [*bins("sources", many, scene())] == ["2", "10"]


def test_the_worst_labels_come_first_and_rare_ones_do_not_count():
    often = [scene(float(k), label=f"l{k:02}") for k in range(14) for _ in range(3)]
    rows = tables(scene(170.0, label="rare"), *often, keys=["label"])["label"]
    assert [row["bin"] for row in rows] == [f"l{k:02}" for k in range(13, 3, -1)]
    assert bins("label", scene(label="a"), scene(label="b")) == {"a": 1, "b": 1}


def test_keys_are_read_between_commas():
    assert parse_keys("level, label,level") == ("level", "label")
    with pytest.raises(RecipeError, match="'lable': unknown; did you mean 'label'"):
        parse_keys("level,lable")
    with pytest.raises(RecipeError, match="unknown; use some of level,angle,rt60,sources,label"):
        parse_keys("level,")
