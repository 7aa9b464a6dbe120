"""Draws what a model heard: the spectrogram, coloured where it is of the described sound."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from tselcli.plots import COLOURS, DPI, STYLE, WIDTH_IN, Line, draw_line, save_figure, short

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from tselcli.models.masks import CellMask

RANGE_DB = 60  # of the spectrogram: below it everything is white
MAX_COLUMNS = 2000  # of a picture; a long recording is averaged
TICKS_HZ = (125, 250, 500, 1000, 2000, 4000, 8000, 16_000)
PANEL_IN = 0.28  # height of a spectrogram over the width of the figure


def draw_heard(path: Path, lines: Sequence[Line], masks: Sequence["CellMask"], title: str) -> None:
    """Draw azimuth over time and, below it, what was heard of every sound.

    Args:
        path: PNG, SVG or PDF file.
        lines: a track for every mask; without azimuths only their names are used.
        masks: of the described sounds.
        title: above the figure.

    Raises:
        DataError: the file cannot be written.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    tracked = len(lines[0].azimuth_deg) > 0
    heights = [0.5] * tracked + [PANEL_IN] * len(masks)
    with rc_context(STYLE):
        size = (WIDTH_IN, WIDTH_IN * (sum(heights) + 0.2))
        figure = Figure(figsize=size, dpi=DPI, layout="constrained")
        panels = figure.subplots(
            len(heights), sharex=True, squeeze=False, height_ratios=heights
        ).ravel()
        length_s = len(masks[0].share) * masks[0].step_s
        if tracked:
            _draw_tracks(panels[0], lines)
        for number, (line, mask) in enumerate(zip(lines, masks, strict=True)):
            colour = COLOURS[number % len(COLOURS)]
            _draw_mask(panels[tracked + number], short(line.name), mask, colour)
        panels[0].set_title(short(title))
        panels[-1].set_xlabel("Time (s)")
        panels[-1].set_xlim(0, length_s)
        save_figure(figure, path)


def _draw_tracks(axes: "Axes", lines: Sequence[Line]) -> None:
    for number, line in enumerate(lines):
        draw_line(axes, line, COLOURS[number % len(COLOURS)])
    axes.set_ylabel("Azimuth (°)")
    axes.set_ylim(-180, 180)
    axes.set_yticks(range(-180, 181, 90))
    axes.grid(linewidth=0.3, alpha=0.5)


def _draw_mask(axes: "Axes", name: str, mask: "CellMask", colour: str) -> None:
    """Draw the spectrogram in grey, and in colour what the mask keeps of it."""
    from matplotlib.colors import to_rgb

    step = -(-len(mask.share) // MAX_COLUMNS)
    share, level_db = _averaged(mask.share, step), _averaged(mask.level_db, step)
    ink = np.clip(1 + level_db / RANGE_DB, 0, 1).T[..., None]  # (M, T, 1)
    tint = share.T[..., None] * np.array(to_rgb(colour)) + (1 - share.T[..., None]) * 0.6
    length_s = len(mask.share) * mask.step_s
    picture = 1 - ink * (1 - tint)
    extent = (0.0, length_s, 0.0, float(len(mask.band_hz)))
    axes.imshow(picture, origin="lower", aspect="auto", extent=extent, interpolation="nearest")
    marks = [hertz for hertz in TICKS_HZ if mask.band_hz[0] < hertz < mask.band_hz[-1]][1::2]
    places = np.interp(marks, mask.band_hz, np.arange(len(mask.band_hz)) + 0.5)
    axes.set_yticks(places, [f"{hertz / 1000:g}" for hertz in marks])
    axes.set_ylabel("Frequency\n(kHz)")
    style: dict[str, Any] = {"facecolor": "white", "alpha": 0.8, "linewidth": 0, "pad": 1.5}
    axes.text(
        0.01, 0.95, name, color=colour, transform=axes.transAxes, va="top", fontsize=7, bbox=style
    )


def _averaged(values: npt.NDArray[Any], step: int) -> npt.NDArray[np.float64]:
    """Average every ``step`` frames of (T, M)."""
    starts = np.arange(0, len(values), step)
    counts = np.diff(np.append(starts, len(values)))[:, None]
    return np.asarray(np.add.reduceat(values.astype(np.float64), starts, axis=0) / counts)
