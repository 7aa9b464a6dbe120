"""Scores of directions and of ways, summed block by block, so that an hour needs no more memory.

Who agrees with whom is the largest thing that is ever computed of a recording, cells x directions;
one block of it is there at a time.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from tselcli.features.steering import Steering
from tselcli.features.stft import frames_of
from tselcli.features.streamed import Sound
from tselcli.models.cells import coarse, fine
from tselcli.models.checkpoint import Checkpoint
from tselcli.models.choice import Voices
from tselcli.models.losses import audible
from tselcli.models.matching import Matched

MAX_CELLS = 2**24  # of the pictures of all queries that are weighed at once: 64 MB


@dataclass(frozen=True)
class Heard:
    """What the network made of a recording, and what it was asked.

    Attributes:
        audio: (C, N) at the model's rate.
        picture: log-mel (1, T', M).
        matched: its cells with every query, Q.
        new: how much of every point is no echo and has a direction; 0 where it is silent (T', M).
        steering: what tells its directions.
    """

    audio: Sound
    picture: Tensor
    matched: Matched
    new: Tensor
    steering: Steering


@dataclass(frozen=True)
class Sums:
    """What the cells of some directions add up to, for one query.

    Attributes:
        total: weighed logits (K,).
        mass: weights behind them (K,).
        sound: weighed embeddings (K, D); D is 0 without a network.
        cells: weights behind these (K, 1).
    """

    total: Tensor
    mass: Tensor
    sound: Tensor
    cells: Tensor

    def __add__(self, other: "Sums") -> "Sums":
        """Add up what two blocks say."""
        return Sums(
            self.total + other.total,
            self.mass + other.mass,
            self.sound + other.sound,
            self.cells + other.cells,
        )

    @property
    def score(self) -> Tensor:
        """The mean logits (K,)."""
        return self.total / self.mass.clamp_min(1e-6)

    @property
    def embedded(self) -> Tensor:
        """The mean embeddings (K, D)."""
        return self.sound / self.cells.clamp_min(1e-6)


def direction_sums(
    blocks: Iterable[Sequence[Tensor]],
    heard: Heard,
    focus: Tensor,
    likely: Sequence[Tensor] | None = None,
) -> list[Sums]:
    """Sum logits and embeddings over the cells of directions or ways, for every query.

    Args:
        blocks: of consecutive points, whole cells but for the last; for every query its evidence
            (T of the block, M, K).
        heard: the recording.
        focus: how sharply points are shared among directions, a scalar.
        likely: for every query, the logarithm of how likely somebody is in each direction (K,);
            None takes all for equally likely.
    """
    picture, logits, cells = heard.picture[0], heard.matched.logits[0], heard.matched.cells
    points = [fine(one[None, None], len(picture))[0, 0] for one in logits]
    embeddings = logits.new_zeros(0, *logits.shape[1:]) if cells is None else cells[0]
    found: list[Sums] = []
    first = 0
    for block in blocks:
        last = first + len(block[0])
        part = slice(first, last)
        embedded = embeddings[:, first // 2 : (last + 1) // 2].flatten(1).T.to(logits)
        sums = []
        for q, evidence in enumerate(block):
            before = None if likely is None else likely[q]
            share = direction_shares(picture[part], heard.new[part], evidence, focus, before)
            total = (share * points[q][part][..., None]).sum(dim=(0, 1))
            by_cell = coarse(share.movedim(-1, 0)).flatten(1)
            sound, weight = by_cell @ embedded, by_cell.sum(dim=1, keepdim=True)
            sums.append(Sums(total, share.sum(dim=(0, 1)), sound, weight))
        found = [one + more for one, more in zip(found, sums, strict=True)] if found else sums
        first = last
    return found


def direction_shares(
    picture: Tensor, new: Tensor, evidence: Tensor, focus: Tensor, likely: Tensor | None = None
) -> Tensor:
    """Share points among directions, each with its weight.

    Args:
        picture: log-mel (T, M).
        new: of `choice.newness` (T, M).
        evidence: agreement of every point with every direction, [-1, 1], (T, M, K).
        focus: how sharply points are shared, a scalar.
        likely: logarithm of how likely somebody is in each direction (K,).

    Returns:
        (T, M, K).
    """
    logits = focus * evidence if likely is None else focus * evidence + likely
    share = torch.softmax(logits, dim=-1)
    weight: Tensor = audible(picture) * new
    return share * weight[..., None]


def agreement_of_cells(
    spectra: Iterable[Tensor], heard: Heard, pool: int, directions: list[int]
) -> Iterator[Tensor]:
    """Yield how well cells agree with directions, block by block; 0 at times that count nothing.

    Args:
        spectra: blocks (1, C, T of the block, F), whole cells but for the last.
        heard: the recording.
        pool: STFT frames per cell.
        directions: bins of the grid (K).

    Yields:
        (T' of the block, M, K).
    """
    counts = (audible(heard.picture)[0] * heard.new > 0).any(dim=1)
    first = 0
    for part in spectra:
        asked = counts[first : first + -(-part.shape[2] // pool)]
        found = heard.new.new_zeros(len(asked), heard.picture.shape[2], len(directions))
        frames = frames_of(asked, pool, part.shape[2])
        if len(frames):
            found[asked] = heard.steering.agreement([part[:, :, frames]], directions)
        yield found
        first += len(asked)


def query_groups(n_queries: int, picture: Tensor) -> Iterator[slice]:
    """Divide queries so that their weights over a picture (1, T, M) stay small."""
    size = max(1, MAX_CELLS // picture[0].numel())
    for first in range(0, n_queries, size):
        yield slice(first, min(n_queries, first + size))


def voices(
    blocks: Iterable[Sequence[Tensor]],
    heard: Heard,
    checkpoint: Checkpoint,
    likely: Sequence[Tensor] | None = None,
) -> list[Voices]:
    """Say what is heard from every direction or way, for every query; as :func:`direction_sums`."""
    found = []
    for q, sums in enumerate(direction_sums(blocks, heard, checkpoint.readout.focus, likely)):
        kin, words = torch.zeros_like(sums.total), heard.matched.words
        if words is not None:
            kin = checkpoint.net.kinship(sums.embedded, words[q])
        unit = torch.nn.functional.normalize(sums.embedded, dim=-1)
        told = (sums.score, sums.mass, kin, unit @ unit.T)
        parts = (part.double().cpu().numpy() for part in told)
        found.append(Voices(*parts))
    return found
