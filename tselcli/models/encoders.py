"""The compact text encoder that comes with the package.

A query becomes one unit vector: word pieces, a small BERT-shaped transformer, the mean over the
tokens, length one. The compact encoder is a distilled all-MiniLM-L6-v2 (``tsel distill``) that
keeps half of its layers and factorises the table of word pieces (Lan et al., ALBERT, 2020,
section 3.1): ``V x E`` times ``E x H`` numbers instead of ``V x H``. That table is nearly all
of the file::

    "a dog barks" -> [CLS] a dog bark ##s [SEP] -> V x E -> E x H -> layers -> mean -> unit length

With ``embed_dim == hidden`` there is no factorisation, and the same network runs the teacher.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from tokenizers.implementations.bert_wordpiece import BertWordPieceTokenizer
from torch import Tensor, nn
from torch.nn import functional as F

from tselcli.errors import CheckpointError
from tselcli.models.protocols import MAX_TOKENS

PREFIX = "text."
VOCABULARY = "text.vocab"
METADATA_KEY = "text_config"
BUNDLED = Path(__file__).resolve().parent.parent / "assets" / "mask-compact.safetensors"
SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
LIMITS = {
    "embed_dim": 4096,
    "hidden": 4096,
    "layers": 48,
    "heads": 64,
    "ffn": 16_384,
    "max_tokens": 4096,
}


class _Layer(nn.Module):
    """One transformer layer in BERT's order: attend, add, normalise; widen, add, normalise."""

    def __init__(self, hidden: int, heads: int, ffn: int) -> None:
        super().__init__()
        self.heads = heads
        self.query_key_value = nn.Linear(hidden, 3 * hidden)
        self.attended = nn.Linear(hidden, hidden)
        self.attention_norm = nn.LayerNorm(hidden, eps=1e-12)
        self.widen = nn.Linear(hidden, ffn)
        self.narrow = nn.Linear(ffn, hidden)
        self.output_norm = nn.LayerNorm(hidden, eps=1e-12)

    def forward(self, states: Tensor, mask: Tensor) -> Tensor:
        """Transform (B, T, H) with a token mask (B, 1, 1, T), True where a token stands."""
        batch, length, hidden = states.shape
        packed = self.query_key_value(states).view(batch, length, 3, self.heads, -1)
        query, key, value = packed.permute(2, 0, 3, 1, 4)  # each (B, heads, T, H / heads)
        mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        mixed = mixed.transpose(1, 2).reshape(batch, length, hidden)
        states = self.attention_norm(states + self.attended(mixed))
        wide = F.gelu(self.widen(states))
        normalised: Tensor = self.output_norm(states + self.narrow(wide))
        return normalised


class CompactTextEncoder(nn.Module):
    """A sentence encoder with its vocabulary inside.

    There is no dropout, so training and evaluation mode give the same vectors.

    Args:
        vocabulary: BERT word pieces, one per row of the table; all of SPECIAL_TOKENS are in it.
        embed_dim: columns E of the table of word pieces.
        hidden: width H of the transformer, and length D of the vector it gives.
        layers: number of transformer layers.
        heads: attention heads; divides ``hidden``.
        ffn: width inside a layer's second half.
        max_tokens: longer texts are cut to this many word pieces.
    """

    max_tokens = MAX_TOKENS  # of ``encode_tokens``; a clip vector hears out the whole text

    def __init__(
        self,
        vocabulary: Sequence[str],
        *,
        embed_dim: int,
        hidden: int,
        layers: int,
        heads: int,
        ffn: int,
        max_tokens: int,
    ) -> None:
        super().__init__()
        self.vocabulary = tuple(vocabulary)
        self.dim = hidden
        self.config = {
            "embed_dim": embed_dim,
            "hidden": hidden,
            "layers": layers,
            "heads": heads,
            "ffn": ffn,
            "max_tokens": max_tokens,
        }
        self.words = nn.Embedding(len(self.vocabulary), embed_dim)
        factorised = embed_dim != hidden
        self.project = nn.Linear(embed_dim, hidden, bias=False) if factorised else nn.Identity()
        self.positions = nn.Embedding(max_tokens, hidden)
        self.input_norm = nn.LayerNorm(hidden, eps=1e-12)
        self.layers = nn.ModuleList(_Layer(hidden, heads, ffn) for _ in range(layers))
        self._tokenizer = _word_pieces(self.vocabulary, max_tokens)

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """Embed token rows.

        Args:
            tokens: indices into the vocabulary, int64 (B, T).
            mask: True where a token stands, False for padding, bool (B, T).

        Returns:
            (B, D), each row of unit length.
        """
        states = self.hidden_states(tokens, mask)
        weights = mask.unsqueeze(-1).to(states.dtype)
        mean = (states * weights).sum(dim=1) / weights.sum(dim=1)
        return F.normalize(mean, dim=-1)

    def hidden_states(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """Give the last layer's vector of every token: (B, T, H); see ``forward``."""
        positions = self.positions.weight[: tokens.shape[1]]
        states: Tensor = self.input_norm(self.project(self.words(tokens)) + positions)
        for layer in self.layers:
            states = layer(states, mask[:, None, None, :])
        return states

    def tokenize(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Split texts into word pieces: tokens int64 (B, T) and mask bool (B, T), on the CPU.

        Letters are lower-cased and lose their accents; T is the longest text's length.
        """
        return _pad(self._pieces(texts))

    def _pieces(self, texts: Sequence[str]) -> list[list[int]]:
        return [encoding.ids for encoding in self._tokenizer.encode_batch(list(texts))]

    @torch.no_grad()
    def encode(self, texts: Sequence[str], batch_size: int = 64) -> Tensor:
        """Embed texts: (B, D) of unit length, in their order, without gradient.

        Texts of like length share a batch, so that little work goes into padding.
        """
        pieces = self._pieces(texts)
        order = sorted(range(len(pieces)), key=lambda row: len(pieces[row]))
        vectors = self.words.weight.new_zeros(len(pieces), self.dim)
        for start in range(0, len(order), batch_size):
            rows = order[start : start + batch_size]
            tokens, mask = _pad([pieces[row] for row in rows])
            vectors[rows] = self(tokens.to(vectors.device), mask.to(vectors.device))
        return vectors

    @torch.no_grad()
    def encode_tokens(self, texts: Sequence[str], batch_size: int = 64) -> tuple[Tensor, Tensor]:
        """Embed word pieces: (B, max_tokens, D) and a mask (B, max_tokens); see TokenEncoder.

        A longer text loses pieces in front of its [SEP], as in BERT.
        """
        pieces = [_cut(row, self.max_tokens) for row in self._pieces(texts)]
        vectors = self.words.weight.new_zeros(len(pieces), self.max_tokens, self.dim)
        masks = torch.zeros(vectors.shape[:2], dtype=torch.bool, device=vectors.device)
        for start in range(0, len(pieces), batch_size):
            tokens, mask = (part.to(vectors.device) for part in _pad(pieces[start:][:batch_size]))
            at = slice(start, start + len(mask)), slice(0, mask.shape[1])
            vectors[at] = self.hidden_states(tokens, mask) * mask.unsqueeze(-1)
            masks[at] = mask
        return vectors, masks

    def to_tensors(self) -> tuple[dict[str, Tensor], dict[str, int]]:
        """Give what a checkpoint keeps: float16 tensors and the vocabulary, and the sizes."""
        tensors = {
            PREFIX + name: value.detach().to("cpu", torch.float16).contiguous()
            for name, value in self.state_dict().items()
        }
        letters = bytearray("\n".join(self.vocabulary).encode())
        tensors[VOCABULARY] = torch.frombuffer(letters, dtype=torch.uint8).clone()
        return tensors, dict(self.config)


def _word_pieces(vocabulary: Sequence[str], max_tokens: int) -> BertWordPieceTokenizer:
    indices = {piece: index for index, piece in enumerate(vocabulary)}
    tokenizer = BertWordPieceTokenizer(vocab=indices, lowercase=True, strip_accents=True)
    tokenizer.enable_truncation(max_length=max_tokens)
    return tokenizer


def _cut(pieces: list[int], length: int) -> list[int]:
    """Keep [CLS], the first pieces and [SEP]."""
    return pieces if len(pieces) <= length else [*pieces[: length - 1], pieces[-1]]


def _pad(pieces: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
    lengths = torch.tensor([len(row) for row in pieces])
    mask = torch.arange(int(lengths.max()))[None, :] < lengths[:, None]
    tokens = torch.zeros(mask.shape, dtype=torch.int64)
    tokens[mask] = torch.tensor([index for row in pieces for index in row])
    return tokens, mask


def from_tensors(tensors: Mapping[str, Tensor], config: Mapping[str, int]) -> CompactTextEncoder:
    """Rebuild an encoder from ``CompactTextEncoder.to_tensors``.

    Args:
        tensors: those of the ``text.`` family; others are passed over.
        config: the sizes.

    Returns:
        The encoder in float32, in evaluation mode, without gradients.

    Raises:
        CheckpointError: a size or a tensor is missing, of the wrong shape or not finite.
    """
    if set(config) != set(LIMITS):
        raise CheckpointError(f"text encoder: sizes {sorted(config)} must be {sorted(LIMITS)}")
    for name, highest in LIMITS.items():
        if type(config[name]) is not int or not 1 <= config[name] <= highest:
            raise CheckpointError(f"text encoder: {name}={config[name]!r} is not 1 to {highest}")
    if config["hidden"] % config["heads"]:
        raise CheckpointError(f"text encoder: heads={config['heads']} must divide hidden")
    vocabulary = _read_vocabulary(tensors.get(VOCABULARY))
    encoder = CompactTextEncoder(vocabulary, **config)
    for name, parameter in encoder.state_dict().items():
        stored = tensors.get(PREFIX + name)
        if stored is None or stored.shape != parameter.shape:
            found = "is missing" if stored is None else f"has shape {tuple(stored.shape)}"
            raise CheckpointError(
                f"text encoder: {PREFIX + name} {found} instead of {tuple(parameter.shape)}"
            )
        if not stored.is_floating_point() or not bool(torch.isfinite(stored).all()):
            raise CheckpointError(f"text encoder: {PREFIX + name} holds values that are no numbers")
        parameter.copy_(stored)
    return encoder.eval().requires_grad_(False)


def _read_vocabulary(letters: Tensor | None) -> list[str]:
    if letters is None or letters.dtype != torch.uint8 or letters.dim() != 1:
        raise CheckpointError(f"text encoder: no vocabulary ({VOCABULARY}) inside")
    try:
        pieces = letters.numpy().tobytes().decode().split("\n")
    except UnicodeDecodeError as problem:
        raise CheckpointError("text encoder: its vocabulary is not UTF-8") from problem
    if len(set(pieces)) != len(pieces) or not set(SPECIAL_TOKENS) <= set(pieces):
        raise CheckpointError("text encoder: its vocabulary repeats pieces or lacks special ones")
    return pieces


def load_text_weights(path: Path) -> CompactTextEncoder:
    """Read the text encoder out of a safetensors file of ``tsel distill`` or ``tsel train``.

    Raises:
        CheckpointError: the file is missing, damaged or holds no text encoder.
    """
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file; `tsel distill` writes one")
    try:
        with safe_open(path, framework="pt") as opened:
            config = json.loads((opened.metadata() or {}).get(METADATA_KEY, "null"))
            names = [name for name in opened.keys() if name.startswith(PREFIX)]  # noqa: SIM118
            tensors = {name: opened.get_tensor(name) for name in names}
    except (SafetensorError, OSError, json.JSONDecodeError) as problem:
        raise CheckpointError(f"{path}: damaged, or not a safetensors file") from problem
    if not isinstance(config, dict):
        raise CheckpointError(f"{path}: holds no text encoder; `tsel distill` writes one")
    try:
        return from_tensors(tensors, config)
    except CheckpointError as problem:
        raise CheckpointError(f"{path}: {problem}") from problem


def bundled_text_encoder() -> CompactTextEncoder:
    """Load the text encoder that comes with the package.

    Raises:
        CheckpointError: the package was installed without its checkpoint.
    """
    return load_text_weights(BUNDLED)
