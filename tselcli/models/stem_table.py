"""Stems as tensors, for mixing where the network is.

One row for every stem, clip and kind of sound, so that a batch is some gathers and sums: see
:class:`tselcli.models.device_mixer.DeviceMixer`.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import Tensor

from tselcli.corpora.clip import Clip, clashes
from tselcli.models.mixer import Stems

MOST_KINDS = 4096  # the table of those that clash would be too large


@dataclass(frozen=True)
class StemTable:
    """Stems and what is known of them; rows of equal label stand together.

    Attributes:
        mel: log10 of mel power of all stems, one after the other, half precision (F, M).
        first: where each stem begins (N,).
        length: frames of each stem (N,).
        clip: of which clip it is (N,).
        label_first: first stem of each label (L,).
        label_count: stems of each label (L,).
        share: how often each label is drawn (L,), sums to 1.
        conflict: which labels may not sound together (L, L).
        label: of each clip (C,).
        caption: captions of all clips, one clip after the other: rows of ``text`` (K,).
        caption_first: where each clip's begin (C,).
        caption_count: how many each clip has (C,).
        text: unit embeddings (Q, D).
        lessons: of each clip (C, E); zeros where there are none.
        odds: of each clip (C, N); likewise.
    """

    mel: Tensor
    first: Tensor
    length: Tensor
    clip: Tensor
    label_first: Tensor
    label_count: Tensor
    share: Tensor
    conflict: Tensor
    label: Tensor
    caption: Tensor
    caption_first: Tensor
    caption_count: Tensor
    text: Tensor
    lessons: Tensor
    odds: Tensor

    def to(self, device: torch.device) -> "StemTable":
        """Move all parts to a device."""
        return StemTable(*(getattr(self, part.name).to(device) for part in fields(self)))


def has_kinds(stems: Stems) -> bool:
    """Say whether these stems can be tabled: each of a kind, of which there are not too many."""
    labels = {stem.clip.label for stem in stems}
    return len(labels) <= MOST_KINDS and all(stem.clip.label != stem.clip.id for stem in stems)


def stem_table(
    stems: Stems,
    text: Mapping[str, Tensor],
    lessons: Mapping[str, Tensor] | None = None,
    odds: Mapping[str, Tensor] | None = None,
) -> StemTable:
    """Put stems, and what is known of their clips, into tensors.

    Args:
        stems: such as :func:`has_kinds` says yes to.
        text: embedding of every caption (D,).
        lessons: of clips by id (E,).
        odds: of clips by id (N,).
    """
    heard = sorted(stems, key=lambda stem: stem.clip.label)
    clips = {(stem.clip.source, stem.clip.id): stem.clip for stem in heard}  # unique together
    number = {name: n for n, name in enumerate(clips)}
    kinds = {clip.label: clip for clip in clips.values()}  # sorted, as the stems are
    number_of = Counter(stem.clip.label for stem in heard)
    counts = _whole([number_of[kind] for kind in kinds])
    lengths = _whole([len(stem.mel) for stem in heard])
    captions = {caption: n for n, caption in enumerate(text)}
    told = [[captions[caption] for caption in clip.captions] for clip in clips.values()]
    share = counts.double().sqrt()
    place = {kind: n for n, kind in enumerate(kinds)}
    return StemTable(
        mel=torch.from_numpy(np.concatenate([stem.mel for stem in heard])),
        first=_starts(lengths),
        length=lengths,
        clip=_whole([number[stem.clip.source, stem.clip.id] for stem in heard]),
        label_first=_starts(counts),
        label_count=counts,
        share=(share / share.sum()).float(),
        conflict=torch.from_numpy(clashes(list(kinds.values()))),
        label=_whole([place[clip.label] for clip in clips.values()]),
        caption=_whole([n for row in told for n in row]),
        caption_first=_starts(_whole([len(row) for row in told])),
        caption_count=_whole([len(row) for row in told]),
        text=torch.stack(list(text.values())).half(),
        lessons=_known(lessons or {}, clips.values()),
        odds=_known(odds or {}, clips.values()),
    )


def _whole(numbers: list[int]) -> Tensor:
    return torch.tensor(numbers, dtype=torch.int64)


def _starts(counts: Tensor) -> Tensor:
    return counts.cumsum(0) - counts


def _known(told: Mapping[str, Tensor], clips: Iterable[Clip]) -> Tensor:
    size = len(next(iter(told.values()), ()))
    return torch.stack([told.get(clip.id, torch.zeros(size)) for clip in clips]).half()
