"""Every row of the paper's tables, from simulated scenes to a line of the report.

The encoders are the true classes in their true widths, with random weights.
"""

import csv

import pytest
import torch

from tselcli.commands.eval import evaluate
from tselcli.commands.features import features
from tselcli.commands.report import gather
from tselcli.commands.simulate import simulate
from tselcli.commands.train import train
from tselcli.errors import CheckpointError, DataError, RecipeError
from tselcli.models.direct_checkpoint import open_localizer
from tselcli.recipe import bundled_recipes, load_recipe

ROWS = [name for name in bundled_recipes() if name.startswith("paper/table")]
SHORT = [
    "scene.duration_s=1.0",
    "scene.room.length_m=[4,5]",
    "scene.room.width_m=[4,5]",
    "scene.room.height_m=[3,4]",
    "scene.room.max_order=1",
    "train.batch_size=2",
    "train.steps=2",
    "train.steps_per_epoch=2",
    "labels=[random-weight encoder]",
]


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TSEL_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def scenes(tmp_path_factory, cache):
    """Folders of each kind of scenes; those of Table II move, in ambisonics."""
    home = tmp_path_factory.mktemp("scenes")
    kinds = {
        "one": "paper/table1-clap-concat-one-directional",
        "two": "paper/table1-clap-concat-two-directional",
        "foa": "paper/table2-clap-concat-moving",
    }
    for kind, name in kinds.items():
        recipe = load_recipe(name, SHORT)
        for split, count in (("train", 3), ("val", 2)):
            simulate(recipe, home / kind / split, split=split, count=count, jobs=1)
        features(home / kind / "train", jobs=1)
    return home


@pytest.fixture
def weights(laion_checkpoint, t5_folder, bert_folder):
    return {"clap": laion_checkpoint, "flan-t5": t5_folder, "bert": bert_folder}


def short_recipe(name, weights, *more):
    recipe = load_recipe(name, SHORT)
    sets = [f"model.text_weights={weights[recipe.model.text_encoder]}", *more]
    if getattr(recipe.model, "audio_encoder", None):
        sets.append(f"model.audio_weights={weights[recipe.model.audio_encoder]}")
    return load_recipe(name, [*SHORT, *sets])


@pytest.mark.parametrize("name", ROWS)
def test_a_row_runs_to_its_line_in_the_report(name, scenes, weights, tmp_path):
    recipe = short_recipe(name, weights)
    kind = "foa" if name.endswith("moving") else "one" if recipe.scene.additive else "two"
    data = {split: scenes / kind / split for split in ("train", "val")}
    run = tmp_path / "run"
    figures = train(recipe, run, data=data["train"], val_data=data["val"], device="cpu", jobs=1)
    assert 0 <= figures["val_mae_deg"] <= 180
    with (run / "log.csv").open() as file:
        (epoch,) = csv.DictReader(file)
    assert 0 < float(epoch["azimuth"]) <= 2  # the L1 distance of two distributions
    result = evaluate(str(run), data=data["val"], recipe=recipe, device="cpu", baselines=False)
    assert result["labels"] == ["random-weight encoder"]
    assert result["scenes"][0]["presence"] is None
    (row,) = gather([run])
    assert row["labels"] == ["random-weight encoder"]
    assert row["mae_deg"] == pytest.approx(result["rows"][0]["mae_deg"], abs=1e-3)
    assert row["published_mae_deg"] == recipe.published.mae_deg


def test_a_checkpoint_answers_as_the_network_did(scenes, weights, tmp_path):
    recipe = short_recipe(ROWS[-1], weights)
    data = {"data": scenes / "two" / "train", "val_data": scenes / "two" / "val"}
    train(recipe, tmp_path / "run", device="cpu", jobs=1, **data)
    one, two = (open_localizer(str(tmp_path / "run")) for _ in range(2))
    assert one.name == two.name
    for ours, theirs in zip(one.net.parameters(), two.net.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs)
    damaged = tmp_path / "half.safetensors"
    whole = (tmp_path / "run" / "best.safetensors").read_bytes()
    damaged.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CheckpointError, match="cannot be read as safetensors"):
        open_localizer(str(damaged))


@pytest.fixture(scope="module")
def compact(scenes, tmp_path_factory):
    """A run with the bundled text encoder, which its checkpoint holds."""
    sets = ["model.text_encoder=compact", "model.hidden=8"]
    recipe = load_recipe("paper/table1-clap-concat-two-directional", [*SHORT, *sets])
    run = tmp_path_factory.mktemp("compact") / "run"
    data = {"data": scenes / "two" / "train", "val_data": scenes / "two" / "val"}
    train(recipe, run, device="cpu", jobs=1, **data)
    return recipe, run, data


def test_an_interrupted_run_resumes_to_the_same_weights(compact, tmp_path, monkeypatch):
    from tselcli.trainer import Run

    recipe, _, data = compact
    sets = {"steps": 4, "steps_per_epoch": 2, "patience": 5}
    longer = recipe.model_copy(update={"train": recipe.train.model_copy(update=sets)})
    whole = tmp_path / "whole"
    train(longer, whole, device="cpu", jobs=1, **data)
    saved = Run.save

    def save_then_stop(self):
        saved(self)
        raise KeyboardInterrupt

    monkeypatch.setattr(Run, "save", save_then_stop)
    with pytest.raises(KeyboardInterrupt):
        train(longer, tmp_path / "cut", device="cpu", jobs=1, **data)
    monkeypatch.setattr(Run, "save", saved)
    train(longer, tmp_path / "cut", device="cpu", jobs=1, resume=True, **data)
    ours = torch.load(tmp_path / "cut" / "last.pt", weights_only=True)["net"]
    for name, value in torch.load(whole / "last.pt", weights_only=True)["net"].items():
        torch.testing.assert_close(ours[name], value, msg=name)


def test_scenes_can_be_rendered_on_the_way(compact, tmp_path):
    recipe = compact[0]
    sets = recipe.train.model_copy(update={"val_scenes": 2})
    figures = train(
        recipe.model_copy(update={"train": sets}), tmp_path / "run", device="cpu", jobs=1
    )
    assert figures["parameters"] > 11_000_000


def test_another_array_or_silence_is_one_clear_line(compact):
    from tselcli.acoustics.geometry import parse_array

    localizer = open_localizer(str(compact[1]))
    noise = torch.randn(3, 16_000).numpy()
    with pytest.raises(DataError, match="trained with 4 microphones and knows no other array"):
        localizer.locate(noise, 16_000, ["a dog"], parse_array("circular:3:0.1"))
    with pytest.raises(DataError, match=r"array foa: .* trained with square.*take a mask model"):
        localizer.locate(torch.ones(4, 16_000).numpy(), 16_000, ["a dog"], parse_array("foa"))
    square, silence = parse_array("square:0.12"), torch.zeros(4, 16_000).numpy()
    with pytest.raises(DataError, match="silent"):
        localizer.locate(silence, 16_000, ["a dog"], square)


def test_long_recordings_are_heard_in_clips(compact):
    """Twice the same clip gives the same posterior, and so does a clip with a silent rest."""
    from tselcli.acoustics.geometry import parse_array

    localizer, array = open_localizer(str(compact[1])), parse_array("square:0.12")
    rate = 32_000
    noise = torch.randn(4, rate, generator=torch.Generator().manual_seed(0)).numpy()
    (once,) = localizer.locate(noise, rate, ["a dog"], array)
    (twice,) = localizer.locate(torch.tensor(noise).repeat(1, 2).numpy(), rate, ["a dog"], array)
    torch.testing.assert_close(torch.tensor(once.posterior), torch.tensor(twice.posterior))
    assert once.present is None


def test_a_gpu_that_is_too_small_names_the_batch_size(compact, tmp_path, monkeypatch):
    from tselcli.direct_task import DirectTask

    def full(self, net):
        raise torch.OutOfMemoryError("CUDA out of memory")

    recipe, _, data = compact
    monkeypatch.setattr(DirectTask, "loss", full)
    with pytest.raises(RecipeError, match=r"train\.batch_size=2.*try --set train\.batch_size=1"):
        train(recipe, tmp_path / "run", device="cpu", jobs=1, **data)
