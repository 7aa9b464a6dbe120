import math

import pytest
import yaml

from tselcli import yamlfile
from tselcli.errors import RecipeError
from tselcli.yamlfile import format_yaml, parse_yaml, read_yaml


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 1e-3),
        ("1E+3", 1000.0),
        ("-2.5", -2.5),
        (".5", 0.5),
        ("12", 12),
        ("-0", 0),
        ("1:30", "1:30"),
        ("0x1F", "0x1F"),
        ("010", "010"),
        ("2020-01-02", "2020-01-02"),
        ("true", True),
        ("~", None),
        ("", None),
        ("[1, a]", [1, "a"]),
        ("{a: {b: 1}}", {"a": {"b": 1}}),
        ('"1"', "1"),
        ("audiocaps:/data/AudioCaps", "audiocaps:/data/AudioCaps"),
    ],
)
def test_plain_values(text, value):
    parsed = parse_yaml(text, "x")
    assert parsed == value
    assert type(parsed) is type(value)


def test_ordinary_yaml_reads_as_pyyaml_reads_it():
    text = "a:\n  - b: 1\n    c: [1.5, -2, x y]\n  - 'it''s'\nd: |\n  two\n  lines\n"
    assert parse_yaml(text, "x") == yaml.safe_load(text)


def test_infinity_and_nan_are_numbers():
    assert parse_yaml("-.inf", "x") == -math.inf
    assert math.isnan(parse_yaml(".nan", "x"))


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("a: 1\nb: 2\na: 3", r"bad\.yaml: line 3, column 1: key 'a' occurs twice"),
        ("a: {b: 1, b: 2}", "key 'b' occurs twice"),
        ("a: &x [1]\nb: *x", "line 1, column 4: anchors, aliases and tags"),
        ("a: !!python/object:os.system ls", "anchors, aliases and tags"),
        ("a: !!int ''", "anchors, aliases and tags"),
        ("a: b: c", "line 1, column 5: mapping values are not allowed"),
        ("a: 1\n---\nb: 2", "line 2"),
        ("[" * 21 + "]" * 21, "nested deeper than 20 levels"),
        ("[" * 100_000, "nested deeper than 20 levels"),
        ("[1]: 2", "unhashable key"),
        ("a: " + "1" * 5000, "not readable as YAML text"),
        (b"\xff\xfe\x00", "not readable as YAML text"),
        (b"a: \xff", "not readable as YAML text"),
        ("a: \x00", "not readable as YAML text"),
    ],
)
def test_what_is_not_plain_is_refused_with_its_place(text, match):
    with pytest.raises(RecipeError, match=match):
        parse_yaml(text, "bad.yaml")


def test_a_small_file_that_would_fill_the_memory_is_refused():
    bomb = "a0: &a0 [x, x]\n" + "".join(
        f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 12)
    )
    with pytest.raises(RecipeError, match="aliases"):
        parse_yaml(bomb, "bomb.yaml")


def test_depth_counts_nesting_not_length():
    assert parse_yaml("[" + "[1]," * 100 + "]", "x") == [[1]] * 100


def test_the_merge_key_is_an_ordinary_key():
    assert parse_yaml("<<: {a: 1}\nb: 2", "x") == {"<<": {"a": 1}, "b": 2}


@pytest.mark.parametrize(
    "values",
    [
        {"b": [1.0, 2.5], "a": {"c": None, "d": True}},
        {
            "text": [
                "1e3",
                "1:30",
                "0x1F",
                "true",
                "null",
                "",
                " x ",
                "a: b",
                "#",
                "[",
                "2020-01-02",
            ]
        },
        {"tiny": 1e-7, "huge": 1e300, "minus": -3, "unicode": "Hündin 狗 \U0001f436"},
        {"lines": "one\ntwo\n", "quote": 'it\'s "so"'},
    ],
)
def test_what_is_written_reads_back(values):
    text = format_yaml(values)
    assert parse_yaml(text, "x") == values
    assert list(parse_yaml(text, "x")) == list(values)


def test_lists_are_written_on_one_line_and_mappings_as_blocks():
    assert format_yaml({"a": {"b": [1, 2]}}) == "a:\n  b: [1, 2]\n"


@pytest.mark.parametrize("name", ["missing.yaml", "nul\0.yaml", "x" * 5000])
def test_an_impossible_path_is_one_clear_error(tmp_path, name):
    with pytest.raises(RecipeError, match=r"no such file|cannot be read"):
        read_yaml(tmp_path / name)


def test_a_folder_is_refused(tmp_path):
    with pytest.raises(RecipeError, match="this is a folder"):
        read_yaml(tmp_path)


def test_a_huge_file_is_refused_before_it_is_parsed(tmp_path, monkeypatch):
    monkeypatch.setattr(yamlfile, "MAX_YAML_BYTES", 10)
    (tmp_path / "fits.yaml").write_bytes(b"a: 3456789")
    (tmp_path / "big.yaml").write_bytes(b"a: 34567890")
    assert read_yaml(tmp_path / "fits.yaml") == {"a": 3456789}
    with pytest.raises(RecipeError, match=r"big\.yaml: larger than 10 bytes"):
        read_yaml(tmp_path / "big.yaml")
