import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from tselcli.errors import CheckpointError
from tselcli.models.pretrained import width_of
from tselcli.models.registry import open_token_encoder
from tselcli.models.weights import find_weights

pytestmark = pytest.mark.usefixtures("bare_machine")
TEXTS = ["a dog", "rain falls", "dog " * 600]
CASES = [("flan-t5", "t5_folder", 1024), ("bert", "bert_folder", 768)]


@pytest.fixture(params=CASES, ids=lambda case: case[0])
def case(request):
    name, folder, width = request.param
    return name, request.getfixturevalue(folder), width


@pytest.fixture
def encoder(case):
    return open_token_encoder(case[0], str(case[1]))


@pytest.fixture
def copy(case, tmp_path):
    return shutil.copytree(case[1], tmp_path / "copy")


def test_queries_become_fifteen_vectors_of_the_true_width(case, encoder):
    vectors, mask = encoder.encode_tokens(TEXTS)
    assert (encoder.dim, encoder.max_tokens) == (case[2], 15)
    assert vectors.shape == (3, 15, case[2])
    assert (mask.shape, mask.dtype) == ((3, 15), torch.bool)
    assert not vectors.requires_grad
    assert width_of(find_weights(case[0], str(case[1]))) == case[2]


def test_tokens_stand_in_front_and_padding_is_zero(encoder):
    vectors, mask = encoder.encode_tokens(TEXTS)
    assert (mask.int().diff(dim=1) <= 0).all()  # once it ends, it stays
    assert mask[2].all()
    assert 2 <= mask[0].sum() < mask[1].sum() < 15
    assert (vectors[~mask] == 0).all()
    assert (vectors[mask].norm(dim=-1) > 0.1).all()


def test_special_tokens_survive_the_cut(case, encoder):
    last = {"flan-t5": "</s>", "bert": "[SEP]"}[case[0]]
    tokens = encoder._tokenizer(["dog " * 600], truncation=True, max_length=15).input_ids[0]
    assert len(tokens) == 15
    assert encoder._tokenizer.convert_ids_to_tokens(tokens)[-1] == last


def test_a_text_of_600_tokens_is_its_beginning(encoder):
    long, _ = encoder.encode_tokens(["dog " * 600])
    other, _ = encoder.encode_tokens(["dog " * 40 + "rain"])
    assert torch.equal(long, other)


def test_padding_does_not_change_the_vectors(case, encoder):
    vectors, mask = encoder.encode_tokens(["a dog"])
    bare = encoder._tokenizer(["a dog"], return_tensors="pt")
    with torch.no_grad():
        expected = encoder._network(bare.input_ids).last_hidden_state[0]
    assert mask[0].sum() == len(expected)
    assert (vectors[0, : len(expected)] - expected).abs().max() < 1e-5


def test_old_names_in_the_original_bert_are_understood(bert_folder):
    norm = open_token_encoder("bert", str(bert_folder))._network.embeddings.LayerNorm
    assert (norm.weight - 1.5).abs().max() < 1e-6
    assert (norm.bias - 0.5).abs().max() < 1e-6


def test_other_texts_in_the_batch_change_nothing(encoder):
    together, masks = encoder.encode_tokens(TEXTS * 30)  # more than one batch
    for row, text in enumerate(TEXTS):
        vectors, mask = encoder.encode_tokens([text])
        assert (together[60 + row] - vectors[0]).abs().max() < 1e-4
        assert torch.equal(masks[60 + row], mask[0])


def test_no_texts_give_no_rows(case, encoder):
    vectors, mask = encoder.encode_tokens([])
    assert (vectors.shape, mask.shape) == ((0, 15, case[2]), (0, 15))


def test_the_same_file_gives_the_same_vectors(case, encoder):
    again = open_token_encoder(case[0], str(case[1]))
    assert torch.equal(encoder.encode_tokens(TEXTS)[0], again.encode_tokens(TEXTS)[0])


def test_the_hub_cache_is_the_last_place_looked_at(case, encoder, hub, monkeypatch):
    with pytest.raises(CheckpointError, match=rf"^{case[0]}: .*`tsel models fetch {case[0]}`"):
        open_token_encoder(case[0])
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(hub))
    assert hub in find_weights(case[0])["config.json"].parents
    repo = {"flan-t5": "google/flan-t5-large", "bert": "bert-base-uncased"}[case[0]]
    for weights in (None, repo):
        opened = open_token_encoder(case[0], weights)
        assert torch.equal(opened.encode_tokens(TEXTS)[0], encoder.encode_tokens(TEXTS)[0])


def test_our_own_folder_goes_before_the_hub(case, hub, bare_machine, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(hub))
    ours = bare_machine / "tsel" / "models" / case[0]
    shutil.copytree(case[1], ours)
    assert find_weights(case[0])["config.json"] == ours / "config.json"


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_missing_file_is_named(case, copy, name):
    (copy / name).unlink()
    with pytest.raises(CheckpointError, match=rf"^{copy}: has no {name}.*`tsel models fetch"):
        open_token_encoder(case[0], str(copy))


@pytest.mark.parametrize("weights", ["gone/folder", "someone/nothing", "gone.pt"])
def test_a_place_without_anything_is_named(weights):
    with pytest.raises(CheckpointError, match=rf"^{weights}: "):
        open_token_encoder("bert", weights)


def test_a_file_where_a_folder_is_needed(case, copy):
    with pytest.raises(CheckpointError, match=r"a file; .* needs the folder"):
        open_token_encoder(case[0], str(copy / "model.safetensors"))


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json"])
def test_a_damaged_file_is_one_clear_error(case, copy, name):
    (copy / name).write_bytes((b"{" if name.endswith("json") else b"\xff") * 3)
    with pytest.raises(CheckpointError, match=rf"^{copy}.*download (it|the file) again"):
        open_token_encoder(case[0], str(copy))


def test_a_lacking_weight_is_not_made_up(case, copy):
    path = copy / "model.safetensors"
    tensors = load_file(path)
    lost = next(name for name in tensors if "encoder" in name and name.endswith("weight"))
    del tensors[lost]
    save_file(tensors, path, metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match="the weights lack"):
        open_token_encoder(case[0], str(copy))


def test_a_weight_of_the_wrong_size_is_one_clear_error(case, copy):
    path = copy / "model.safetensors"
    tensors = load_file(path)
    first = next(name for name in tensors if "encoder" in name and name.endswith("weight"))
    tensors[first] = tensors[first][:3].clone()
    save_file(tensors, path, metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match="cannot be loaded"):
        open_token_encoder(case[0], str(copy))


def test_another_network_is_named(t5_folder, tmp_path):
    other = shutil.copytree(t5_folder, tmp_path / "other")
    with pytest.raises(CheckpointError, match="holds a 't5' model; 'bert' is needed"):
        open_token_encoder("bert", str(other))


def test_a_configuration_without_a_width(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "t5"}))
    with pytest.raises(CheckpointError, match="names no width"):
        width_of({"config.json": tmp_path / "config.json"})
