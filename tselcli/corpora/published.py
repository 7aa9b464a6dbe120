"""AudioCaps and Clotho: official tables of captions, with audio files that users collect.

Neither has labels, so a clip's label is its own id, and what may sound together is decided by
the wording (see ``words``). AudioCaps comes from YouTube and everybody's copy has holes: files
are looked up in one listing of the folders, under all names that common tools give them.

Kim et al., AudioCaps, NAACL 2019; Drossos et al., Clotho, ICASSP 2020.
"""

import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path

from tselcli.corpora.audio import AUDIO_SUFFIXES
from tselcli.corpora.clip import Clip, Corpus
from tselcli.corpora.tables import SPLIT_NAMES, Row, file_names, read_table
from tselcli.errors import DataError

CLOTHO_SPLITS = {"train": "development", "val": "validation", "test": "evaluation"}
CLOTHO_CAPTIONS = tuple(f"caption_{number}" for number in range(1, 6))


def open_audiocaps(root: Path, split: str) -> Corpus:
    """Open a split of AudioCaps.

    Args:
        root: folder with ``{split}.csv`` (or ``dataset/{split}.csv``) of columns youtube_id,
            start_time, caption, and audio in ``{split}/``, ``audio*/{split}/``, ``audio*/`` or
            beside the table; ``Y<youtube_id>``, ``<youtube_id>_<start>``, ``<youtube_id>`` or
            ``<audiocap_id>`` with any audio suffix.
        split: ``train``, ``val`` or ``test``.

    Returns:
        A clip for each segment that has a file, in the order of the table, with all its captions
        (one in train, five elsewhere).

    Raises:
        DataError: the folder or the table is missing or cannot be understood.
    """
    table = _table(root, [f"{split}.csv", f"dataset/{split}.csv"], "audiocaps")
    captions: dict[str, list[str]] = {}
    names: dict[str, list[str]] = {}
    videos: dict[str, str] = {}
    for row in read_table(table, ["youtube_id", "start_time", "caption"]):
        video, start = row.cells["youtube_id"], row.cells["start_time"]
        segment = f"{video}_{start}"
        videos[segment] = video
        captions.setdefault(segment, []).extend(_sentences(row, ["caption"]))
        known = names.setdefault(segment, [f"Y{video}", segment, video])
        known.extend(n for n in [row.cells.get("audiocap_id", "")] if n)
    parts = [name for name, meaning in SPLIT_NAMES.items() if meaning == split]
    index = _index(_audio_folders(root, parts))
    return _corpus(
        "audiocaps",
        [
            Clip(
                id=segment,
                label=segment,
                captions=tuple(dict.fromkeys(captions[segment])),
                split=split,
                groups=frozenset([f"youtube:{videos[segment]}"]),
                path=next((index[n] for n in names[segment] if n in index), None),
                source="audiocaps",
            )
            for segment in captions
        ],
        root,
    )


def open_clotho(root: Path, split: str) -> Corpus:
    """Open a split of Clotho.

    Args:
        root: folder with ``clotho_captions_{development,validation,evaluation}.csv`` (or in
            ``clotho_csv_files/``) and audio in folders of those names, also inside
            ``clotho_audio_files/``.
        split: ``train`` (development), ``val`` (validation) or ``test`` (evaluation).

    Returns:
        A clip for each row that has a file, in the order of the table.

    Raises:
        DataError: the folder or the table is missing or cannot be understood.
    """
    part = CLOTHO_SPLITS[split]
    file = f"clotho_captions_{part}.csv"
    table = _table(root, [file, f"clotho_csv_files/{file}"], "clotho")
    folders = [part, f"clotho_audio_{part}", f"clotho_audio_files/{part}"]
    index = _index([root / folder for folder in folders])
    clips: dict[str, Clip] = {}
    for row in read_table(table, ["file_name", *CLOTHO_CAPTIONS]):
        name = row.cells["file_name"]
        if name in clips:
            raise DataError(f"{row.where}: '{name}' occurs twice; keep one line")
        clips[name] = Clip(
            id=name,
            label=name,
            captions=_sentences(row, CLOTHO_CAPTIONS),
            split=split,
            groups=frozenset(),
            path=index.get(_key(Path(name).stem)),
            source="clotho",
        )
    return _corpus("clotho", list(clips.values()), root)


def _table(root: Path, names: Sequence[str], kind: str) -> Path:
    if not root.is_dir():
        raise DataError(f"{kind}:{root}: no such folder; check the name")
    for name in names:
        if (root / name).is_file():
            return root / name
    raise DataError(f"{kind}:{root}: no {names[0]} in it; put the official table there")


def _audio_folders(root: Path, parts: Sequence[str]) -> list[Path]:
    """List the folders that may hold audio, the most specific first."""
    bases = [root, *sorted(path for path in root.glob("audio*") if path.is_dir())]
    return [base / part for base in bases for part in parts] + bases[1:] + bases[:1]


def _index(folders: Iterable[Path]) -> dict[str, Path]:
    """Map the stems of all audio files in some folders to their paths; earlier folders win."""
    index: dict[str, Path] = {}
    for folder in folders:
        files = [Path(name) for name in file_names(folder)]
        for suffix in AUDIO_SUFFIXES:
            for file in files:
                if file.suffix.lower() == suffix:
                    index.setdefault(_key(file.stem), folder / file)
    return index


def _key(stem: str) -> str:
    """Give one form to names that file systems and tables write differently."""
    return unicodedata.normalize("NFC", stem).strip()


def _sentences(row: Row, columns: Sequence[str]) -> tuple[str, ...]:
    texts = (" ".join(row.cells[column].split()) for column in columns)
    return tuple(dict.fromkeys(text for text in texts if text))


def _corpus(name: str, listed: list[Clip], root: Path) -> Corpus:
    """Keep the clips with a file and a caption, and report the others."""
    clips = tuple(clip for clip in listed if clip.path and clip.captions)
    missing = len(listed) - len(clips)
    if not missing:
        return Corpus(name, clips)
    lost = next(clip.id for clip in listed if not (clip.path and clip.captions))
    note = (
        f"{name}: {missing} of {len(listed)} clips have no audio file under {root}, such as "
        f"'{lost}'; copy it there if you have it"
    )
    return Corpus(name, clips, missing, (note,))
