"""Further captions for the sounds of a corpus, from CSV files with the columns label,caption."""

from collections.abc import Sequence
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

from tselcli.corpora.clip import Corpus
from tselcli.corpora.tables import cell, read_table

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


def _find(table: str) -> Path:
    if table == BUNDLED:
        return Path(str(files("tselcli") / "assets" / "paraphrases.csv"))
    return Path(table)
