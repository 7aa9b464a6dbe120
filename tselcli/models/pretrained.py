"""FlanT5 and BERT: the tokens of a query, for cross-attention (Zhao et al., 2024, section VI).

A query becomes 15 vectors of 1024 (FlanT5-large's encoder) or 768 (BERT-base) numbers. A longer
one is cut, a shorter one padded, and the mask tells the two apart::

    "a dog barks" -> a dog bark s </s> - - - - - - - - - -      T5: ends in </s>
                  -> [CLS] a dog barks [SEP] - - - - - - - - -  BERT: between [CLS] and [SEP]

The networks are frozen. Whatever the folder, no code of it is run and nothing is downloaded.
"""

import json
import pickle
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor

from tselcli.errors import CheckpointError
from tselcli.models.protocols import MAX_TOKENS
from tselcli.models.quiet import quiet_transformers

BATCH = 64
UNREADABLE = (OSError, ValueError, KeyError, RuntimeError, SafetensorError, pickle.UnpicklingError)


class PretrainedTokens:
    """A frozen encoder of ``transformers`` that gives a vector per token; see TokenEncoder.

    Args:
        network: takes ``input_ids`` and ``attention_mask``, gives ``last_hidden_state``.
        tokenizer: of the same model; pads on the right.
        device: where it runs.
    """

    max_tokens = MAX_TOKENS

    def __init__(self, network: Any, tokenizer: Any, device: torch.device | str) -> None:
        self._network = network.to(device).eval().requires_grad_(False)
        self._tokenizer = tokenizer
        self.dim = int(network.config.hidden_size)

    @torch.no_grad()
    def encode_tokens(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Embed the tokens of texts: (B, 15, D), zero where padded, and a mask (B, 15)."""
        device = self._network.device
        vectors = torch.zeros(len(texts), self.max_tokens, self.dim, device=device)
        masks = torch.zeros(len(texts), self.max_tokens, dtype=torch.bool, device=device)
        for start in range(0, len(texts), BATCH):
            rows = slice(start, start + BATCH)
            tokens = self._tokenizer(
                list(texts[rows]),
                padding="max_length",
                truncation=True,
                max_length=self.max_tokens,
                return_tensors="pt",
            ).to(device)
            states = self._network(tokens.input_ids, tokens.attention_mask).last_hidden_state
            masks[rows] = tokens.attention_mask.bool()
            vectors[rows] = states * masks[rows].unsqueeze(-1)
        return vectors, masks


def t5_tokens(files: Mapping[str, Path], device: torch.device | str = "cpu") -> PretrainedTokens:
    """Open the encoder half of a T5.

    Args:
        files: of the model, by name, all in one folder.
        device: where it runs.

    Raises:
        CheckpointError: damaged, or another network.
    """
    folder = files["config.json"].parent
    network = load_network("T5EncoderModel", "t5", folder)
    return PretrainedTokens(network, load_tokenizer("T5Tokenizer", folder), device)


def bert_tokens(files: Mapping[str, Path], device: torch.device | str = "cpu") -> PretrainedTokens:
    """Open a BERT; see ``t5_tokens``."""
    folder = files["config.json"].parent
    network = load_network("BertModel", "bert", folder, add_pooling_layer=False)
    return PretrainedTokens(network, load_tokenizer("BertTokenizer", folder), device)


def width_of(files: Mapping[str, Path]) -> int:
    """Read the width D off a model's configuration, without loading the network."""
    config = _read_json(files["config.json"])
    width = config.get("d_model", config.get("hidden_size"))
    if not isinstance(width, int):
        raise CheckpointError(f"{files['config.json']}: names no width; download the file again")
    return width


def load_network(kind: str, family: str, folder: Path, **options: Any) -> Any:
    """Load a network of ``transformers``, all of whose weights must be in the folder.

    Args:
        kind: name of the class.
        family: the ``model_type`` that its configuration must have.
        folder: with ``config.json`` and the weights.
        options: of the class.

    Raises:
        CheckpointError: damaged, or another network.
    """
    import transformers

    found = _read_json(folder / "config.json").get("model_type")
    if found != family:
        raise CheckpointError(f"{folder}: holds a {found!r} model; {family!r} is needed")
    try:
        with quiet_transformers():
            network, loading = getattr(transformers, kind).from_pretrained(
                folder,
                local_files_only=True,
                dtype=torch.float32,
                output_loading_info=True,
                **options,
            )
    except UNREADABLE as problem:
        first = str(problem).strip().splitlines()[:1]
        raise CheckpointError(
            f"{folder}: cannot be loaded ({''.join(first)}); download it again"
        ) from problem
    if missing := sorted(loading["missing_keys"]):
        raise CheckpointError(
            f"{folder}: the weights lack {missing[0]} and {len(missing) - 1} more; "
            "they belong to another network"
        )
    return network


def load_tokenizer(kind: str, folder: Path) -> Any:
    """Load a tokenizer of ``transformers`` by the name of its class.

    Raises:
        CheckpointError: damaged.
    """
    import transformers

    if (folder / "tokenizer.json").is_file():
        _read_json(folder / "tokenizer.json")
    try:
        return getattr(transformers, kind).from_pretrained(folder, local_files_only=True)
    except UNREADABLE as problem:
        raise CheckpointError(f"{folder}: its tokenizer is damaged; download it again") from problem


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as problem:
        raise CheckpointError(f"{path}: cannot be read as JSON; download it again") from problem
    if not isinstance(content, dict):
        raise CheckpointError(f"{path}: holds no JSON object; download it again")
    return content
