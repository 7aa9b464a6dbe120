"""The TAU Spatial Room Impulse Response database (TAU-SRIR DB, Zenodo 6408611).

Nine rooms, measured along circles or lines at several heights, as first-order ambisonics and as
four capsules on a rigid sphere. ``rirs_NN_room.mat`` holds the responses of a room (MATLAB v7.3,
which is HDF5), ``rirdata.mat`` the directions of all rooms, ``measinfo.mat`` the plan of the
measurement (both MATLAB v5). HDF5 reverses the axes of MATLAB::

    rirs(trajectory, height).foa   is   file[file["rirs/foa"][height, trajectory]]
    [7200 x 4 x directions]             (directions, 4, 7200)

Directions are on whole degrees and not in order: index is not azimuth. There is no room 07.
"""

import re
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tselcli.acoustics.ambience import find_ambiences
from tselcli.acoustics.geometry import Floats, MicArray, azimuth_of, elevation_of, parse_array
from tselcli.acoustics.hdf5 import (
    MAX_DIRECTIONS,
    MAX_SAMPLES,
    OpenFiles,
    check_indices,
    check_samples,
)
from tselcli.acoustics.mat5 import read_mat5
from tselcli.acoustics.measured import Channels, Track, is_closed
from tselcli.acoustics.rirs import Samples
from tselcli.errors import DataError
from tselcli.problems import did_you_mean

NUMBERS = {
    "bomb_shelter": 1,
    "gym": 2,
    "pb132": 3,
    "pc226": 4,
    "sa203": 5,
    "sc203": 6,
    "se203": 8,
    "tb103": 9,
    "tc352": 10,
}
SUBFOLDER = "TAU-SRIR_DB"
DIRECTIONS, PLAN = "rirdata.mat", "measinfo.mat"
FILE_NAME = re.compile(r"rirs_(\d+)_(.+)\.mat")
CAPSULES = "tetra:0.042"  # 4.2 cm; at 45 35, -45 -35, 135 -35, -135 35 degrees
Grid = dict[tuple[int, int], Floats]  # (trajectory, height) -> unit vectors (D, 3)
MAX_TABLE_BYTES = 64 << 20
AGAIN = "get it again (`tsel data fetch tau-srir`)"
MATLAB_DAMAGE = (
    MemoryError,  # of what a damaged length asks for
    OSError,
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    EOFError,
    NotImplementedError,
    zlib.error,
    struct.error,
)


@dataclass(frozen=True, eq=False)
class TauBank:
    """The rooms of TAU-SRIR that have a file; see `tselcli.acoustics.measured.RirBank`.

    Attributes:
        missing: names of the files that rirdata.mat speaks of and the folder lacks.
    """

    name: str
    sample_rate: int
    array: MicArray
    tracks: tuple[Track, ...]
    missing: tuple[str, ...]
    channels: Channels
    paths: dict[str, Path]
    ambiences: dict[str, Path]
    _files: OpenFiles = field(default_factory=OpenFiles, repr=False)

    def rirs(self, track: Track, indices: Sequence[int]) -> Samples:
        """Read the responses (len(indices), 4, L) of some directions of a track.

        Raises:
            DataError: the file is gone or damaged.
            IndexError: the track has no such direction.
        """
        check_indices(indices, len(track.azimuth_deg))
        path = self.paths[track.room]
        wanted, back = np.unique(np.asarray(indices, dtype=np.int64), return_inverse=True)
        trajectory, height = map(int, re.findall(r"\d+", track.name))
        # What single precision cannot hold becomes infinite, and is refused below.
        with self._files.reading(path) as file, np.errstate(over="ignore", invalid="ignore"):
            responses = file[file["rirs/" + self.channels][height, trajectory]]
            read = np.empty((len(wanted), *responses.shape[1:]), dtype=np.float32)
            for row, index in enumerate(wanted):
                read[row] = responses[int(index)]
        return check_samples(path, f"{track.name} of {track.room}", read)[back]


def find_tau(path: Path) -> Path | None:
    """Return the folder of TAU-SRIR, which may stand inside the one named; None is none."""
    for folder in (path, path / SUBFOLDER):
        if (folder / DIRECTIONS).is_file() or any(folder.glob("rirs_*.mat")):
            return folder
    return None


def open_tau(folder: Path, channels: Channels = "foa") -> TauBank:
    """Open TAU-SRIR, or the part of it that is there.

    Args:
        folder: with ``rirdata.mat`` and at least one ``rirs_NN_room.mat``.
        channels: first-order ambisonics, or the four capsules.

    Raises:
        DataError: a file is missing or damaged, or does not fit ``rirdata.mat``.
    """
    sample_rate, rooms = _read_directions(folder / DIRECTIONS)
    paths = _find_rooms(folder, list(rooms))
    files, tracks = OpenFiles(), []
    plan = _read_plan(folder / PLAN, list(rooms))
    for room, (number, path) in paths.items():
        _check_room(files, path, channels, rooms[room])
        for (trajectory, height), doa in rooms[room].items():
            azimuth, elevation = azimuth_of(doa), elevation_of(doa)
            tracks.append(
                Track(
                    room=room,
                    number=number,
                    name=f"t{trajectory}h{height}",
                    azimuth_deg=tuple(azimuth.tolist()),
                    elevation_deg=tuple(elevation.tolist()),
                    distance_m=_distances(plan.get(room), trajectory, doa),
                    closed=is_closed(azimuth),
                )
            )
    return TauBank(
        name=f"tau-srir:{channels}",
        sample_rate=sample_rate,
        array=parse_array(CAPSULES)
        if channels == "mic"
        else MicArray("foa", ((0.0, 0.0, 0.0),) * 4, "acn-sn3d"),
        tracks=tuple(tracks),
        missing=tuple(_file_name(room) for room in rooms if room not in paths),
        channels=channels,
        paths={room: path for room, (_, path) in paths.items()},
        ambiences=find_ambiences(folder, channels, {t.room: t.number for t in tracks}),
        _files=files,
    )


def _read_table(path: Path, name: str) -> Any:
    """Read the variable of a MATLAB v5 file."""
    try:
        if path.stat().st_size > MAX_TABLE_BYTES:
            raise DataError(f"{path}: {path.stat().st_size >> 20} MB is no table; {AGAIN}")
        return read_mat5(path)[name]
    except FileNotFoundError as problem:
        raise DataError(
            f"{path}: no such file, and without it no direction is known; it comes in the same "
            f"archive as the rooms, {AGAIN}"
        ) from problem
    except MATLAB_DAMAGE as problem:
        raise DataError(f"{path}: cut, damaged or not of TAU-SRIR; {AGAIN}") from problem


def _read_directions(path: Path) -> tuple[int, dict[str, Grid]]:
    """Read the sample rate, and the directions of each room."""
    table = _read_table(path, "rirdata")
    try:
        sample_rate = int(table[0, 0][0].item())
        rooms = {str(room["name"].item()): _grid(room) for room in table[0, 0]["room"].ravel()}
    except MATLAB_DAMAGE as problem:
        raise DataError(f"{path}: not laid out as in TAU-SRIR ({problem}); {AGAIN}") from problem
    if not 8_000 <= sample_rate <= 192_000 or not rooms:
        raise DataError(f"{path}: {len(rooms)} rooms at {sample_rate} Hz make no sense; {AGAIN}")
    return sample_rate, rooms


def _grid(room: Any) -> Grid:
    """Read the unit vectors (D, 3) of a room by trajectory and height."""
    grid, counts = room["rirs"], np.asarray(room["nRirs"]).astype(np.int64)
    found = {}
    for trajectory in range(grid.shape[0]):
        for height in range(grid.shape[1]):
            doa = np.asarray(grid[trajectory, height]["doa_xyz"], dtype=np.float64)
            fits = doa.shape == (counts[trajectory, height], 3) and len(doa)
            if not fits or np.abs(np.linalg.norm(doa, axis=1) - 1).max() > 0.01:
                place = f"{room['name'].item()}, trajectory {trajectory}, height {height}"
                raise ValueError(f"no unit vectors, or not as many as nRirs says: {place}")
            found[trajectory, height] = doa
    return found


def _find_rooms(folder: Path, rooms: list[str]) -> dict[str, tuple[int, Path]]:
    """Find the files of the rooms, in the order of their numbers: room -> (number, path)."""
    found: dict[str, tuple[int, Path]] = {}
    for path in sorted(folder.glob("rirs_*.mat")):
        match = FILE_NAME.fullmatch(path.name)
        if match is None or match[2] not in rooms:
            word = match[2] if match else path.stem
            raise DataError(
                f"{path}: {DIRECTIONS} knows no room '{word}'{did_you_mean(word, rooms)}; "
                f"rename the file (rirs_NN_room.mat) or move it away"
            )
        room, number = match[2], int(match[1])
        if number != NUMBERS.get(room, number) or room in found:
            raise DataError(
                f"{path}: {room} is room {NUMBERS.get(room, found.get(room, (0,))[0])}, "
                f"not {number}; rename the file or move it away"
            )
        found[room] = (number, path)
    if not found:
        raise DataError(
            f"{folder}: holds no rirs_NN_room.mat; `tsel data fetch tau-srir` gets them"
        )
    return dict(sorted(found.items(), key=lambda item: item[1][0]))


def _file_name(room: str) -> str:
    return f"rirs_{NUMBERS[room]:02d}_{room}.mat" if room in NUMBERS else f"rirs_*_{room}.mat"


def _check_room(files: OpenFiles, path: Path, channels: Channels, grid: Grid) -> None:
    """Compare the shapes of a room's responses with its directions; no response is read."""
    trajectories, heights = (1 + last for last in max(grid))
    with files.reading(path) as file:
        group = file.get("rirs/" + channels)
        shape = None if group is None else group.shape
        if shape != (heights, trajectories):
            raise DataError(
                f"{path}: 'rirs/{channels}' has shape {shape} instead of {(heights, trajectories)} "
                f"(heights, trajectories) as {DIRECTIONS} says; {AGAIN}"
            )
        for (trajectory, height), doa in grid.items():
            reference = group[height, trajectory]
            found: tuple[int, ...] = file[reference].shape if reference else ()
            fits = len(found) == 3 and found[:2] == (len(doa), 4) and found[2] > 0
            if not fits or 4 * found[2] > MAX_SAMPLES or len(doa) > MAX_DIRECTIONS:
                raise DataError(
                    f"{path}: trajectory {trajectory}, height {height} of '{channels}' has shape "
                    f"{found} instead of ({len(doa)}, 4, 7200) as {DIRECTIONS} says; {AGAIN}"
                )


def _read_plan(path: Path, rooms: list[str]) -> dict[str, tuple[str, Floats]]:
    """Read kind and distances of each room, where they can be read: they are not needed.

    The table has the rooms of ``rirdata.mat`` in the same order. Not all of its names are
    certain, so a field without the name that we know is taken by its position.
    """
    try:
        table = _read_table(path, "measinfo").ravel()
        kind, distances = (
            name if name in table.dtype.names else table.dtype.names[position]
            for name, position in (("trajectoryType", 9), ("distances", 6))
        )
        return {
            room: (str(row[kind].item()), np.asarray(row[distances], dtype=np.float64))
            for room, row in zip(rooms, table, strict=True)
        }
    except (DataError, *MATLAB_DAMAGE):
        return {}


def _distances(
    plan: tuple[str, Floats] | None, trajectory: int, doa: Floats
) -> tuple[float | None, ...]:
    """Work out how far each direction (D, 3) is, as the trajectory was planned.

    A circle has its distance from the vertical axis through the array, a line two end points:
    the ray of the azimuth meets it somewhere. Both are seen from above, so the elevation of the
    direction lengthens the way.
    """
    kind, planned = plan or ("", np.zeros(0))
    flat = np.hypot(doa[:, 0], doa[:, 1])
    level = np.full(len(doa), np.nan)
    if kind == "circular" and planned.size > trajectory:
        level[:] = planned.ravel()[trajectory]
    elif kind == "linear" and planned.shape[:2] == (2, 3) and planned.size > 6 * trajectory:
        start, end = planned.reshape(2, 3, -1)[:, :2, trajectory]
        along = end - start
        ray = doa[:, :2] / np.maximum(flat, 1e-9)[:, None]
        across = ray[:, 0] * along[1] - ray[:, 1] * along[0]
        with np.errstate(divide="ignore", invalid="ignore"):
            level = (start[0] * along[1] - start[1] * along[0]) / across
    with np.errstate(divide="ignore", invalid="ignore"):
        metres = level / flat
    return tuple(float(m) if 0.05 < m < 100.0 else None for m in metres)
