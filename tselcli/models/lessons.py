"""What a teacher makes of clips: a vector for every recording, for training alone.

A large sound classifier knows which recordings are alike, beyond their labels. Its embeddings
are whitened, so that every direction in which recordings differ counts, and kept by the digest
of the recording, so that a corpus may grow, move and change its names. It also has names for many
kinds of sound, and says of every recording how likely each is, those that nobody gave it as well.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Lessons:
    """What a teacher makes of recordings, by their digests.

    Attributes:
        vectors: unit vectors (E,).
        odds: how much likelier than usual each class is, log-odds (N,); empty where the teacher
            was not asked.
        names: of the classes (N).
    """

    vectors: Mapping[str, Tensor]
    odds: Mapping[str, Tensor]
    names: tuple[str, ...]


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


def save_lessons(path: Path, lessons: Lessons) -> None:
    """Write lessons under the digests of their recordings, in half precision.

    Args:
        path: safetensors file.
        lessons: of at least one recording.
    """
    tensors = {"lessons": torch.stack(list(lessons.vectors.values())).half()}
    metadata = {"format": FORMAT, "digests": json.dumps(list(lessons.vectors))}
    if lessons.names:
        tensors["odds"] = torch.stack([lessons.odds[key] for key in lessons.vectors]).half()
        metadata["names"] = json.dumps(list(lessons.names))
    write_bytes_atomically(path, save(tensors, metadata))


def in_common(
    first: Lessons, digests: Collection[str], names: Sequence[str]
) -> tuple[list[str], tuple[str, ...]]:
    """Find which recordings and classes lessons share with others: digests, and names.

    Raises:
        CheckpointError: no recording, or no class, is known to both.
    """
    shared = [digest for digest in first.vectors if digest in digests]
    both = tuple(name for name in first.names if name in names)
    if not shared or not (both or len(first.names) == len(names) == 0):
        raise CheckpointError(
            f"lessons of {len(first.vectors)} recordings and {len(first.names)} classes share "
            f"{len(shared)} and {len(both)} with the {len(digests)} and {len(names)} of the other "
            "teacher; make both from the same corpus, with classes of the same names, or without"
        )
    return shared, both


def of_both(first: Lessons, second: Lessons) -> Lessons:
    """Join what two teachers make of the recordings that both have heard.

    The vectors stand side by side. Of a class that both name, the mean of their log-odds counts,
    once those of each have the same spread: teachers are not equally bold. A class that one of
    them does not name is left out. A third teacher counts as much as the first two together.

    Raises:
        CheckpointError: no recording, or no class, is known to both.
    """
    digests, names = in_common(first, second.vectors.keys(), second.names)
    vectors = {d: torch.cat((first.vectors[d], second.vectors[d])) / 2**0.5 for d in digests}
    if not names:
        return Lessons(vectors, {}, ())
    told = [
        torch.stack([one.odds[d] for d in digests])[:, [one.names.index(name) for name in names]]
        for one in (first, second)
    ]
    spread = [max(float(odds.std()), 1e-6) for odds in told]
    alike = (told[0] / spread[0] + told[1] / spread[1]) / 2
    odds = alike * sum(spread) / 2  # as bold as they are on average
    return Lessons(vectors, dict(zip(digests, odds, strict=True)), names)


def load_lessons(path: Path) -> Lessons:
    """Read what :func:`save_lessons` wrote.

    Raises:
        CheckpointError: missing, damaged, or a file of another kind.
    """
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file; `tsel lessons` writes one")
    tensors, metadata = read_tensors(path)
    try:
        digests: list[Any] = json.loads(metadata["digests"])
        vectors = dict(zip(digests, tensors["lessons"].float(), strict=True))
        names = tuple(str(name) for name in json.loads(metadata.get("names", "[]")))
        odds = dict(zip(digests, tensors["odds"].float(), strict=True)) if names else {}
        if any(len(row) != len(names) for row in odds.values()):
            raise ValueError(f"{len(names)} names of other classes")
        return Lessons(vectors, odds, names)
    except (KeyError, ValueError, TypeError) as error:
        raise CheckpointError(
            f"{path}: holds no lessons ({error!r}); see `tsel lessons`"
        ) from error
