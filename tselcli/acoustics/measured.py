"""Measured room responses: where a sound could stand in a real room, and how the room answers.

A bank is a set of tracks. A track is a row of neighbouring directions of one room, each with the
responses from there to all channels; a source that stands still takes one of them, a source that
moves takes one after the other. Directions are seen from the array (x front, y left, z up,
azimuth counter-clockwise), whatever the file counts.

`open_bank` reads two kinds: the TAU-SRIR database (`tau`) and SOFA files (`sofa`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

from tselcli.acoustics.geometry import MicArray, wrap_deg
from tselcli.acoustics.rirs import Samples
from tselcli.errors import DataError

Channels = Literal["foa", "mic"]
Sense = Literal["counter-clockwise", "clockwise"]

WIDEST_STEP_DEG = 45.0  # directions farther apart are places, not a path
WAYS = "give a folder of TAU-SRIR, a .sofa file or a folder of .sofa files"


@dataclass(frozen=True)
class Track:
    """Successive measured directions of one room, seen from the array.

    Attributes:
        room: name of the room ("tb103"), or of the SOFA file without its suffix.
        number: of the room in the file names of TAU-SRIR (9 for tb103); 0 for SOFA.
        name: within the room; "t1h0" is trajectory 1, height 0, both counted from 0.
        azimuth_deg: counter-clockwise, [-180, 180).
        elevation_deg: up is positive.
        distance_m: from the middle of the array; None where it is not known.
        closed: the track goes round the array and its last direction meets its first.
    """

    room: str
    number: int
    name: str
    azimuth_deg: tuple[float, ...]
    elevation_deg: tuple[float, ...]
    distance_m: tuple[float | None, ...]
    closed: bool


class RirBank(Protocol):
    """Measured responses that can be read direction by direction, in any process."""

    @property
    def name(self) -> str:
        """Of the bank: "tau-srir:foa", "tau-srir:mic", "sofa:polimi_ula32"."""

    @property
    def sample_rate(self) -> int:
        """Of all responses, Hz."""

    @property
    def array(self) -> MicArray:
        """What the responses were measured with."""

    @property
    def tracks(self) -> tuple[Track, ...]:
        """All directions that there are files for."""

    @property
    def ambiences(self) -> Mapping[str, Path]:
        """Recordings of the rooms' own noise, in the channels of the array, by room."""

    def rirs(self, track: Track, indices: Sequence[int]) -> Samples:
        """Read the responses of some directions of a track.

        Args:
            track: one of the bank's.
            indices: which of its directions, from 0; they may repeat.

        Returns:
            (len(indices), C, L).

        Raises:
            DataError: the file is gone or damaged.
            IndexError: the track has no such direction.
        """


def open_bank(
    path: Path, channels: Channels = "foa", azimuth: Sense = "counter-clockwise"
) -> RirBank:
    """Open measured responses; nothing but directions is read yet.

    Args:
        path: folder of TAU-SRIR, a SOFA file, or a folder of SOFA files of one array.
        channels: which of the two formats of TAU-SRIR; a SOFA file has only one.
        azimuth: in which sense the SOFA files count it; the standard is counter-clockwise,
            some files ignore it.

    Raises:
        DataError: there is no such thing, or it cannot be used.
    """
    from tselcli.acoustics.sofa import open_sofa
    from tselcli.acoustics.tau import find_tau, open_tau

    if not path.exists():
        raise DataError(f"{path}: no such file or folder; {WAYS}")
    if path.is_file() and path.suffix.lower() == ".sofa":
        return open_sofa([path], path.stem, azimuth)
    folder = find_tau(path)
    if folder is not None:
        if azimuth == "clockwise":
            raise DataError(
                f"{path}: TAU-SRIR counts counter-clockwise; leave the azimuth as it is"
            )
        return open_tau(folder, channels)
    files = [file for file in sorted(path.glob("*")) if file.suffix.lower() == ".sofa"]
    if not files:
        raise DataError(f"{path}: holds no measured responses that we know; {WAYS}")
    return open_sofa(files, path.resolve().name, azimuth)


def is_closed(azimuth_deg: npt.ArrayLike) -> bool:
    """Say whether successive azimuths (D,) go once round and end where they began."""
    azimuth = np.asarray(azimuth_deg, dtype=np.float64)
    steps = wrap_deg(np.diff(azimuth, append=azimuth[:1]))
    widest = float(np.abs(steps[:-1]).max(initial=0.0))
    once_round = abs(round(float(steps.sum()) / 360.0)) == 1
    return once_round and widest <= WIDEST_STEP_DEG and float(abs(steps[-1])) <= 1.5 * widest
