"""The only place that draws: azimuth over time, and posteriors around the circle.

Figures are made for a column of a paper. matplotlib takes a second to import, so nobody who draws
nothing waits for it; no window is ever opened.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from tselcli.errors import DataError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Array = npt.NDArray[Any]
FORMATS = (".png", ".svg", ".pdf")
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")  # Okabe and Ito
RIVAL = "#999999"
FRAME_S = 0.1
WIDTH_IN, DPI = 3.5, 300  # a column
NAME_LETTERS = 40
STYLE = {
    "font.size": 8,
    "axes.titlesize": 8,
    "legend.fontsize": 7,
    "axes.linewidth": 0.6,
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "tsel",
}


@dataclass(frozen=True)
class Line:
    """One azimuth over time.

    Attributes:
        name: for the legend.
        azimuth_deg: one per 100 ms (T,).
        active: where the line is drawn boldly (T,); None is everywhere.
        kind: ``answer`` in colour, ``truth`` in black, ``rival`` (another source) in grey, and
            ``baseline`` as dots.
    """

    name: str
    azimuth_deg: Array
    active: npt.NDArray[np.bool_] | None = None
    kind: Literal["answer", "truth", "rival", "baseline"] = "answer"


def draw_tracks(path: Path, lines: Sequence[Line], title: str) -> None:
    """Draw azimuths over time, as Figure 4 of the founding paper does.

    Args:
        path: PNG, SVG or PDF file.
        lines: what to draw.
        title: above the figure.

    Raises:
        DataError: the file cannot be written.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context(STYLE):
        figure = Figure(figsize=(WIDTH_IN, 0.7 * WIDTH_IN), dpi=DPI, layout="constrained")
        axes = figure.add_subplot()
        colours = iter(COLOURS * len(lines))
        for line in lines:
            draw_line(axes, line, next(colours) if line.kind == "answer" else "black")
        axes.set_title(short(title))
        axes.set_xlabel("Time (s)")
        axes.set_ylabel("Azimuth (°)")
        axes.set_ylim(-180, 180)
        axes.set_yticks(range(-180, 181, 60))
        axes.set_xlim(0, max(len(line.azimuth_deg) for line in lines) * FRAME_S)
        axes.grid(linewidth=0.3, alpha=0.5)
        figure.legend(loc="outside lower center", ncols=2, frameon=False, handlelength=1.5)
        save_figure(figure, path)


def draw_line(axes: "Axes", line: Line, colour: str) -> None:
    """Draw a line boldly where the sound is active, and thinly where it pauses."""
    azimuth = np.asarray(line.azimuth_deg, dtype=np.float64)
    active = np.ones(len(azimuth), bool) if line.active is None else line.active
    name = short(line.name)
    time_s = (np.arange(len(azimuth)) + 0.5) * FRAME_S
    if line.kind == "baseline":
        axes.plot(time_s, azimuth, ".", color=RIVAL, markersize=2, label=name, zorder=1)
        return
    colour = RIVAL if line.kind == "rival" else colour
    width = {"truth": 2.6, "rival": 2.6, "answer": 1.2}[line.kind]
    layer = 3 if line.kind == "answer" else 2
    bold = np.where(active, azimuth, np.nan)
    axes.plot(*unwrapped(time_s, bold), color=colour, linewidth=width, label=name, zorder=layer)
    if line.kind == "answer":
        whole = unwrapped(time_s, azimuth)
        axes.plot(*whole, color=colour, linewidth=0.5, linestyle=":", zorder=layer)


def unwrapped(time_s: Array, azimuth_deg: Array) -> tuple[Array, Array]:
    """Break a line where it crosses the seam, so that no vertical stroke is drawn.

    Args:
        time_s: (T,).
        azimuth_deg: (T,), NaN where nothing is to be drawn.

    Returns:
        Both (T + 3 for every crossing,): the line goes on to the edge, and comes in again from
        the other one.
    """
    times: list[float] = []
    azimuths: list[float] = []
    for time, azimuth in zip(time_s.tolist(), azimuth_deg.tolist(), strict=True):
        if azimuths and abs(azimuth - azimuths[-1]) > 180:
            edge = 180.0 if azimuths[-1] > 0 else -180.0
            turn = (azimuth - azimuths[-1] + 180) % 360 - 180
            share = (edge - azimuths[-1]) / turn
            crossing = times[-1] + share * (time - times[-1])
            times += [crossing, crossing, crossing]
            azimuths += [edge, np.nan, -edge]
        times.append(time)
        azimuths.append(azimuth)
    return np.array(times), np.array(azimuths)


def draw_posteriors(path: Path, answers: Sequence[tuple[str, float, Array]], title: str) -> None:
    """Draw how likely each direction is, seen from above with the front at the top.

    Args:
        path: PNG, SVG or PDF file.
        answers: query, azimuth in degrees, and posterior over the whole circle from -180 (A,).
        title: above the figure.

    Raises:
        DataError: the file cannot be written.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context(STYLE):
        figure = Figure(figsize=(WIDTH_IN, WIDTH_IN), dpi=DPI, layout="constrained")
        axes: Any = figure.add_subplot(projection="polar")
        axes.set_theta_zero_location("N")
        for number, (query, azimuth, posterior) in enumerate(answers):
            colour = COLOURS[number % len(COLOURS)]
            angles = np.deg2rad(np.linspace(-180, 180, len(posterior) + 1))
            height = np.append(posterior, posterior[0]) / posterior.max()
            axes.plot(angles, height, color=colour, linewidth=1)
            axes.fill(angles, height, color=colour, alpha=0.2)
            name = f"{short(query)}: {azimuth:+.0f}°"
            axes.plot(np.deg2rad(azimuth), 1.0, "o", color=colour, markersize=3, label=name)
        marks = ["0°\nfront", "45°", "90°\nleft ", "135°", "±180°", "-135°", "-90°\n right", "-45°"]
        axes.set_thetagrids(range(0, 360, 45), marks)
        axes.set_ylim(0, 1.05)
        axes.set_yticks([0.5, 1.0], labels=[])
        axes.grid(linewidth=0.3, alpha=0.5)
        axes.set_title(short(title))
        figure.legend(loc="outside lower center", frameon=False)
        save_figure(figure, path)


def short(text: str) -> str:
    """Cut a long name, and keep what matplotlib would read as a formula from being read so."""
    text = "".join(letter if letter.isprintable() else " " for letter in text)
    text = text if len(text) <= NAME_LETTERS else text[: NAME_LETTERS - 1] + "…"
    return text.replace("$", r"\$").removeprefix("_")  # a leading _ hides it from the legend


def save_figure(figure: "Figure", path: Path) -> None:
    """Write a figure as PNG, SVG or PDF; the same figure gives the same file.

    Raises:
        DataError: the file cannot be written.
    """
    form = path.suffix.lower().removeprefix(".")
    dates = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}
    picture = io.BytesIO()
    figure.savefig(picture, format=form, metadata=dates.get(form))
    try:
        path.write_bytes(picture.getvalue())
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}; give another place for the plot") from error
