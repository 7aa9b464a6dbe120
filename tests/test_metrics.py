import numpy as np
import pytest

from tselcli import metrics
from tselcli.chance import chance_levels

NAN = float("nan")

# Five scenes worked out by hand: the answer, the target, up to two other sources.
PREDICTED = np.array([0.0, 175.0, 30.0, -92.0, 10.0])
TARGETS = np.array([4.0, -179.0, 80.0, -90.0, 30.0])
OTHERS = np.array([[90.0, NAN], [0.0, 120.0], [25.0, 170.0], [NAN, NAN], [-10.0, 100.0]])


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def figures(rng, predicted=PREDICTED, targets=TARGETS, others=OTHERS):
    return metrics.score(predicted, targets, others, rng)


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        (10, 350, 20),
        (-180, 180, 0),
        (179, -179, 2),
        (90, -90, 180),
        (725, 0, 5),
        (0.25, -0.25, 0.5),
    ],
)
def test_the_shorter_way_round_is_the_error(a, b, expected):
    assert metrics.angular_error(a, b) == pytest.approx(expected)
    assert metrics.angular_error(b, a) == pytest.approx(expected)


def test_error_is_the_angle_between_unit_vectors(rng):
    a, b = rng.uniform(-720, 720, (2, 1000))
    cosine = np.cos(np.deg2rad(a)) * np.cos(np.deg2rad(b))
    cosine += np.sin(np.deg2rad(a)) * np.sin(np.deg2rad(b))
    angle = np.rad2deg(np.arccos(np.clip(cosine, -1, 1)))
    np.testing.assert_allclose(metrics.angular_error(a, b), angle, atol=1e-5)


def test_figures_worked_out_by_hand(rng):
    # errors 4, 6, 50, 2, 20; the third answer found the source at 25; the fourth scene has no rival
    # and the fifth answer lies half way between the target at 30 and the source at -10.
    scores = figures(rng)
    assert scores["scenes"] == 5
    assert scores["mae_deg"] == pytest.approx((4 + 6 + 50 + 2 + 20) / 5)
    assert scores["median_deg"] == 6
    assert (scores["acc_5"], scores["acc_10"], scores["acc_20"]) == (0.4, 0.6, 0.8)
    assert scores["selection"] == pytest.approx((1 + 1 + 0 + 0.5) / 4)
    assert scores["wrong_source"] == pytest.approx(1 / 4)
    assert scores["localisation_deg"] == pytest.approx((4 + 6) / 2)


def test_selection_says_nothing_about_scenes_without_rivals():
    expected = [1.0, 1.0, 0.0, NAN, 0.5]
    np.testing.assert_array_equal(metrics.selections(PREDICTED, TARGETS, OTHERS), expected)


def test_a_wrong_answer_far_from_every_source_has_not_landed_on_one(rng):
    scores = figures(rng, np.array([100.0]), np.array([0.0]), np.array([[150.0]]))
    assert (scores["selection"], scores["wrong_source"]) == (0.0, 0.0)


def test_an_answer_near_the_target_and_a_rival_is_right_once_it_is_nearer(rng):
    scores = figures(rng, np.array([0.0]), np.array([-2.0]), np.array([[6.0]]))
    assert (scores["selection"], scores["wrong_source"]) == (1.0, 0.0)


def test_an_error_of_exactly_the_tolerance_counts_as_within():
    assert metrics.acc_at(np.array([5.0, 5.5]), np.array([0.0, 0.0]), 5) == 0.5


def test_figures_do_not_depend_on_where_zero_is():
    plain = flat(figures(np.random.default_rng(0)))
    turned = figures(np.random.default_rng(0), PREDICTED + 251, TARGETS + 251, OTHERS + 251 - 360)
    mirrored = figures(np.random.default_rng(0), -PREDICTED, -TARGETS, -OTHERS)
    assert flat(turned) == pytest.approx(plain)
    assert flat(mirrored) == pytest.approx(plain)


def flat(scores):
    return np.concatenate([np.ravel(value) for value in scores.values()])


def test_order_of_scenes_and_of_sources_changes_no_figure():
    order = np.array([3, 0, 4, 2, 1])
    shuffled = figures(
        np.random.default_rng(0), PREDICTED[order], TARGETS[order], OTHERS[order][:, ::-1]
    )
    plain = figures(np.random.default_rng(0))
    for name in ("mae_deg", "median_deg", "acc_10", "selection", "wrong_source"):
        assert shuffled[name] == pytest.approx(plain[name])


@pytest.mark.parametrize("others", [np.empty((2, 0)), np.full((2, 3), NAN)])
def test_selection_is_undefined_when_no_scene_has_a_rival(rng, others):
    scores = figures(rng, np.zeros(2), np.zeros(2), others)
    assert scores["mae_deg"] == 0.0
    assert [scores[k] for k in ("selection", "selection_interval", "wrong_source")] == [None] * 3
    assert scores["localisation_deg"] is None
    chance = chance_levels(np.zeros(2), others)
    assert [level["selection"] for level in chance.values()] == [None] * 3
    assert chance["random_source"]["mae_deg"] == 0.0


def test_figures_are_plain_python_numbers(rng):
    single = [value for value in figures(rng).values() if not isinstance(value, list)]
    assert {type(value) for value in single} == {int, float}


def test_interval_of_one_scene_is_that_scene(rng):
    assert metrics.bootstrap_interval([7.5], rng) == (7.5, 7.5)


def test_interval_of_a_rate_agrees_with_the_binomial(rng):
    # 40 of 100: the bootstrap of a mean of zeros and ones is a binomial over 100.
    draws = np.random.default_rng(1).binomial(100, 0.4, 200_000) / 100
    expected = np.quantile(draws, [0.025, 0.975])
    interval = metrics.bootstrap_interval([1.0] * 40 + [0.0] * 60, rng, draws=20_000)
    np.testing.assert_allclose(interval, expected, atol=0.0101)


def test_interval_covers_the_truth_as_often_as_it_says(rng):
    covered = 0
    for _ in range(400):
        low, high = metrics.bootstrap_interval(rng.exponential(20.0, 80), rng, draws=500)
        covered += low <= 20.0 <= high
    assert 0.89 <= covered / 400 <= 0.97  # 0.95 less the known shortfall for skewed values


def test_interval_is_the_same_however_it_is_cut_into_chunks(monkeypatch):
    values = np.random.default_rng(1).normal(size=50)
    whole = metrics.bootstrap_interval(values, np.random.default_rng(0), draws=300)
    monkeypatch.setattr(metrics, "_CHUNK", 70)
    cut = metrics.bootstrap_interval(values, np.random.default_rng(0), draws=300)
    assert cut == pytest.approx(whole)


def test_the_interval_of_any_figure_of_a_mean_is_that_of_the_mean():
    values = np.random.default_rng(1).exponential(size=60)
    plain = metrics.bootstrap_interval(values, np.random.default_rng(0), draws=8000)
    any_figure = metrics.resampled_interval(
        lambda rows: values[rows].mean(), 60, np.random.default_rng(0), draws=8000
    )
    assert any_figure == pytest.approx(plain, rel=1e-9)


def test_a_figure_without_a_value_has_no_interval(rng):
    assert metrics.resampled_interval(lambda rows: None, 5, rng) is None
    some = metrics.resampled_interval(lambda rows: 1.0 if rows[0] else None, 2, rng)
    assert some == (1.0, 1.0)


def test_every_figure_of_an_answer_has_an_interval_around_it(rng):
    targets, others = random_scenes(rng)
    scores = figures(rng, targets + rng.normal(0, 50, 40), targets, others)
    names = [name for name in scores if f"{name}_interval" in scores]
    assert set(scores) - set(names) - {f"{name}_interval" for name in names} == {"scenes"}
    for name in names:
        low, high = scores[f"{name}_interval"]
        assert low <= scores[name] <= high
        assert low < high


def test_wider_level_gives_a_wider_interval():
    values = np.random.default_rng(1).normal(size=50)
    narrow = metrics.bootstrap_interval(values, np.random.default_rng(0), level=0.5)
    wide = metrics.bootstrap_interval(values, np.random.default_rng(0), level=0.99)
    assert wide[0] < narrow[0] < values.mean() < narrow[1] < wide[1]


def random_scenes(rng, count=40):
    targets, first, second, third = rng.uniform(-180, 180, (4, count))
    third[: count // 2] = NAN
    second[: count // 4] = NAN
    first[0] = NAN
    first[-1] = targets[-1]  # two sources in one place
    return targets, np.stack([first, second, third], axis=1)


def test_chance_of_a_random_azimuth_agrees_with_drawing_it(rng):
    targets, others = random_scenes(rng)
    chance = chance_levels(targets, others)["random_azimuth"]
    repeats = 2500
    drawn = metrics.score(
        rng.uniform(-180, 180, repeats * len(targets)),
        np.tile(targets, repeats),
        np.tile(others, (repeats, 1)),
        rng=_NoRandomness(),
    )
    assert drawn["mae_deg"] == pytest.approx(chance["mae_deg"], abs=0.5)
    for name in ("acc_5", "acc_10", "acc_20", "selection"):
        assert drawn[name] == pytest.approx(chance[name], abs=0.006)


def test_chance_on_half_the_circle_agrees_with_drawing_it(rng):
    targets, others = rng.uniform(-90, 90, 30), rng.uniform(-90, 90, (30, 2))
    others[:10] = NAN
    others[10:20, 1] = NAN
    chance = chance_levels(targets, others, folded=True)["random_azimuth"]
    repeats = 2500
    drawn = metrics.score(
        rng.uniform(-90, 90, repeats * len(targets)),
        np.tile(targets, repeats),
        np.tile(others, (repeats, 1)),
        rng=_NoRandomness(),
    )
    assert drawn["mae_deg"] == pytest.approx(chance["mae_deg"], abs=0.5)
    assert drawn["median_deg"] == pytest.approx(chance["median_deg"], abs=1.0)
    for name in ("acc_5", "acc_10", "acc_20", "selection"):
        assert drawn[name] == pytest.approx(chance[name], abs=0.006)
    alone = chance_levels(np.array([0.0]), np.full((1, 1), NAN), folded=True)
    assert alone["random_azimuth"]["mae_deg"] == pytest.approx(45.0)


def test_chance_of_a_random_source_worked_out_by_hand():
    # scene 1: errors 0 or 90; scene 2: errors 0, 8 or 172; scene 3: the target alone
    targets = np.array([0.0, 176.0, 50.0])
    others = np.array([[90.0, NAN], [-176.0, 4.0], [NAN, NAN]])
    chance = chance_levels(targets, others)["random_source"]
    assert chance["mae_deg"] == pytest.approx((90 / 2 + (8 + 172) / 3 + 0) / 3)
    assert chance["acc_5"] == pytest.approx((1 / 2 + 1 / 3 + 1) / 3)
    assert chance["acc_10"] == pytest.approx((1 / 2 + 2 / 3 + 1) / 3)
    assert chance["selection"] == pytest.approx((1 / 2 + 1 / 3) / 2)
    assert chance["median_deg"] == 0.0


def test_chance_of_selection_halves_when_two_sources_share_a_place():
    chance = chance_levels(np.array([20.0]), np.array([[20.0, 110.0]]))
    assert chance["random_azimuth"]["selection"] == pytest.approx(0.5 * 0.5)
    assert chance["random_source"]["selection"] == pytest.approx((0.5 + 0.5 + 0) / 3)


def test_two_opposite_neighbours_leave_a_quarter_circle_each_side():
    chance = chance_levels(np.array([180.0]), np.array([[90.0, -90.0]]))
    assert chance["random_azimuth"]["selection"] == pytest.approx(90 / 360)


def test_best_constant_is_where_most_targets_are():
    targets = np.array([178.0, -178.0, -179.0, 10.0])
    chance = chance_levels(targets, np.array([[0.0], [0.0], [0.0], [90.0]]))["best_constant"]
    errors = metrics.angular_error(chance["azimuth_deg"], targets)
    scan = [metrics.mae(np.float64(a), targets) for a in np.arange(-180, 180, 0.25)]
    assert chance["mae_deg"] == pytest.approx(errors.mean())
    assert chance["mae_deg"] <= min(scan) + 0.5
    assert chance["acc_10"] == 0.75
    assert chance["selection"] == 0.75


@pytest.mark.parametrize(
    ("predicted", "targets", "others", "match"),
    [
        ([], [], np.empty((0, 1)), "N >= 1"),
        ([1.0], [1.0, 2.0], np.empty((1, 1)), "must be"),
        ([1.0], [1.0], np.array([2.0]), "must be"),
        ([NAN], [1.0], np.array([[2.0]]), "finite"),
        ([1.0], [np.inf], np.array([[2.0]]), "finite"),
    ],
)
def test_scoring_nothing_or_nonsense_is_refused(rng, predicted, targets, others, match):
    with pytest.raises(ValueError, match=match):
        metrics.score(predicted, targets, others, rng)


class _NoRandomness:
    """Stands in for a generator where no interval is looked at, and is quick."""

    def integers(self, high, size):
        return np.zeros((1, 1), dtype=int)
