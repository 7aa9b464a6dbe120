import pytest
from rich.console import Console

from tselcli.report_answers import compass_rose, direction_words, localize_summary

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


def shown(renderable, width=100, **options):
    console = Console(width=width, **options)
    with console.capture() as capture:
        console.print(renderable)
    return capture.get()


@pytest.mark.parametrize(
    ("azimuth", "words"),
    [(0, "front"), (41.5, "front left"), (90, "left"), (-180, "back"), (-135, "back right")],
)
def test_an_azimuth_has_a_name(azimuth, words):
    assert direction_words(azimuth) == words


def test_summary_says_where_how_sure_and_what_else():
    absent = {**ANSWER, "query": "a bird", "present": False}
    text = shown(localize_summary([ANSWER, absent]))
    assert text.count("mix.wav") == 1
    first = next(line for line in text.splitlines() if "vehicle" in line)
    for part in ("+41.5°", "front left", "83 %", "-120° (11 %)"):
        assert part in first
    assert "Also possible" in text
    assert "! a bird: probably not there; the azimuth is a guess" in text


def test_a_warning_about_the_recording_is_said_once():
    warned = {**ANSWER, "warnings": ["channel 3 is silent; see `tsel doctor`"]}
    text = shown(localize_summary([warned, {**warned, "query": "rain"}]))
    assert text.count("! channel 3 is silent") == 1


@pytest.mark.parametrize(
    ("azimuth", "line", "column"),
    [(0, 0, 7), (90, 3, 0), (-90, 3, 14), (180, 6, 7), (-180, 6, 7), (45, 1, 2), (-135, 5, 12)],
)
def test_the_rose_has_the_front_at_the_top_and_left_at_the_left(azimuth, line, column):
    rose = compass_rose([{**ANSWER, "azimuth_deg": azimuth, "alternatives": []}]).plain
    rows = rose.split("\n")
    assert (len(rows), rows[line][column]) == (7, "1")
    assert rose.count("1") == 1
    assert rows[3][7] == "+"


def test_the_next_best_direction_is_a_small_circle():
    rows = compass_rose([ANSWER, {**ANSWER, "azimuth_deg": -90.0}]).plain.split("\n")
    assert rows[3][14] == "2"
    assert [row.count("o") for row in rows] == [0, 0, 0, 0, 1, 0, 0]


def test_summary_lists_failures_below():
    failed = {"audio": "b.wav", "query": "x", "error": "b.wav: no such file; check the name"}
    lines = shown(localize_summary([failed, ANSWER])).splitlines()
    assert lines[-1].strip() == "b.wav: no such file; check the name"


def test_foreign_text_steers_neither_the_terminal_nor_the_markup():
    hostile = {**ANSWER, "query": "[red]dog[/red]\x1b[2J", "audio": "a\x1b]0;owned\x07.wav"}
    text = shown(localize_summary([hostile]), width=160, no_color=True)
    assert "[red]dog[/red] [2J" in text
    assert "\x1b" not in text.replace("\x1b[1m", "").replace("\x1b[0m", "")
    assert "\x07" not in text
