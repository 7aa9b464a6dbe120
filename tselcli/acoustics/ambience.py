"""The noise of a room itself, recorded with the array that its responses were measured with.

TAU-SNoise DB has 20 to 30 minutes from each room of TAU-SRIR, at the array's place:

    TAU-SNoise_DB/09_tb103_tietotalo_lecturehall/ambience_foa_sn3d_24k_edited.wav
                                                 ambience_tetra_24k_edited.wav

Folders are known by their number, which is that of ``rirs_09_tb103.mat``. A scene takes a part
of a recording as it is; nothing is repeated, and no recording is read as a whole.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tselcli.acoustics.rirs import Samples
from tselcli.corpora.audio import duration_of, read_audio, resample
from tselcli.errors import DataError

FOLDER = "TAU-SNoise_DB"
KINDS = {"foa": "foa_sn3d", "mic": "tetra"}


@dataclass(frozen=True)
class Ambience:
    """A part of a recording.

    Attributes:
        file: under the folder that holds the database: "TAU-SNoise_DB/09_.../....wav".
        start_s: where the part begins; it is as long as the scene.
    """

    file: str
    start_s: float


def find_ambiences(folder: Path, channels: str, numbers: Mapping[str, int]) -> dict[str, Path]:
    """Find the recordings of rooms: room -> file, without the rooms that have none.

    Args:
        folder: of TAU-SRIR; TAU-SNoise_DB is in it or beside it.
        channels: "foa" or "mic".
        numbers: of the rooms, by name.

    Raises:
        DataError: a room has two.
    """
    found: dict[str, Path] = {}
    for room, number in numbers.items():
        pattern = f"{FOLDER}/{number:02d}_*/ambience_{KINDS[channels]}_24k_edited.wav"
        files = sorted(folder.glob(pattern)) or sorted(folder.parent.glob(pattern))
        if len(files) > 1:
            raise DataError(
                f"{files[1]}: {room} has another one, {files[0].parent.name}; move one away"
            )
        if files:
            found[room] = files[0]
    return found


def draw_ambience(rng: np.random.Generator, path: Path, duration_s: float) -> Ambience:
    """Draw a part of a recording, to the millisecond.

    Raises:
        DataError: the recording is damaged, or shorter than that.
    """
    left_s = duration_of(path) - duration_s
    if left_s < 0:
        raise DataError(
            f"{path}: lasts {left_s + duration_s:.1f} s, and scenes {duration_s:g} s; get it "
            f"again (`tsel data fetch tau-snoise`) or set scene.measured.ambience=diffuse"
        )
    return Ambience(_name(path), math.floor(rng.uniform(0, left_s) * 1000) / 1000)


def read_ambience(
    ambience: Ambience, path: Path | None, channels: int, samples: int, sample_rate: int
) -> Samples:
    """Read the part of a recording that a scene names.

    Args:
        ambience: what the scene says.
        path: the recording of the scene's room; None where there is none.
        channels: how many there must be, C.
        samples: length of the scene, N.
        sample_rate: of the scene, Hz.

    Returns:
        (C, N).

    Raises:
        DataError: it is another recording, too short, silent or damaged.
    """
    if path is None or _name(path) != ambience.file:
        raise DataError(
            f"{ambience.file}: not beside the measured rooms, and the scene needs it; "
            f"`tsel data fetch tau-snoise` gets it"
        )
    heard, rate = read_audio(path, ambience.start_s, ambience.start_s + samples / sample_rate)
    if len(heard) != channels:
        raise DataError(f"{path}: has {len(heard)} channels instead of {channels}; get it again")
    noise = resample(heard, rate, sample_rate)[:, :samples]
    if noise.shape[1] < samples or not noise.any():
        raise DataError(
            f"{path}: ends or is silent within {samples / sample_rate:g} s after "
            f"{ambience.start_s:g} s; get it again"
        )
    return noise


def _name(path: Path) -> str:
    return "/".join(path.parts[-3:])
