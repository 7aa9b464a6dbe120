"""Matching cells with descriptions: what all mask networks share.

A network gives every cell of the picture an embedding and scores embeddings against sentences.
From the scores follow the mask and whether the described sound is there at all.
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from tselcli.models.cells import coarse

COMMON = 1024  # cells that stand for everyday sounds
KINDS = 512  # of sound that a network can remember
SURER = 1.25  # the chances of kinds are sharper than those of cells
KIN = 16.0  # how fast descriptions turn into others with their distance
OWN = 0.1  # weight of the description itself among the kinds that it could mean
LEAST_KIN = 1e-5


@dataclass(frozen=True)
class Matched:
    """How the cells of a recording match its descriptions.

    Attributes:
        logits: of the cells for every description (1, Q, T'/2, M/2).
        odds: log-odds that each described sound is there, before directions are asked (Q,).
        cells: embeddings in half precision (1, D, T'/2, M/2); None without a network.
        words: of every description, as of :meth:`Matching.project` (Q, D); likewise None.
    """

    logits: Tensor
    odds: Tensor
    cells: Tensor | None = None
    words: Tensor | None = None

    def some(self, queries: slice) -> "Matched":
        """Keep some of the descriptions."""
        words = None if self.words is None else self.words[queries]
        return Matched(self.logits[:, queries], self.odds[queries], self.cells, words)


class Matching(nn.Module, ABC):
    """A network that embeds cells and scores them against descriptions.

    Args:
        cell_dim: size of a cell's embedding.
        tutor_dim: of a teacher's lessons, a head for training alone; 0 is without.

    Attributes:
        cell_dim: size of a cell's embedding.
        step: the number of frames that the network works on is a multiple of it.
    """

    common: Tensor
    kinds: Tensor
    step: int

    def __init__(self, cell_dim: int, tutor_dim: int = 0) -> None:
        super().__init__()
        self.cell_dim = cell_dim
        # Slope and offset of the log-odds that a sound is there; the weight of what its
        # description scores anywhere, and how much that is on average.
        self.presence = nn.Parameter(torch.tensor([1.0, 0.0, 0.0, 0.0]))
        self.register_buffer("common", torch.zeros(COMMON, cell_dim))
        # What the kinds of sound are called that it was trained on; zeros where there are fewer.
        self.register_buffer("kinds", torch.zeros(KINDS, cell_dim))
        self.tutor = nn.Linear(cell_dim, tutor_dim) if tutor_dim else None

    @abstractmethod
    def cells(self, picture: Tensor) -> Tensor:
        """Embed every cell of a picture.

        Args:
            picture: (B, T, M) of :func:`tselcli.features.stft.log_mel`.

        Returns:
            (B, D, ceil(T / 2), M / 2).
        """

    @abstractmethod
    def project(self, text: Tensor) -> Tensor:
        """Bring text embeddings (..., Q, text_dim) to where cells are: (..., Q, D)."""

    @abstractmethod
    def match(self, embedded: Tensor, words: Tensor) -> Tensor:
        """Match embeddings (..., N, D) with words of :meth:`project` (..., Q, D): (..., N, Q)."""

    @abstractmethod
    def word_heads(self) -> list[nn.Module]:
        """List what projects the text embeddings."""

    def scores(self, embedded: Tensor, text: Tensor) -> Tensor:
        """Match embeddings (B, N, D) with descriptions as :meth:`logits` does: (B, N, Q)."""
        return self.match(embedded, self.project(text))

    def logits(self, cells: Tensor, text: Tensor) -> Tensor:
        """Match cells with descriptions.

        Args:
            cells: (B, D, T, M) of :meth:`cells`.
            text: unit text embeddings, (Q, text_dim) shared by the batch or (B, Q, text_dim).

        Returns:
            Log-odds that a cell belongs to the described sound, (B, Q, T/2, M/2).
        """
        flat = self.scores(cells.flatten(2).transpose(1, 2), text).transpose(1, 2)
        return flat.reshape(*flat.shape[:2], *cells.shape[2:])

    def usual(self, text: Tensor) -> Tensor:
        """Say how well descriptions (Q, text_dim) fit everyday sounds: (Q,), nats.

        Some sentences fit a little everywhere; that is not worth much as evidence, as scores of
        speakers are compared with those of a cohort (R. Auckenthaler et al., "Score normalization
        for text-independent speaker verification systems", 2000).
        """
        scores = self.scores(self.common[None], text)[0]
        return torch.logsumexp(scores, dim=0) - math.log(len(scores))

    def kinship(self, embedded: Tensor, words: Tensor) -> Tensor:
        """Say how likely sounds are of a kind that a description may mean: nats.

        A sound that fits a description a little is not the described one if it fits that of
        another kind much better. The kinds share the chance of each sound (a softmax of their
        scores, the description itself among them), and each counts as far as it is a kin of the
        description: ``exp(KIN (cos - 1))``. A description of none of the kinds stands for itself.

        Args:
            embedded: mean cells of the sounds (N, D).
            words: of one description, of :meth:`project` (D,).

        Returns:
            (N,), at least log(1e-5).
        """
        known = self.kinds[self.kinds.any(dim=1)]
        chances = torch.softmax(SURER * self.match(embedded, torch.cat([words[None], known])), -1)
        kin = torch.exp(KIN * (functional.cosine_similarity(words[None], known) - 1))
        return torch.log(chances @ torch.cat([kin.new_tensor([OWN]), kin]) + LEAST_KIN)

    def presence_logits(self, logits: Tensor, picture: Tensor, text: Tensor | None) -> Tensor:
        """Judge whether each described sound is there at all.

        Args:
            logits: as of :meth:`pooled`.
            picture: likewise.
            text: embeddings of the descriptions (Q, text_dim); None are such as fit everyday
                sounds as well as most do.

        Returns:
            Log-odds (B, Q).
        """
        usual = None if text is None else self.usual(text)
        return self.presence_odds(self.pooled(logits, picture), usual)

    def presence_odds(self, pooled: Tensor, usual: Tensor | None) -> Tensor:
        """Weigh the votes for descriptions (..., Q) against what they score anywhere (Q,)."""
        slope, offset, weight, middle = self.presence
        odds: Tensor = slope * pooled + offset
        return odds if usual is None else odds + weight * (usual - middle)

    def pooled(self, logits: Tensor, picture: Tensor) -> Tensor:
        """Average the votes of all cells for each described sound.

        Args:
            logits: (B, Q, T/2, M/2) of :meth:`logits`.
            picture: (B, T, M) log-mel; silent cells do not vote.

        Returns:
            (B, Q). A vote's weight grows with its own value, so a short sound in a long recording
            is enough.
        """
        audible = (coarse(picture) > 0.4).to(logits.dtype)[:, None] + 1e-4
        shares = torch.softmax((logits.detach() + audible.log()).flatten(2), dim=-1)
        return (shares * logits.flatten(2)).sum(dim=-1)
