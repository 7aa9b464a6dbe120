import json
import shutil
import socket
import sys
import warnings

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from tselcli.models.checkpoint import Checkpoint, build_net
from tselcli.models.localizer import Localizer
from tselcli.models.readout import Readout
from tselcli.recipe import recipe_from_dict

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
LETTERS = [chr(code) for code in range(ord("a"), ord("z") + 1)]


@pytest.fixture
def localizer(text_encoder):
    """A small, untrained mask model."""
    torch.manual_seed(0)
    recipe = recipe_from_dict({"name": "test", "model": {"width": 8, "levels": 3, "embed_dim": 8}})
    net = build_net(recipe, text_encoder.dim).eval().requires_grad_(False)
    readout = Readout(64).requires_grad_(False)
    return Localizer(Checkpoint(net, readout, text_encoder, recipe, {}, "test@0"))


COMMIT = "0123456789abcdef0123456789abcdef01234567"
SIZES = {"num_hidden_layers": 1, "hidden_size": 768, "num_attention_heads": 12}


@pytest.fixture
def bare_machine(tmp_path, monkeypatch):
    """A machine without any weights: our cache and the hub's are empty. Nobody may call out."""

    def refuse(*arguments):
        raise AssertionError("an encoder asked the network")

    monkeypatch.setenv("TSEL_CACHE", str(tmp_path / "tsel"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    return tmp_path


def to_hub(hub, repo, folder):
    """Lay a folder out as a repository in a hub cache."""
    place = hub / f"models--{repo.replace('/', '--')}"
    (place / "refs").mkdir(parents=True)
    (place / "refs" / "main").write_text(COMMIT)
    shutil.copytree(folder, place / "snapshots" / COMMIT)


@pytest.fixture(scope="session")
def roberta_folder(tmp_path_factory):
    """A one-layer ``roberta-base`` of true width that spells words in bytes."""
    from tokenizers.pre_tokenizers import ByteLevel
    from transformers import RobertaConfig, RobertaModel

    folder = tmp_path_factory.mktemp("roberta")
    pieces = ["<s>", "<pad>", "</s>", "<unk>", *sorted(ByteLevel.alphabet()), "do", "dog", "<mask>"]
    (folder / "vocab.json").write_text(json.dumps({word: at for at, word in enumerate(pieces)}))
    (folder / "merges.txt").write_text("#version: 0.2\nd o\ndo g\n")
    torch.manual_seed(0)
    places = {"max_position_embeddings": 514, "type_vocab_size": 1, "layer_norm_eps": 1e-5}
    RobertaModel(RobertaConfig(vocab_size=len(pieces), **SIZES, **places)).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def bert_folder(tmp_path_factory):
    """A one-layer ``bert-base-uncased`` of true width that spells words in letters.

    As in the original's file there are heads for two tasks, and norms have a gamma and a beta.
    """
    from transformers import BertConfig, BertForPreTraining

    folder = tmp_path_factory.mktemp("bert")
    pieces = [*SPECIAL, *LETTERS, *(f"##{letter}" for letter in LETTERS), "dog", "rain"]
    torch.manual_seed(0)
    BertForPreTraining(BertConfig(vocab_size=len(pieces), **SIZES)).save_pretrained(folder)
    tensors = load_file(folder / "model.safetensors")
    for part in ("embeddings", "encoder.layer.0.attention.output", "encoder.layer.0.output"):
        for new, old in (("weight", "gamma"), ("bias", "beta")):
            value = tensors.pop(f"bert.{part}.LayerNorm.{new}")
            tensors[f"bert.{part}.LayerNorm.{old}"] = value + 0.5
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "vocab.txt").write_text("\n".join(pieces))
    return folder


@pytest.fixture(scope="session")
def t5_folder(tmp_path_factory):
    """A one-layer FlanT5 encoder and decoder, 1024 wide, that spells words in letters."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import T5Config, T5ForConditionalGeneration

    folder = tmp_path_factory.mktemp("t5")
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", -9.0), ("\u2581", -2.0), ("\u2581dog", -1.0)]
    spelling = Tokenizer(models.Unigram([*pieces, *((x, -3.0) for x in LETTERS)], unk_id=2))
    spelling.pre_tokenizer = pre_tokenizers.Metaspace()
    ending = {"single": "$A </s>", "special_tokens": [("</s>", 1)]}
    spelling.post_processor = processors.TemplateProcessing(**ending)
    spelling.save(str(folder / "tokenizer.json"))
    torch.manual_seed(0)
    sizes = {"d_model": 1024, "d_kv": 64, "d_ff": 64, "num_layers": 1, "num_heads": 16}
    form = {"feed_forward_proj": "gated-gelu", "tie_word_embeddings": False}
    T5ForConditionalGeneration(T5Config(vocab_size=64, **sizes, **form)).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def hub(tmp_path_factory, roberta_folder, bert_folder, t5_folder):
    """A hub cache with what ``laion_clap`` asks for, FlanT5 and BERT."""
    folder = tmp_path_factory.mktemp("hub")
    to_hub(folder, "roberta-base", roberta_folder)
    to_hub(folder, "facebook/bart-base", roberta_folder)
    to_hub(folder, "bert-base-uncased", bert_folder)
    to_hub(folder, "google/flan-t5-large", t5_folder)
    return folder


@pytest.fixture(scope="session")
def laion_module(hub):
    """The original ``CLAP_Module``, made the way its README says, with random weights."""
    from huggingface_hub import constants

    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of other people's packages
        patch.setattr(constants, "HF_HUB_CACHE", str(hub))
        patch.setattr(constants, "HF_HUB_OFFLINE", True)
        patch.setattr(sys, "path", list(sys.path))
        import laion_clap

        made = laion_clap.CLAP_Module(enable_fusion=False, device="cpu")
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in made.model.parameters():
            if parameter.requires_grad:  # the spectrogram stays one
                parameter.add_(torch.randn_like(parameter) * 0.02)
        made.model.audio_branch.bn0.running_mean.normal_(-30.0, 5.0)
        made.model.audio_branch.bn0.running_var.fill_(400.0)
    return made.eval()


@pytest.fixture(scope="session")
def laion_checkpoint(tmp_path_factory, laion_module, roberta_folder):
    """A checkpoint as training wrote it, with numpy scalars, beside RoBERTa's tokenizer."""
    folder = tmp_path_factory.mktemp("laion")
    stored = {f"module.{name}": value for name, value in laion_module.model.state_dict().items()}
    stored["module.text_branch.embeddings.position_ids"] = torch.arange(514)[None]
    epoch = {"epoch": 45, "name": "tiny", "best": np.float64(0.5), "optimizer": {"lr": 1e-4}}
    path = folder / "630k-audioset-best.pt"
    torch.save({**epoch, "state_dict": stored}, path)
    for name in ("vocab.json", "merges.txt"):
        shutil.copy(roberta_folder / name, folder)
    return path
