"""Tracks and their figures as text: CSV lines per frame, DCASE labels, and the table of an eval."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from tselcli.report import interval, markdown_table, number

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
FRAME_NOTE = (
    "Errors and selection are of the 100 ms frames in which the sound is active, averaged over "
    "clips.\nLE_CD, LR_CD and F20 are DCASE's, for one class and azimuth only."
)


def frame_markdown(rows: Iterable[Row]) -> str:
    """Write what DCASE measures of tracks as a Markdown table, to stand below the errors."""
    lines = [
        [
            str(row["system"]),
            number(row.get("le_cd_deg"), 1, ".1f")
            + interval(row.get("le_cd_deg_interval"), 1, ".1f"),
            number(row.get("lr_cd"), 100, ".0f") + interval(row.get("lr_cd_interval"), 100, ".0f"),
            number(row.get("f_20"), 100, ".0f") + interval(row.get("f_20_interval"), 100, ".0f"),
        ]
        for row in rows
    ]
    headings = ("System", "LE_CD [95 %]", "LR_CD", "F20")
    return f"\n{markdown_table(headings, lines, (False, True, True, True))}\n{FRAME_NOTE}\n"


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
    for query, answer in enumerate(answers):
        for frame in answer.get("trajectory", ()):
            if frame["active"]:
                azimuth = (round(frame["azimuth_deg"]) + 180) % 360 - 180
                rows.append((round(frame["time_s"] * FRAMES_PER_S), query, 0, azimuth, 0))
    return "".join(",".join(map(str, row)) + "\n" for row in sorted(rows))
