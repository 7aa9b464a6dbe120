"""Scores of directions and of ways, summed block by block, so that an hour needs no more memory.

Who agrees with whom is the largest thing that is ever computed of a recording, cells x directions;
one block of it is there at a time.
"""

from collections.abc import Iterable, Iterator, Sequence

import torch
from torch import Tensor

from tselcli.models.cells import fine
from tselcli.models.choice import direction_sums

MAX_CELLS = 2**24  # of the pictures of all queries that are weighed at once: 64 MB


def mean_scores(
    blocks: Iterable[Sequence[Tensor]], logits: Tensor, picture: Tensor, new: Tensor, focus: Tensor
) -> list[tuple[Tensor, Tensor]]:
    """Average the logits over the cells of each direction, as `choice.direction_scores`.

    Args:
        blocks: of consecutive cells, for every query its evidence (T of the block, M, K).
        logits: (Q, T/2, M/2).
        picture: log-mel (T, M).
        new: of `choice.newness` (T, M).
        focus: how sharply points are shared among directions, a scalar.

    Returns:
        For every query the averages (K,), and the weight of the cells behind each (K,).
    """
    points = [fine(one[None, None], len(picture))[0, 0] for one in logits]
    totals: list[Tensor | float] = [0.0] * len(points)
    masses: list[Tensor | float] = [0.0] * len(points)
    first = 0
    for block in blocks:
        last = first + len(block[0])
        part = slice(first, last)
        for q, evidence in enumerate(block):
            total, mass = direction_sums(points[q][part], picture[part], new[part], evidence, focus)
            totals[q], masses[q] = totals[q] + total, masses[q] + mass
        first = last
    return [
        (torch.as_tensor(total) / torch.as_tensor(mass).clamp_min(1e-6), torch.as_tensor(mass))
        for total, mass in zip(totals, masses, strict=True)
    ]


def query_groups(n_queries: int, picture: Tensor) -> Iterator[slice]:
    """Divide queries so that their weights over a picture (1, T, M) stay small."""
    size = max(1, MAX_CELLS // picture[0].numel())
    for first in range(0, n_queries, size):
        yield slice(first, min(n_queries, first + size))
