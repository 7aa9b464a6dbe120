"""LAION's CLAP checkpoints: reading one safely, and its names in two libraries.

A checkpoint of the package ``laion-clap`` is a pickle with the state of a whole training run
inside, and the package's own loader runs whatever code such a file brings along. Here only
tensors and numpy's numbers get through. The same weights have other names in ``transformers``,
where an audio block also keeps query, key and value apart::

    audio_branch.layers.0.blocks.1.attn.qkv.weight (3 x 96, 96)
      -> audio_model.audio_encoder.layers.0.blocks.1.attention.self.{query,key,value}.weight
    text_branch.encoder...  -> text_model.encoder...
    text_projection.0 | .2  -> text_projection.linear1 | linear2
"""

import pickle
import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from tselcli.errors import CheckpointError

if TYPE_CHECKING:
    from transformers import ClapConfig, RobertaConfig

# The epoch's figures and the optimiser's rates in a checkpoint are numpy scalars.
HARMLESS = [
    np.core.multiarray.scalar,  # type: ignore[attr-defined]
    np.dtype,
    *(type(np.dtype(kind)) for kind in ("float64", "float32", "int64")),
]
UNUSED = ("text_branch.embeddings.position_ids",)  # which transformers 4.31 ceased to store
WORDS = "text_branch.embeddings.word_embeddings.weight"
PATCHES = "audio_branch.patch_embed.proj.weight"
FUSION = "audio_branch.patch_embed.mel_conv2d.weight"
EXPECTED = {PATCHES: (96, 1, 4, 4), "audio_projection.0.weight": (512, 768)}
HEAD_WIDTH = 64  # of every RoBERTa

# What of a checkpoint ``ClapModel`` has, and how its parts are called there; in this order.
ONLY_LAION = re.compile(
    r"audio_branch\.(spectrogram_extractor|logmel_extractor|tscam_conv|head)\."
    r"|(audio|text)_transform\.|.*\.attn_mask$"
)
RENAMED = [
    (r"^text_branch\.", "text_model."),
    (r"^audio_branch\.bn0\.", "audio_model.audio_encoder.batch_norm."),
    (r"^audio_branch\.", "audio_model.audio_encoder."),
    (r"^(text|audio)_projection\.0\.", r"\1_projection.linear1."),
    (r"^(text|audio)_projection\.2\.", r"\1_projection.linear2."),
    (r"(\.blocks\.\d+)\.norm1\.", r"\1.layernorm_before."),
    (r"(\.blocks\.\d+)\.norm2\.", r"\1.layernorm_after."),
    (r"\.attn\.proj\.", ".attention.output.dense."),
    (r"\.attn\.", ".attention.self."),
    (r"\.mlp\.fc1\.", ".intermediate.dense."),
    (r"\.mlp\.fc2\.", ".output.dense."),
]


def read_laion_checkpoint(path: Path) -> dict[str, Tensor]:
    """Read the network out of a checkpoint of ``laion-clap``, without running code of the file.

    Returns:
        The tensors by the names of ``CLAP_Module.model``.

    Raises:
        CheckpointError: damaged, no CLAP, or another CLAP than the non-fusion HTSAT-tiny.
    """
    try:
        with torch.serialization.safe_globals(HARMLESS), warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Detected pickle protocol")
            stored: Any = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError) as problem:
        raise CheckpointError(
            f"{path}: damaged, or not a PyTorch file of plain tensors; "
            "`tsel models fetch clap` downloads the original"
        ) from problem
    if isinstance(stored, dict) and isinstance(stored.get("state_dict"), dict):
        stored = stored["state_dict"]
    if not isinstance(stored, dict) or not all(isinstance(x, Tensor) for x in stored.values()):
        raise CheckpointError(f"{path}: holds no network; `tsel models fetch clap` downloads one")
    tensors = {str(name).removeprefix("module."): value for name, value in stored.items()}
    _check(path, tensors)
    return {name: value for name, value in tensors.items() if name not in UNUSED}


def _check(path: Path, tensors: Mapping[str, Tensor]) -> None:
    if FUSION in tensors:
        raise CheckpointError(
            f"{path}: a fusion checkpoint of CLAP; the non-fusion one is needed, "
            "`tsel models fetch clap` downloads it"
        )
    if WORDS not in tensors or tensors[WORDS].dim() != 2:
        raise CheckpointError(
            f"{path}: holds no CLAP ({len(tensors)} tensors, none of them {WORDS}); "
            "`tsel models fetch clap` downloads one"
        )
    for name, shape in EXPECTED.items():
        found = tuple(tensors[name].shape) if name in tensors else "missing"
        if found != shape:
            raise CheckpointError(
                f"{path}: another CLAP than the HTSAT-tiny with RoBERTa ({name} is {found} "
                f"instead of {shape}); `tsel models fetch clap` downloads that one"
            )


def roberta_config(tensors: Mapping[str, Tensor]) -> "RobertaConfig":
    """Read the sizes of the text branch off its tensors."""
    from transformers import RobertaConfig

    return RobertaConfig(layer_norm_eps=1e-5, **_text_sizes(tensors))


def clap_config(tensors: Mapping[str, Tensor]) -> "ClapConfig":
    """Describe the network of a checkpoint to ``transformers``; HTSAT-tiny is its default."""
    from transformers import ClapConfig

    return ClapConfig(text_config={"layer_norm_eps": 1e-5, **_text_sizes(tensors)})


def _text_sizes(tensors: Mapping[str, Tensor]) -> dict[str, int]:
    vocabulary, width = tensors[WORDS].shape
    layers = {name.split(".")[3] for name in tensors if name.startswith("text_branch.encoder.")}
    wide = tensors.get("text_branch.encoder.layer.0.intermediate.dense.bias", torch.empty(0))
    kinds = tensors.get("text_branch.embeddings.token_type_embeddings.weight", torch.empty(0))
    places = tensors.get("text_branch.embeddings.position_embeddings.weight", torch.empty(0))
    return {
        "vocab_size": vocabulary,
        "hidden_size": width,
        "num_hidden_layers": len(layers),
        "num_attention_heads": max(width // HEAD_WIDTH, 1),
        "intermediate_size": len(wide),
        "type_vocab_size": len(kinds),
        "max_position_embeddings": len(places),
    }


def to_transformers(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename a checkpoint of ``laion-clap`` to the names of ``transformers.ClapModel``.

    What only the original has is left out: its spectrogram (the feature extractor's work in
    ``transformers``), the head for AudioSet's classes and the second projections of training.
    """
    renamed: dict[str, Tensor] = {}
    for name, value in tensors.items():
        if ONLY_LAION.match(name):
            continue
        for pattern, replacement in RENAMED:
            name = re.sub(pattern, replacement, name)
        if ".qkv." in name:
            for part, third in zip(("query", "key", "value"), value.chunk(3), strict=True):
                renamed[name.replace("qkv", part)] = third
        else:
            renamed[name] = value
    return renamed
