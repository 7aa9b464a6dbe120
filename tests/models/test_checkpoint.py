import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from tselcli.errors import CheckpointError
from tselcli.models.checkpoint import (
    build_net,
    find_model,
    load_checkpoint,
    save_checkpoint,
    take_over,
)
from tselcli.models.readout import Readout
from tselcli.recipe import recipe_from_dict

RECIPE = recipe_from_dict({"name": "test", "model": {"width": 4, "levels": 2, "embed_dim": 4}})


@pytest.fixture
def saved(tmp_path, text_encoder):
    torch.manual_seed(1)
    net, readout = build_net(RECIPE, text_encoder.dim), Readout(64)
    with torch.no_grad():
        readout.band.uniform_()
    path = tmp_path / "best.safetensors"
    save_checkpoint(path, net, readout, text_encoder, RECIPE, {"val_mae_deg": 12.5})
    return path, net, readout, text_encoder


def test_what_is_saved_comes_back(saved):
    path, net, readout, text = saved
    loaded = load_checkpoint(str(path))
    assert loaded.recipe == RECIPE
    assert loaded.figures == {"val_mae_deg": 12.5}
    assert loaded.name.startswith("test@")
    assert len(loaded.name) == len("test@") + 8
    torch.testing.assert_close(loaded.readout.band, readout.band.detach())
    picture = torch.rand(1, 20, 64)
    with torch.no_grad():
        wanted = net.eval().cells(picture)
    torch.testing.assert_close(loaded.net.cells(picture), wanted, rtol=1e-2, atol=1e-2)
    query = ["a dog barks"]
    torch.testing.assert_close(loaded.text.encode(query), text.encode(query), rtol=1e-2, atol=2e-3)


def test_files_from_before_the_last_column_go_on_as_they_were(saved, tmp_path):
    path = saved[0]
    tensors = load_file(path)
    known = tensors["readout.place"][[0, 1, 2, 3, 4, 5, 6, 8]]
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
    save_file(tensors | {"readout.place": known.contiguous()}, tmp_path / "old", metadata)
    place = load_checkpoint(str(tmp_path / "old")).readout.place
    assert place[7] == 0
    torch.testing.assert_close(place[[0, 1, 2, 3, 4, 5, 6, 8]], known)


@pytest.mark.parametrize("shape", [(), (0,), (7,), (10,), (9, 2), (8, 9)])
def test_other_shapes_of_these_weights_are_damage(saved, tmp_path, shape):
    path = saved[0]
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
    save_file(load_file(path) | {"readout.place": torch.zeros(shape)}, tmp_path / "bad", metadata)
    with pytest.raises(CheckpointError, match="do not fit together"):
        load_checkpoint(str(tmp_path / "bad"))


def test_variances_beyond_half_precision_are_kept(saved, text_encoder):
    path, net, readout, _ = saved
    net.stem[1].running_var[0] = 1e5
    save_checkpoint(path, net, readout, text_encoder, RECIPE, {})
    assert float(load_checkpoint(str(path)).net.stem[1].running_var[0]) == 1e5


def test_nothing_is_left_half_written(saved):
    assert [path.name for path in saved[0].parent.iterdir()] == ["best.safetensors"]


def test_a_run_folder_stands_for_its_best_model(saved):
    assert find_model(str(saved[0].parent)) == saved[0]


def test_an_unknown_name_lists_what_there_is():
    with pytest.raises(CheckpointError, match="no such model; give a file of `tsel train`"):
        load_checkpoint("no-such-model")


@pytest.mark.parametrize("size", [0, 7, 100, 5000, -1])
def test_a_truncated_file_is_one_line(saved, size):
    path = saved[0]
    raw = path.read_bytes()
    path.write_bytes(raw[:size])
    with pytest.raises(CheckpointError, match=r"best\.safetensors: cannot be read") as caught:
        load_checkpoint(str(path))
    assert "\n" not in str(caught.value)


def test_other_safetensors_are_refused(tmp_path):
    save_file({"x": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(CheckpointError, match="not a tsel checkpoint"):
        load_checkpoint(str(tmp_path / "other.safetensors"))


@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        ("missing", 'Missing key.* "bias"'),
        ("shape", 'Unexpected key.* "words.weight"'),
        ("extra", 'Unexpected key.* "surplus"'),
    ],
)
def test_tensors_that_do_not_fit_the_recipe_are_refused(saved, change, wrong):
    from safetensors import safe_open

    path = saved[0]
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
    tensors = load_file(path)
    if change == "missing":
        del tensors["net.bias"]
    elif change == "shape":
        tensors["net.words.weight"] = torch.zeros(5, 5)
    else:
        tensors["net.surplus"] = torch.zeros(1)
    save_file(tensors, path, metadata=metadata)
    with pytest.raises(CheckpointError, match=f"do not fit together .{wrong}.*train it") as caught:
        load_checkpoint(str(path))
    assert "\n" not in str(caught.value)


def test_a_pickle_is_not_loaded(tmp_path):
    torch.save({"x": torch.zeros(1)}, tmp_path / "evil.safetensors")
    with pytest.raises(CheckpointError, match="cannot be read as safetensors"):
        load_checkpoint(str(tmp_path / "evil.safetensors"))


def test_the_head_for_the_teacher_is_not_shipped(tmp_path, text_encoder):
    net = build_net(RECIPE, text_encoder.dim, tutor_dim=7)
    assert net.tutor.out_features == 7
    path = tmp_path / "best.safetensors"
    save_checkpoint(path, net, Readout(64), text_encoder, RECIPE, {})
    assert not [name for name in load_file(path) if "tutor" in name]
    assert load_checkpoint(str(path)).net.tutor is None


def test_weights_are_taken_over_where_shapes_agree(saved, text_encoder):
    path, net, *_ = saved
    wider = recipe_from_dict({"name": "w", "model": {"width": 4, "levels": 2, "embed_dim": 6}})
    fresh = build_net(wider, text_encoder.dim)
    left = take_over(fresh, str(path))
    assert "head.fine.weight" in left
    assert "stem.0.weight" not in left
    torch.testing.assert_close(
        fresh.stem[0].weight, net.stem[0].weight.detach(), rtol=1e-3, atol=1e-4
    )


def test_nothing_to_take_over_is_said(saved, text_encoder):
    tensors = {name: torch.zeros(1) for name in load_file(saved[0])}
    save_file(tensors, saved[0])
    with pytest.raises(CheckpointError, match="none of its weights fits"):
        take_over(build_net(RECIPE, text_encoder.dim), str(saved[0]))
