"""Open sounds with captions, from any of five kinds of source.

    synthetic        built-in procedural sounds
    DIR              manifest.csv: file + label (or caption), optionally id, split, source_id
                     captions.csv: label, caption, optionally use (train or test)
                     audioset_names.csv: label, groups (";" between); optional
    FILE.csv         file + caption, optionally id, label, split, source_id; several rows of one
                     file are its several captions
    audiocaps:DIR    the official tables of AudioCaps with the audio beside them
    clotho:DIR       the official tables of Clotho with the audio beside them

Captions and groups belong to labels, not to folders: sources that are opened together share
them. Test clips get test captions, so that their wording was never trained on.
"""

import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tselcli.corpora.clip import Clip, Corpus
from tselcli.corpora.published import open_audiocaps, open_clotho
from tselcli.corpora.tables import (
    SPLITS,
    Row,
    cell,
    existing,
    hashed_split,
    inside,
    read_table,
    split_name,
)
from tselcli.errors import DataError

PUBLISHED: dict[str, Callable[[Path, str], Corpus]] = {
    "audiocaps": open_audiocaps,
    "clotho": open_clotho,
}
TABLES = {"audiocaps": "train.csv", "clotho": "clotho_captions_development.csv"}
KINDS = "synthetic, a folder, a .csv file, audiocaps:DIR or clotho:DIR"


@dataclass(frozen=True)
class Listing:
    """A folder or CSV file as it was read, before its labels meet their captions."""

    name: str
    clips: tuple[Clip, ...]  # of all splits; with their own captions where rows hold them
    captions: dict[tuple[str, str], tuple[str, ...]]  # by label and use (train, test)
    groups: dict[str, frozenset[str]]  # by label


def open_corpus(source: str, split: str) -> Corpus:
    """Open one source of captioned sounds.

    Args:
        source: ``synthetic``, DIR, FILE.csv, ``audiocaps:DIR`` or ``clotho:DIR``.
        split: ``train``, ``val`` or ``test``.

    Returns:
        The clips of the split that have a file and a caption, in a fixed order.

    Raises:
        DataError: the source cannot be read, or holds nothing usable for the split.
    """
    return open_corpora([source], split)


def open_corpora(sources: Sequence[str], split: str) -> Corpus:
    """Open several sources as one corpus; ids that occur in two of them get the source's name.

    Raises:
        DataError: a source cannot be read, or all together hold nothing usable.
    """
    if split not in SPLITS:
        raise DataError(f"split '{split}': unknown; use one of {', '.join(SPLITS)}")
    if not sources or len(set(sources)) < len(sources):
        raise DataError(f"corpus {list(sources)}: name each source once, and at least one")
    opened = [_read_source(source, split) for source in sources]
    captions: dict[tuple[str, str], tuple[str, ...]] = {}
    groups: dict[str, frozenset[str]] = {}
    for listing in opened:
        if isinstance(listing, Listing):
            for key, sentences in listing.captions.items():
                captions[key] = tuple(dict.fromkeys(captions.get(key, ()) + sentences))
            for label, names in listing.groups.items():
                groups[label] = groups.get(label, frozenset()) | names
    corpora = [
        part if isinstance(part, Corpus) else _describe(part, split, captions, groups)
        for part in opened
    ]
    joined = _join(corpora)
    if not joined.clips:
        why = "; ".join(joined.notes) or "other splits may have some"
        raise DataError(f"{', '.join(sources)}: no usable '{split}' clips ({why})")
    return joined


def _read_source(source: str, split: str) -> Listing | Corpus:
    if source == "synthetic":
        from tselcli.corpora.synthetic import synthetic_clips

        return Corpus("synthetic", synthetic_clips(split))
    kind, _, folder = source.partition(":")
    if kind in PUBLISHED and folder:
        return PUBLISHED[kind](Path(os.path.expanduser(folder)), split)
    path = Path(os.path.expanduser(source))
    if os.path.isdir(path):
        return _read_folder(path)
    if path.suffix.lower() == ".csv":
        return Listing(path.stem, _read_clips(path, ["file", "caption"], path.stem), {}, {})
    raise DataError(f"{source}: not a corpus; give {KINDS}")


def _read_folder(folder: Path) -> Listing:
    name = folder.resolve().name
    if not (folder / "manifest.csv").is_file():
        likely = [kind for kind, table in TABLES.items() if (folder / table).is_file()]
        way_out = f"try {likely[0]}:{folder}" if likely else "a corpus folder needs one"
        raise DataError(f"{folder}: no manifest.csv in it; {way_out}")
    clips = _read_clips(folder / "manifest.csv", ["file"], name)
    captions, groups = folder / "captions.csv", folder / "audioset_names.csv"
    return Listing(
        name,
        clips,
        _read_captions(captions) if captions.is_file() else {},
        _read_groups(groups) if groups.is_file() else {},
    )


def _read_clips(path: Path, wanted: list[str], source: str) -> tuple[Clip, ...]:
    """Read the table of clips; rows of one file with captions are one clip."""
    rows = read_table(path, wanted)
    columns = rows[0].cells
    if "caption" not in columns and "label" not in columns:
        raise DataError(
            f"{path}: columns found: {', '.join(columns)}; columns wanted: file, and label or "
            "caption; add one"
        )
    clips: dict[str, Clip] = {}
    for row in rows:
        clip = _clip(row, path.parent, source)
        known = clips.get(clip.id)
        if known is None:
            clips[clip.id] = clip
        elif not clip.captions or replace(known, captions=clip.captions) != clip:
            raise DataError(
                f"{row.where}: '{clip.id}' already stands for a clip, with another file, label or "
                "split, or without captions; give it another id"
            )
        else:
            both = tuple(dict.fromkeys(known.captions + clip.captions))
            clips[clip.id] = replace(known, captions=both)
    return tuple(clips.values())


def _clip(row: Row, root: Path, source: str) -> Clip:
    path = inside(root, row)
    columns = row.cells
    file = Path(os.path.relpath(path, root)).as_posix()
    name = cell(row, "id") if "id" in columns else file
    recording = columns.get("source_id") or file  # takes of one recording stay together
    return Clip(
        id=name,
        label=cell(row, "label") if "label" in columns else name,
        captions=(cell(row, "caption"),) if "caption" in columns else (),
        split=split_name(row) if "split" in columns else hashed_split(recording),
        groups=frozenset(),
        path=path,
        source=source,
    )


def _read_captions(path: Path) -> dict[tuple[str, str], tuple[str, ...]]:
    """Read captions.csv; without a column ``use``, a caption is for every split."""
    captions: dict[tuple[str, str], tuple[str, ...]] = {}
    for row in read_table(path, ["label", "caption"]):
        use = row.cells.get("use", "all").lower()
        if use not in ("train", "test", "all"):
            raise DataError(f"{row.where}: unknown use '{use}'; write train or test")
        for key in ("train", "test") if use == "all" else (use,):
            known = captions.get((cell(row, "label"), key), ())
            captions[cell(row, "label"), key] = (*known, cell(row, "caption"))
    return captions


def _read_groups(path: Path) -> dict[str, frozenset[str]]:
    """Read audioset_names.csv: which labels sound alike or fit the same words."""
    groups: dict[str, frozenset[str]] = {}
    for row in read_table(path, ["label", "groups"]):
        names = frozenset(n for part in row.cells["groups"].split(";") if (n := part.strip()))
        groups[cell(row, "label")] = groups.get(cell(row, "label"), frozenset()) | names
    return groups


def _describe(
    listing: Listing,
    split: str,
    captions: dict[tuple[str, str], tuple[str, ...]],
    groups: dict[str, frozenset[str]],
) -> Corpus:
    """Give the clips of a split their captions and groups; leave out and count the others."""
    use = "test" if split == "test" else "train"
    mine = [clip for clip in listing.clips if clip.split == split]
    found = existing(clip.path for clip in mine if clip.path)
    silent = [clip for clip in mine if clip.path not in found]
    clips, mute = [], Counter[str]()
    for clip in (clip for clip in mine if clip.path in found):
        sentences = clip.captions or captions.get((clip.label, use), ())
        if sentences:
            label_groups = groups.get(clip.label, frozenset())
            clips.append(replace(clip, captions=sentences, groups=label_groups))
        else:
            mute[clip.label] += 1
    notes = []
    if silent:
        notes.append(
            f"{listing.name}: {len(silent)} of {len(mine)} {split} clips have no file, such as "
            f"{silent[0].path}; copy them there"
        )
    if mute:
        notes.append(
            f"{listing.name}: {mute.total()} of {len(mine)} {split} clips have a label without "
            f"{use} captions, such as '{min(mute)}'; add them to captions.csv or open it together "
            "with the corpus that has them"
        )
    return Corpus(listing.name, tuple(clips), len(silent) + mute.total(), tuple(notes))


def _join(corpora: Sequence[Corpus]) -> Corpus:
    """Put corpora one after the other, with unique names and ids."""
    if len(corpora) == 1:
        return corpora[0]
    seen = Counter[str]()
    clips = []
    taken = Counter(clip.id for corpus in corpora for clip in corpus.clips)
    for corpus in corpora:
        seen[corpus.name] += 1
        name = corpus.name if seen[corpus.name] == 1 else f"{corpus.name}#{seen[corpus.name]}"
        for clip in corpus.clips:
            unique = clip.id if taken[clip.id] == 1 else f"{name}:{clip.id}"
            label = unique if clip.label == clip.id else clip.label
            clips.append(replace(clip, id=unique, label=label, source=name))
    return Corpus(
        "+".join(corpus.name for corpus in corpora),
        tuple(clips),
        sum(corpus.missing for corpus in corpora),
        tuple(note for corpus in corpora for note in corpus.notes),
    )
