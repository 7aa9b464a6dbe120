import pytest
import torch

from tselcli.commands.join import join
from tselcli.errors import CheckpointError, RecipeError
from tselcli.models.checkpoint import build_net, load_checkpoint, save_checkpoint
from tselcli.models.readout import Readout
from tselcli.recipe import recipe_from_dict

MODEL = {"width": 4, "levels": 2, "embed_dim": 6, "word_hidden": 5}


@pytest.fixture
def model(tmp_path, text_encoder):
    def write(name, seed, reader=text_encoder, **changes):
        recipe = recipe_from_dict({"name": name, "model": MODEL | changes})
        torch.manual_seed(seed)
        net = build_net(recipe, reader.dim)
        path = tmp_path / f"{name}.safetensors"
        save_checkpoint(path, net, Readout(64), reader, recipe, {})
        return str(path)

    return write


def test_two_and_then_three_are_joined(model, tmp_path):
    paths = [model(name, seed) for seed, name in enumerate("abc")]
    out = tmp_path / "both.safetensors"
    assert join(paths[:2], out)["members"] == 2
    assert join([str(out), paths[2]], tmp_path / "all.safetensors")["members"] == 3
    picture, text = torch.rand(1, 16, 64), load_checkpoint(paths[0]).text.encode(["a dog", "rain"])
    nets = [load_checkpoint(path).net for path in paths]
    alone = torch.stack([net.logits(net.cells(picture), text) for net in nets]).mean(dim=0)
    joined = load_checkpoint(str(tmp_path / "all.safetensors"))
    together = joined.net.logits(joined.net.cells(picture), text)
    torch.testing.assert_close(together, alone, rtol=1e-3, atol=1e-3)
    assert joined.recipe.model.members == 3


def test_members_may_differ_in_width(model, tmp_path):
    paths = [model("narrow", 1), model("wide", 2, width=8)]
    out = tmp_path / "both.safetensors"
    join(paths, out)
    picture, text = torch.rand(1, 16, 64), load_checkpoint(paths[0]).text.encode(["a dog"])
    nets = [load_checkpoint(path).net for path in paths]
    alone = torch.stack([net.logits(net.cells(picture), text) for net in nets]).mean(dim=0)
    joined = load_checkpoint(str(out))
    assert joined.recipe.model.width == (4, 8)
    together = joined.net.logits(joined.net.cells(picture), text)
    torch.testing.assert_close(together, alone, rtol=1e-3, atol=1e-3)
    again = tmp_path / "again.safetensors"
    join([str(out), paths[0]], again)
    assert load_checkpoint(str(again)).recipe.model.widths == (4, 8, 4)


def test_every_member_needs_a_width():
    with pytest.raises(RecipeError, match="2 widths for 3 members"):
        recipe_from_dict({"name": "a", "model": MODEL | {"members": 3, "width": [4, 8]}})
    assert recipe_from_dict({"name": "a", "model": MODEL | {"members": 3}}).model.widths == (
        4,
        4,
        4,
    )


def test_what_does_not_go_together_is_refused(model, tmp_path, text_encoder):
    one, out = model("one", 1), tmp_path / "out.safetensors"
    with pytest.raises(CheckpointError, match="no committee"):
        join([one], out)
    with pytest.raises(CheckpointError, match=r"deep\.safetensors: its model differs"):
        join([one, model("deep", 1, levels=3)], out)
    with torch.no_grad():
        next(text_encoder.parameters()).add_(0.5)
    with pytest.raises(CheckpointError, match="another text encoder"):
        join([one, model("other", 1)], out)
    assert not out.exists()
