import math

import numpy as np
import pytest

from tselcli.certainty import confidence_figures, presence_figures
from tselcli.metrics import auroc


def asked(presence, *absent):
    return {"presence": presence, "absent": [{"query": "x", "presence": p} for p in absent]}


def figures(scenes):
    return presence_figures(scenes, np.random.default_rng(0))


def test_presence_worked_out_by_hand():
    scenes = [asked(0.9, 0.1, 0.7), asked(0.5, 0.2), asked(0.4, 0.45, 0.05)]
    found = figures(scenes)
    assert (found["scenes"], found["absent"]) == (3, 5)
    assert found["found"] == pytest.approx(2 / 3)  # 0.5 is called present
    assert found["false_alarms"] == pytest.approx(1 / 5)
    assert found["auroc"] == pytest.approx((5 + 4 + 3) / 15)
    for name in ("auroc", "found", "false_alarms"):
        low, high = found[f"{name}_interval"]
        assert 0 <= low <= found[name] <= high <= 1


def test_what_is_told_apart_perfectly_has_no_spread():
    found = figures([asked(0.6 + k / 100, 0.1, 0.2) for k in range(20)])
    assert (found["auroc"], found["auroc_interval"]) == (1.0, [1.0, 1.0])
    assert (found["found"], found["false_alarms"]) == (1.0, 0.0)


def test_asking_the_same_thing_twice_is_no_more_evidence():
    rng = np.random.default_rng(1)
    pairs = rng.uniform(size=(30, 2))
    once, often = (figures([asked(p, *[a] * k) for p, a in pairs]) for k in (1, 5))
    for name in ("auroc", "found", "false_alarms"):
        assert often[name] == pytest.approx(once[name])
        assert often[f"{name}_interval"] == pytest.approx(once[f"{name}_interval"])


def test_the_interval_of_auroc_agrees_with_hanley_and_mcneil():
    rng = np.random.default_rng(2)
    there, absent = rng.normal(1.0, 1, 150), rng.normal(0.0, 1, 150)
    found = figures([asked(p, a) for p, a in zip(there, absent, strict=True)])
    area = auroc(np.concatenate([there, absent]), np.arange(300) < 150)
    first, second = area / (2 - area), 2 * area**2 / (1 + area)
    spread = area * (1 - area) + 149 * (first + second - 2 * area**2)
    wanted = 2 * 1.96 * math.sqrt(spread / 150**2)
    low, high = found["auroc_interval"]
    assert high - low == pytest.approx(wanted, rel=0.15)


@pytest.mark.parametrize("scene", [asked(None, 0.2), asked(0.9), {"presence": 0.9}])
def test_nothing_is_said_of_presence_where_it_was_not_asked(scene):
    assert figures([scene]) is None
    assert figures([scene, asked(0.9, 0.1)])["scenes"] == 1


def sure(confidence, azimuth):
    return {"confidence": confidence, "azimuth_deg": 175.0, "answers": {"m": azimuth, "n": 175.0}}


def test_a_model_that_is_as_often_right_as_it_says_has_no_error():
    scenes = [sure(0.75, azimuth) for azimuth in (175, -175, 165, 0)] * 5  # 10 degrees are right
    found = confidence_figures(scenes, "m", np.random.default_rng(0))
    assert (found["scenes"], found["confidence"], found["accuracy"]) == (20, 0.75, 0.75)
    assert found["calibration_error"] == 0
    assert found["confidence_interval"] == [0.75, 0.75]
    low, high = found["accuracy_interval"]
    assert low < 0.75 < high
    other = confidence_figures(scenes, "n", np.random.default_rng(0))
    assert (other["accuracy"], other["calibration_error"]) == (1.0, 0.25)


def test_certain_and_wrong_is_the_worst():
    found = confidence_figures([sure(1.0, 0.0)], "m", np.random.default_rng(0))
    assert (found["calibration_error"], found["calibration_error_interval"]) == (1.0, [1.0, 1.0])
