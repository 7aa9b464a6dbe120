"""Public collections that experiments need: what they are, where from, and what they hold.

Checksums are the MD5 that Zenodo shows, taken from public loaders of the same files (soundata,
aac-datasets) where at least two independent ones agree; all others are None, which means that
we do not know them. Nothing of any collection is in this package.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase

from tselcli.errors import DataError
from tselcli.problems import did_you_mean

ZENODO = "https://zenodo.org/records"
AUDIOCAPS = "https://raw.githubusercontent.com/cdjkim/audiocaps/master/dataset"
TAU_ROOMS = (
    "01_bomb_shelter",
    "02_gym",
    "03_pb132",
    "04_pc226",
    "05_sa203",
    "06_sc203",
    "08_se203",
    "09_tb103",
    "10_tc352",
)
NOISE_ROOMS = ("01", "02", "03", "04", "05", "06", "08", "09", "10")


@dataclass(frozen=True)
class Expected:
    """Files that a whole collection has: a pattern for their path, and at least how many.

    The pattern is of the end of the path, so the collection may stand in a folder of its own;
    ``*`` also stands for folders.
    """

    pattern: str
    count: int = 1

    def matching(self, paths: Iterable[str]) -> int:
        """Count the paths, relative and with slashes, that the pattern fits."""
        return sum(fnmatchcase("/" + path, "*/" + self.pattern) for path in paths)


@dataclass(frozen=True)
class Collection:
    """One entry of the catalogue.

    Attributes:
        what: in a few words.
        page: where a human reads more.
        licence: of the collection, as far as we know it; its page decides.
        base: web address of the folder of ``files``.
        files: names to download, each with its MD5 or None where that is not known. Parts of a
            split archive (.z01, .z02, .zip) are joined; other zips are unpacked.
        expected: what must be there in the end.
        note: what remains to be done by hand; "" is nothing.
    """

    what: str
    page: str
    licence: str
    base: str
    files: dict[str, str | None]
    expected: tuple[Expected, ...]
    note: str = ""


def _zenodo(record: int) -> tuple[str, str]:
    return f"{ZENODO}/{record}", f"{ZENODO}/{record}/files"


def find_collection(name: str) -> Collection:
    """Return an entry of the catalogue.

    Raises:
        DataError: there is none of that name.
    """
    if name not in CATALOGUE:
        hint = did_you_mean(name, CATALOGUE)
        raise DataError(f"{name!r}: no such collection{hint}; known are {', '.join(CATALOGUE)}")
    return CATALOGUE[name]


TAMPERE = "custom, non-commercial with attribution (LICENSE.txt of the record)"
CATALOGUE = {
    "tau-srir": Collection(
        "TAU-SRIR DB: measured room responses of nine rooms, FOA and four capsules, 24 kHz",
        *(_zenodo(6408611)[:1]),
        TAMPERE,
        _zenodo(6408611)[1],
        dict.fromkeys([f"TAU-SRIR_DB.{end}" for end in ("z01", "z02", "z03", "zip")]),
        (
            Expected("rirdata.mat"),
            Expected("measinfo.mat"),
            *(Expected(f"rirs_{room}.mat") for room in TAU_ROOMS),
        ),
    ),
    "tau-snoise": Collection(
        "TAU-SNoise DB: 20 to 30 minutes of ambience of each room of TAU-SRIR, FOA and capsules",
        _zenodo(6408611)[0],
        TAMPERE,
        _zenodo(6408611)[1],
        dict.fromkeys([f"TAU-SNoise_DB.{end}" for end in ("z01", "zip")]),
        tuple(
            Expected(f"{room}_*/ambience_{channels}_24k_edited.wav")
            for room in NOISE_ROOMS
            for channels in ("foa_sn3d", "tetra")
        ),
    ),
    "audiocaps": Collection(
        "AudioCaps 1.0: captions of clips of YouTube (tables only)",
        "https://github.com/cdjkim/audiocaps",
        "free for academic purposes only (README of the repository)",
        AUDIOCAPS,
        dict.fromkeys(["train.csv", "val.csv", "test.csv"]),
        (Expected("train.csv"), Expected("val.csv"), Expected("test.csv")),
        "the sounds are not in it; ask its authors for them or collect them from YouTube",
    ),
    "starss22": Collection(
        "STARSS22: recorded sound scenes with labels, FOA and four capsules, 24 kHz",
        _zenodo(6387880)[0],
        "MIT",
        _zenodo(6387880)[1],
        {
            "foa_dev.zip": "165dd033b262dc11a8853635c1def59b",
            "mic_dev.zip": "46b55d0be507afa986cd29120e42b188",
            "metadata_dev.zip": "b460e17e0848c49f03f238afb89fa87e",
        },
        (
            Expected("foa_dev/*.wav", 121),
            Expected("mic_dev/*.wav", 121),
            Expected("metadata_dev/*.csv", 121),
        ),
    ),
    "starss23": Collection(
        "STARSS23: as STARSS22, with more scenes and with distances",
        _zenodo(7880637)[0],
        "MIT",
        _zenodo(7880637)[1],
        {
            "foa_dev.zip": None,
            "mic_dev.zip": None,
            "metadata_dev.zip": "e73af95a6d5f3f7e009ac6a70804f44a",
        },
        (
            Expected("foa_dev/*.wav", 168),
            Expected("mic_dev/*.wav", 168),
            Expected("metadata_dev/*.csv", 168),
        ),
    ),
    "clotho": Collection(
        "Clotho 2.1: clips of Freesound, five captions each",
        _zenodo(4783391)[0],
        "clips: Creative Commons, each its own; captions: see the page",
        _zenodo(4783391)[1],
        {
            "clotho_captions_development.csv": "d4090b39ce9f2491908eebf4d5b09bae",
            "clotho_captions_validation.csv": "5879e023032b22a2c930aaa0528bead4",
            "clotho_captions_evaluation.csv": "1b16b9e57cf7bdb7f13a13802aeb57e2",
            "clotho_audio_development.7z": "c8b05bc7acdb13895bb3c6a29608667e",
            "clotho_audio_validation.7z": "7dba730be08bada48bd15dc4e668df59",
            "clotho_audio_evaluation.7z": "4569624ccadf96223f19cb59fe4f849f",
        },
        (
            Expected("clotho_captions_development.csv"),
            Expected("clotho_captions_validation.csv"),
            Expected("clotho_captions_evaluation.csv"),
            Expected("development/*.wav", 3839),
            Expected("validation/*.wav", 1045),
            Expected("evaluation/*.wav", 1045),
        ),
        "unpack the sounds with 7-Zip: for f in clotho_audio_*.7z; do 7z x $f; done",
    ),
}
