import numpy as np
import pytest
import torch
from scipy import stats
from scipy.optimize import linprog

from tselcli.models.azimuth_losses import (
    AZIMUTH_LOSSES,
    ce_loss,
    circular_emd_loss,
    gaussian_target,
    l1_loss,
)
from tselcli.models.posterior import AZIMUTHS

SURE = 200.0  # a logit that leaves nothing to the other bins


def azimuths(*degrees):
    return torch.tensor(degrees, dtype=torch.float64)


def delta(azimuth):
    """All probability on one whole degree: as a target (360,), and as logits."""
    target = torch.zeros(360, dtype=torch.float64)
    target[(azimuth + 180) % 360] = 1.0
    return target, SURE * target


def histograms(seed, sparse=False):
    """Two random distributions: one as logits, one as a target, both (360,)."""
    rng = np.random.default_rng(seed)
    logits = torch.from_numpy(rng.normal(0, 8 if sparse else 1, 360))
    target = torch.from_numpy(rng.dirichlet(np.full(360, 0.02 if sparse else 1.0)))
    return logits, target


@pytest.mark.parametrize("sigma", [5.0, 60.0])
@pytest.mark.parametrize("azimuth", [-180.0, -90.25, 0.0, 0.5, 44.7, 179.9, 700.0])
def test_a_target_is_the_normal_density_around_the_circle(azimuth, sigma):
    target = gaussian_target(azimuths(azimuth), sigma)[0].numpy()
    turns = azimuth + 360.0 * np.arange(-4, 5)
    density = stats.norm.pdf(AZIMUTHS[:, None], turns, sigma).sum(axis=1)
    np.testing.assert_allclose(target, density / density.sum(), atol=1e-12)


def test_a_target_at_the_cut_has_both_its_tails():
    target = gaussian_target(azimuths(-180.0))[0]
    assert float(target.sum()) == pytest.approx(1.0)
    torch.testing.assert_close(target[1:181], target.flip(0)[:180])  # bin k as bin -k
    torch.testing.assert_close(target, gaussian_target(azimuths(180.0))[0])
    torch.testing.assert_close(target, torch.roll(gaussian_target(azimuths(0.0))[0], 180))


@pytest.mark.parametrize("sigma", [2.236, 5.0, 20.0])
def test_sigma_is_the_standard_deviation_in_degrees(sigma):
    target = gaussian_target(azimuths(10.0), sigma)[0].numpy()
    assert np.sqrt((target * (AZIMUTHS - 10.0) ** 2).sum()) == pytest.approx(sigma, rel=1e-3)


def test_a_tiny_sigma_still_gives_a_distribution():
    target = gaussian_target(torch.tensor([30.5, 31.0]), sigma_deg=0.01)
    torch.testing.assert_close(target.sum(dim=1), torch.ones(2))
    assert target[1].argmax() == 31 + 180


@pytest.mark.parametrize("azimuth", [-180, -90, -3, -1, 0, 1, 2, 90, 179])
def test_the_papers_letter_is_the_density_over_one_to_360(azimuth):
    number = np.arange(1, 361)  # of the paper; 360 is straight ahead
    density = stats.norm.pdf(number, azimuth if azimuth > 0 else azimuth + 360, 5.0)
    target = gaussian_target(azimuths(azimuth), wrapped=False)[0].numpy()
    np.testing.assert_allclose(target[(number + 180) % 360], density, atol=1e-15)


def test_the_papers_letter_loses_the_tail_across_the_front():
    mass = gaussian_target(azimuths(0, 1, 5, 20, -180), wrapped=False).sum(dim=1).tolist()
    beyond = [stats.norm.cdf(x / 5.0) for x in (0.5, 0.5, 4.5, 19.5)]  # the edge of bin 1 or 360
    assert mass == pytest.approx([*beyond, 1.0], abs=2e-3)
    left, right = gaussian_target(azimuths(0), wrapped=False)[0][[181, 179]].tolist()
    assert left == 0.0
    assert right == pytest.approx(stats.norm.pdf(1.0, 0, 5.0))


@pytest.mark.parametrize("distance", [0, 1, 17, 90, 179, 180, 181, 270, 359])
@pytest.mark.parametrize("start", [-180, -100, 0, 170])
def test_moving_a_sure_answer_costs_the_shorter_way_around(start, distance):
    target, _ = delta(start)
    _, logits = delta(start + distance)
    assert float(circular_emd_loss(logits, target)) == pytest.approx(
        min(distance, 360 - distance), abs=1e-9
    )


@pytest.mark.parametrize("sparse", [False, True])
def test_the_circular_distance_does_not_care_where_zero_is(sparse):
    logits, target = histograms(0, sparse)
    first = circular_emd_loss(logits, target)
    for shift in (1, 77, 180, 359):
        torch.testing.assert_close(
            circular_emd_loss(logits.roll(shift, -1), target.roll(shift, -1)), first
        )


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_circular_distance_is_the_cheapest_flow_around_the_ring(seed):
    logits, target = histograms(seed, sparse=True)
    surplus = (torch.softmax(logits, -1) - target).numpy()
    # What bin k passes on minus what it gets from bin k - 1 is its surplus; both ways cost.
    ring = np.eye(360) - np.roll(np.eye(360), -1, axis=1)
    flow = linprog(np.ones(720), A_eq=np.hstack([ring, -ring])[1:], b_eq=surplus[1:])
    assert float(circular_emd_loss(logits, target)) == pytest.approx(flow.fun, rel=1e-6)


def test_the_circular_distance_is_the_least_over_all_places_to_cut():
    logits, target = histograms(3, sparse=True)
    probability = torch.softmax(logits, -1).numpy()
    cuts = [
        np.abs(np.cumsum(np.roll(probability - target.numpy(), -cut))).sum() for cut in range(360)
    ]
    assert float(circular_emd_loss(logits, target)) == pytest.approx(min(cuts))
    assert min(cuts) < 0.9 * cuts[0]  # so that the choice mattered


def test_on_one_half_of_the_circle_it_is_scipys_wasserstein_distance():
    logits, target = histograms(4)
    logits[180:] = -SURE
    target[180:] = 0
    target /= target.sum()
    expected = stats.wasserstein_distance(AZIMUTHS, AZIMUTHS, torch.softmax(logits, -1), target)
    # With a half circle empty no way around is shorter.
    assert float(circular_emd_loss(logits, target)) == pytest.approx(expected)


def test_a_target_that_lost_mass_is_scaled_for_the_distance():
    legacy = gaussian_target(azimuths(0), wrapped=False)
    perfect = legacy.clamp_min(1e-90).log()
    assert float(circular_emd_loss(perfect, legacy)) == pytest.approx(0, abs=1e-9)
    assert float(l1_loss(perfect, legacy)) == pytest.approx(1 - float(legacy.sum()))


def test_the_papers_sum_is_twice_the_total_variation():
    logits, target = histograms(5)
    surplus = (torch.softmax(logits, -1) - target).numpy()
    assert float(l1_loss(logits, target)) == pytest.approx(2 * surplus[surplus > 0].sum())


def test_the_papers_sum_is_blind_to_how_far_off_an_answer_is():
    targets = gaussian_target(azimuths(0.0))[0]
    answers = [gaussian_target(azimuths(off))[0].log().clamp_min(-SURE) for off in (60, 90, 120)]
    assert [float(l1_loss(answer, targets)) for answer in answers] == pytest.approx([2, 2, 2])
    distances = [float(circular_emd_loss(answer, targets)) for answer in answers]
    assert distances == pytest.approx([60, 90, 120], rel=0.001)


def test_far_from_the_target_only_the_papers_sum_has_no_slope():
    target = gaussian_target(azimuths(0.0))[0]
    slopes = {}
    for name, loss in AZIMUTH_LOSSES.items():
        logits = gaussian_target(azimuths(90.0))[0].log().clamp_min(-SURE).requires_grad_()
        loss(logits, target).backward()
        slopes[name] = logits.grad
    assert slopes["l1"].abs().max() < 1e-9
    for name in ("circular_emd", "ce"):  # less further away, more nearer
        assert slopes[name].abs().max() > 1e-2
        assert slopes[name][180 + 95] > 0
    assert slopes["circular_emd"][180 + 85] < 0
    assert slopes["ce"][180] < 0


def test_cross_entropy_of_the_truth_is_its_entropy():
    target = gaussian_target(azimuths(12.0))[0]
    entropy = stats.entropy(target.numpy())
    assert entropy == pytest.approx(3.03, abs=0.005)
    assert float(ce_loss(target.log(), target)) == pytest.approx(entropy)
    logits, _ = histograms(6)
    excess = stats.entropy(target.numpy(), torch.softmax(logits, -1).numpy())
    assert float(ce_loss(logits, target)) == pytest.approx(entropy + excess)


@pytest.mark.parametrize("name", AZIMUTH_LOSSES)
def test_gradients_are_those_of_finite_differences(name):
    logits, target = histograms(7)
    assert torch.autograd.gradcheck(
        lambda free: AZIMUTH_LOSSES[name](free, target), logits.requires_grad_(), fast_mode=True
    )


@pytest.mark.parametrize("name", AZIMUTH_LOSSES)
def test_extreme_logits_keep_finite_gradients(name):
    target = gaussian_target(torch.tensor([-180.0, 0.0, 90.0]))
    logits = torch.zeros(3, 360)
    logits[1] = 1e4 * torch.linspace(-1, 1, 360)
    logits[2, 0] = -1e30
    logits.requires_grad_()
    AZIMUTH_LOSSES[name](logits, target).backward()
    assert logits.grad.isfinite().all()


@pytest.mark.parametrize("name", AZIMUTH_LOSSES)
def test_only_active_frames_count(name):
    loss = AZIMUTH_LOSSES[name]
    target = gaussian_target(torch.tensor([[10.0, 20.0, 30.0], [40.0, 50.0, 60.0]]))
    logits = torch.randn(2, 3, 360, generator=torch.Generator().manual_seed(0))
    active = torch.tensor([[1.0, 0.0, 1.0], [0.0, 0.0, 1.0]])
    heard = active.bool()
    torch.testing.assert_close(loss(logits, target, active), loss(logits[heard], target[heard]))
    torch.testing.assert_close(loss(logits, target, torch.ones(2, 3)), loss(logits, target))
    assert float(loss(logits, target, torch.zeros(2, 3))) == 0.0


@pytest.mark.parametrize("name", AZIMUTH_LOSSES)
def test_half_precision_logits_are_judged_in_single(name):
    target = gaussian_target(torch.tensor([-170.0]))
    logits = torch.randn(1, 360, generator=torch.Generator().manual_seed(0)).bfloat16()
    value = AZIMUTH_LOSSES[name](logits, target)
    torch.testing.assert_close(value, AZIMUTH_LOSSES[name](logits.float(), target))
