import pytest
import torch

from tselcli.errors import CheckpointError
from tselcli.models.checkpoint import build_net, load_checkpoint, save_checkpoint, take_over
from tselcli.models.committee import Committee
from tselcli.models.mask import MaskNet
from tselcli.models.readout import Readout
from tselcli.recipe import recipe_from_dict

MODEL = {"width": 4, "levels": 2, "embed_dim": 6, "word_hidden": 5}


def recipe(**changes):
    return recipe_from_dict({"name": "test", "model": MODEL | changes})


def network(seed):
    torch.manual_seed(seed)
    net = build_net(recipe(), 8)
    assert isinstance(net, MaskNet)
    return net.eval().requires_grad_(False)


@pytest.fixture
def asked():
    torch.manual_seed(9)
    return torch.rand(2, 21, 64), torch.nn.functional.normalize(torch.randn(3, 8), dim=-1)


def test_the_logits_are_the_mean_of_the_members(asked):
    picture, text = asked
    alone = [net.logits(net.cells(picture), text) for net in (network(1), network(2))]
    both = Committee([network(1), network(2)]).eval()
    cells = both.cells(picture)
    assert cells.shape == (2, 12, 11, 32)
    torch.testing.assert_close(both.logits(cells, text), (alone[0] + alone[1]) / 2)
    assert not torch.allclose(alone[0], alone[1], atol=0.01)


def test_a_committee_of_twins_is_the_twin(asked):
    picture, text = asked
    twin, both = network(1), Committee([network(1), network(1)]).eval()
    logits = twin.logits(twin.cells(picture), text)
    torch.testing.assert_close(both.logits(both.cells(picture), text), logits)
    own = text.expand(2, -1, -1)  # sentences of each picture
    torch.testing.assert_close(both.logits(both.cells(picture), own), logits)


def test_a_network_begins_where_the_first_member_is(tmp_path, text_encoder):
    rules = recipe(members=2)
    net = build_net(rules, text_encoder.dim)
    save_checkpoint(tmp_path / "two.safetensors", net, Readout(64), text_encoder, rules, {})
    fresh = build_net(recipe(), text_encoder.dim)
    left = take_over(fresh, str(tmp_path / "two.safetensors"))
    assert left == ["common", "kinds"]  # those of the committee are wider
    first = net.each()[0].state_dict()
    torch.testing.assert_close(fresh.stem[0].weight, first["stem.0.weight"], atol=1e-3, rtol=1e-3)


def test_a_network_begins_where_the_member_of_its_width_is(tmp_path, text_encoder):
    rules = recipe(members=2, width=[8, 4])
    net = build_net(rules, text_encoder.dim)
    path = str(tmp_path / "two.safetensors")
    save_checkpoint(tmp_path / "two.safetensors", net, Readout(64), text_encoder, rules, {})
    for width, member in ((8, 0), (4, 1)):
        fresh = build_net(recipe(width=width), text_encoder.dim)
        assert take_over(fresh, path) == ["common", "kinds"]
        theirs = net.each()[member].state_dict()["stem.0.weight"]
        torch.testing.assert_close(fresh.stem[0].weight, theirs, atol=1e-3, rtol=1e-3)


def test_a_committee_comes_back_from_its_file(asked, tmp_path, text_encoder):
    rules = recipe(members=3)
    net = build_net(rules, text_encoder.dim).eval()
    save_checkpoint(tmp_path / "three.safetensors", net, Readout(64), text_encoder, rules, {})
    loaded = load_checkpoint(str(tmp_path / "three.safetensors")).net
    with torch.no_grad():
        expected = net.cells(asked[0])
    assert expected.shape[1] == 18
    torch.testing.assert_close(loaded.cells(asked[0]), expected, rtol=1e-2, atol=1e-2)
    save_checkpoint(tmp_path / "odd.safetensors", net, Readout(64), text_encoder, recipe(), {})
    with pytest.raises(CheckpointError, match="parts do not fit together"):
        load_checkpoint(str(tmp_path / "odd.safetensors"))


def test_members_share_what_a_committee_knows_about_sounds():
    state = Committee([network(1), network(2)]).state_dict()
    of_members = {name.split(".")[2] for name in state if name.startswith("members.")}
    assert of_members.isdisjoint({"presence", "common", "kinds", "tutor"})
    assert state["kinds"].shape == (512, 12)


def test_every_member_learns_from_the_mean(asked):
    picture, text = asked
    both = build_net(recipe(members=2), 8)
    both.logits(both.cells(picture), text).square().sum().backward()
    for member in both.each():
        assert float(member.stem[0].weight.grad.abs().sum()) > 0
        assert float(member.words.linear.weight.grad.abs().sum()) > 0
