"""Room responses in SOFA files (AES69), read as the HDF5 that they are.

A measurement m has a response from every emitter to every receiver. ``SourcePosition`` and
``ListenerPosition`` stand in the room; the listener looks along ``ListenerView``, and
``ReceiverPosition`` is in the listener's own frame (x front, y left, z up), which is ours:

    direction of emitter e in measurement m = frame_m . (source_m + emitter_e - listener_m)

The standard counts azimuth counter-clockwise; who opens a file that ignores this says so.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tselcli.acoustics.geometry import (
    MAX_MICS,
    MAX_REACH_M,
    Floats,
    MicArray,
    azimuth_of,
    elevation_of,
)
from tselcli.acoustics.hdf5 import (
    MAX_DIRECTIONS,
    MAX_SAMPLES,
    OpenFiles,
    check_indices,
    check_samples,
)
from tselcli.acoustics.measured import Sense, Track, is_closed
from tselcli.acoustics.rirs import Samples
from tselcli.acoustics.sofa_frames import SAME_PLACE_M, UNKNOWN, emitter_places, positions, text
from tselcli.errors import DataError

CONVENTIONS = (
    "SingleRoomSRIR",
    "SingleRoomMIMOSRIR",
    "MultiSpeakerBRIR",
    "SimpleFreeFieldHRIR",
)
LONGEST_DELAY_S = 1.0


@dataclass(frozen=True)
class _File:
    """What a SOFA file holds; ``places`` are (M, E, 3) metres seen from the array."""

    path: Path
    sample_rate: int
    array: MicArray
    places: Floats
    known: bool  # whether the lengths of the places mean anything
    emitter_axis: int | None  # of Data.IR; None where there is but one emitter
    longest_delay: int  # samples that Data.Delay adds before a response


@dataclass(frozen=True, eq=False)
class SofaBank:
    """SOFA files of one array and rate; see `tselcli.acoustics.measured.RirBank`.

    A file with one emitter is one track, "m", over its measurements. With several emitters,
    each is a track over the measurements ("e0", "e1"), and where there is only one
    measurement, "e" is the track over the emitters.
    """

    name: str
    sample_rate: int
    array: MicArray
    tracks: tuple[Track, ...]
    files: dict[str, _File]
    ambiences: dict[str, Path] = field(default_factory=dict)  # SOFA knows none
    _open: OpenFiles = field(default_factory=OpenFiles, repr=False)

    def rirs(self, track: Track, indices: Sequence[int]) -> Samples:
        """Read the responses (len(indices), C, L) of some directions of a track.

        Raises:
            DataError: the file is gone or damaged.
            IndexError: the track has no such direction.
        """
        check_indices(indices, len(track.azimuth_deg))
        file = self.files[track.room]
        wanted, back = np.unique(np.asarray(indices, dtype=np.int64), return_inverse=True)
        # What single precision cannot hold becomes infinite, and is refused below.
        with self._open.reading(file.path) as opened, np.errstate(over="ignore", invalid="ignore"):
            read = np.stack(
                [_response(opened, file, *_pair(track.name, int(index))) for index in wanted]
            )
        return check_samples(file.path, f"track '{track.name}'", read)[back]


def open_sofa(paths: Sequence[Path], name: str, azimuth: Sense) -> SofaBank:
    """Open SOFA files that were measured with one array.

    Args:
        paths: at least one file.
        name: of the bank, behind "sofa:".
        azimuth: in which sense the files count it.

    Raises:
        DataError: a file is damaged, of a convention that is not supported, or does not fit
            the first one.
    """
    opened = OpenFiles()
    files = [_read_file(opened, path, azimuth) for path in paths]
    first = files[0]
    for file in files[1:]:
        if file.sample_rate != first.sample_rate or not _same(file.array, first.array):
            raise DataError(
                f"{file.path}: another array or sample rate than {first.path.name}; "
                f"open the files one by one"
            )
    return SofaBank(
        name=f"sofa:{name}",
        sample_rate=first.sample_rate,
        array=MicArray(name, first.array.mics, first.array.foa),
        tracks=tuple(track for file in files for track in _tracks(file)),
        files={file.path.stem: file for file in files},
        _open=opened,
    )


def read_sofa_array(path: Path) -> MicArray:
    """Read where the receivers of a SOFA file are, whatever else it holds.

    Four receivers at one place are first-order ambisonics (ACN, SN3D).

    Raises:
        DataError: the file is damaged, or its receivers are no microphones at places.
    """
    with OpenFiles().reading(path) as file:
        if "ReceiverPosition" not in file:
            raise DataError(f"{path}: {UNKNOWN} (no ReceiverPosition); use another file")
        rows = positions(path, file, "ReceiverPosition")
        rows = rows.reshape(*rows.shape[:2], -1)  # (R, 3, I or M)
    if np.abs(rows - rows[..., :1]).max() > SAME_PLACE_M:
        raise DataError(f"{path}: its receivers move; split it into a file for each array")
    mics = rows[..., 0]
    if not 2 <= len(mics) <= MAX_MICS or np.abs(mics).max() > MAX_REACH_M:
        raise DataError(
            f"{path}: {len(mics)} receivers up to {np.abs(mics).max():.3g} m away are no array; "
            f"2 to {MAX_MICS} within {MAX_REACH_M:g} m are"
        )
    apart = np.linalg.norm(mics[:, None] - mics[None], axis=-1) + np.eye(len(mics))
    if apart.min() < SAME_PLACE_M:
        if len(mics) == 4 and (apart - np.eye(4)).max() < SAME_PLACE_M:
            return MicArray(path.stem, ((0.0, 0.0, 0.0),) * 4, "acn-sn3d")
        raise DataError(f"{path}: two receivers at the same place; use another file")
    return MicArray(path.stem, tuple((float(x), float(y), float(z)) for x, y, z in mics))


def _same(one: MicArray, other: MicArray) -> bool:
    if len(one.mics) != len(other.mics) or one.foa != other.foa:
        return False
    return bool(np.abs(one.positions - other.positions).max() < SAME_PLACE_M)


def _read_file(opened: OpenFiles, path: Path, azimuth: Sense) -> _File:
    """Read all of a file but its responses, and check that they have the right shape."""
    with opened.reading(path) as file:
        _check_convention(path, file)
        array = read_sofa_array(path)
        rates = np.unique(file["Data.SamplingRate"][()])
        if rates.size != 1 or rates[0] != round(rates[0]) or not 8_000 <= rates[0] <= 192_000:
            raise DataError(f"{path}: Data.SamplingRate is {rates.tolist()}; one rate is needed")
        shape = file["Data.IR"].shape
        axis = _emitter_axis(path, file, shape)
        places, known = emitter_places(path, file, shape[0], shape[axis] if axis else 1)
        delay = file["Data.Delay"][()] if "Data.Delay" in file else np.zeros(1)
    if shape[1] != len(array.mics) or 0 in shape:
        raise DataError(
            f"{path}: Data.IR of shape {shape} does not fit {len(array.mics)} receivers; "
            f"get it again"
        )
    per_direction = int(np.prod(shape[1:], dtype=np.int64)) // (shape[axis] if axis else 1)
    if places[..., 0].size > MAX_DIRECTIONS or per_direction > MAX_SAMPLES:
        raise DataError(f"{path}: Data.IR of shape {shape} is too large; cut or split it")
    if not np.all((delay >= 0) & (delay <= LONGEST_DELAY_S * rates[0])):  # also catches NaN
        raise DataError(f"{path}: Data.Delay is not within 0 and 1 s; mend the file")
    if azimuth == "clockwise":
        places = places * np.array([1.0, -1.0, 1.0])
    longest = math.ceil(np.max(delay))
    return _File(path, int(rates[0]), array, places, known, axis, longest)


def _check_convention(path: Path, file: Any) -> None:
    convention = text(file.attrs.get("SOFAConventions"))
    kind = text(file.attrs.get("DataType"))
    if convention not in CONVENTIONS or kind not in ("FIR", "FIR-E", "FIRE"):
        raise DataError(
            f"{path}: convention '{convention}' with data '{kind}' is not supported; "
            f"convert it to {', '.join(CONVENTIONS)} with impulse responses"
        )
    lacking = [
        name
        for name in ("Data.IR", "Data.SamplingRate", "ReceiverPosition", "SourcePosition")
        if name not in file
    ]
    if lacking:
        raise DataError(f"{path}: {UNKNOWN} (no {', '.join(lacking)}); get it again")


def _emitter_axis(path: Path, file: Any, shape: tuple[int, ...]) -> int | None:
    """Find the emitters in Data.IR: (M, R, N), (M, R, N, E) or, of old, (M, R, E, N)."""
    if len(shape) == 3:
        return None
    emitters = next((len(file[name]) for name in ("E", "EmitterPosition") if name in file), 1)
    for axis in (2, 3) if text(file.attrs["DataType"]) == "FIRE" else (3, 2):
        if len(shape) == 4 and shape[axis] == emitters:
            return axis
    raise DataError(f"{path}: {UNKNOWN} (Data.IR of shape {shape}); get it again")


def _tracks(file: _File) -> list[Track]:
    """Lay out the directions of a file as tracks; see `SofaBank` for their names."""
    measurements, emitters = file.places.shape[:2]
    if emitters == 1:
        return [_track(file, "m", file.places[:, 0])]
    if measurements == 1:
        return [_track(file, "e", file.places[0])]
    return [_track(file, f"e{number}", file.places[:, number]) for number in range(emitters)]


def _track(file: _File, name: str, places: Floats) -> Track:
    azimuth = azimuth_of(places)
    distance = np.linalg.norm(places, axis=-1).tolist()
    return Track(
        room=file.path.stem,
        number=0,
        name=name,
        azimuth_deg=tuple(azimuth.tolist()),
        elevation_deg=tuple(elevation_of(places).tolist()),
        distance_m=tuple(distance) if file.known else (None,) * len(distance),
        closed=is_closed(azimuth),
    )


def _pair(track: str, index: int) -> tuple[int, int]:
    """Turn a direction of a track into (measurement, emitter)."""
    if track == "e":
        return 0, index
    return index, int(track[1:] or 0)


def _response(opened: Any, file: _File, measurement: int, emitter: int) -> Samples:
    """Read one response (R, L), moved to where its delay says."""
    where = [measurement, slice(None), slice(None), slice(None)][
        : 3 if not file.emitter_axis else 4
    ]
    if file.emitter_axis:
        where[file.emitter_axis] = emitter
    response = opened["Data.IR"][tuple(where)].astype(np.float32)
    if not file.longest_delay:
        return np.asarray(response)
    delays = opened["Data.Delay"][()]
    delays = delays[measurement if len(delays) > 1 else 0]  # (R or I[, E or I])
    delays = delays.reshape(len(delays), -1)
    return _delayed(response, delays[:, emitter if delays.shape[1] > 1 else 0], file.longest_delay)


def _delayed(response: Samples, samples: Floats, longest: int) -> Samples:
    """Move responses (R, N) to later, by parts of a sample too: (R, N + longest)."""
    length = response.shape[-1] + longest
    padded = length + 64  # takes up what rings before sample 0 and comes round
    turns = np.outer(samples, np.fft.rfftfreq(padded))
    spectrum = np.fft.rfft(response, padded) * np.exp(-2j * np.pi * turns)
    return np.fft.irfft(spectrum, padded)[:, :length].astype(np.float32)
