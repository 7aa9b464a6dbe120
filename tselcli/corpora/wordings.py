"""Which sounds of a corpus, in which words: further captions, and labels that are held out."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

from tselcli.corpora.clip import Corpus
from tselcli.corpora.tables import cell, read_table
from tselcli.errors import DataError

BUNDLED = "paraphrases"


def with_captions(corpus: Corpus, tables: Sequence[str]) -> Corpus:
    """Add captions to all clips of their label; labels of other corpora are passed over.

    Args:
        corpus: whose clips are to be described in more ways.
        tables: CSV files with the columns ``label,caption``, or ``paraphrases``, which comes with
            the package.

    Raises:
        DataError: a file cannot be used.
    """
    further: dict[str, tuple[str, ...]] = {}
    for table in tables:
        for row in read_table(_find(table), ["label", "caption"]):
            label = cell(row, "label")
            further[label] = (*further.get(label, ()), cell(row, "caption"))
    if not further:
        return corpus
    clips = tuple(
        replace(clip, captions=tuple(dict.fromkeys(clip.captions + further.get(clip.label, ()))))
        for clip in corpus.clips
    )
    return replace(corpus, clips=clips)


def with_labels(corpus: Corpus, held_out: float, wanted: str) -> Corpus:
    """Keep the clips of some labels.

    Args:
        corpus: to choose from.
        held_out: share of the labels that are held out; a label's name alone decides, so that
            the same are held out of every split and of a corpus that grows.
        wanted: ``all``, ``known`` or ``held-out`` labels.

    Raises:
        DataError: no clip is left.
    """
    if wanted == "all" or (wanted == "known" and held_out == 0):
        return corpus
    strange = {label: _place(label) < held_out for label in {c.label for c in corpus.clips}}
    clips = tuple(c for c in corpus.clips if strange[c.label] == (wanted == "held-out"))
    if not clips:
        raise DataError(
            f"{corpus.name}: no {wanted} label among {len(strange)}; "
            f"change corpus.held_out, which is {held_out:g}"
        )
    return replace(corpus, clips=clips)


def _place(label: str) -> float:
    """Give a label a place in [0, 1) that looks drawn at random."""
    return int.from_bytes(hashlib.sha256(label.encode()).digest()[:8], "big") / 2**64


def _find(table: str) -> Path:
    if table == BUNDLED:
        return Path(str(files("tselcli") / "assets" / "paraphrases.csv"))
    return Path(table)
