"""Weights in 8 bits: how far off they are, that they stay, and what damage is said."""

import pytest
import torch
from safetensors.torch import load_file, save_file

from tselcli.errors import CheckpointError
from tselcli.models.checkpoint import build_net, load_checkpoint, read_tensors, save_checkpoint
from tselcli.models.eight_bits import SMALLEST, restored, rounded
from tselcli.models.readout import Readout
from tselcli.recipe import recipe_from_dict


@pytest.fixture
def kernels():
    torch.manual_seed(3)
    return torch.randn(64, 16, 3, 3) * torch.logspace(-6, 1, 64)[:, None, None, None]


def test_a_weight_is_off_by_half_a_step_of_its_row(kernels):
    there = rounded({"a": kernels})
    assert there["a"].dtype == torch.int8
    assert there["a"].shape == kernels.shape
    off = (restored(there)["a"] - kernels).abs().flatten(1).amax(dim=1)
    largest = kernels.abs().flatten(1).amax(dim=1)
    assert (off <= largest / 254 * 1.001).all()
    assert (off > largest / 1000).any()


def test_what_was_rounded_is_rounded_to_the_same(kernels):
    once = restored(rounded({"a": kernels}))
    assert torch.equal(restored(rounded(once))["a"], once["a"])


def test_a_row_of_zeros_stays(kernels):
    kernels[5] = 0
    back = restored(rounded({"a": kernels}))["a"]
    assert (back[5] == 0).all()
    assert torch.isfinite(back).all()


@pytest.mark.parametrize(
    "value",
    [
        torch.ones(SMALLEST * 2),
        torch.ones(2, SMALLEST // 2 - 1),
        torch.full((64, 64), float("nan")),
        torch.tensor(7),
    ],
)
def test_vectors_small_matrices_and_strange_numbers_stay(value):
    kept = rounded({"a": value})
    assert list(kept) == ["a"]
    assert kept["a"] is value


@pytest.mark.parametrize(
    "change",
    [
        {"a.step": torch.ones(63)},
        {"a.step": torch.ones(())},
        {"a": torch.ones(64, 64)},
        {"b.step": torch.ones(64)},
    ],
)
def test_steps_without_their_matrix_are_refused(change):
    there = rounded({"a": torch.randn(64, 64)})
    with pytest.raises(CheckpointError, match=r"\.step: not the steps of a matrix"):
        restored(there | change)


def test_a_matrix_without_its_steps_is_refused():
    there = rounded({"a": torch.randn(64, 64)})
    del there["a.step"]
    with pytest.raises(CheckpointError, match=r"a: a matrix in steps, but a\.step is not there"):
        restored(there)


def committee(tmp_path, text_encoder, members):
    rules = recipe_from_dict({"name": "test", "model": {"width": 16, "members": members}})
    torch.manual_seed(4)
    net = build_net(rules, text_encoder.dim).eval()
    path = tmp_path / f"{members}.safetensors"
    save_checkpoint(path, net, Readout(64), text_encoder, rules, {})
    return path, net


def test_a_committee_takes_half_the_space_and_hears_the_same(tmp_path, text_encoder):
    path, net = committee(tmp_path, text_encoder, 2)
    alone, _ = committee(tmp_path, text_encoder, 1)
    of_text = sum(v.nbytes for k, v in load_file(alone).items() if k.startswith("text."))
    spaces = [p.stat().st_size - of_text for p in (path, alone)]
    assert 0.9 < spaces[0] / spaces[1] < 1.3
    loaded = load_checkpoint(str(path)).net
    picture = torch.rand(1, 64, 64)
    with torch.no_grad():
        ours, theirs = loaded.cells(picture), net.cells(picture)
    assert (ours - theirs).square().mean() < 1e-3 * theirs.var()


def test_a_committee_that_is_saved_again_keeps_its_weights(tmp_path, text_encoder):
    path, _ = committee(tmp_path, text_encoder, 2)
    one = load_checkpoint(str(path))
    again = tmp_path / "again.safetensors"
    save_checkpoint(again, one.net, one.readout, one.text, one.recipe, one.figures)
    before, after = load_file(path), load_file(again)
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_damaged_steps_are_said_in_one_line(tmp_path, text_encoder):
    path, _ = committee(tmp_path, text_encoder, 2)
    tensors = load_file(path)
    name = next(name for name in tensors if name.endswith(".step"))
    save_file(tensors | {name: torch.ones(3)}, tmp_path / "bad.safetensors")
    with pytest.raises(CheckpointError, match=r"bad\.safetensors: net\.members\..*\.step: not"):
        read_tensors(tmp_path / "bad.safetensors")
