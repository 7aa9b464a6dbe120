"""What stands below the table of ``tsel eval``: presence, confidence, and figures by kind."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tselcli.report import interval, markdown_table, number, printable

Row = Mapping[str, Any]

TITLES = {
    "level": "Level over the loudest other source, dB",
    "angle": "Angle to the nearest other source, degrees",
    "rt60": "RT60 at the array, s",
    "sources": "Sources",
    "label": "Worst labels",
}
WITH_INTERVAL = ("mae_deg_interval", "selection_interval")
HEADINGS = ("Scenes", "MAE [95 %]", "Median", "@10", "Selection [95 %]")


def certainty_text(result: Row) -> str:
    """Write what ``tsel eval`` found of presence and confidence, a line each; what it has."""
    lines = []
    presence, confidence = result.get("presence"), result.get("confidence")
    if presence:
        lines.append(
            f"Presence: AUROC {_rate(presence, 'auroc', 1, '.3f')}; called present: "
            f"{_rate(presence, 'found')} % of what is there, "
            f"{_rate(presence, 'false_alarms')} % of {presence['absent']} absent sounds.\n"
        )
    if confidence:
        lines.append(
            f"Confidence: {_rate(confidence, 'confidence')} % on average, "
            f"{_rate(confidence, 'accuracy')} % within 10 degrees; calibration error "
            f"{_rate(confidence, 'calibration_error')} %.\n"
        )
    return "".join(["\n", *lines] if lines else [])


def breakdown_markdown(tables: Mapping[str, Iterable[Row]]) -> str:
    """Write the model's figures by kinds of scenes, a Markdown table for every key."""
    texts = []
    for key, rows in tables.items():
        headings = (TITLES[key], *HEADINGS)
        right = [heading != TITLES[key] for heading in headings]
        texts.append("\n" + markdown_table(headings, map(_cells, rows), right))
    return "".join(texts)


def _cells(row: Row) -> Sequence[str]:
    spread = row if row["scenes"] > 1 else {**row, **dict.fromkeys(WITH_INTERVAL)}  # one has none
    return [
        printable(str(row["bin"])),
        number(row["scenes"], 1, "d"),
        _rate(spread, "mae_deg", 1, ".1f"),
        number(row["median_deg"], 1, ".1f"),
        number(row["acc_10"], 100, ".0f"),
        _rate(spread, "selection"),
    ]


def _rate(figures: Row, name: str, scale: int = 100, pattern: str = ".0f") -> str:
    """Write a figure with its interval."""
    bounds = interval(figures.get(f"{name}_interval"), scale, pattern)
    return number(figures[name], scale, pattern) + bounds
