import pytest
import torch

from tselcli.models.encoders import CompactTextEncoder

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
LETTERS = [chr(code) for code in range(ord("a"), ord("z") + 1)]


@pytest.fixture
def text_encoder():
    """A random, tiny encoder that spells every word."""
    torch.manual_seed(0)
    pieces = SPECIAL + LETTERS + [f"##{letter}" for letter in LETTERS]
    sizes = {"embed_dim": 8, "hidden": 16, "layers": 1, "heads": 2, "ffn": 16, "max_tokens": 32}
    return CompactTextEncoder(pieces, **sizes).eval().requires_grad_(False)
