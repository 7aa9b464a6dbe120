"""The weight files of the encoders: what there is, where they stand, whether they are whole.

Nothing here downloads (``tsel models fetch`` does). A file is looked for in this order:

1. where the user points: a file, a folder, or the name of a hub repository in the hub's cache;
2. our own folder, ``$TSEL_CACHE/models/NAME``;
3. the hub's cache, for those who have used the model elsewhere.

The catalogue holds no checksums, since we have none that we verified ourselves. What ``tsel
models fetch`` downloads is compared with the one that the server names and gets a
``FILE.sha256`` beside it, as ``sha256sum`` writes it, which it must match from then on.
"""

import contextlib
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tselcli.errors import CheckpointError, DataError
from tselcli.features.cache import content_key, default_cache
from tselcli.problems import did_you_mean

ASSETS = Path(__file__).resolve().parent.parent / "assets"
BLOCK = 1 << 20  # bytes read at once
FILE_ENDINGS = (".pt", ".pth", ".bin", ".safetensors")
HUB_NAME = re.compile(r"[\w.-]+(/[\w.-]+)?")
Files = Mapping[str, Path]


@dataclass(frozen=True)
class Part:
    """What is needed of one hub repository.

    Args:
        repo: its name.
        files: each is a file name, or several of which any will do, the best first.
        revision: branch, tag or commit.
    """

    repo: str
    files: tuple[tuple[str, ...], ...]
    revision: str = "main"


@dataclass(frozen=True)
class Weights:
    """One entry of the catalogue; the size is rounded, in megabytes."""

    what: str
    parts: tuple[Part, ...]
    size_mb: int
    licence: str

    @property
    def files(self) -> tuple[tuple[str, ...], ...]:
        """All that is needed, over all parts."""
        return tuple(names for part in self.parts for names in part.files)


NETWORK = ("model.safetensors", "pytorch_model.bin")
LAION_CHECKPOINT = "630k-audioset-best.pt"
ROBERTA_TOKENIZER = (("vocab.json",), ("merges.txt",))
CATALOGUE = {
    "clap": Weights(
        "LAION-CLAP, text and audio, 512: the checkpoint of the package laion-clap",
        (
            Part("lukewys/laion_clap", ((LAION_CHECKPOINT,),)),
            Part("roberta-base", ROBERTA_TOKENIZER),
        ),
        1860,
        "CC0-1.0; tokenizer MIT",
    ),
    "clap-hf": Weights(
        "LAION-CLAP, text and audio, 512: the same network for transformers",
        (
            Part(
                "laion/clap-htsat-unfused",
                (("config.json",), ("preprocessor_config.json",), *ROBERTA_TOKENIZER, NETWORK),
            ),
        ),
        616,
        "Apache-2.0",
    ),
    "flan-t5": Weights(
        "FlanT5-large, text tokens, 1024",
        (Part("google/flan-t5-large", (("config.json",), ("tokenizer.json",), NETWORK)),),
        3130,
        "Apache-2.0",
    ),
    "bert": Weights(
        "BERT-base, uncased, text tokens, 768",
        (
            Part(
                "bert-base-uncased",
                (("config.json",), ("tokenizer.json", "vocab.txt"), NETWORK),
            ),
        ),
        441,
        "Apache-2.0",
    ),
}


def bundled_files() -> dict[str, Path]:
    """List what comes with the package, by name."""
    return {path.stem: path for path in sorted(ASSETS.glob("*.safetensors"))}


def models_folder(name: str) -> Path:
    """Say where the files of an encoder are kept, there or not."""
    return default_cache().folder / "models" / name


def find_weights(name: str, weights: str | None = None) -> dict[str, Path]:
    """Find every file of an encoder.

    Args:
        name: in the catalogue.
        weights: a folder, a hub repository, or for CLAP a checkpoint file (its tokenizer is then
            looked for beside it and in the usual places); None looks in the usual places.

    Returns:
        Path of each file by its name in the catalogue; a checkpoint by ``LAION_CHECKPOINT``.

    Raises:
        CheckpointError: one is missing.
    """
    if weights is None:
        return _find_all(name, [models_folder(name)])
    path = Path(weights)
    if name.startswith("clap") and (path / LAION_CHECKPOINT).is_file():
        path = path / LAION_CHECKPOINT
    if path.is_dir():
        return _find_all(name, [path], of=weights)
    if path.is_file():
        if not name.startswith("clap"):
            raise CheckpointError(f"{weights}: a file; {name} needs the folder with all its files")
        return {LAION_CHECKPOINT: path, **_find_tokenizer(path.parent)}
    if HUB_NAME.fullmatch(weights) and path.suffix not in FILE_ENDINGS:
        wanted = Part(weights, CATALOGUE[name].files)
        return _find_all(name, [], of=weights, parts=(wanted,))
    raise CheckpointError(f"{weights}: no such file or folder; `tsel models ls` shows what is here")


def _find_tokenizer(beside: Path) -> dict[str, Path]:
    tokenizer = CATALOGUE["clap"].parts[1]
    folders = [beside, models_folder("clap"), models_folder("clap-hf")]
    return _find_all("clap", folders, parts=(tokenizer,))


def _find_all(
    name: str,
    folders: list[Path],
    of: str | None = None,
    parts: tuple[Part, ...] | None = None,
) -> dict[str, Path]:
    """Find the files in one of the folders or, part by part, in the hub's cache."""
    found: dict[str, Path] = {}
    for part in parts or CATALOGUE[name].parts:
        in_cache = [] if of and parts is None else _hub_folders(part)
        places = [_look_in(folder, part.files) for folder in [*folders, *in_cache]]
        best = max(places, key=len, default={})
        if len(best) < len(part.files):
            missing = next(names for names in part.files if not set(names) & set(best))
            raise CheckpointError(_missing(name, missing, of, part))
        found |= best
    return found


def _look_in(folder: Path, wanted: tuple[tuple[str, ...], ...]) -> dict[str, Path]:
    paths = ([folder / name for name in names if (folder / name).is_file()] for names in wanted)
    return {found[0].name: found[0] for found in paths if found}


def _hub_folders(part: Part) -> list[Path]:
    """List the snapshot of a repository in the hub's cache, if there is one."""
    from huggingface_hub import try_to_load_from_cache

    repos = [part.repo, *(["FacebookAI/roberta-base"] if part.repo == "roberta-base" else [])]
    repos += ["google-bert/bert-base-uncased"] if part.repo == "bert-base-uncased" else []
    first = part.files[0][0]
    hits = (try_to_load_from_cache(repo, first, revision=part.revision) for repo in repos)
    return [Path(hit).parent for hit in hits if isinstance(hit, str)]


def _missing(name: str, names: tuple[str, ...], of: str | None, part: Part) -> str:
    wanted = " or ".join(names)
    if of is None:
        return (
            f"{name}: {wanted} of {part.repo} is not on this machine; "
            f"`tsel models fetch {name}` downloads it, or name a local folder that holds it"
        )
    return (
        f"{of}: has no {wanted}, which {name} needs; "
        "download it, or leave the place out and run `tsel models fetch " + name + "`"
    )


def find_bundled(name: str) -> Path:
    """Find a file that comes with the package.

    Raises:
        CheckpointError: there is none of that name, here or in the catalogue.
    """
    bundled = bundled_files()
    if name not in bundled:
        known = [*bundled, *CATALOGUE]
        hint = did_you_mean(name, known)
        raise CheckpointError(f"{name!r}: no such model{hint}; there are {', '.join(known)}")
    return bundled[name]


def digest(path: Path) -> str:
    """Return the SHA-256 of a file in hex; that of a file seen before is remembered."""
    state = path.stat()
    cache = default_cache()
    key = content_key(file=str(path.resolve()), size=state.st_size, time=state.st_mtime_ns)
    known = cache.get(key)
    if known is None:
        hashing = hashlib.sha256()
        with path.open("rb") as file:
            while block := file.read(BLOCK):
                hashing.update(block)
        known = np.frombuffer(hashing.digest(), dtype=np.uint8)
        with contextlib.suppress(DataError):  # a cache that cannot be written only costs time
            cache.put(key, known)
    return known.tobytes().hex()


def digest_of(files: Files) -> str:
    """Hash all files of an encoder to one hex key, whatever their folders."""
    return content_key(**{name: digest(path) for name, path in files.items()})


def checksum_file(path: Path) -> Path:
    """Say where the checksum of a file stands, there or not."""
    return path.with_name(path.name + ".sha256")


def verify(path: Path) -> None:
    """Compare a file with the checksum beside it, where there is one.

    Raises:
        CheckpointError: they differ.
    """
    if not checksum_file(path).is_file():
        return
    expected = checksum_file(path).read_text(encoding="utf-8", errors="replace").split()[:1]
    found = digest(path)
    if expected != [found]:
        raise CheckpointError(
            f"{path}: SHA-256 is {found[:12]}... instead of {''.join(expected)[:12]}..., so the "
            f"file was damaged or replaced; download it again, or delete {checksum_file(path)}"
        )
