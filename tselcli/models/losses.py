"""What the mask network is trained to do.

Three terms: every audible cell should know whose it is (mask), each description should fit its
own sound better than the others in the mixture and in the batch (choice), and a description of
nothing that is there should be turned down (presence).

The queries of a batch are shared: description q is *of* source s of mixture b, *absent* from b,
or *undecided* there, because its label could describe one of b's sources as well.
"""

import torch
from torch import Tensor
from torch.nn import functional

ABSENT = -1
UNDECIDED = -2
SOFT = 1.5  # a teacher's chances are softened by this much


def audible(picture: Tensor) -> Tensor:
    """Weigh cells by loudness: (B, T, M) log-mel to [0, 1], zero 45 dB below the loudest frame."""
    return ((picture - 0.44) / 0.5).clamp(0, 1)


def query_targets(ratios: Tensor, owner: Tensor) -> Tensor:
    """Pick the ratio mask that each query should give.

    Args:
        ratios: share of every source in every cell, (B, S, T, M).
        owner: source that query q describes in mixture b, or ABSENT or UNDECIDED, (B, Q).

    Returns:
        (B, Q, T, M); zero where the description fits nothing.
    """
    rows = torch.arange(ratios.shape[0], device=ratios.device)[:, None]
    picked = ratios[rows, owner.clamp_min(0)]
    return picked * (owner >= 0)[..., None, None]


def mask_loss(logits: Tensor, targets: Tensor, weight: Tensor, owner: Tensor) -> Tensor:
    """Binary cross entropy against the ratio mask, present and absent queries balanced.

    Args:
        logits: (B, Q, T, M).
        targets: ratio masks (B, Q, T, M).
        weight: of every cell (B, T, M), not negative.
        owner: (B, Q).

    Returns:
        Scalar, in nats per audible cell. An all-silent batch gives 0.
    """
    entropy = functional.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    total = weight.sum(dim=(1, 2)).clamp_min(1e-6)
    per_query = torch.einsum("bqtm,btm->bq", entropy, weight) / total[:, None]
    present = (owner >= 0).to(per_query)
    absent = (owner == ABSENT).to(per_query)
    return _mean(per_query, present) + _mean(per_query, absent)


def pooled_sources(cells: Tensor, ratios: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """Average the cell embeddings of every source, each cell by its share and loudness.

    Args:
        cells: (B, D, T, M).
        ratios: (B, S, T, M).
        weight: (B, T, M).

    Returns:
        Embeddings (B, S, D), and which sources can be heard at all, (B, S): empty places of
        smaller mixtures and sources that are masked throughout cannot.
    """
    share = (ratios * weight[:, None]).flatten(2)
    mass = share.sum(dim=2)
    pooled = share @ cells.flatten(2).transpose(1, 2)
    return pooled / mass.clamp_min(1e-6)[..., None], mass > 1e-3


def choice_loss(score: Tensor, heard: Tensor, owner: Tensor) -> Tensor:
    """Cross entropy of choosing: the right source for a query, the right query for a source.

    A source's score for a query is the mean logit over its cells. Among the sources of one
    mixture the described one should score best (this is the selection that users see); among
    all descriptions of the batch the source's own should.

    Args:
        score: (B, S, Q).
        heard: which sources can be heard (B, S).
        owner: (B, Q).

    Returns:
        Scalar, the sum of both cross entropies.
    """
    among_sources = torch.log_softmax(score.masked_fill(~heard[..., None], -1e4), dim=1)
    own = functional.one_hot(owner.clamp_min(0), score.shape[1]).transpose(1, 2).bool()
    own = own & (owner >= 0)[:, None] & heard[..., None]  # (B, S, Q)
    source_term = -_mean(among_sources, own.to(score))
    # A query that fits another source of the mixture, or is undecided, is no competitor.
    rival = own | (owner == ABSENT)[:, None]
    log_total = torch.logsumexp(score.masked_fill(~rival, -1e4), dim=2)
    log_own = torch.logsumexp(score.masked_fill(~own, -1e4), dim=2)
    return source_term + _mean(log_total - log_own, own.any(dim=2).to(score))


def lesson_loss(told: Tensor, lessons: Tensor, heard: Tensor) -> Tensor:
    """Average one minus the cosine of what was told from sources to a teacher's lessons.

    Args:
        told: (B, S, E).
        lessons: unit vectors (B, S, E); zero where there is none.
        heard: which sources can be heard (B, S).
    """
    near = (functional.normalize(told, dim=-1) * lessons).sum(dim=-1)
    return _mean(1 - near, (lessons.any(dim=-1) & heard).to(near))


def class_loss(score: Tensor, odds: Tensor, heard: Tensor) -> Tensor:
    """Tell from sources what a teacher makes of them, class by class, through the classes' names.

    The Kullback-Leibler divergence of softened chances (G. Hinton et al., "Distilling the
    knowledge in a neural network", 2015): how unlikely the unlikely classes are tells what a
    sound is like, of kinds as well that no recording is labelled with.

    Args:
        score: of every source for the name of every class (B, S, N).
        odds: the teacher's log-odds (B, S, N); zeros where there are none.
        heard: which sources can be heard (B, S).

    Returns:
        Scalar, in nats.
    """
    wanted = torch.log_softmax(odds / SOFT, dim=-1)
    apart = wanted.exp() * (wanted - torch.log_softmax(score, dim=-1))
    return _mean(apart.sum(dim=-1), (odds.any(dim=-1) & heard).to(score))


def presence_loss(logits: Tensor, owner: Tensor) -> Tensor:
    """Binary cross entropy of the presence head, (B, Q) log-odds; undecided ones left out."""
    target = (owner >= 0).to(logits)
    entropy = functional.binary_cross_entropy_with_logits(logits, target, reduction="none")
    present = _mean(entropy, target)
    return 0.5 * (present + _mean(entropy, (owner == ABSENT).to(logits)))


def _mean(values: Tensor, weight: Tensor) -> Tensor:
    return (values * weight).sum() / weight.sum().clamp_min(1.0)
