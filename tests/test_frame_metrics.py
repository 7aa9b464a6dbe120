import numpy as np
import pytest

from tselcli.chance import chance_levels
from tselcli.frame_metrics import FrameAnswer, FrameTruth, frame_chance, score_frames
from tselcli.metrics import score


def truth(target, active=None, others=(), others_active=None):
    target = np.asarray(target, dtype=float)
    count = len(target)
    others = np.array(others, dtype=float).T.reshape(count, -1)
    return FrameTruth(
        target,
        np.ones(count, bool) if active is None else np.array(active, bool),
        others,
        np.ones(others.shape, bool) if others_active is None else np.array(others_active, bool),
    )


def answer(azimuth, active=None):
    azimuth = np.asarray(azimuth, dtype=float)
    return FrameAnswer(
        azimuth, np.ones(len(azimuth), bool) if active is None else np.array(active, bool)
    )


def rng():
    return np.random.default_rng(0)


def test_tracks_at_rest_score_as_clips_do():
    draw = np.random.default_rng(1)
    targets, found, others = draw.uniform(-180, 180, (3, 40))
    truths = [truth([t] * 7, others=[[o] * 7]) for t, o in zip(targets, others, strict=True)]
    frames = score_frames([answer([a] * 7) for a in found], truths, rng())
    clips = score(found, targets, others[:, None], rng())
    for name in ("scenes", "mae_deg", "median_deg", "acc_5", "acc_10", "acc_20", "selection"):
        assert frames[name] == pytest.approx(clips[name]), name
    assert frames["mae_deg_interval"] == pytest.approx(clips["mae_deg_interval"])
    assert frames["le_cd_deg"] == pytest.approx(clips["mae_deg"])
    assert frames["f_20"] == pytest.approx(clips["acc_20"])
    levels = chance_levels(targets, others[:, None])
    for system in ("random_azimuth", "random_source", "best_constant"):
        for name in ("mae_deg", "acc_20", "selection"):
            tolerance = 0.01 if system == "random_azimuth" else 1e-6  # a grid of whole degrees
            ours = frame_chance(truths)[system][name]
            assert ours == pytest.approx(levels[system][name], abs=tolerance), (system, name)


def test_only_frames_in_which_the_target_sounds_count_then_every_clip_alike():
    truths = [truth([0, 0, 0, 0], [0, 0, 0, 1]), truth([179, -179, 178, 90], [1, 1, 1, 0])]
    answers = [answer([180, 180, 180, 10]), answer([-179, 179, -178, -90])]
    figures = score_frames(answers, truths, rng())
    assert figures["mae_deg"] == pytest.approx((10 + (2 + 2 + 4) / 3) / 2)
    assert figures["acc_5"] == pytest.approx(0.5)


def test_selection_asks_only_who_sounds_at_that_moment():
    one = truth([0, 0, 0], others=[[20, 20, 20]], others_active=[[1], [0], [1]])
    figures = score_frames([answer([15, 15, 5])], [one], rng())
    assert figures["selection"] == pytest.approx(0.5)  # wrong, no rival, right
    alone = score_frames([answer([0])], [truth([0])], rng())
    assert alone["selection"] is None


def test_localisation_and_recall_are_those_of_dcase_counted_by_hand():
    one = truth([0] * 6, [1, 1, 1, 1, 0, 0])
    said = answer([10, 30, 0, 0, 0, 0], [1, 1, 0, 0, 1, 0])
    figures = score_frames([said], [one], rng())
    assert figures["le_cd_deg"] == pytest.approx(20)
    assert figures["lr_cd"] == pytest.approx(0.5)
    assert figures["f_20"] == pytest.approx(1 / (1 + 1 + 0.5 * (2 + 1)))
    silent = score_frames([answer([0] * 6, [0] * 6)], [one], rng())
    assert (silent["le_cd_deg"], silent["lr_cd"], silent["f_20"]) == (None, 0, 0)


def test_chance_levels_are_those_of_the_split():
    truths = [truth([20, 40]), truth([20, 40])]
    levels = frame_chance(truths)
    assert levels["random_azimuth"]["mae_deg"] == pytest.approx(90, abs=0.3)
    assert levels["split_direction"]["mae_deg"] == pytest.approx(10)
    assert levels["best_constant"]["mae_deg"] == pytest.approx(10)
    assert levels["random_source"]["mae_deg"] == 0
    assert levels["random_source"]["f_20"] == 1


def test_chance_on_half_the_circle():
    truths = [truth([0, 0]), truth([90, -90])]
    levels = frame_chance(truths, folded=True)
    assert levels["random_azimuth"]["mae_deg"] == pytest.approx((45 + 90) / 2, abs=0.5)
    assert levels["best_constant"]["mae_deg"] == pytest.approx(45)
    # Drawn from 0, 0, 90 and -90: half the time 0 or 45 on average, half the time 90.
    assert levels["split_direction"]["mae_deg"] == pytest.approx((45 + 90) / 2)


@pytest.mark.parametrize(
    ("places", "moves"), [([5, 5], False), ([5, 6], True), ([180, -180], False)]
)
def test_what_moves(places, moves):
    assert truth(places).moves is moves
    assert truth([0, 0], others=[places]).moves is moves


def test_a_split_in_which_nothing_sounds_is_refused():
    with pytest.raises(ValueError, match="no frame"):
        score_frames([answer([0])], [truth([0], [0])], rng())
