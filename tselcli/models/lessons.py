"""What a teacher makes of clips: a vector for every recording, for training alone.

A large sound classifier knows which recordings are alike, beyond their labels. Its embeddings
are whitened, so that every direction in which recordings differ counts, and kept by the digest
of the recording, so that a corpus may grow, move and change its names.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from safetensors.torch import save
from torch import Tensor

from tselcli.errors import CheckpointError
from tselcli.files import write_bytes_atomically
from tselcli.models.checkpoint import read_tensors

FORMAT = "tsel-lessons/1"
Vectors = npt.NDArray[np.float32]


def whitened(embeddings: Vectors, size: int) -> Vectors:
    """Turn embeddings (N, E) into unit vectors (N, size) along their principal directions.

    Each direction is scaled by the inverse fourth root of its variance: half way between the
    embeddings as they are and directions that all count alike.
    """
    centred = embeddings - embeddings.mean(axis=0)
    _, spread, directions = np.linalg.svd(centred, full_matrices=False)
    size = min(size, len(directions))
    scaled = centred @ directions[:size].T / np.sqrt(np.maximum(spread[:size], 1e-6))
    lengths = np.linalg.norm(scaled, axis=1, keepdims=True)
    return np.asarray(scaled / np.maximum(lengths, 1e-9), dtype=np.float32)


def save_lessons(path: Path, digests: Sequence[str], lessons: Vectors) -> None:
    """Write lessons (N, E) under the digests of their recordings (N)."""
    tensors = {"lessons": torch.from_numpy(lessons).half()}
    metadata = {"format": FORMAT, "digests": json.dumps(list(digests))}
    write_bytes_atomically(path, save(tensors, metadata))


def load_lessons(path: Path) -> Mapping[str, Tensor]:
    """Read what :func:`save_lessons` wrote: digest to unit vector (E,).

    Raises:
        CheckpointError: missing, damaged, or a file of another kind.
    """
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file; `tsel lessons` writes one")
    tensors, metadata = read_tensors(path)
    try:
        digests: list[Any] = json.loads(metadata["digests"])
        return dict(zip(digests, tensors["lessons"].float(), strict=True))
    except (KeyError, ValueError) as error:
        raise CheckpointError(
            f"{path}: holds no lessons ({error!r}); see `tsel lessons`"
        ) from error
