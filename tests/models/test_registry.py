import json

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from tselcli.errors import CheckpointError, RecipeError
from tselcli.features.cache import FeatureCache
from tselcli.models import registry
from tselcli.models.encoders import METADATA_KEY
from tselcli.models.registry import (
    ENCODERS,
    open_audio_encoder,
    open_text_encoder,
    open_token_encoder,
)

pytestmark = pytest.mark.usefixtures("bare_machine")
TEXTS = ["a dog", "rain", "a dog"]
SOUND = np.linspace(-0.5, 0.5, 4800, dtype=np.float32)


@pytest.fixture
def compact_file(tmp_path, text_encoder):
    tensors, config = text_encoder.to_tensors()
    path = tmp_path / "text.safetensors"
    save_file(tensors, path, metadata={METADATA_KEY: json.dumps(config)})
    return str(path)


@pytest.fixture
def cache(tmp_path):
    return FeatureCache(tmp_path / "vectors")


@pytest.fixture
def openings(monkeypatch):
    """Count how often a network is opened."""
    counted = []
    for name, kind in ENCODERS.items():

        def opener(files, device, kind=kind, name=name):
            counted.append(name)
            return kind.open(files, device)

        changed = registry.Kind(kind.gives, kind.find, opener, kind.width)
        monkeypatch.setitem(registry.ENCODERS, name, changed)
    return counted


def test_compact_gives_tokens_cut_like_those_of_bert(text_encoder):
    vectors, mask = text_encoder.encode_tokens(["dog", "dog " * 200, "a b"])
    assert (vectors.shape, mask.shape) == ((3, 15, 16), (3, 15))
    assert mask.sum(dim=1).tolist() == [5, 15, 4]  # [CLS] d ##o ##g [SEP]
    assert (vectors[~mask] == 0).all()
    tokens, _ = text_encoder.tokenize(["dog " * 200])
    short = torch.cat([tokens[:, :14], tokens[:, -1:]], dim=1)
    expected = text_encoder.hidden_states(short, torch.ones(1, 15, dtype=torch.bool))
    assert (vectors[1] - expected[0]).abs().max() < 1e-5


def test_mean_of_the_compact_tokens_is_the_clip_vector(text_encoder):
    vectors, mask = text_encoder.encode_tokens(TEXTS)
    mean = vectors.sum(dim=1) / mask.sum(dim=1, keepdim=True)
    assert (
        torch.nn.functional.normalize(mean, dim=-1) - text_encoder.encode(TEXTS)
    ).abs().max() < (1e-5)


def test_compact_is_bundled_and_a_file_may_replace_it(compact_file):
    assert open_text_encoder("compact").encode(["rain"]).norm().item() == pytest.approx(1, abs=1e-5)
    assert open_text_encoder("compact", compact_file).dim == 16
    assert open_token_encoder("compact", compact_file).encode_tokens(TEXTS)[0].shape == (3, 15, 16)
    with pytest.raises(CheckpointError, match="no such file; `tsel distill` writes one"):
        open_text_encoder("compact", compact_file + "x")


@pytest.mark.parametrize(
    ("opener", "name", "able"),
    [
        (open_text_encoder, "flan-t5", "take compact, clap, clap-hf"),
        (open_text_encoder, "bert", "take compact, clap, clap-hf"),
        (open_token_encoder, "clap", "take compact, flan-t5, bert"),
        (open_audio_encoder, "compact", "take clap, clap-hf"),
    ],
)
def test_what_an_encoder_cannot_give_is_refused(opener, name, able):
    with pytest.raises(RecipeError, match=rf"^{name}: gives .*; {able}$"):
        opener(name)


def test_an_unknown_encoder_is_refused():
    with pytest.raises(RecipeError, match="'flan_t5': no such encoder; did you mean 'flan-t5'"):
        open_token_encoder("flan_t5")


def test_stored_vectors_spare_the_network(compact_file, cache, openings):
    first = open_text_encoder("compact", compact_file, cache=cache)
    expected = first.encode(TEXTS)
    assert openings == ["compact"]
    again = open_text_encoder("compact", compact_file, cache=cache)
    assert torch.equal(again.encode(["rain", "a dog"]), expected[1:])
    assert (again.dim, again.encode([]).shape) == (16, (0, 16))
    assert openings == ["compact"]
    again.encode(["something new"])
    again.encode(["and more"])
    assert openings == ["compact", "compact"]


def test_opening_a_network_draws_no_random_numbers(laion_checkpoint, cache):
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    open_text_encoder("clap-hf", str(laion_checkpoint), cache=cache).encode(TEXTS)
    assert torch.equal(torch.rand(4), expected)


def test_stored_tokens_spare_the_network(t5_folder, cache, openings):
    first = open_token_encoder("flan-t5", str(t5_folder), cache=cache)
    vectors, mask = first.encode_tokens(TEXTS)
    bare = open_token_encoder("flan-t5", str(t5_folder)).encode_tokens(TEXTS)
    assert (vectors - bare[0]).abs().max() < 1e-5
    assert torch.equal(mask, bare[1])
    openings.clear()
    again = open_token_encoder("flan-t5", str(t5_folder), cache=cache)
    restored = again.encode_tokens(TEXTS)
    assert torch.equal(restored[0], vectors)
    assert torch.equal(restored[1], mask)
    assert (again.dim, again.max_tokens, openings) == (1024, 15, [])


def test_stored_sounds_spare_the_network(laion_checkpoint, cache, openings):
    first = open_audio_encoder("clap-hf", str(laion_checkpoint), cache=cache)
    expected = first.encode_audio(SOUND, 48_000)
    openings.clear()
    again = open_audio_encoder("clap-hf", str(laion_checkpoint), cache=cache)
    assert torch.equal(again.encode_audio(SOUND.copy(), 48_000), expected)
    assert openings == []
    assert (again.encode_audio(SOUND, 24_000) - expected).abs().max() > 1e-4
    assert (again.encode_audio(SOUND**2, 48_000) - expected).abs().max() > 1e-4
    assert openings == ["clap-hf"]


def test_other_weights_find_nothing_old(compact_file, text_encoder, cache):
    before = open_text_encoder("compact", compact_file, cache=cache).encode(TEXTS)
    text_encoder.words.weight.add_(torch.randn_like(text_encoder.words.weight))
    tensors, config = text_encoder.to_tensors()
    save_file(tensors, compact_file, metadata={METADATA_KEY: json.dumps(config)})
    after = open_text_encoder("compact", compact_file, cache=cache).encode(TEXTS)
    assert (before - after).abs().max() > 1e-3
