import csv
import io
import re

from tselcli.report_tables import COLUMNS, NOT_COMPARABLE, WRITERS

FIGURES = ("I", 2, "CLAP", "GCC-PHAT", "Concat", "Two dir.", 31.254, (26.5, 36.0), 32.15, 0.664)
FIGURES += ((0.6, 0.71), 44.5, 88.75, 300, ["random-weight encoder", "2 of 3"], "x@12345678")
FIRST = dict(zip(COLUMNS, FIGURES, strict=True))
BARE = {
    **dict.fromkeys(COLUMNS),
    **{"table": "I", "text_feature": "compact", "audio_feature": "log-mel, SRP-PHAT"},
    **{"fusion": "mask, then steer", "scenes": "One dir., one add.", "mae_deg": 4.0, "labels": []},
}
SECOND = {**FIRST, "table": "II", "row": 4, "published_mae_deg": 49.18}


def cells(line):
    bare = line.removeprefix("| ").removesuffix(" |").removesuffix(r" \\")
    return [cell.strip() for cell in re.split(r"(?<!\\)[|&]", bare)]


def test_markdown_has_every_figure_under_its_heading():
    lines = WRITERS["markdown"]([FIRST, BARE]).splitlines()
    assert lines[0].startswith("Table I:")
    named = dict(zip(cells(lines[2]), cells(lines[4]), strict=True))
    assert named == {
        "Text feature": "CLAP",
        "Audio feature": "GCC-PHAT",
        "Fusion": "Concat",
        "Scenes": "Two dir.",
        "MAE ours [95 %]": "31.25 [26.50, 36.00]",
        "MAE paper": "32.15",
        "Selection [95 %]": "66 [60, 71]",
        "Chance": "44.50",
        "Best constant": "88.75",
        "n": "300",
        "Labels": "random-weight encoder, 2 of 3",
    }
    assert cells(lines[5])[3:] == ["One dir., one add.", "4.00", *"-----", ""]
    assert len({len(line) for line in lines[2:6]}) == 1


def test_each_table_has_its_own_title_and_an_empty_one_is_left_out():
    text = WRITERS["markdown"]([FIRST, SECOND])
    assert text.index("Table I:") < text.index("32.15") < text.index("Table II:")
    assert text.index("Table II:") < text.index("49.18")
    assert "Table II:" not in WRITERS["markdown"]([FIRST])
    assert "Table I:" not in WRITERS["markdown"]([SECOND])


def test_what_cannot_be_compared_is_said_where_it_stands():
    assert all(NOT_COMPARABLE in WRITERS[name]([SECOND]) for name in ("markdown", "latex"))
    assert NOT_COMPARABLE not in WRITERS["markdown"]([FIRST, {**BARE, "table": "II"}])


def test_latex_is_a_tabular_with_a_cell_for_every_column():
    lines = WRITERS["latex"]([FIRST, BARE]).splitlines()
    (start,) = [line for line in lines if line.startswith("\\begin{tabular}")]
    columns = re.fullmatch(r"\\begin\{tabular\}\{([lr]+)\}", start)[1]
    rows = [line for line in lines if line.endswith("\\\\")]
    assert len(rows) == 3
    assert all(len(cells(row)) == len(columns) for row in rows)
    assert cells(rows[1])[4:6] == ["31.25 [26.50, 36.00]", "32.15"]
    assert lines.count("\\hline") == 3


def test_latex_escapes_what_it_would_obey():
    text = WRITERS["latex"]([{**FIRST, "labels": ["a_b & 50 % $x$ #1 {y} ~ ^ \\z <q|r>"]}])
    assert (
        r"a\_b \& 50 \% \$x\$ \#1 \{y\} \textasciitilde{} \textasciicircum{} "
        r"\textbackslash{}z \textless{}q\textbar{}r\textgreater{} \\"
    ) in text
    assert r"MAE ours [95 \%]" in text


def test_foreign_text_steers_no_terminal():
    for name in ("markdown", "latex"):
        assert "\x1b" not in WRITERS[name]([{**FIRST, "labels": ["\x1b[2Jx"]}])


def test_csv_reads_back_in_full():
    (first, bare) = csv.DictReader(io.StringIO(WRITERS["csv"]([FIRST, BARE])))
    assert (first["table"], first["row"], first["mae_deg"]) == ("I", "2", "31.254")
    assert first["mae_deg_interval"] == "26.5;36.0"
    assert first["published_mae_deg"] == "32.15"
    assert first["labels"] == "random-weight encoder;2 of 3"
    assert (bare["row"], bare["published_mae_deg"], bare["labels"]) == ("", "", "")
