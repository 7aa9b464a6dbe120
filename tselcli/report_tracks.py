"""Tracks as text: CSV lines, labels of DCASE and of Audacity, and the figures of an eval."""

import cmath
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from tselcli.report import interval, markdown_table, number, printable

Row = Mapping[str, Any]

FRAMES_PER_S = 10
MOVED_DEG = 20.0
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
FOLD_NOTE = (
    "Front and back are folded: microphones in a line cannot tell them apart, so an azimuth and "
    "its\nmirror image beyond the line count alike, in chance too."
)
FRAME_NOTE = (
    "Errors and selection are of the 100 ms frames in which the sound is active, averaged over "
    "clips.\nLE_CD, LR_CD and F20 are DCASE's, for one class and azimuth only."
)


def below_table(result: Row) -> str:
    """Write what stands below the table of ``tsel eval``: how it counts, and tracks by DCASE."""
    note = f"{FOLD_NOTE}\n" if result.get("folded") else ""
    return note + (frame_markdown(result["rows"]) if "tracks" in result else "")


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


def to_audacity(answers: Iterable[Row]) -> str:
    """Write when and where sounds are heard as an Audacity label track (File > Import > Labels).

    Lines ``start<tab>end<tab>label``, in seconds and in the order of time, for every stretch in
    which a sound is heard; the label is its query and azimuth, or from where to where it moves.
    """
    rows = []
    for answer in answers:
        for frames in heard_stretches(answer.get("trajectory", ())):
            first, last = frames[0], frames[-1]
            label = f"{printable(str(answer['query']))} {_azimuth_words(frames)}"
            rows.append((first["time_s"], last["time_s"] + 1 / FRAMES_PER_S, label))
    return "".join(f"{start:.3f}\t{end:.3f}\t{label}\n" for start, end, label in sorted(rows))


def heard_stretches(trajectory: Iterable[Row]) -> list[list[Row]]:
    """Divide a trajectory into the runs of frames in which the sound is heard."""
    runs: list[list[Row]] = [[]]
    for frame in trajectory:
        if frame["active"]:
            runs[-1].append(frame)
        elif runs[-1]:
            runs.append([])
    return [run for run in runs if run]


def _azimuth_words(frames: Sequence[Row]) -> str:
    """Say where a sound is, or from where to where it goes if that is further than MOVED_DEG."""
    first, last = float(frames[0]["azimuth_deg"]), float(frames[-1]["azimuth_deg"])
    if abs((last - first + 180) % 360 - 180) > MOVED_DEG:
        return f"{first:+.0f}° → {last:+.0f}°"
    total = sum(cmath.rect(1.0, math.radians(frame["azimuth_deg"])) for frame in frames)
    return f"{math.degrees(cmath.phase(total)):+.0f}°"


LABELS: dict[str, Callable[[Iterable[Row]], str]] = {
    "dcase": to_dcase,
    "audacity": to_audacity,
}
