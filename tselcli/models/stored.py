"""Vectors of frozen encoders, kept on disk: a text or sound is embedded once and for all.

The key of an entry is the encoder's name, the digest of its weight files and the text or the
samples, so other weights find nothing old. The network is opened when something new comes in,
and not at all in a run that has nothing new.
"""

import functools
import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tselcli.features.cache import FeatureCache, content_key
from tselcli.models.protocols import MAX_TOKENS, AudioEncoder, TextEncoder, TokenEncoder

BATCH = 64
Array = NDArray[np.float32]


@dataclass(frozen=True)
class Identity:
    """What a stored vector depends on, beside the text or sound.

    Args:
        encoder: its name.
        weights: the digest of its files.
        dim: width D of its vectors.
        device: where the vectors are wanted.
    """

    encoder: str
    weights: str
    dim: int
    device: torch.device | str = "cpu"

    def key(self, **parts: Any) -> str:
        """Name an entry of the cache."""
        return content_key(encoder=self.encoder, weights=self.weights, dim=self.dim, **parts)


class StoredText:
    """A TextEncoder that reads its vectors from disk where it can.

    Args:
        opener: opens the network.
        identity: of the vectors.
        cache: where they are kept.
    """

    def __init__(
        self, opener: Callable[[], TextEncoder], identity: Identity, cache: FeatureCache
    ) -> None:
        self._network = functools.cache(opener)
        self.identity, self._cache = identity, cache
        self.dim = identity.dim

    def encode(self, texts: Sequence[str]) -> Tensor:
        """Embed texts: (B, D) of unit length."""
        keys = {text: self.identity.key(text=text) for text in texts}
        found, new = _look_up(self._cache, keys)
        for chunk in _chunks(new):
            vectors = self._network().encode(chunk).cpu().numpy()
            for text, vector in zip(chunk, vectors, strict=True):
                self._cache.put(keys[text], vector)
                found[text] = vector
        rows = [found[text] for text in texts]
        stacked = np.stack(rows) if rows else np.zeros((0, self.dim), dtype=np.float32)
        return torch.from_numpy(stacked).to(self.identity.device)


class StoredTokens:
    """A TokenEncoder that reads its vectors from disk where it can; see StoredText.

    An entry holds the vectors of a text's own tokens, (tokens, D); the rest is padding.
    """

    max_tokens = MAX_TOKENS

    def __init__(
        self, opener: Callable[[], TokenEncoder], identity: Identity, cache: FeatureCache
    ) -> None:
        self._network = functools.cache(opener)
        self._identity, self._cache = identity, cache
        self.dim = identity.dim

    def encode_tokens(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Embed the tokens of texts: (B, max_tokens, D), zero where padded, and a mask."""
        keys = {text: self._identity.key(text=text, tokens=self.max_tokens) for text in texts}
        found, new = _look_up(self._cache, keys)
        for chunk in _chunks(new):
            vectors, masks = self._network().encode_tokens(chunk)
            for text, row, mask in zip(chunk, vectors, masks, strict=True):
                found[text] = row[mask].cpu().numpy()
                self._cache.put(keys[text], found[text])
        padded = torch.zeros(len(texts), self.max_tokens, self.dim)
        lengths = torch.tensor([len(found[text]) for text in texts], dtype=torch.int64)
        for row, text in enumerate(texts):
            padded[row, : lengths[row]] = torch.from_numpy(found[text])
        mask = torch.arange(self.max_tokens)[None, :] < lengths[:, None]
        return padded.to(self._identity.device), mask.to(self._identity.device)


class StoredAudio:
    """An AudioEncoder that reads its vectors from disk where it can; see StoredText."""

    def __init__(
        self, opener: Callable[[], AudioEncoder], identity: Identity, cache: FeatureCache
    ) -> None:
        self._network = functools.cache(opener)
        self._identity, self._cache = identity, cache
        self.dim = identity.dim

    def encode_audio(self, signal: Array, sample_rate: int) -> Tensor:
        """Embed a mono signal (N,): (D,) of unit length."""
        samples = np.ascontiguousarray(signal, dtype=np.float32)
        sound = hashlib.sha256(samples.tobytes()).hexdigest()
        key = self._identity.key(sound=sound, sample_rate=sample_rate)
        vector = self._cache.get(key)
        if vector is None:
            vector = self._network().encode_audio(samples, sample_rate).cpu().numpy()
            self._cache.put(key, vector)
        return torch.from_numpy(vector).to(self._identity.device)


def _look_up(cache: FeatureCache, keys: dict[str, str]) -> tuple[dict[str, Array], list[str]]:
    """Split texts into vectors that are there and texts that are new."""
    entries = {text: cache.get(key) for text, key in keys.items()}
    found = {text: vector for text, vector in entries.items() if vector is not None}
    return found, [text for text in keys if text not in found]


def _chunks(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    """Cut texts into batches, so that an interruption costs one batch."""
    for start in range(0, len(texts), BATCH):
        yield texts[start : start + BATCH]
