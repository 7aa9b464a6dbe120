"""What an encoder of queries or sounds offers to the networks that use it.

The three are independent: CLAP gives clip vectors of texts and sounds, FlanT5 and BERT give the
tokens of a text, the compact encoder gives both of a text. None of them is trained here.
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

MAX_TOKENS = 15  # of a query, special tokens included (Zhao et al., 2024, section VI)


class TextEncoder(Protocol):
    """Turns descriptions into vectors."""

    dim: int

    def encode(self, texts: Sequence[str]) -> Tensor:
        """Embed texts: (B, D) of unit length, on the encoder's device, without gradient."""
        ...


class TokenEncoder(Protocol):
    """Turns descriptions into a vector per token, for attention."""

    dim: int
    max_tokens: int

    def encode_tokens(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Embed the tokens of texts, cut to ``max_tokens`` with the special ones.

        Returns:
            Vectors (B, max_tokens, D), zero behind the last token, and a mask, bool
            (B, max_tokens), True where a token stands; on the encoder's device, without gradient.
        """
        ...


class AudioEncoder(Protocol):
    """Turns a sound into a vector."""

    dim: int

    def encode_audio(self, signal: NDArray[np.float32], sample_rate: int) -> Tensor:
        """Embed one sound.

        Args:
            signal: mono, full scale [-1, 1], (samples N,); at least one sample.
            sample_rate: in Hz; resampled to what the encoder was trained on.

        Returns:
            (D,) of unit length, on the encoder's device, without gradient.
        """
        ...
