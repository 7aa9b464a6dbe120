"""stub; replaced by the measured banks."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

from tselcli.acoustics.geometry import MicArray


@dataclass(frozen=True)
class Track:
    room: str
    number: int
    name: str
    azimuth_deg: tuple[float, ...]
    elevation_deg: tuple[float, ...]
    distance_m: tuple[float | None, ...]
    closed: bool


class RirBank(Protocol):
    name: str
    sample_rate: int
    array: MicArray
    tracks: tuple[Track, ...]

    def rirs(self, track: Track, indices: Sequence[int]) -> npt.NDArray[np.float32]: ...


def open_bank(
    path: Path,
    channels: Literal["foa", "mic"] = "foa",
    azimuth: Literal["counter-clockwise", "clockwise"] = "counter-clockwise",
) -> RirBank:
    raise NotImplementedError
