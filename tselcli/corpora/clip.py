"""A clip is one recorded (or synthesised) sound with the sentences that describe it.

Clips are light: they name a file, or a seed, and hold no samples. ``read_clip`` gives the sound,
``compatible`` says whether two clips may sound together in a scene in which a caption has to
point at one of them only, and ``absent_captions`` finds words for what is not there.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tselcli.corpora.audio import read_audio, resample
from tselcli.corpora.words import alike

TRIES = 20  # draws for every caption of something absent


@dataclass(frozen=True)
class Clip:
    """One sound and how it is described.

    Attributes:
        id: unique in its corpus.
        label: one name per kind of sound; the clip's id where a corpus has no kinds.
        captions: sentences that may be used with this clip in its split.
        split: ``train``, ``val`` or ``test``.
        groups: clips that share an entry sound alike, or fit the same words.
        path: the audio file; None for a synthetic clip.
        seed: of a synthetic clip.
        source: name of the corpus it belongs to.
    """

    id: str
    label: str
    captions: tuple[str, ...]
    split: str
    groups: frozenset[str]
    path: Path | None
    seed: int = 0
    source: str = ""


@dataclass(frozen=True)
class Corpus:
    """The clips of one split.

    Attributes:
        name: the source it was opened from.
        clips: in an order that does not depend on the machine.
        missing: clips that are listed but have no file or no caption.
        notes: one line for each thing a user should know, such as why clips are missing.
    """

    name: str
    clips: tuple[Clip, ...]
    missing: int = 0
    notes: tuple[str, ...] = ()


def with_full_paths(corpus: Corpus) -> Corpus:
    """Give a corpus that can be read from any working folder, as workers elsewhere do."""
    full = (
        clip if clip.path is None else replace(clip, path=clip.path.absolute())
        for clip in corpus.clips
    )
    return replace(corpus, clips=tuple(full))


def compatible(a: Clip, b: Clip) -> bool:
    """Say whether two clips may sound in one scene, so that a caption means one of them.

    Their labels must differ, and they must share no group and no caption. Where a clip has no
    label of its own (it is the clip's id), no caption of one may be alike one of the other.
    """
    if a.label == b.label or a.groups & b.groups:
        return False
    if a.label == a.id or b.label == b.id:
        return not any(alike(first, second) for first in a.captions for second in b.captions)
    return {c.casefold() for c in a.captions}.isdisjoint(c.casefold() for c in b.captions)


def clashes(kinds: Sequence[Clip]) -> NDArray[np.bool_]:
    """Say which of some clips of different labels are not :func:`compatible`: (N, N).

    Nothing is compatible with itself. Takes time in proportion to the captions, not to the pairs.

    Args:
        kinds: clips with labels of their own, each of which stands for its label.
    """
    clash = np.eye(len(kinds), dtype=np.bool_)
    holders: dict[tuple[str, str], list[int]] = {}
    for number, kind in enumerate(kinds):
        marks = {("group", group) for group in kind.groups}
        marks |= {("caption", caption.casefold()) for caption in kind.captions}
        for mark in marks:
            holders.setdefault(mark, []).append(number)
    for numbers in holders.values():
        clash[np.ix_(numbers, numbers)] = True
    return clash


def absent_captions(
    present: Sequence[Clip], clips: Sequence[Clip], rng: np.random.Generator, count: int
) -> list[str]:
    """Draw captions that describe nothing in a scene.

    Args:
        present: what sounds in the scene.
        clips: whose captions may be drawn; those that could be confused with the scene's are not.
        rng: where the choice takes its randomness from.
        count: captions to draw, all different; fewer where hardly any clip will do.
    """
    found: list[str] = []
    for _ in range(TRIES * count if present else 0):
        clip = clips[int(rng.integers(len(clips)))]
        if all(compatible(clip, other) for other in present):
            caption = clip.captions[int(rng.integers(len(clip.captions)))]
            found += [] if caption in found else [caption]
        if len(found) == count:
            break
    return found


def read_clip(clip: Clip, sample_rate: int) -> NDArray[np.float32]:
    """Read a clip as one channel.

    Args:
        clip: from ``open_corpus``.
        sample_rate: wanted, in Hz.

    Returns:
        Mono float32 (samples N,), the mean of the file's channels.

    Raises:
        DataError: the file is missing or cannot be read.
    """
    if clip.path is None:
        from tselcli.corpora.synthetic import synthesise

        return synthesise(clip.label, clip.seed, sample_rate)
    signal, rate = read_audio(clip.path)
    return resample(signal.mean(axis=0), rate, sample_rate)
