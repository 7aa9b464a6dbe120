"""Tracks and their figures as text: CSV lines per frame, DCASE labels, and the table of an eval."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

Row = Mapping[str, Any]

FRAMES_PER_S = 10
TRACK_COLUMNS = (
    "audio",
    "query",
    "model",
    "time_s",
    "azimuth_deg",
    "confidence",
    "active",
    "error",
)


def frame_rows(answer: Row) -> Iterator[Row]:
    """Give a row of TRACK_COLUMNS for every frame of an answer; an error is one row."""
    if "error" in answer:
        yield answer
    whole = {key: answer[key] for key in ("audio", "query", "model") if key in answer}
    for frame in answer.get("trajectory", ()):
        yield {**whole, **frame}


def to_dcase(answers: Iterable[Row]) -> str:
    """Write the tracks of one recording as DCASE 2020 to 2022 labels.

    Lines ``frame,class,source,azimuth,elevation`` without a header, for the frames of 100 ms in
    which a sound is heard, in the order of frames. Class is the number of the query from 0, the
    source is always 0, angles are whole degrees, azimuth in [-180, 180), and the elevation,
    which is not estimated, is 0.
    """
    rows = []
    for number, answer in enumerate(answers):
        for frame in answer.get("trajectory", ()):
            if frame["active"]:
                azimuth = (round(frame["azimuth_deg"]) + 180) % 360 - 180
                rows.append((round(frame["time_s"] * FRAMES_PER_S), number, 0, azimuth, 0))
    return "".join(",".join(map(str, row)) + "\n" for row in sorted(rows))
