"""Answers for people: a compass rose with the sounds around it, a line per query, warnings."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from tselcli.report import printable

Row = Mapping[str, Any]

SECTORS = (  # of 45 degrees, counter-clockwise from the front
    "front",
    "front left",
    "left",
    "back left",
    "back",
    "back right",
    "right",
    "front right",
)
ROSE = (15, 7)  # columns and lines
COLOURS = ("cyan", "yellow", "green", "magenta", "blue", "red")


def localize_summary(answers: Sequence[Row]) -> RenderableType:
    """Lay out answers for a terminal: a rose and a table per recording, errors below."""
    recordings: dict[tuple[str, str], list[Row]] = {}
    failures: list[RenderableType] = []
    for answer in answers:
        if "error" in answer:
            failures.append(Text(printable(str(answer["error"])), style="red"))
            continue
        recording = (str(answer["audio"]), str(answer.get("model", "")))
        recordings.setdefault(recording, []).append(answer)
    parts: list[RenderableType] = []
    for (audio, model), group in recordings.items():
        parts += [_title(audio, model), _beside(compass_rose(group), _answer_table(group))]
        parts += _warnings(group)
    return Group(*parts, *failures)


def compass_rose(answers: Sequence[Row]) -> Text:
    """Draw where the answers are, seen from above with the front at the top.

    Every query has its number from 1 (or *), and a small circle stands at the next best direction
    of the first. The microphones are in the middle.

            front
           · · · 1
         ·         ·
    left      +      right
         ·         ·
           · · · ·
    """
    width, height = ROSE
    cells: dict[tuple[int, int], tuple[str, str]] = {}
    for step in range(24):
        cells[_cell(15.0 * step)] = ("·", "dim")
    cells[height // 2, width // 2] = ("+", "dim")
    for answer in answers[:1]:
        for other in answer.get("alternatives", ())[:1]:
            cells[_cell(other["azimuth_deg"])] = ("o", "dim")
    for number, answer in reversed(list(enumerate(answers, start=1))):
        mark = str(number) if number < 10 else "*"
        absent = answer.get("present") is False
        style = "dim" if absent else f"bold {COLOURS[(number - 1) % len(COLOURS)]}"
        cells[_cell(answer["azimuth_deg"])] = (mark, style)
    rose = Text()
    for line in range(height):
        for column in range(width):
            rose.append(*cells.get((line, column), (" ", "")))
        rose.append("\n" if line + 1 < height else "")
    return rose


def _cell(azimuth_deg: float) -> tuple[int, int]:
    """Find the line and column of a direction; a character is twice as high as wide."""
    width, height = ROSE
    angle = math.radians(azimuth_deg)
    line = (height - 1) / 2 * (1 - math.cos(angle))
    column = (width - 1) / 2 * (1 - math.sin(angle))
    return round(line), round(column)


def direction_words(azimuth_deg: float) -> str:
    """Name the eighth of the circle that an azimuth (degrees, 0 = front, + = left) points to."""
    return SECTORS[round(azimuth_deg % 360.0 / 45.0) % len(SECTORS)]


def track_words(trajectory: Sequence[Row]) -> str:
    """Say from where to where a sound goes while it is heard, and when."""
    heard = [frame for frame in trajectory if frame["active"]]
    if not heard:
        return "not heard"
    first, last = heard[0], heard[-1]
    return (
        f"{first['azimuth_deg']:+.0f}° → {last['azimuth_deg']:+.0f}°\n"
        f"{first['time_s']:.1f} to {last['time_s'] + 0.1:.1f} s"
    )


def _title(audio: str, model: str) -> Text:
    title = Text(printable(audio), style="bold")
    return title.append(f"  {printable(model)}", style="dim") if model else title


def _beside(left: RenderableType, right: RenderableType) -> Table:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(width=ROSE[0], no_wrap=True)
    grid.add_column(ratio=1)
    grid.add_row(left, right)
    return grid


def _warnings(answers: Sequence[Row]) -> list[RenderableType]:
    """Give each warning once, and say of which query it is if it is not of all."""
    owners: dict[str, list[str]] = {}
    for answer in answers:
        absent = ["probably not there; the azimuth is a guess"]
        for warning in [
            *answer.get("warnings", ()),
            *(absent if answer.get("present") is False else ()),
        ]:
            owners.setdefault(str(warning), []).append(str(answer["query"]))
    lines: list[RenderableType] = []
    for warning, queries in owners.items():
        about = "" if len(queries) == len(answers) > 1 else f"{', '.join(queries)}: "
        lines.append(Text(f"! {printable(about + warning)}", style="yellow"))
    return lines


def _answer_table(answers: Sequence[Row]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("", no_wrap=True)
    table.add_column("Query", ratio=1, overflow="fold")
    table.add_column("Azimuth", justify="right", no_wrap=True)
    table.add_column("Direction", no_wrap=True)
    table.add_column("Sure", justify="right", no_wrap=True)
    table.add_column("Also possible", no_wrap=True)
    tracked = any("trajectory" in answer for answer in answers)
    if tracked:
        table.add_column("Track", no_wrap=True)
    for number, answer in enumerate(answers, start=1):
        style = "dim" if answer.get("present") is False else ""
        cells = [Text(str(number)), *_answer_cells(answer)]
        cells += [Text(track_words(answer.get("trajectory", ())))] if tracked else []
        table.add_row(*cells, style=style)
    return table


def _answer_cells(answer: Row) -> list[Text]:
    azimuth = float(answer["azimuth_deg"])
    others = [
        f"{other['azimuth_deg']:+.0f}° ({100 * other['score']:.0f} %)"
        for other in answer.get("alternatives", ())
    ]
    return [
        Text(printable(str(answer["query"])), style="bold"),
        Text(f"{round(azimuth, 1) + 0.0:+.1f}°"),
        Text(direction_words(azimuth)),
        Text(f"{100 * answer['confidence']:.0f} %"),
        Text("\n".join(others) or "-"),
    ]
