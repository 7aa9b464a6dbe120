"""The paper's Tables I and II with our figures in them: Markdown, LaTeX, CSV.

A row is what ``tsel report`` gathers of a run. Published figures have a column of their own and
are never mixed with ours.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence

from tselcli.report import Row, interval, markdown_table, number, printable, to_csv

COLUMNS = (
    "table",
    "row",
    "text_feature",
    "audio_feature",
    "fusion",
    "scenes",
    "mae_deg",
    "mae_deg_interval",
    "published_mae_deg",
    "selection",
    "selection_interval",
    "chance_mae_deg",
    "best_constant_mae_deg",
    "count",
    "labels",
    "model",
)
HEADINGS = (
    "Text feature",
    "Audio feature",
    "Fusion",
    "Scenes",
    "MAE ours [95 %]",
    "MAE paper",
    "Selection [95 %]",
    "Chance",
    "Best constant",
    "n",
    "Labels",
)
RIGHT = tuple(4 <= column < 10 for column in range(len(HEADINGS)))
TITLES = {
    "I": "Table I: simulated rooms, sources at rest, one azimuth for the clip",
    "II": "Table II: an azimuth for every frame",
}
NOTE = (
    "MAE in degrees, selection in %, brackets hold 95 % intervals over n scenes. MAE paper: "
    "published for the row that the recipe follows, with the paper's own encoders and sounds. "
    "Chance: any of the scene's directional sources, or any azimuth where there is one source."
)
NOT_COMPARABLE = (
    "The paper's figures in Table II are of measured rooms with moving sources, ours of "
    "simulated rooms with sources at rest: they cannot be compared."
)
SPECIAL = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    **{character: f"\\{character}" for character in "&%$#_{}"},
}


def tables_markdown(rows: Sequence[Row]) -> str:
    """Write the tables under their titles, padded for reading as plain text."""
    parts = [
        f"{TITLES[name]}\n\n{markdown_table(HEADINGS, lines, RIGHT)}"
        for name, lines in _tables(rows).items()
    ]
    return "\n".join([*parts, "\n".join(_notes(rows)) + "\n"])


def tables_latex(rows: Sequence[Row]) -> str:
    """Write the tables as plain ``tabular``, with nothing to load but LaTeX itself."""
    return (
        "\n".join(
            [*(_latex_table(TITLES[name], lines) for name, lines in _tables(rows).items())]
            + [f"% {note}" for note in _notes(rows)]
        )
        + "\n"
    )


def tables_csv(rows: Sequence[Row]) -> str:
    """Write the rows of both tables as one CSV, figures in full."""
    return to_csv(rows, COLUMNS)


WRITERS: Mapping[str, Callable[[Sequence[Row]], str]] = {
    "markdown": tables_markdown,
    "latex": tables_latex,
    "csv": tables_csv,
}


def _tables(rows: Sequence[Row]) -> dict[str, list[list[str]]]:
    """Sort the cells by table; a table without rows is left out."""
    tables: dict[str, list[list[str]]] = {}
    for row in rows:
        tables.setdefault(row["table"], []).append(_cells(row))
    return tables


def _cells(row: Row) -> list[str]:
    mae = number(row["mae_deg"], 1, ".2f") + interval(row["mae_deg_interval"], 1, ".2f")
    selection = number(row["selection"], 100, ".0f")
    return [
        *(printable(row[name]) for name in ("text_feature", "audio_feature", "fusion", "scenes")),
        mae,
        number(row["published_mae_deg"], 1, "g"),
        selection + interval(row["selection_interval"], 100, ".0f"),
        number(row["chance_mae_deg"], 1, ".2f"),
        number(row["best_constant_mae_deg"], 1, ".2f"),
        number(row["count"], 1, "d"),
        printable(", ".join(row["labels"])),
    ]


def _notes(rows: Sequence[Row]) -> list[str]:
    second = any(row["table"] == "II" and row["published_mae_deg"] is not None for row in rows)
    return [NOTE, NOT_COMPARABLE] if second else [NOTE]


def _latex_table(title: str, lines: Iterable[Sequence[str]]) -> str:
    columns = "".join("r" if right else "l" for right in RIGHT)
    body = [_latex_line(HEADINGS), r"\hline", *map(_latex_line, lines)]
    return "\n".join(
        [
            r"\begin{table*}",
            rf"\caption{{As the paper's {_latex(title)}.}}",
            rf"\begin{{tabular}}{{{columns}}}",
            r"\hline",
            *body,
            r"\hline",
            r"\end{tabular}",
            r"\end{table*}",
        ]
    )


def _latex_line(cells: Iterable[str]) -> str:
    return " & ".join(map(_latex, cells)) + r" \\"


def _latex(text: str) -> str:
    return "".join(SPECIAL.get(character, character) for character in text)
