"""The whole road on scenes of a second: simulate, features, train, eval, localize; no network."""

import csv
import json
import socket

import numpy as np
import pytest
import soundfile
import torch
from typer.testing import CliRunner

from tselcli import cli
from tselcli.breakdowns import KEYS, break_down
from tselcli.commands.eval import evaluate
from tselcli.commands.features import features
from tselcli.commands.localize import localize, localize_batch
from tselcli.commands.report import gather
from tselcli.commands.simulate import simulate
from tselcli.commands.train import train
from tselcli.errors import CheckpointError, DataError, RecipeError
from tselcli.models.checkpoint import load_checkpoint
from tselcli.models.encoders import METADATA_KEY, CompactTextEncoder
from tselcli.recipe import recipe_from_dict
from tselcli.report_tracks import below_table
from tselcli.sections import Published

LETTERS = [chr(code) for code in range(ord("a"), ord("z") + 1)]
PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *LETTERS, *(f"##{one}" for one in LETTERS)]


@pytest.fixture(scope="module", autouse=True)
def no_network():
    """Whoever opens a socket to another machine fails."""
    patch = pytest.MonkeyPatch()

    def refuse(self, address):
        raise AssertionError(f"a connection to {address} was tried")

    patch.setattr(socket.socket, "connect", refuse)
    patch.setattr(socket.socket, "connect_ex", refuse)
    yield
    patch.undo()


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    folder = tmp_path_factory.mktemp("home")
    patch = pytest.MonkeyPatch()
    patch.setenv("TSEL_CACHE", str(folder / "cache"))
    yield folder
    patch.undo()


@pytest.fixture(scope="module")
def recipe(home):
    from safetensors.torch import save_file

    torch.manual_seed(0)
    sizes = {"embed_dim": 8, "hidden": 16, "layers": 1, "heads": 2, "ffn": 16, "max_tokens": 32}
    tensors, config = CompactTextEncoder(PIECES, **sizes).to_tensors()
    save_file(tensors, home / "text.safetensors", metadata={METADATA_KEY: json.dumps(config)})
    return recipe_from_dict(
        {
            "name": "test",
            "scene": {
                "duration_s": 1.0,
                "room": {"length_m": [4, 6], "width_m": [4, 6], "height_m": [3, 4], "max_order": 3},
            },
            "model": {
                "width": 4,
                "levels": 2,
                "embed_dim": 8,
                "text_weights": str(home / "text.safetensors"),
            },
            "train": {
                "steps": 4,
                "steps_per_epoch": 2,
                "batch_size": 2,
                "warmup_steps": 1,
                "val_scenes": 2,
            },
            "mixing": {"crop_s": 0.6, "extra_queries": 3, "rooms": 3, "rooms_per_clip": 1},
        }
    )


@pytest.fixture(scope="module")
def scenes(home, recipe):
    for split, count in (("train", 6), ("val", 3)):
        simulate(recipe, home / split, split=split, count=count, jobs=1)
    return home


@pytest.fixture(scope="module")
def run(scenes, recipe):
    figures = train(
        recipe,
        scenes / "run",
        data=scenes / "train",
        val_data=scenes / "val",
        device="cpu",
        jobs=1,
    )
    return scenes / "run", figures


def test_features_fill_the_cache_once(scenes):
    first = features(scenes / "train", jobs=1)
    assert first["scenes"] == 6
    assert first["stems"] == 12
    before = {path: path.stat().st_mtime_ns for path in (scenes / "cache").rglob("*.npy")}
    assert features(scenes / "train", jobs=1) == first
    assert {p: p.stat().st_mtime_ns for p in (scenes / "cache").rglob("*.npy")} == before


def test_a_run_folder_is_complete(run, recipe):
    folder, figures = run
    assert {path.name for path in folder.iterdir()} == {
        "recipe.yaml",
        "log.csv",
        "best.safetensors",
        "last.pt",
    }
    with (folder / "log.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [int(float(row["step"])) for row in rows] == [2, 4]
    assert all(np.isfinite(float(row["loss"])) for row in rows)
    assert 0 <= figures["val_mae_deg"] <= 180
    assert load_checkpoint(str(folder)).recipe == recipe


def test_a_run_that_cannot_begin_leaves_nothing(recipe, home, tmp_path):
    model = recipe.model.model_copy(update={"text_weights": str(tmp_path / "none.safetensors")})
    with pytest.raises(CheckpointError, match=r"none\.safetensors"):
        train(recipe.model_copy(update={"model": model}), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_missing_teacher_is_told_before_any_room_is_computed(recipe, tmp_path, monkeypatch):
    from tselcli.commands import train as command

    monkeypatch.setattr(command, "fresh_stems", None)  # any use of it fails
    mixing = recipe.mixing.model_copy(update={"teacher": str(tmp_path / "none.safetensors")})
    with pytest.raises(CheckpointError, match=r"none\.safetensors: no such file; `tsel lessons`"):
        train(recipe.model_copy(update={"mixing": mixing}), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_half_precision_without_its_instructions_is_refused(recipe, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX2")
    half = recipe.train.model_copy(update={"precision": "bfloat16"})
    with pytest.raises(RecipeError, match="bfloat16: this processor"):
        train(recipe.model_copy(update={"train": half}), tmp_path / "run", device="cpu")
    assert not (tmp_path / "run").exists()


def test_a_second_run_needs_resume_or_another_folder(run, recipe):
    folder, _ = run
    with pytest.raises(RecipeError, match="holds a run already; add --resume"):
        train(recipe, folder, device="cpu")
    other = recipe.model_copy(update={"seed": 5})
    with pytest.raises(RecipeError, match="begun with another recipe"):
        train(other, folder, device="cpu", resume=True)


def test_an_interrupted_run_resumes_to_the_same_weights(scenes, recipe, run, monkeypatch):
    from tselcli.trainer import Run

    folder = scenes / "interrupted"
    saved = Run.save

    def save_then_stop(self):
        saved(self)
        raise KeyboardInterrupt

    sets = {"data": scenes / "train", "val_data": scenes / "val", "device": "cpu", "jobs": 1}
    monkeypatch.setattr(Run, "save", save_then_stop)
    with pytest.raises(KeyboardInterrupt):
        train(recipe, folder, **sets)
    monkeypatch.undo()
    monkeypatch.setenv("TSEL_CACHE", str(scenes / "cache"))
    train(recipe, folder, resume=True, **sets)
    ours = torch.load(folder / "last.pt", weights_only=True)
    whole = torch.load(run[0] / "last.pt", weights_only=True)
    assert ours["counters"]["step"] == whole["counters"]["step"] == 4
    for name, value in whole["net"].items():
        torch.testing.assert_close(ours["net"][name], value, msg=name)


def test_a_damaged_last_state_is_one_line(scenes, recipe, run):
    import shutil

    folder = scenes / "damaged"
    shutil.copytree(run[0], folder)
    raw = (folder / "last.pt").read_bytes()
    (folder / "last.pt").write_bytes(raw[: len(raw) // 2])
    with pytest.raises(CheckpointError, match=r"last\.pt: cannot resume"):
        train(
            recipe,
            folder,
            data=scenes / "train",
            val_data=scenes / "val",
            device="cpu",
            resume=True,
            jobs=1,
        )


def test_training_on_the_fly_makes_its_own_rooms(scenes, recipe, monkeypatch):
    from tselcli import stems

    whole = stems.corpus_of

    def few(recipe, split):
        from dataclasses import replace

        corpus = whole(recipe, split)
        return replace(corpus, clips=corpus.clips[::60])

    monkeypatch.setattr(stems, "corpus_of", few)
    figures = train(recipe, scenes / "fly", val_data=scenes / "val", device="cpu", jobs=1)
    assert figures["step"] in (2, 4)


def test_evaluation_sets_the_model_beside_chance_and_physics(scenes, run):
    out = scenes / "eval.json"
    result = evaluate(str(run[0]), count=4, jobs=1, device="cpu", out=out)
    systems = [row["system"] for row in result["rows"]]
    assert systems[0].startswith("test@")
    assert systems[1:5] == [
        "SRP-PHAT, query ignored",
        "SRP-PHAT of pyroomacoustics",
        "SRP-PHAT, oracle ratio mask",
        "matcher: beamform, then compare",
    ]
    assert {"chance: random azimuth", "chance: random source", "chance: best constant"} <= set(
        systems
    )
    assert all(row["scenes"] == 4 for row in result["rows"])
    assert json.loads(out.read_text())["rows"][0]["scenes"] == 4
    again = evaluate(str(run[0]), count=4, jobs=2, device="cpu", by=KEYS)
    assert again["rows"] == result["rows"]
    assert again["presence"] == result["presence"]
    assert again["breakdowns"] == break_down(result, KEYS)
    assert (result["presence"]["scenes"], result["presence"]["absent"]) == (4, 8)
    assert result["confidence"]["accuracy"] == result["rows"][0]["acc_10"]


def test_evaluation_of_tracks_scores_frames_and_draws_them(scenes, run):
    figures, out = scenes / "figures", scenes / "tracks.json"
    options = {"count": 2, "jobs": 1, "device": "cpu"}
    result = evaluate(str(run[0]), plot=figures, out=out, **options)
    systems = [row["system"] for row in result["rows"]]
    assert systems[1:3] == ["SRP-PHAT, query ignored", "SRP-PHAT, oracle ratio mask"]
    assert "chance: split direction" in systems
    assert {"le_cd_deg", "lr_cd", "f_20", "selection"} <= set(result["rows"][0])
    assert result["clip_rows"][0]["system"] == systems[0]
    names = [f"scene-{k:06d}.{suffix}" for k in range(2) for suffix in ("png", "svg")]
    assert sorted(path.name for path in figures.iterdir()) == names
    (kept, _) = json.loads(out.read_text())["tracks"]
    assert set(kept["answers"]) == set(systems[:3])
    assert len(kept["target_deg"]) == len(kept["active"]) == 10
    assert all(len(said["azimuth_deg"]) == 10 for said in kept["answers"].values())
    assert "tracks" not in evaluate(str(run[0]), **options)  # nothing moves


def test_the_oracle_follows_one_source_alone(scenes, run, recipe):
    scene = recipe.scene.model_copy(update={"directional": 1})
    alone = recipe.model_copy(update={"scene": scene})
    options = {"recipe": alone, "count": 3, "jobs": 1, "device": "cpu", "track": True}
    model, ignorant, oracle = evaluate(str(run[0]), **options)["rows"][:3]
    assert max(row["median_deg"] for row in (model, ignorant, oracle)) < 6
    assert model["selection"] is None


def test_a_run_folder_keeps_its_figures_and_what_they_are_of(scenes, run, recipe):
    stored = run[0] / "eval.json"
    stored.unlink(missing_ok=True)
    published = Published(mae_deg=1.34, table="I", row=1)
    scene = recipe.scene.model_copy(update={"directional": 1, "additive": 1})
    other = recipe.model_copy(update={"scene": scene, "published": published})
    result = evaluate(str(run[0]), recipe=other, count=2, jobs=1, device="cpu", baselines=False)
    kept = json.loads(stored.read_text())
    assert kept["rows"][0]["mae_deg"] == pytest.approx(result["rows"][0]["mae_deg"], rel=1e-5)
    assert recipe_from_dict(kept["recipe"]) == other
    assert kept["published"]["mae_deg"] == 1.34
    assert not any("paper" in row["system"] for row in kept["rows"])
    (row,) = gather([run[0]])
    assert (row["scenes"], row["count"], row["fusion"]) == (
        "One dir., one add.",
        2,
        "mask, then steer",
    )
    assert row["published_mae_deg"] is None  # of a system that this is not


def test_a_file_to_write_replaces_that_of_the_run_folder(scenes, run):
    stored = run[0] / "eval.json"
    stored.unlink(missing_ok=True)
    options = {"count": 2, "jobs": 1, "device": "cpu", "baselines": False}
    evaluate(str(run[0]), out=scenes / "elsewhere.json", **options)
    evaluate(str(run[0] / "best.safetensors"), **options)
    assert not stored.exists()


def test_evaluation_of_a_folder(scenes, run):
    result = evaluate(str(run[0]), data=scenes / "val", jobs=1, device="cpu")
    assert result["rows"][0]["scenes"] == 3
    assert len(result["scenes"]) == 3
    assert result["folded"] is False
    assert below_table(result) == ""
    assert result["presence"]["absent"] == 6  # the folder knows its corpus
    silent = evaluate(str(run[0]), data=scenes / "val", device="cpu", absent=0, baselines=False)
    assert silent["presence"] is None
    assert list(silent["scenes"][0]["answers"]) == [result["model"]]


def test_one_source_alone_is_found_in_a_simulated_room(scenes, run, recipe):
    scene = recipe.scene.model_copy(update={"directional": 1})
    alone = recipe.model_copy(update={"scene": scene})
    result = evaluate(str(run[0]), recipe=alone, count=5, jobs=1, device="cpu")
    assert result["rows"][0]["median_deg"] < 3
    assert result["rows"][0]["selection"] is None
    for scene in result["scenes"]:
        ours, peer = (scene["answers"][name] for name in list(scene["answers"])[1:3])
        assert abs((ours - peer + 180) % 360 - 180) <= 1


def test_ambisonics_are_simulated_localized_and_scored(run, recipe, tmp_path):
    array = recipe.scene.array.model_copy(update={"geometry": "foa-fuma"})
    scene = recipe.scene.model_copy(update={"directional": 1, "array": array})
    heard = recipe.model_copy(update={"scene": scene})
    simulate(heard, tmp_path / "fuma", split="test", count=3, jobs=1)
    result = evaluate(str(run[0]), data=tmp_path / "fuma", jobs=1, device="cpu")
    ours, plain, *_ = result["rows"]
    assert plain["system"] == "intensity, query ignored"
    assert not any("SRP" in row["system"] for row in result["rows"])
    assert ours["mae_deg"] < 5
    assert plain["mae_deg"] < 5
    fresh = evaluate(str(run[0]), recipe=heard, count=2, jobs=1, device="cpu")
    assert fresh["rows"][2]["system"] == "intensity, oracle ratio mask"
    files = [tmp_path / "fuma" / "audio" / f"test_{number:06}.flac" for number in range(3)]
    answers = localize(files, ["a siren"], model=str(run[0]), array="foa-fuma", device="cpu")
    for answer, scored in zip(answers, result["scenes"], strict=True):
        away = answer["azimuth_deg"] - scored["azimuth_deg"]
        assert abs((away + 180) % 360 - 180) < 5


@pytest.mark.parametrize("track", [False, True])
def test_front_and_back_count_alike_where_an_array_cannot_tell_them(run, recipe, track):
    array = recipe.scene.array.model_copy(update={"geometry": "linear:2"})
    spacious = {"directional": 1, "array": array}
    heard = recipe.model_copy(update={"scene": recipe.scene.model_copy(update=spacious)})
    options = {"count": 6, "jobs": 1, "device": "cpu", "track": track}
    result = evaluate(str(run[0]), recipe=heard, **options)
    truths = np.array([scene["azimuth_deg"] for scene in result["scenes"]])
    assert (np.abs(truths) > 90).any()
    assert (np.abs(truths) < 90).any()
    assert result["folded"]
    ignorant = result["rows"][1]
    assert ignorant["system"] == "SRP-PHAT, query ignored"
    assert ignorant["mae_deg"] < 15
    chance = {row["system"]: row for row in result["rows"]}["chance: random azimuth"]
    folded = np.where(np.abs(truths) > 90, np.sign(truths) * 180 - truths, truths)
    expected = np.mean((8100 + folded**2) / 180)  # of an answer anywhere in [-90, 90]
    assert chance["mae_deg"] == pytest.approx(expected, abs=0.6)
    assert below_table(result).startswith("Front and back are folded")


@pytest.fixture
def recording(scenes):
    return sorted((scenes / "val" / "audio").glob("*.flac"))[0]


def test_localize_answers_in_order_and_keeps_the_contract(run, recording):
    answers = list(localize([recording], ["a siren", "rain"], model=str(run[0]), device="cpu"))
    assert [answer["query"] for answer in answers] == ["a siren", "rain"]
    for answer in answers:
        assert set(answer) == {
            "audio",
            "query",
            "model",
            "azimuth_deg",
            "confidence",
            "present",
            "alternatives",
            "convention",
        }
        assert -180 <= answer["azimuth_deg"] < 180
        assert 0 <= answer["confidence"] <= 1
        assert all(set(other) == {"azimuth_deg", "score"} for other in answer["alternatives"])
    assert answers[0]["model"].startswith("test@")
    assert answers[0]["convention"] == "degrees, counter-clockwise, 0 = front, [-180, 180)"


def test_localize_tracks_and_draws_what_was_asked(run, recording, tmp_path):
    options = {"model": str(run[0]), "device": "cpu"}
    for name, track in (("track.png", True), ("circle.svg", False)):
        list(localize([recording], ["rain"], track=track, plot=tmp_path / name, **options))
        assert (tmp_path / name).stat().st_size > 1000
    (answer,) = localize([recording], ["rain"], track=True, **options)
    trajectory = answer["trajectory"]
    assert [frame["time_s"] for frame in trajectory] == pytest.approx(np.arange(10) / 10)
    for frame in trajectory:
        assert set(frame) == {"time_s", "azimuth_deg", "confidence", "active"}
        assert -180 <= frame["azimuth_deg"] <= 180
        assert 0 <= frame["confidence"] <= 1
        assert isinstance(frame["active"], bool)
    with pytest.raises(RecipeError, match=r"--plot writes \.png, \.svg, \.pdf"):
        list(localize([recording], ["rain"], plot=tmp_path / "a.bmp", **options))


def test_a_batch_goes_on_past_bad_rows(run, recording, tmp_path):
    (tmp_path / "broken.wav").write_bytes(b"RIFF nonsense")
    pairs = tmp_path / "pairs.csv"
    with pairs.open("w", newline="") as file:
        csv.writer(file).writerows(
            [
                ("audio", "query"),
                (recording, "a siren"),
                (tmp_path / "broken.wav", "rain"),
                (recording, ""),
                (recording, "rain"),
                (tmp_path / "gone.wav", "rain"),
            ]
        )
    answers = list(localize_batch(pairs, model=str(run[0]), device="cpu"))
    assert ["error" in answer for answer in answers] == [False, True, True, False, True]
    assert all(set(row) == {"audio", "query", "error"} for row in answers if "error" in row)
    result = CliRunner().invoke(
        cli.app, ["localize", "--batch", str(pairs), "--model", str(run[0]), "--format", "json"]
    )
    assert result.exit_code == 3
    assert len(result.stdout.splitlines()) == 5


BAD_AUDIO = {
    "missing": (lambda path: None, "no such file"),
    "empty": (lambda path: path.write_bytes(b""), "empty"),
    "text": (lambda path: path.write_text("no audio"), ""),
    "silent": (lambda path: soundfile.write(path, np.zeros((800, 4)), 16_000), "silent"),
    "stereo": (lambda path: soundfile.write(path, np.ones((800, 2)) / 2, 16_000), "4 microphones"),
    "nan": (
        lambda path: soundfile.write(path, np.full((800, 4), np.nan), 16_000, subtype="FLOAT"),
        "",
    ),
}


@pytest.mark.parametrize("kind", BAD_AUDIO)
def test_bad_recordings_are_one_line_and_exit_code_3(run, tmp_path, kind):
    make, words = BAD_AUDIO[kind]
    path = tmp_path / "bad.wav"
    make(path)
    result = CliRunner().invoke(cli.app, ["localize", str(path), "rain", "--model", str(run[0])])
    assert result.exit_code == DataError.exit_code
    lines = [line for line in result.stderr.splitlines() if line.strip()]
    assert len(lines) == 1
    assert "bad.wav" in lines[0]
    assert words in lines[0]
    assert result.stdout == ""


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["   "], 2, "query is empty"),
        (["rain", "--array", "squre:0.1"], 2, "squre"),
        (["rain", "--model", "nothing-there"], 4, "no such model"),
        (["rain", "--device", "cuda"], 2, "cuda"),
    ],
)
def test_bad_arguments_are_one_line(run, recording, arguments, code, words):
    if "cuda" in arguments and torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    if "--model" not in arguments:
        arguments = [*arguments, "--model", str(run[0])]
    result = CliRunner().invoke(cli.app, ["localize", str(recording), *arguments])
    assert result.exit_code == code
    assert words in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


def test_a_query_of_two_thousand_words_is_answered(run, recording):
    query = "a dog barks and " * 500
    answers = list(localize([recording], [query], model=str(run[0]), device="cpu"))
    assert answers[0]["query"] == query
