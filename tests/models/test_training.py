import numpy as np
import pytest
import torch

from tselcli.acoustics.geometry import delays, parse_array
from tselcli.errors import RecipeError
from tselcli.models.checkpoint import Checkpoint, build_net
from tselcli.models.localizer import Localizer
from tselcli.models.mask import MaskNet
from tselcli.models.mixer import Batch
from tselcli.models.readout import Readout
from tselcli.models.training import (
    Evidence,
    azimuth_target,
    batch_loss,
    cell_evidence,
    check_precision,
    fit_readout,
    learning_rate,
    pick_device,
)
from tselcli.recipe import recipe_from_dict
from tselcli.sections import MixingRecipe, TrainRecipe

SQUARE = parse_array("square:0.12")


def test_cosine_warms_up_and_ends_near_zero():
    rules = TrainRecipe(warmup_steps=10)
    assert learning_rate(rules, 0, 0.0) == pytest.approx(0.1, rel=0.01)
    assert learning_rate(rules, 9, 0.0) == pytest.approx(1, rel=0.01)
    assert learning_rate(rules, 500, 0.5) == pytest.approx(0.5, rel=0.01)
    assert learning_rate(rules, 999, 1.0) == pytest.approx(0.001)


def test_steps_halve_as_in_the_paper():
    rules = TrainRecipe(schedule="step", warmup_steps=0, steps_per_epoch=10, lr_halve_epochs=20)
    factors = [learning_rate(rules, epoch * 10, 0.0) for epoch in (0, 19, 20, 40)]
    assert factors == [1, 1, 0.5, 0.25]


def test_devices_are_checked():
    assert pick_device("cpu").type == "cpu"
    assert pick_device("auto").type in {"cpu", "cuda", "mps"}
    with pytest.raises(RecipeError, match=r"--device tpu: not available here; .*cpu"):
        pick_device("tpu")


def test_imitated_half_precision_is_refused(monkeypatch):
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX2")
    here = torch.device("cpu")
    with pytest.raises(RecipeError, match=r"bfloat16: .*train\.precision=float32"):
        check_precision("bfloat16", here)
    check_precision("float32", here)
    check_precision("bfloat16", torch.device("cuda"))
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX512")
    check_precision("bfloat16", here)


def test_the_target_is_a_wrapped_bell():
    grid = np.arange(-180.0, 180.0, 3.0)
    target = azimuth_target(179.0, grid)
    assert float(target.sum()) == pytest.approx(1, abs=1e-5)
    assert grid[int(target.argmax())] == -180
    assert float(target[-1]) > float(target[1]) > 0.01  # 177 is nearer than -177


def scene_batch():
    """Two sources, each in its own half of the band, and their descriptions."""
    picture = torch.ones(4, 16, 16)
    ratios = torch.zeros(4, 2, 16, 16)
    ratios[:, 0, :, :8] = 1
    ratios[:, 1, :, 8:] = 1
    text = torch.nn.functional.normalize(torch.randn(3, 8), dim=1)
    owner = torch.tensor([[0, 1, -1]] * 4)
    odds = torch.tensor([[3.0, 0.0, -1.0, 1.0], [-2.0, 0.0, 4.0, 2.0]]).expand(4, 2, 4)
    asked = torch.arange(3).expand(4, 3)
    return Batch(picture, ratios, text, owner, asked, torch.zeros(4, 2, 0), odds)


def test_the_network_overfits_one_batch():
    torch.manual_seed(0)
    net = MaskNet(n_mels=16, text_dim=8, width=8, levels=2, embed_dim=16, dropout=0.0)
    batch, rules = scene_batch(), MixingRecipe()
    optimiser = torch.optim.Adam(net.parameters(), lr=0.01)
    for _ in range(60):
        loss, parts = batch_loss(net, batch, rules)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert parts["mask"] < 0.1
    assert parts["choice"] < 0.05
    assert parts["presence"] < 0.1


def test_the_network_learns_what_a_teacher_makes_of_classes_that_nobody_named():
    torch.manual_seed(0)
    net = MaskNet(n_mels=16, text_dim=8, width=8, levels=2, embed_dim=16, dropout=0.0)
    names = torch.nn.functional.normalize(torch.randn(4, 8), dim=1)
    batch, rules = scene_batch(), MixingRecipe(classes_weight=2.0)
    optimiser = torch.optim.Adam(net.parameters(), lr=0.01)
    for _ in range(60):
        loss, parts = batch_loss(net, batch, rules, names)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert parts["classes"] < 0.02
    _, with_classes = batch_loss(net.eval(), batch, rules, names)
    _, fewer = batch_loss(net, batch, rules)
    assert with_classes.keys() - fewer.keys() == {"classes"}


def evidence_of(sure, loud, points_right):
    """One recording whose sure cells point right and whose loud cells point elsewhere, or so."""
    grid = np.arange(-180.0, 180.0, 3.0)
    right = azimuth_target(60.0, grid) * 8
    wrong = azimuth_target(-90.0, grid) * 8
    steered = torch.where(points_right[:, None], right, wrong)
    return Evidence(
        torch.log(sure),
        loud,
        torch.zeros(len(sure), dtype=torch.int64),
        steered,
        torch.ones(len(sure)),
        azimuth_target(60.0, grid),
    )


def test_the_readout_learns_to_trust_sure_cells():
    rng = torch.Generator().manual_seed(0)
    sure = torch.rand(400, generator=rng) * 0.98 + 0.01
    loud = torch.rand(400, generator=rng) * 0.5 + 0.5
    evidence = [evidence_of(sure, loud, sure > 0.7)]
    readout = Readout(4)
    with torch.no_grad():
        readout.power.fill_(0.5)
    before = fit_readout(readout, evidence, steps=1)
    after = fit_readout(readout, evidence, steps=60)
    assert after < before - 0.3
    assert float(readout.power.detach()) > 1


def test_evidence_of_single_points_adds_up_to_the_steered_response(text_encoder):
    torch.manual_seed(0)
    recipe = recipe_from_dict({"name": "t", "model": {"width": 4, "levels": 2, "embed_dim": 4}})
    net = build_net(recipe, text_encoder.dim).eval().requires_grad_(False)
    readout = Readout(64).requires_grad_(False)
    localizer = Localizer(Checkpoint(net, readout, text_encoder, recipe, {}, "test@0"))
    source = np.fft.rfft(np.random.default_rng(0).standard_normal(8000))
    late = delays(SQUARE.positions, [33.0])[0]
    wave = np.fft.irfft(
        source * np.exp(-2j * np.pi * np.fft.rfftfreq(8000, 1 / 16_000) * late[:, None]), 8000
    )
    audio = localizer.prepare(wave, 16_000, SQUARE)
    evidence = cell_evidence(localizer, audio, "noise", (SQUARE, 33.0))
    picture = localizer.picture(audio)
    heard = (picture > 0.3).float()
    steering = localizer.steering(SQUARE)
    wanted = steering.response(localizer.spectra(audio), heard)[0][::3]
    found = evidence.steered.float().sum(dim=0) / evidence.mass.sum()
    torch.testing.assert_close(found, wanted, rtol=1e-2, atol=2e-3)
    assert int(evidence.target.argmax()) == int(found.argmax())
