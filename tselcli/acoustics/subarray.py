"""A few microphones of a large array, as a bank of their own.

Sources near a large array are seen in other directions from its ends than from its middle. So
directions are worked out anew, from the middle of the chosen microphones, which becomes the
origin; where a distance is not known, the source counts as far away and keeps its direction.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from tselcli.acoustics.geometry import Floats, MicArray, azimuth_of, direction, elevation_of
from tselcli.acoustics.measured import RirBank, Track, is_closed
from tselcli.acoustics.rirs import Samples
from tselcli.errors import RecipeError


@dataclass(frozen=True, eq=False)
class Subarray:
    """Some microphones of a bank; see `tselcli.acoustics.measured.RirBank`."""

    name: str
    sample_rate: int
    array: MicArray
    tracks: tuple[Track, ...]
    ambiences: Mapping[str, Path]
    whole: RirBank
    mics: tuple[int, ...]

    def rirs(self, track: Track, indices: Sequence[int]) -> Samples:
        """As `RirBank.rirs`, of the chosen microphones."""
        return self.whole.rirs(self.whole.tracks[self.tracks.index(track)], indices)[:, self.mics]


def choose_mics(bank: RirBank, mics: Sequence[int]) -> Subarray:
    """Keep some microphones of a bank.

    Args:
        bank: responses to microphones.
        mics: which, from 0, in the order that the channels shall have.

    Raises:
        RecipeError: there are no such microphones, or too few of them.
    """
    count = len(bank.array.mics)
    if bank.array.foa is not None:
        raise RecipeError("scene.measured.mics: ambisonics have none; leave it away")
    if len(set(mics)) != len(mics) or len(mics) < 2 or not all(0 <= mic < count for mic in mics):
        raise RecipeError(
            f"scene.measured.mics {list(mics)}: name at least two of the microphones 0 to "
            f"{count - 1}, each once"
        )
    places = bank.array.positions[list(mics)]
    middle = places.mean(axis=0)
    x, y, z = (places - middle).T.tolist()
    named = ",".join(map(str, mics))
    return Subarray(
        name=f"{bank.name}[{named}]",
        sample_rate=bank.sample_rate,
        array=MicArray(f"{bank.array.name}[{named}]", tuple(zip(x, y, z, strict=True))),
        tracks=tuple(_seen_from(track, middle) for track in bank.tracks),
        ambiences={},  # of other channels
        whole=bank,
        mics=tuple(mics),
    )


def _seen_from(track: Track, middle: Floats) -> Track:
    """Give the directions of a track from another place (3,), where distances are known."""
    away = np.array([np.nan if metres is None else metres for metres in track.distance_m])
    if np.isnan(away).any():
        return track
    rays = direction(track.azimuth_deg, track.elevation_deg)
    places = away[:, None] * rays - middle
    azimuth = azimuth_of(places)
    return replace(
        track,
        azimuth_deg=tuple(azimuth.tolist()),
        elevation_deg=tuple(elevation_of(places).tolist()),
        distance_m=tuple(np.linalg.norm(places, axis=-1).tolist()),
        closed=is_closed(azimuth),
    )
