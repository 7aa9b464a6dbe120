import csv
import importlib
import inspect
import io
import json
import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import typer
from typer.testing import CliRunner

from tselcli import __version__, cli, cli_eval, cli_localize, cli_options
from tselcli.errors import CheckpointError, DataError, RecipeError
from tselcli.models.checkpoint import load_checkpoint
from tselcli.recipe import bundled_recipes, load_recipe, recipe_to_yaml
from tselcli.report_tables import COLUMNS

ANSWER = {
    "audio": "mix.wav",
    "query": "a dog barking",
    "model": "mask-compact@12345678",
    "azimuth_deg": 41.5,
    "confidence": 0.83,
    "present": True,
    "alternatives": [{"azimuth_deg": -120.0, "score": 0.11}],
}
FAILED = {"audio": "gone.wav", "query": "rain", "error": "gone.wav: no such file; check the name"}
ROWS = {"rows": [{"system": "mask", "scenes": 3, "mae_deg": 12.5}], "split": "test"}


def tsel(*arguments, **options):
    return CliRunner().invoke(cli.app, list(map(str, arguments)), **options)


@pytest.fixture
def spy(monkeypatch):
    """Replace the function of a command; what it is called with must fit the real one."""

    def replace(module, name, result=None, error=None):
        owner = importlib.import_module(f"tselcli.commands.{module}")
        signature = inspect.signature(getattr(owner, name))
        calls = []

        def stand_in(*positional, **named):
            calls.append(signature.bind(*positional, **named).arguments)
            if error is not None:
                raise error
            return result

        monkeypatch.setattr(owner, name, stand_in)
        return calls

    return replace


@pytest.fixture
def terminal(monkeypatch):
    """Let the commands believe that stdout is a terminal."""
    pretended = SimpleNamespace(stdout=SimpleNamespace(isatty=lambda: True))
    monkeypatch.setattr(cli, "sys", pretended)
    monkeypatch.setattr(cli_localize, "sys", pretended)
    monkeypatch.setattr(cli_eval, "sys", pretended)


def commands():
    """List every command with its words, as in ("recipes ls", its parser)."""
    group = typer.main.get_command(cli.app)
    for name, command in group.commands.items():
        inner = getattr(command, "commands", None)
        if inner is None:
            yield name, command
        else:
            yield from ((f"{name} {below}", part) for below, part in inner.items())


def test_version_is_that_of_the_package():
    result = tsel("--version")
    first, model, *others = result.stdout.splitlines()
    assert (result.exit_code, first) == (0, f"tsel {__version__}")
    assert model == f"model {load_checkpoint('mask-compact').name}"
    assert f"torch {torch.__version__.partition('+')[0]}" in [o.partition("+")[0] for o in others]


@pytest.mark.parametrize("name", [name for name, _ in commands()])
def test_every_command_explains_itself(name):
    result = tsel(*name.split(), "--help", env={"COLUMNS": "100"})
    assert result.exit_code == 0
    assert f"tsel {name}" in result.stdout
    assert result.stderr == ""


def examples():
    texts = [app.info.epilog for app in (cli.app, cli.recipes_app, cli.models_app)]
    texts += [command.epilog for _, command in commands()]
    lines = [line.strip() for text in texts if text for line in text.splitlines()]
    return sorted({line for line in lines if line.startswith("tsel ")})


def test_there_are_examples():
    assert len(examples()) >= 10


@pytest.mark.parametrize("line", examples())
def test_examples_in_the_help_can_be_run_as_they_stand(line):
    words = shlex.split(line)[1:]
    known = dict(commands())
    length = 2 if words[0] in ("recipes", "models") else 1
    context = known[" ".join(words[:length])].make_context("tsel", words[length:])
    recipes = () if words[0] == "models" else map(context.params.get, ("recipe", "name"))
    for recipe in recipes:
        if recipe and not recipe.endswith(".yaml"):
            load_recipe(recipe)


LIGHT = [
    "from tselcli.cli import main; sys.argv = ['tsel', '--help']; main()",
    "from tselcli.cli import main; sys.argv = ['tsel', '--version']; main()",
    "from tselcli.cli import main; sys.argv = ['tsel', 'recipes', 'ls']; main()",
    "from tselcli.cli import main; sys.argv = ['tsel', 'recipes', 'show', 'mask']; main()",
    "from tselcli.cli import main; sys.argv = ['tsel', 'train', '--help']; main()",
    "from tselcli.cli import main; sys.argv = ['tsel', 'models', '--help']; main()",
    "from tselcli.cli import main; sys.argv = ['tsel', 'report', '--help']; main()",
    "from tselcli.cli import main; sys.argv = ['tsel', 'localize', '--help']; main()",
    "from tselcli.cli import main; sys.argv = ['tsel', 'doctor', '--help']; main()",
]


@pytest.mark.parametrize("code", LIGHT, ids=lambda code: code.split("[")[1].split("]")[0])
def test_help_and_recipes_import_nothing_heavy(code):
    heavy = {"torch", "torchaudio", "pyroomacoustics", "scipy", "numpy", "soundfile"}
    heavy |= {"transformers", "huggingface_hub", "laion_clap", "matplotlib"}
    assert heavy & loaded_by(code) == set()


def test_simulation_workers_start_without_torch():
    assert "torch" not in loaded_by("import tselcli.commands.simulate")


def loaded_by(code):
    script = f"import sys\ntry:\n    {code}\nexcept SystemExit as stop:\n    assert not stop.code\n"
    script += "print('\\nLOADED', *sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    return set(done.stdout.split("LOADED")[1].split())


def test_recipes_are_listed_name_first():
    result = tsel("recipes", "ls")
    names = [line.split()[0] for line in result.stdout.splitlines()]
    assert names == list(bundled_recipes())
    assert "paper/table1-clap-concat-two-directional  " in result.stdout
    assert "Table I, row 2: 32.15 degrees published." in result.stdout


def test_recipe_is_shown_in_full_with_overrides():
    result = tsel("recipes", "show", "tiny", "--set", "train.steps=5", "--set", "seed=3")
    assert result.stdout == recipe_to_yaml(load_recipe("tiny", ["train.steps=5", "seed=3"]))


def test_copied_recipe_is_named_and_not_replaced(tmp_path):
    first = tsel("recipes", "cp", "tiny", tmp_path / "mine.yaml")
    assert (first.exit_code, first.stdout) == (0, f"{tmp_path / 'mine.yaml'}\n")
    second = tsel("recipes", "cp", "tiny", tmp_path / "mine.yaml")
    assert (second.exit_code, second.stdout) == (2, "")
    assert second.stderr == f"tsel: {tmp_path / 'mine.yaml'}: exists already; add --force to " + (
        "replace it\n"
    )
    assert tsel("recipes", "cp", "tiny", tmp_path / "mine.yaml", "--force").exit_code == 0


def test_validate_reports_the_good_on_stdout_and_the_bad_on_stderr(tmp_path):
    bad = tmp_path / "bad.yaml"
    bad.write_text("name: x\nfeatures: {n_lag: 3}\n")
    result = tsel("recipes", "validate", bad, "tiny")
    assert (result.exit_code, result.stdout) == (2, "tiny: ok\n")
    assert result.stderr == (
        f"tsel: {bad}: 1 problem(s)\n  features: unknown key 'n_lag'; did you mean 'n_lags'?\n"
    )


def test_simulate_passes_its_arguments_on(spy, tmp_path):
    calls = spy("simulate", "simulate", result={"rendered": 4, "out": tmp_path})
    arguments = shlex.split("simulate tiny --corpus a.csv --corpus clotho:b --split val -j 2")
    arguments += ["--seed", 9, "--shard", "2/3", "--set", "scene.directional=3"]
    result = tsel(*arguments, "--out", tmp_path)
    (call,) = calls
    expected = ["scene.directional=3", "corpus={source: a.csv, also: ['clotho:b']}"]
    assert call.pop("recipe") == load_recipe("tiny", expected)
    assert call == {
        "out": tmp_path,
        "split": "val",
        "count": 40,
        "seed": 9,
        "jobs": 2,
        "shard": "2/3",
        "scheduler": None,
        "webdataset": False,
    }
    assert json.loads(result.stdout) == {"rendered": 4, "out": str(tmp_path)}


@pytest.mark.parametrize(("split", "count"), [("train", 300), ("val", 40), ("test", 60)])
def test_simulate_renders_as_many_scenes_as_the_recipe_asks_for(spy, tmp_path, split, count):
    calls = spy("simulate", "simulate", result={})
    tsel("simulate", "tiny", "--split", split, "--out", tmp_path)
    tsel("simulate", "tiny", "--split", split, "--out", tmp_path, "--count", 7)
    assert [call["count"] for call in calls] == [count, 7]


def test_every_core_is_used_unless_told(spy, monkeypatch, tmp_path):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(5)), raising=False)
    calls = spy("features", "features", result={})
    tsel("features", tmp_path)
    tsel("features", tmp_path, "-j", 2)
    assert [call["jobs"] for call in calls] == [5, 2]


def test_a_cluster_and_packing_are_passed_on(spy, tmp_path):
    calls = spy("simulate", "simulate", result={})
    cluster = ["--scheduler", "tcp://a:1"]
    tsel("simulate", "tiny", "--out", tmp_path, *cluster, "--format", "webdataset")
    assert [(call["scheduler"], call["webdataset"]) for call in calls] == [("tcp://a:1", True)]
    calls = spy("features", "features", result={})
    tsel("features", tmp_path, *cluster)
    assert [call["scheduler"] for call in calls] == ["tcp://a:1"]
    for command in (["simulate", "tiny", "--out"], ["features"]):
        result = tsel(*command, tmp_path, *cluster, "--jobs", 2)
        assert result.exit_code == 2
        assert "tsel: --jobs: is for processes of this machine" in result.stderr


def test_merge_takes_folders_and_refuses_what_it_would_not_follow(spy, tmp_path):
    calls = spy("merge", "merge", result={"merged": 2})
    result = tsel("simulate", "--merge", "a", "b", "--out", tmp_path, "--format", "webdataset")
    assert json.loads(result.stdout) == {"merged": 2}
    assert calls == [{"folders": [Path("a"), Path("b")], "out": tmp_path, "webdataset": True}]
    for options in (["--count", 5], ["--set", "seed=3"], ["--rir-dir", "x"], ["-j", 2]):
        result = tsel("simulate", "--merge", "a", "--out", tmp_path, *options)
        assert result.exit_code == 2
        assert "--merge renders nothing; leave it away" in result.stderr
    result = tsel("simulate", "tiny", "mask", "--out", tmp_path)
    assert (result.exit_code, len(calls)) == (2, 1)
    assert "mask: one recipe is enough; --merge takes several folders" in result.stderr


def test_features_passes_its_arguments_on(spy, tmp_path):
    calls = spy("features", "features", result={"clips": 2})
    result = tsel("features", tmp_path, "--cache", tmp_path / "cache", "--jobs", 1)
    assert calls == [
        {"folder": tmp_path, "jobs": 1, "cache": tmp_path / "cache", "scheduler": None}
    ]
    assert result.stdout == '{"clips": 2}\n'


def test_train_passes_its_arguments_on(spy, tmp_path):
    calls = spy("train", "train", result={"val_mae_deg": 12.3456789})
    arguments = ["train", "tiny", "--out", tmp_path, "--data", tmp_path / "a", "--val-data"]
    arguments += [tmp_path / "b", "--device", "cpu", "--resume", "--jobs", 3, "--corpus", "c"]
    result = tsel(*arguments)
    (call,) = calls
    assert call.pop("recipe") == load_recipe("tiny", ["corpus.source=c"])
    assert call == {
        "out": tmp_path,
        "data": tmp_path / "a",
        "val_data": tmp_path / "b",
        "device": "cpu",
        "resume": True,
        "jobs": 3,
    }
    assert result.stdout == '{"val_mae_deg": 12.3457}\n'


def test_distill_passes_its_arguments_on(spy, tmp_path):
    calls = spy("distill", "distill", result={"cosine": 0.9})
    out = tmp_path / "text.safetensors"
    result = tsel("distill", out, "--captions", "a.csv", "--captions", "b.txt", "--steps", 5)
    (call,) = calls
    assert (call["out"], call["captions"]) == (out, [Path("a.csv"), Path("b.txt")])
    assert (call["steps"], call["teacher"], call["device"]) == (5, None, "auto")
    assert result.stdout == '{"cosine": 0.9}\n'


def test_lessons_passes_its_arguments_on(spy, tmp_path):
    calls = spy("lessons", "lessons", result={"clips": 3})
    out = tmp_path / "lessons.safetensors"
    result = tsel("lessons", "yamnet.tflite", out, "--corpus", "c", "--size", 8, "--jobs", 1)
    recipe = load_recipe("mask", ["corpus.source=c"])
    wanted = {"teacher": Path("yamnet.tflite"), "out": out, "recipe": recipe, "size": 8, "jobs": 1}
    assert calls == [wanted | {"classes": None, "rate": 32_000, "rooms": 2, "beside": None}]
    onnx = ("--rate", 16_000, "--rooms", 0, "--with", "one.safetensors")
    tsel("lessons", "tagger.onnx", out, "--classes", "classes.csv", *onnx)
    assert calls[1]["classes"] == Path("classes.csv")
    assert (calls[1]["rate"], calls[1]["rooms"]) == (16_000, 0)
    assert calls[1]["beside"] == Path("one.safetensors")
    refused = tsel("lessons", "yamnet.tflite", out, "--rate", 16_000)
    assert refused.exit_code == 2
    assert "--rate: YAMNet takes 16 kHz" in refused.stderr
    assert result.stdout == '{"clips": 3}\n'


def test_eval_passes_its_arguments_on(spy, tmp_path):
    calls = spy("eval", "evaluate", result=ROWS)
    arguments = shlex.split("eval runs/x --recipe tiny --set seed=4 --split val --count 3 -j 1")
    arguments += ["--seed", 5]
    result = tsel(*arguments, "--no-baselines", "--out", tmp_path / "e.json", "--format", "json")
    (call,) = calls
    assert call.pop("recipe") == load_recipe("tiny", ["seed=4"])
    assert call == {
        "model": "runs/x",
        "data": None,
        "split": "val",
        "count": 3,
        "seed": 5,
        "device": "auto",
        "jobs": 1,
        "baselines": False,
        "absent": 2,
        "by": (),
        "track": None,
        "plot": None,
        "out": tmp_path / "e.json",
    }
    assert json.loads(result.stdout) == ROWS


def test_eval_prints_what_dcase_measures_of_tracks(spy):
    row = {**ROWS["rows"][0], "le_cd_deg": 7.04, "lr_cd": 0.915, "f_20": 0.8}
    calls = spy("eval", "evaluate", result={**ROWS, "rows": [row], "tracks": []})
    lines = tsel("eval", "m", "--track", "--plot", "figures").stdout.splitlines()
    assert (calls[0]["track"], calls[0]["plot"]) == (True, Path("figures"))
    table = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert ["System", "LE_CD [95 %]", "LR_CD", "F20"] in table
    assert ["mask", "7.0", "92", "80"] in table


def test_eval_prints_what_makes_scenes_hard(spy):
    row = {**dict.fromkeys(("mae_deg", "median_deg", "acc_10", "selection")), "scenes": 3}
    sure = dict.fromkeys(("confidence", "accuracy", "calibration_error"), 0.5)
    broken = {"breakdowns": {"sources": [{**row, "bin": "2"}]}, "confidence": sure}
    calls = spy("eval", "evaluate", result={**ROWS, **broken})
    lines = tsel("eval", "m", "--by", "sources,level", "--absent", 0).stdout.splitlines()
    assert (calls[0]["by"], calls[0]["absent"]) == (("sources", "level"), 0)
    assert (
        lines[-5] == "Confidence: 50 % on average, 50 % within 10 degrees; calibration error 50 %."
    )
    assert [cell.strip() for cell in lines[-1].strip("|").split("|")] == ["2", "3", *"----"]


def test_eval_refuses_to_break_down_by_what_it_does_not_know(spy):
    calls = spy("eval", "evaluate", result=ROWS)
    result = tsel("eval", "m", "--by", "room")
    assert (result.exit_code, calls) == (2, [])
    assert "--by 'room': unknown" in result.stderr


def test_eval_prints_markdown_into_a_pipe(spy):
    spy("eval", "evaluate", result=ROWS)
    piped = tsel("eval", "m").stdout
    cells = [cell.strip() for cell in piped.splitlines()[2].strip("|").split("|")]
    assert cells == ["mask", "3", "12.5", *"-----"]
    assert tsel("eval", "m", "--format", "markdown").stdout == piped


def test_eval_prints_ours_then_the_papers_then_chance(spy):
    chance = [{"system": f"chance: {name}", "mae_deg": 90.0} for name in ("x", "best constant")]
    published = {"mae_deg": 32.15, "table": "I", "row": 2}
    result = {"rows": [*ROWS["rows"], *chance], "published": published, "labels": ["untrained"]}
    spy("eval", "evaluate", result=result)
    lines = tsel("eval", "m").stdout.splitlines()[2:6]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert [line[0] for line in cells] == [
        "mask (untrained)",
        "paper, Table I row 2 (published)",
        "chance: x",
        "chance: best constant",
    ]
    assert cells[1][1:] == ["-", "32.15", *"-----"]
    assert json.loads(tsel("eval", "m", "--format", "json").stdout) == result


def test_eval_prints_a_table_on_a_terminal(spy, terminal):
    calls = spy("eval", "evaluate", result=ROWS)
    lines = tsel("eval", "m", env={"COLUMNS": "80"}).stdout.splitlines()
    assert ["mask", "3", "12.5", *"-----"] in [line.split() for line in lines]
    assert not any("|" in line for line in lines)
    assert calls[0]["recipe"] is None


def test_eval_refuses_overrides_of_nothing(spy):
    spy("eval", "evaluate", result=ROWS)
    result = tsel("eval", "m", "--set", "seed=4")
    assert result.exit_code == 2
    assert "name a recipe with --recipe" in result.stderr


@pytest.mark.parametrize(
    ("options", "file", "start"),
    [
        ([], None, "Table I"),
        (["--format", "latex"], None, "\\begin{table*}"),
        ([], "t.tex", "\\begin{table*}"),
        ([], "t.csv", "table,row,"),
        ([], "t.md", "Table I"),
        (["--format", "csv"], "t.tex", "table,row,"),
    ],
)
def test_report_writes_the_format_that_is_asked_for(spy, tmp_path, options, file, start):
    row = dict.fromkeys(COLUMNS) | dict.fromkeys(COLUMNS[2:6], "x")
    calls = spy("report", "gather", result=[row | {"table": "I", "mae_deg": 1.5, "labels": []}])
    target = ["-o", tmp_path / file] if file else []
    result = tsel("report", "runs/a", "runs/b", *options, *target)
    assert calls == [{"runs": [Path("runs/a"), Path("runs/b")]}]
    text = (tmp_path / file).read_text(encoding="utf-8") if file else result.stdout
    assert text.startswith(start)
    assert result.stdout == ("" if file else text)


def test_localize_prints_a_line_of_json_per_query_into_a_pipe(spy):
    calls = spy("localize", "localize", result=iter([ANSWER, {**ANSWER, "query": "rain"}]))
    arguments = ["localize", "mix.wav", "a dog barking", "rain", "--array", "tetra:0.042"]
    result = tsel(*arguments, "--model", "runs/x", "--device", "cpu", "--top", 1)
    assert calls == [
        {
            "audio": [Path("mix.wav")],
            "queries": ["a dog barking", "rain"],
            "model": "runs/x",
            "array": "tetra:0.042",
            "device": "cpu",
            "top": 1,
            "track": False,
            "start_s": 0.0,
            "stop_s": None,
            "target_estimate": None,
            "plot": None,
            "save_mask": None,
            "extract": None,
        }
    ]
    assert [json.loads(line)["query"] for line in result.stdout.splitlines()] == [
        "a dog barking",
        "rain",
    ]
    assert json.loads(result.stdout.splitlines()[0]) == ANSWER


TRACKED = {
    **ANSWER,
    "trajectory": [
        {"time_s": 0.0, "azimuth_deg": 178.6, "confidence": 0.5, "active": True},
        {"time_s": 0.1, "azimuth_deg": 179.6, "confidence": 0.9, "active": True},
        {"time_s": 0.2, "azimuth_deg": -179.0, "confidence": 0.1, "active": False},
    ],
}


def test_localize_passes_on_that_tracks_and_a_plot_are_wanted(spy, tmp_path):
    calls = spy("localize", "localize", result=iter([TRACKED]))
    result = tsel("localize", "mix.wav", "x", "--track", "--plot", tmp_path / "a.png")
    assert calls[0]["track"] is True
    assert calls[0]["plot"] == tmp_path / "a.png"
    assert json.loads(result.stdout)["trajectory"] == TRACKED["trajectory"]


def test_a_track_in_csv_has_a_line_per_frame(spy):
    spy("localize", "localize_batch", result=iter([TRACKED, FAILED]))
    lines = tsel("localize", "--batch", "x.csv", "--track", "--format", "csv").stdout.splitlines()
    assert lines[0] == "audio,query,model,time_s,azimuth_deg,confidence,active,error"
    assert [line.split(",")[-5:-1] for line in lines[1:4]] == [
        ["0.0", "178.6", "0.5", "1"],
        ["0.1", "179.6", "0.9", "1"],
        ["0.2", "-179.0", "0.1", "0"],
    ]
    assert lines[4].endswith(FAILED["error"])
    assert len(lines) == 5


def test_a_track_in_dcase_labels_holds_active_frames_of_all_queries_in_order(spy):
    spy("localize", "localize", result=iter([TRACKED, TRACKED]))
    result = tsel("localize", "mix.wav", "x", "y", "--track", "--format", "dcase")
    assert result.stdout == "0,0,0,179,0\n0,1,0,179,0\n1,0,0,-180,0\n1,1,0,-180,0\n"


def test_an_audacity_track_has_a_label_for_every_stretch(spy):
    quiet = {"time_s": 0.3, "azimuth_deg": 0.0, "confidence": 0.1, "active": False}
    away = {"time_s": 0.4, "azimuth_deg": -10.0, "confidence": 0.5, "active": True}
    there = {**away, "time_s": 0.5, "azimuth_deg": -40.0}
    heard = [*TRACKED["trajectory"], quiet, away, there]
    calls = spy("localize", "localize", result=iter([{**TRACKED, "trajectory": heard}]))
    result = tsel("localize", "mix.wav", "a dog barking", "--format", "audacity")
    assert calls[0]["track"] is True
    assert result.stdout == (
        "0.000\t0.200\ta dog barking +179°\n0.400\t0.600\ta dog barking -10° → -40°\n"
    )


@pytest.mark.parametrize(
    ("words", "audio", "queries"),
    [
        (["a.wav", "b.FLAC", "rain", "c.wav"], ["a.wav", "b.FLAC"], ["rain", "c.wav"]),
        (["folder", "rain"], ["folder"], ["rain"]),
        (["folder", "a.txt", "-q", "rain", "-q", "x"], ["folder", "a.txt"], ["rain", "x"]),
    ],
)
def test_recordings_are_told_from_queries(spy, words, audio, queries):
    calls = spy("localize", "localize", result=iter([]))
    assert tsel("localize", *words).exit_code == 0
    assert calls[0]["audio"] == list(map(Path, audio))
    assert calls[0]["queries"] == queries


def test_a_part_is_given_in_seconds_or_as_a_clock(spy):
    calls = spy("localize", "localize", result=iter([]))
    tsel("localize", "mix.wav", "x", "--from", "1:30", "--to", "1:02:03.5")
    assert (calls[0]["start_s"], calls[0]["stop_s"]) == (90, 3723.5)


def test_an_estimate_needs_no_query(spy):
    calls = spy("localize", "localize", result=iter([]))
    assert tsel("localize", "mix.wav", "--target-estimate", "dog.wav").exit_code == 0
    assert (calls[0]["queries"], calls[0]["target_estimate"]) == ([], Path("dog.wav"))


def test_a_track_for_people_is_where_it_goes_and_when(spy):
    still = {**ANSWER, "trajectory": [{**TRACKED["trajectory"][2], "azimuth_deg": 3.0}]}
    spy("localize", "localize", result=iter([TRACKED, still]))
    result = tsel("localize", "mix.wav", "x", "--track", "--format", "rich", env={"COLUMNS": "100"})
    for part in ("+179° → +180°", "0.0 to 0.2 s", "not heard"):
        assert part in result.stdout


def test_localize_uses_the_bundled_model(spy):
    calls = spy("localize", "localize", result=iter([]))
    tsel("localize", "mix.wav", "rain")
    assert calls[0]["model"] == cli_localize.DEFAULT_MODEL


def test_localize_summary_for_people(spy):
    spy("localize", "localize", result=iter([ANSWER]))
    result = tsel("localize", "mix.wav", "x", "--format", "rich", env={"COLUMNS": "80"})
    for part in ("mix.wav", "a dog barking", "+41.5°", "front left", "83 %", "-120° (11 %)"):
        assert part in result.stdout


def test_a_terminal_gets_the_summary_unless_it_goes_to_a_file(spy, terminal, tmp_path):
    spy("localize", "localize", result=[ANSWER])
    assert "front left" in tsel("localize", "mix.wav", "x", env={"COLUMNS": "80"}).stdout
    tsel("localize", "mix.wav", "x", "-o", tmp_path / "a.jsonl")
    assert json.loads((tmp_path / "a.jsonl").read_text()) == ANSWER


def test_batch_goes_on_past_a_bad_row_and_says_so_at_the_end(spy):
    calls = spy("localize", "localize_batch", result=iter([ANSWER, FAILED, ANSWER]))
    result = tsel("localize", "--batch", "pairs.csv")
    assert calls[0]["pairs"] == Path("pairs.csv")
    assert result.exit_code == 3
    assert [json.loads(line) for line in result.stdout.splitlines()] == [ANSWER, FAILED, ANSWER]
    assert result.stderr == "tsel: 1 row(s) failed\n"


def test_batch_answers_appear_one_by_one(spy, monkeypatch):
    seen = []

    def answers():
        for number in range(3):
            assert len(seen) == number  # the one before is printed already
            yield {**ANSWER, "query": str(number)}

    spy("localize", "localize_batch", result=answers())
    monkeypatch.setattr("tselcli.cli_output.print_text", lambda text, end: seen.append(text))
    assert tsel("localize", "--batch", "-").exit_code == 0
    assert [json.loads(line)["query"] for line in seen] == ["0", "1", "2"]


@pytest.mark.parametrize(("name", "options"), [("a.csv", []), ("a.txt", ["--format", "csv"])])
def test_answers_in_a_csv_file(spy, tmp_path, name, options):
    spy("localize", "localize_batch", result=iter([ANSWER, FAILED]))
    result = tsel("localize", "--batch", "p.csv", "-o", tmp_path / name, *options)
    assert (result.exit_code, result.stdout) == (3, "")
    rows = list(csv.DictReader(io.StringIO((tmp_path / name).read_text())))
    assert [row["azimuth_deg"] for row in rows] == ["41.5", ""]
    assert rows[1]["error"] == FAILED["error"]


def test_answers_in_a_json_file(spy, tmp_path):
    spy("localize", "localize", result=iter([ANSWER]))
    tsel("localize", "mix.wav", "x", "-o", tmp_path / "a.jsonl")
    assert json.loads((tmp_path / "a.jsonl").read_text()) == ANSWER


def test_summary_in_a_file_has_no_colours(spy, tmp_path):
    spy("localize", "localize", result=iter([ANSWER]))
    tsel("localize", "mix.wav", "x", "-o", tmp_path / "a.txt", "--format", "rich")
    text = (tmp_path / "a.txt").read_text(encoding="utf-8")
    assert "front left" in text
    assert "\x1b" not in text


def test_failed_localization_leaves_no_half_file(spy, tmp_path):
    def answers():
        yield ANSWER
        raise DataError("mix.wav: damaged")

    spy("localize", "localize", result=answers())
    assert tsel("localize", "mix.wav", "x", "-o", tmp_path / "a.jsonl").exit_code == 3
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "arguments",
    [
        ["localize"],
        ["localize", "mix.wav"],
        ["localize", "mix.wav", "rain", "--batch", "p.csv"],
        ["localize", "mix.wav", "rain", "--format", "xml"],
        ["localize", "a.wav", "b.wav", "rain", "--format", "dcase"],
        ["localize", "a.wav", "b.wav", "rain", "--extract", "x.wav"],
        ["localize", "mix.wav", "rain", "--from", "5", "--to", "4"],
        ["localize", "mix.wav", "rain", "--from", "noon"],
        ["localize", "--batch", "p.csv", "--track", "--format", "dcase"],
        ["localize", "--batch", "p.csv", "--plot", "a.png"],
        ["simulate", "tiny"],
        ["simulate", "tiny", "--out", "x", "--split", "dev"],
        ["simulate", "tiny", "--out", "x", "--count", "0"],
        ["train", "tiny", "--out", "x", "--device", "tpu"],
        ["report"],
        ["report", "runs/a", "--format", "html"],
        ["recipes", "shw", "mask"],
        ["--verson"],
    ],
)
def test_usage_errors_exit_with_2_and_leave_stdout_empty(arguments):
    result = tsel(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "Usage" in result.stderr


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (RecipeError("mask: 1 problem(s)\n  x: y"), 2),
        (DataError("mix.wav: no such file; check the name"), 3),
        (CheckpointError("best.pt: no such file; `tsel train` writes one"), 4),
    ],
)
def test_mistakes_are_one_line_and_an_exit_code(spy, error, code):
    spy("localize", "localize", error=error)
    result = tsel("localize", "mix.wav", "rain")
    assert (result.exit_code, result.stdout, result.stderr) == (code, "", f"tsel: {error}\n")


def test_a_bug_of_ours_stays_a_traceback(spy):
    spy("localize", "localize", error=ZeroDivisionError("ours"))
    assert isinstance(tsel("localize", "mix.wav", "rain").exception, ZeroDivisionError)


def test_interruption_is_one_line_and_130(spy, tmp_path):
    spy("train", "train", error=KeyboardInterrupt())
    result = tsel("train", "tiny", "--out", tmp_path)
    assert (result.exit_code, result.stderr) == (130, "tsel: interrupted\n")


def test_recipe_problems_reach_the_user(tmp_path):
    result = tsel("train", "tiny", "--out", tmp_path, "--set", "train.step=5")
    assert result.exit_code == 2
    assert "train: unknown key 'step'; did you mean 'steps'?" in result.stderr


def run(command, **options):
    program = [sys.executable, "-c", "from tselcli.cli import main; main()", *command]
    return subprocess.Popen(program, stderr=subprocess.PIPE, **options)


def test_a_reader_that_goes_away_is_no_error_message():
    reader, writer = os.pipe()
    os.close(reader)
    process = run(["recipes", "show", "mask"], stdout=writer)
    os.close(writer)
    _, stderr = process.communicate(timeout=60)
    assert (process.returncode, stderr) == (128 + signal.SIGPIPE, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_one_line():
    with open("/dev/full", "wb") as full:
        process = run(["recipes", "show", "mask"], stdout=full)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 3
    assert stderr == b"tsel: stdout: No space left on device; send the output elsewhere\n"


def test_no_color_is_respected():
    environment = {**os.environ, "NO_COLOR": "1", "FORCE_COLOR": "1", "TERM": "xterm-256color"}
    process = run(["--help"], stdout=subprocess.PIPE, env=environment)
    text, _ = process.communicate(timeout=60)
    assert b"Usage" in text
    assert b"\x1b[3" not in text  # no colour; bold may stay


def test_what_stdout_cannot_spell_is_escaped(tmp_path):
    path = tmp_path / "x.yaml"
    path.write_text("name: x\ncorpus: {source: \u72d7}\n", encoding="utf-8")
    environment = {**os.environ, "PYTHONIOENCODING": "latin-1"}
    process = run(["recipes", "show", str(path)], stdout=subprocess.PIPE, env=environment)
    text, stderr = process.communicate(timeout=60)
    assert b"source: \\u72d7\n" in text
    assert (process.returncode, stderr) == (0, b"")


def test_all_cores_that_we_may_use(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 3, 5}, raising=False)
    assert [cli_options.processes(wanted) for wanted in (0, 2)] == [3, 2]
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert cli_options.processes(0) == 1


def test_rir_says_where_responses_come_from(tmp_path):
    with_rirs, rir = cli_options.with_rirs, cli_options.Rir
    real = load_recipe("real", with_rirs(None, rir.real, tmp_path))
    assert real.scene.measured.folder == str(tmp_path)
    assert load_recipe("real", with_rirs(None, None, tmp_path)) == real
    named = ["scene.measured.folder=elsewhere"]
    assert load_recipe("real", with_rirs(named, None, None)).scene.measured.folder == "elsewhere"
    assert load_recipe("real", with_rirs(named, rir.simulated, None)).scene.measured is None
    with pytest.raises(RecipeError, match="--rir real: needs --rir-dir"):
        with_rirs(None, rir.real, None)
    with pytest.raises(RecipeError, match="is for --rir real"):
        with_rirs(None, rir.simulated, tmp_path)
