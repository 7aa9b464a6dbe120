"""STARSS22 and STARSS23: real recordings with labels of who sounded where, as questions.

A folder as it is unpacked, with any of the two kinds of audio:

    metadata_dev/dev-{train,test}-{sony,tau}/fold4_room1_mix001.csv
    mic_dev/dev-{train,test}-{sony,tau}/fold4_room1_mix001.wav      four microphones
    foa_dev/...                                                     first-order ambisonics

A label is ``frame,class,source,azimuth,elevation[,distance_cm]`` without a header: frames of
100 ms from 0, degrees, azimuth counter-clockwise from the front. A recording is cut into windows
of 10 s; in each of them every class with exactly one source is asked for, if another sound is
there as well (K. Shimada et al., "STARSS23", NeurIPS 2023; A. Politis et al., "STARSS22", 2022).
"""

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import soundfile

from tselcli.errors import DataError

FRAME_S = 0.1
WINDOW_FRAMES = 100
PARTS = {"train": "dev-train-*", "test": "dev-test-*"}
QUERIES = (  # of the 13 classes, in their order
    "a woman speaking",
    "a man speaking",
    "people clapping",
    "a telephone ringing",
    "a person laughing",
    "domestic sounds of a household",
    "footsteps of a person walking",
    "a door opening or closing",
    "music playing",
    "a musical instrument being played",
    "water running from a tap",
    "a bell ringing",
    "a knock on a door",
)
CENTIMETRE = 0.01


@dataclass(frozen=True)
class Event:
    """One source of one class in a window.

    Attributes:
        label: number of the class.
        place: azimuth and elevation in degrees, distance in metres (NaN in STARSS22), (T, 3);
            where the source is silent, its place before, or else after.
        active: when it sounds (T,).
    """

    label: int
    place: npt.NDArray[np.float64]
    active: npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Window:
    """Ten seconds of a recording, and what is asked about them; the first event is the target."""

    audio: Path
    start_s: float
    stop_s: float
    events: tuple[Event, ...]

    @property
    def query(self) -> str:
        """The description of the target."""
        return QUERIES[self.events[0].label]


def find_windows(folder: Path, split: str, kind: str) -> list[Window]:
    """Find every question of a split, in the order of file names and time.

    Args:
        folder: holds ``metadata_dev``.
        split: train or test.
        kind: of the audio, ``mic`` or ``foa``.

    Raises:
        DataError: no such folder or split, a recording that is missing, a bad label file, or
            no window to ask about.
    """
    if split not in PARTS:
        raise DataError(f"{folder}: STARSS has no split '{split}'; use --split test or train")
    labels = sorted((folder / "metadata_dev").glob(f"{PARTS[split]}/*.csv"))
    if not labels:
        raise DataError(
            f"{folder}: no metadata_dev/{PARTS[split]}/*.csv in it; give the folder in which "
            "STARSS22 or STARSS23 was unpacked"
        )
    windows = []
    for path in labels:
        audio = folder / f"{kind}_dev" / path.parent.name / f"{path.stem}.wav"
        rows = read_labels(path)
        for first in range(0, _frames(audio) - WINDOW_FRAMES + 1, WINDOW_FRAMES):
            events = _events(rows, first)
            windows += [_ask(audio, first, events, at) for at in _targets(events)]
    if not windows:
        raise DataError(f"{folder}: no 10 s with one source of a class and another sound beside it")
    return windows


def read_labels(path: Path) -> npt.NDArray[np.float64]:
    """Read a DCASE label file of 2022 (5 columns) or 2023 (6 columns).

    Returns:
        (N, 6): frame, class, source, azimuth and elevation in degrees, distance in metres or
        NaN.

    Raises:
        DataError: it cannot be read, or a line is no label.
    """
    rows = []
    try:
        with path.open(newline="", encoding="utf-8") as file:
            for number, cells in enumerate(csv.reader(file), start=1):
                if cells:
                    rows.append(_label(cells, f"{path}:{number}"))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: cannot be read ({error}); copy it again") from error
    return np.array(rows, dtype=np.float64).reshape(-1, 6)


def _label(cells: list[str], where: str) -> list[float]:
    try:
        values = [float(cell) for cell in cells]
    except ValueError:
        values = []
    whole = len(values) in (5, 6) and np.isfinite(values).all()
    if not whole or values[0] < 0 or values[1] not in range(len(QUERIES)):
        raise DataError(
            f"{where}: {','.join(cells)!r} is no label; it must read "
            "frame,class (0 to 12),source,azimuth,elevation[,distance]"
        )
    distance = values[5] * CENTIMETRE if len(values) == 6 else np.nan
    return [*values[:3], (values[3] + 180) % 360 - 180, values[4], distance]


def _frames(audio: Path) -> int:
    """Count the whole frames of a recording."""
    try:
        header: Any = soundfile.info(str(audio))
    except (soundfile.LibsndfileError, OSError) as error:
        raise DataError(f"{audio}: missing or damaged; unpack the audio again") from error
    return int(header.frames / header.samplerate / FRAME_S + 1e-6)


def _events(rows: npt.NDArray[np.float64], first: int) -> list[Event]:
    """Gather the labels of a window by class and source.

    Several labels of one class and source in a frame are as many events.
    """
    inside = rows[(rows[:, 0] >= first) & (rows[:, 0] < first + WINDOW_FRAMES)]
    places: dict[tuple[int, int, int], npt.NDArray[np.float64]] = {}
    seen: dict[tuple[int, int, int], int] = {}
    for frame, label, source, *place in inside.tolist():
        moment = (int(frame), int(label), int(source))
        seen[moment] = seen.get(moment, 0) + 1
        empty = np.full((WINDOW_FRAMES, 3), np.nan)
        track = places.setdefault((int(label), int(source), seen[moment]), empty)
        track[int(frame) - first] = place
    return [_event(label, track) for (label, _, _), track in sorted(places.items(), key=_key)]


def _key(item: tuple[tuple[int, int, int], Any]) -> tuple[int, int, int]:
    return item[0]


def _event(label: int, track: npt.NDArray[np.float64]) -> Event:
    active = ~np.isnan(track[:, 0])
    frames = np.where(active, np.arange(len(track)), -1)
    before = np.maximum.accumulate(frames)
    held = np.where(before < 0, int(active.argmax()), before)
    return Event(label, track[held], active)


def _targets(events: list[Event]) -> list[int]:
    """List the events that are the only one of their class, if they are not alone."""
    labels = [event.label for event in events]
    return [at for at, label in enumerate(labels) if labels.count(label) == 1 and len(labels) > 1]


def _ask(audio: Path, first: int, events: list[Event], target: int) -> Window:
    others = [event for at, event in enumerate(events) if at != target]
    start_s = round(first * FRAME_S, 6)
    stop_s = round((first + WINDOW_FRAMES) * FRAME_S, 6)
    return Window(audio, start_s, stop_s, (events[target], *others))
