import csv
import dataclasses
import io
import json
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from tselcli import report

ANSWER = {
    "audio": "mix.wav",
    "query": "a vehicle accelerating",
    "model": "mask@12ab",
    "azimuth_deg": 41.46,
    "confidence": 0.831,
    "present": True,
    "alternatives": [{"azimuth_deg": -120.0, "score": 0.11}, {"azimuth_deg": 7.0, "score": 0.04}],
    "convention": "degrees, counter-clockwise, 0 = front, [-180, 180)",
}
ROW = {
    "system": "mask",
    "scenes": 300,
    "mae_deg": 13.64,
    "mae_deg_interval": [11.96, 15.31],
    "median_deg": 2.0,
    "acc_5": 0.615,
    "acc_10": 0.7,
    "acc_20": 1.0,
    "selection": 0.804,
    "selection_interval": [0.76, 0.85],
}


def shown(renderable, width=80, **options):
    console = Console(width=width, file=io.StringIO(), **options)
    console.print(renderable)
    return console.file.getvalue()


def test_json_is_one_strict_line():
    text = report.to_json({"a": float("nan"), "b": [np.inf, 1.5], "c": "zwei\nZeilen, Hündin"})
    assert "\n" not in text
    assert text.isascii()
    parsed = json.loads(text, parse_constant=pytest.fail)
    assert parsed == {"a": None, "b": [None, 1.5], "c": "zwei\nZeilen, Hündin"}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1 / 3, "0.333333"),
        (-0.0, "0.0"),
        (123456.789, "123457.0"),
        (1e-9, "1e-09"),
        (np.float32(0.1), "0.1"),
        (np.int64(7), "7"),
        (True, "true"),
        (np.bool_(False), "false"),
        (Path("a") / "b.wav", '"a/b.wav"'),
        (np.array([[1.0, 2.0]]), "[[1.0, 2.0]]"),
        (("x", None), '["x", null]'),
    ],
)
def test_values_in_json(value, text):
    assert report.to_json(value) == text


def test_data_classes_become_objects():
    @dataclasses.dataclass
    class Inner:
        out: Path

    @dataclasses.dataclass
    class Summary:
        inner: Inner
        seconds: float

    text = report.to_json(Summary(Inner(Path("runs")), 1.23456789))
    assert text == '{"inner": {"out": "runs"}, "seconds": 1.23457}'


def test_rounding_never_leaves_the_range_of_an_azimuth():
    assert json.loads(report.to_json({"azimuth_deg": 179.99999}))["azimuth_deg"] == -180.0
    assert report.to_csv([{"azimuth_deg": 179.99999}], ["azimuth_deg"], header=False) == "-180.0\n"
    assert json.loads(report.to_json({"azimuth_deg": 179.999}))["azimuth_deg"] == 179.999


def test_csv_reads_back():
    failed = {"audio": "b,1.wav", "query": 'say "hi"', "error": "b,1.wav: no such file"}
    rows = list(csv.DictReader(io.StringIO(report.to_csv([ANSWER, failed], report.ANSWER_COLUMNS))))
    assert rows[0]["azimuth_deg"] == "41.46"
    assert rows[0]["present"] == "1"
    assert rows[0]["alternatives"] == "-120.0:0.11;7.0:0.04"
    assert rows[0]["error"] == ""
    assert (rows[1]["audio"], rows[1]["query"]) == ("b,1.wav", 'say "hi"')
    assert rows[1]["confidence"] == ""


def test_csv_without_header_goes_on_with_a_file():
    whole = report.to_csv([ANSWER, ANSWER], report.ANSWER_COLUMNS)
    parts = report.to_csv([ANSWER], report.ANSWER_COLUMNS)
    parts += report.to_csv([ANSWER], report.ANSWER_COLUMNS, header=False)
    assert parts == whole


def test_eval_table_fits_a_terminal_of_80_columns():
    wide = {**ROW, "system": "best_constant", "mae_deg": 101.2, "mae_deg_interval": [95.1, 107.7]}
    text = shown(report.eval_table([ROW, wide], "300 scenes"))
    assert max(map(len, text.splitlines())) <= 80
    line = next(line for line in text.splitlines() if "mask" in line)
    cells = [cell for cell in line.strip().split("  ") if cell]
    expected = ["mask", "300", "13.6 [12.0, 15.3]", "2.0", "62", "70", "100", "80 [76, 85]"]
    assert [cell.strip() for cell in cells] == expected
    assert "101.2 [95.1, 107.7]" in text


def test_names_are_folded_in_a_terminal_and_never_cut():
    name, label = "paper-table1-clap-concat-two-directional@12345678", "random-weight encoder"
    published = {"mae_deg": 43.3, "table": "I", "row": 3}
    result = {"rows": [{**ROW, "system": name}], "labels": [label], "published": published}
    text = shown(report.eval_table(report.eval_rows(result)))
    assert max(map(len, text.splitlines())) <= 80
    column = "".join(line[1:16].strip() for line in text.splitlines())
    for part in (name, label, "paper, Table I row 3 (published)"):
        assert part.replace(" ", "") in column.replace(" ", "")
    assert "13.6 [12.0, 15.3]" in text


def test_markdown_table_has_the_same_cells_in_aligned_columns():
    chance = {"system": "by | chance", "mae_deg": 90.0, "selection": None}
    lines = report.eval_markdown([ROW, chance]).splitlines()
    table = lines[:4]
    assert len({len(line) for line in table}) == 1
    assert [cell.strip() for cell in table[2].strip("|").split(" | ")][:4] == [
        "mask",
        "300",
        "13.6 [12.0, 15.3]",
        "2.0",
    ]
    assert "by \\| chance" in table[3]
    assert [cell.strip() for cell in table[3].rstrip("| ").split(" | ")][1:] == [
        *("-", "90.0", "-", "-", "-", "-", "-")
    ]
    assert lines[-1] == report.EVAL_NOTE
