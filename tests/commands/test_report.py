import json

import pytest

from tselcli.commands.report import gather
from tselcli.errors import DataError, RecipeError
from tselcli.recipe import load_recipe, recipe_to_yaml
from tselcli.report_tables import COLUMNS

ROW_I2 = "paper/table1-clap-concat-two-directional"
OURS = {
    "system": "x@12345678",
    "scenes": 300,
    "mae_deg": 31.25,
    "mae_deg_interval": [26.5, 36.0],
    "selection": 0.66,
    "selection_interval": [0.6, 0.71],
}
CHANCE = [
    {"system": "chance: random azimuth", "mae_deg": 90.0, "selection": 0.5},
    {"system": "chance: random source", "mae_deg": 44.5, "selection": 0.5},
    {"system": "chance: best constant", "mae_deg": 88.75, "selection": 0.5},
]


@pytest.fixture
def run(tmp_path):
    """Write a run folder: its recipe, and figures with some of them changed."""

    def write(name, recipe_name, *overrides, ours=(), **changes):
        folder = tmp_path / name
        folder.mkdir()
        loaded = load_recipe(recipe_name, overrides)
        (folder / "recipe.yaml").write_text(recipe_to_yaml(loaded), encoding="utf-8")
        result = {"model": "x@12345678", "rows": [{**OURS, **dict(ours)}, *CHANCE], **changes}
        (folder / "eval.json").write_text(json.dumps(result), encoding="utf-8")
        return folder

    return write


def test_every_figure_has_its_column(run):
    (row,) = gather([run("a", ROW_I2, labels=["random-weight encoder"])])
    assert row == {
        "table": "I",
        "row": 2,
        "text_feature": "CLAP",
        "audio_feature": "GCC-PHAT",
        "fusion": "Concat",
        "scenes": "Two dir.",
        "mae_deg": 31.25,
        "mae_deg_interval": (26.5, 36.0),
        "published_mae_deg": 32.15,
        "selection": 0.66,
        "selection_interval": (0.6, 0.71),
        "chance_mae_deg": 44.5,
        "best_constant_mae_deg": 88.75,
        "count": 300,
        "labels": ["random-weight encoder"],
        "model": "x@12345678",
    }
    assert tuple(row) == COLUMNS


@pytest.mark.parametrize(
    ("recipe", "words"),
    [
        ("table1-clap-concat-one-directional", "I CLAP GCC-PHAT Concat One dir., one add. 1.34"),
        ("table1-clap-concat-two-directional", "I CLAP GCC-PHAT Concat Two dir. 32.15"),
        ("table1-clap-clap-concat-two-directional", "I CLAP GCC-PHAT, CLAP Concat Two dir. 43.3"),
        ("table1-flan-t5-cross-attention-two-directional", "I FlanT5 GCC-PHAT CA Two dir. 37.18"),
        ("table1-bert-cross-attention-two-directional", "I BERT GCC-PHAT CA Two dir. 33.61"),
        ("table2-clap-concat-moving", "II CLAP GCC-PHAT Concat Two dir. 45.58"),
        ("table2-clap-clap-concat-moving", "II CLAP GCC-PHAT, CLAP Concat Two dir. 47.92"),
        ("table2-flan-t5-cross-attention-moving", "II FlanT5 GCC-PHAT CA Two dir. 48.71"),
        ("table2-bert-cross-attention-moving", "II BERT GCC-PHAT CA Two dir. 49.18"),
    ],
)
def test_rows_are_named_as_in_the_paper(run, recipe, words):
    (row,) = gather([run("a", f"paper/{recipe}")])
    names = ("table", "text_feature", "audio_feature", "fusion", "scenes", "published_mae_deg")
    assert " ".join(str(row[name]) for name in names) == words


def test_order_is_the_papers_and_others_follow_as_given(run):
    names = ["mask", "paper/table2-bert-cross-attention-moving", "tiny", "paper/base"]
    names += ["paper/table1-bert-cross-attention-two-directional", ROW_I2]
    runs = [run(str(place), name) for place, name in enumerate(names)]
    rows = gather(runs)
    assert [(row["table"], row["row"]) for row in rows] == [
        *(("I", 2), ("I", 5), ("I", None), ("I", None), ("I", None), ("II", 4))
    ]
    assert [row["fusion"] for row in rows[2:5]] == [
        "mask, then steer",
        "mask, then steer",
        "Concat",
    ]


def test_another_encoder_keeps_the_row_and_says_which_it_is(run):
    (row,) = gather([run("a", ROW_I2, "model.text_encoder=compact")])
    assert (row["row"], row["text_feature"], row["published_mae_deg"]) == (2, "compact", 32.15)


def test_a_mask_is_never_set_beside_a_figure_of_another_system(run):
    published = "published={mae_deg: 32.15, table: I, row: 2}"
    (row,) = gather([run("a", "mask", published)])
    assert (row["row"], row["published_mae_deg"]) == (None, None)
    assert (row["text_feature"], row["audio_feature"]) == ("compact", "log-mel, SRP-PHAT")


def test_one_source_alone_has_another_chance(run):
    (row,) = gather([run("a", ROW_I2, ours={"selection": None, "selection_interval": None})])
    assert (row["chance_mae_deg"], row["selection"]) == (90.0, None)


def test_scenes_are_those_that_sounded_not_those_of_the_recipe(run):
    heard = [{"others_deg": [5.0, 6.0], "other_labels": ["a", "b", None]}] * 2
    (row,) = gather([run("a", ROW_I2, scenes=heard)])
    assert row["scenes"] == "Three dir., one add."
    heard.append({"others_deg": [], "other_labels": []})
    (row,) = gather([run("b", ROW_I2, scenes=heard)])
    assert row["scenes"] == "mixed"


def test_a_file_by_itself_carries_its_recipe(run, tmp_path):
    stored = load_recipe("paper/table1-flan-t5-cross-attention-two-directional")
    folder = run("a", "mask", recipe=stored.model_dump(mode="json"))
    alone = tmp_path / "alone.json"
    (folder / "eval.json").rename(alone)
    (row,) = gather([alone])
    assert (row["text_feature"], row["row"]) == ("FlanT5", 4)


def test_figures_that_are_missing_stay_away(run):
    folder = run("a", ROW_I2)
    (folder / "eval.json").write_text('{"rows": [{"system": "x", "mae_deg": 3}]}')
    (row,) = gather([folder])
    assert (row["mae_deg"], row["chance_mae_deg"], row["count"]) == (3.0, None, None)


def test_a_run_that_was_not_evaluated_names_the_command(run, tmp_path):
    folder = run("a", ROW_I2)
    (folder / "eval.json").unlink()
    for missing in (folder, folder / "eval.json", tmp_path / "typo"):
        parent = missing.parent if missing.suffix else missing
        with pytest.raises(DataError) as error:
            gather([missing])
        told = f"{parent / 'eval.json'}: no such file; `tsel eval {parent}` writes it"
        assert str(error.value) == told


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "Invalid JSON"),
        (b'{"rows": [', "Invalid JSON"),
        (b"\xff\xfe", "Invalid JSON"),
        (b"[" * 100_000, "Invalid JSON"),
        (b"[]", "an object"),
        (b"{}", "rows: Field required"),
        (b'{"rows": []}', "rows: .*at least 1"),
        (b'{"rows": [{"system": "x"}]}', "rows.0.mae_deg: Field required"),
        (b'{"rows": [{"system": "x", "mae_deg": NaN}]}', "rows.0.mae_deg: .*finite"),
        (b'{"rows": [{"system": "x", "mae_deg": 1, "mae_deg_interval": [1]}]}', "interval.1"),
    ],
)
def test_a_damaged_file_is_one_line_with_the_way_out(run, content, reason):
    folder = run("a", ROW_I2)
    (folder / "eval.json").write_bytes(content)
    with pytest.raises(DataError, match=rf"eval\.json: not a result .*{reason}") as error:
        gather([folder])
    assert str(error.value).endswith(f"`tsel eval {folder}` writes it anew")
    assert "\n" not in str(error.value)


def test_a_result_without_any_recipe(run):
    folder = run("a", ROW_I2)
    (folder / "recipe.yaml").unlink()
    with pytest.raises(DataError, match=r"eval\.json: no recipe in it or beside it"):
        gather([folder])


def test_a_recipe_that_is_not_one_names_the_file(run):
    folder = run("a", ROW_I2, recipe={"name": "x", "sede": 1})
    with pytest.raises(RecipeError, match=r"eval\.json: recipe: 1 problem\(s\)\n.*'seed'"):
        gather([folder])
