"""Queries as a mask model reads them: by which text encoder, and what a checkpoint keeps of it.

    compact         all of it is inside: the tensors text.* and, in the metadata, text_config
    clap, clap-hf   its name and the checksum of its files, text_encoder in the metadata; the
                    files stay where they are (`tsel models path clap`)

A network that learnt one encoder's vectors cannot read another's, even of the same length, and
would answer all the same. So the checksum decides, wherever the files are found.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass

import torch
from torch import Tensor

from tselcli.errors import CheckpointError
from tselcli.features.cache import default_cache
from tselcli.model_sections import MaskRecipe, ModelRecipe
from tselcli.models.encoders import METADATA_KEY, CompactTextEncoder, from_tensors
from tselcli.models.protocols import TextEncoder
from tselcli.models.registry import open_text_encoder
from tselcli.models.stored import StoredText

ENCODER_KEY = "text_encoder"
COMPACT = "compact"
MAX_DIM = 8192


@dataclass(frozen=True)
class Outside:
    """A text encoder that a checkpoint needs and does not hold.

    Args:
        name: in the registry.
        weights: the digest of its files.
        dim: width D of its vectors.
    """

    name: str
    weights: str
    dim: int


def open_reader(rules: MaskRecipe, device: torch.device | str = "cpu") -> TextEncoder:
    """Open the text encoder that a recipe names; vectors of a large one are kept on disk.

    Raises:
        CheckpointError: its files are missing, damaged or of another network.
    """
    return _open(rules.text_encoder, rules.text_weights, device)


def _open(name: str, weights: str | None, device: torch.device | str) -> TextEncoder:
    cache = None if name == COMPACT else default_cache()
    return open_text_encoder(name, weights, device, cache)


def packed(text: TextEncoder) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Give what a checkpoint keeps of an encoder: tensors and metadata.

    Raises:
        ValueError: the encoder is neither compact nor one of the registry's with a cache.
    """
    if isinstance(text, CompactTextEncoder):
        tensors, config = text.to_tensors()
        return tensors, {METADATA_KEY: json.dumps(config)}
    if isinstance(text, StoredText):
        one = text.identity
        return {}, {ENCODER_KEY: json.dumps(asdict(Outside(one.encoder, one.weights, one.dim)))}
    raise ValueError(f"{type(text).__name__}: nothing says how to find it again")


def compact_only(text: TextEncoder, model: str, act: str) -> CompactTextEncoder:
    """Give the encoder of a model where it is the compact one.

    Args:
        text: what the model reads with.
        model: of whom the error speaks.
        act: what needs it.

    Raises:
        CheckpointError: it is another one.
    """
    if not isinstance(text, CompactTextEncoder):
        raise CheckpointError(
            f"{model}: reads with an encoder that is not inside; {act} needs a model with the "
            "compact one"
        )
    return text


def unpacked(
    tensors: Mapping[str, Tensor], metadata: Mapping[str, str], rules: ModelRecipe
) -> CompactTextEncoder | Outside:
    """Read what ``packed`` gave; nothing outside the checkpoint is looked at yet.

    Raises:
        KeyError: the checkpoint names no encoder.
        ValueError: it names another one than its recipe.
        CheckpointError: the compact encoder inside is damaged.
    """
    if rules.text_encoder == COMPACT:
        return from_tensors(tensors, json.loads(metadata[METADATA_KEY]))
    kept = json.loads(metadata[ENCODER_KEY])
    needed = Outside(str(kept["name"]), str(kept["weights"]), int(kept["dim"]))
    if needed.name != rules.text_encoder:
        raise ValueError(f"{ENCODER_KEY} {needed.name} instead of {rules.text_encoder}")
    if not 1 <= needed.dim <= MAX_DIM:
        raise ValueError(f"{ENCODER_KEY}: dim={needed.dim} is not 1 to {MAX_DIM}")
    return needed


def find_again(
    needed: Outside, weights: str | None, device: torch.device | str, model: str
) -> TextEncoder:
    """Open the encoder that a checkpoint was trained with.

    Args:
        needed: what the checkpoint says of it.
        weights: where it stood in training; elsewhere it is looked for in the usual places.
        device: where its vectors are wanted.
        model: of whom errors speak.

    Raises:
        CheckpointError: it is not on this machine, or other files are.
    """
    try:
        text = _open(needed.name, weights, device)
    except CheckpointError:
        if weights is None:
            raise
        text = _open(needed.name, None, device)
    assert isinstance(text, StoredText)
    found = text.identity.weights
    if found != needed.weights:
        raise CheckpointError(
            f"{model}: was trained with another {needed.name} than the one here (checksum "
            f"{needed.weights[:12]}... and {found[:12]}...); put its files where "
            f"`tsel models path {needed.name}` says"
        )
    return text
