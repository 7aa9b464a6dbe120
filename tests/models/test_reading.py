"""A mask model that reads with CLAP: trained, scored and asked; CLAP has random weights."""

import shutil

import numpy as np
import pytest
import soundfile
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from tselcli.acoustics.geometry import parse_array
from tselcli.commands import adapt as adapting
from tselcli.commands.adapt import adapt
from tselcli.commands.calibrate import calibrate
from tselcli.commands.eval import evaluate
from tselcli.commands.export import export
from tselcli.commands.localize import localize
from tselcli.commands.train import train
from tselcli.errors import CheckpointError, DataError
from tselcli.features.cache import FeatureCache
from tselcli.mask_task import caption_table
from tselcli.models.checkpoint import load_checkpoint, save_checkpoint
from tselcli.models.direct_checkpoint import open_localizer
from tselcli.models.reading import ENCODER_KEY, open_reader
from tselcli.models.readout import Readout
from tselcli.models.weights import LAION_CHECKPOINT
from tselcli.recipe import load_recipe, recipe_to_yaml

pytestmark = pytest.mark.usefixtures("bare_machine")
RATE = 16_000
CAPTIONS = {
    "train": ["A dog barks", "Rain falls on a roof", "A bell rings", "An engine idles"],
    "val": ["A cat meows", "Thunder roars"],
    "test": ["Birds chirp", "A siren wails", "Water runs"],
}
SHORT = [
    "scene.duration_s=1.0",
    "scene.room.length_m=[4,6]",
    "scene.room.width_m=[4,6]",
    "scene.room.height_m=[3,4]",
    "scene.room.max_order=2",
    "model.width=4",
    "model.levels=2",
    "model.embed_dim=8",
    "train.steps=2",
    "train.steps_per_epoch=2",
    "train.batch_size=2",
    "train.val_scenes=2",
    "mixing.crop_s=0.6",
    "mixing.rooms=2",
    "mixing.extra_queries=3",
    "eval.count=2",
    "labels=[random-weight encoder]",
]


@pytest.fixture(scope="module")
def audiocaps(tmp_path_factory):
    """A folder as AudioCaps is, of some noise."""
    root = tmp_path_factory.mktemp("AudioCaps")
    rng = np.random.default_rng(0)
    for split, captions in CAPTIONS.items():
        rows = ["audiocap_id,youtube_id,start_time,caption"]
        for number, caption in enumerate(captions):
            video = f"{split}{number:06d}"
            rows.append(f"{number},{video},0,{caption}")
            (root / split).mkdir(exist_ok=True)
            sound = rng.standard_normal(RATE) * np.hanning(RATE) * 0.1
            soundfile.write(root / split / f"Y{video}.wav", sound, RATE)
        (root / f"{split}.csv").write_text("\n".join(rows) + "\n")
    return root


@pytest.fixture(scope="module")
def recipes(audiocaps, laion_checkpoint):
    sets = [
        *SHORT,
        f"corpus.source=audiocaps:{audiocaps}",
        f"model.text_weights={laion_checkpoint}",
    ]
    names = ("clap", "clap-hf")
    return {name: load_recipe("mask-clap", [*sets, f"model.text_encoder={name}"]) for name in names}


@pytest.fixture(scope="module")
def recipe(recipes):
    return recipes["clap-hf"]


@pytest.fixture(scope="module")
def runs(recipes, tmp_path_factory):
    """A run with each of the two."""
    home = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TSEL_CACHE", str(home / "cache"))
        for name, recipe in recipes.items():
            train(recipe, home / name, device="cpu", jobs=1)
    return home


@pytest.fixture
def run(runs):
    return str(runs / "clap-hf")


def usual_place(bare_machine, laion_checkpoint):
    """Put CLAP where `tsel models fetch` would."""
    folder = bare_machine / "tsel" / "models" / "clap"
    folder.mkdir(parents=True)
    for file in (LAION_CHECKPOINT, "vocab.json", "merges.txt"):
        shutil.copy(laion_checkpoint.parent / file, folder)
    return folder


def rewritten(run, tmp_path, **changes):
    """Copy a run's checkpoint with other metadata."""
    with safe_open(f"{run}/best.safetensors", framework="pt") as file:
        metadata = file.metadata()
    path = tmp_path / "moved.safetensors"
    save_file(load_file(f"{run}/best.safetensors"), path, metadata={**metadata, **changes})
    return str(path)


def moved_elsewhere(run, tmp_path):
    """Copy a run's checkpoint as to another machine, where its CLAP does not stand."""
    recipe = load_checkpoint(str(run)).recipe
    gone = recipe.model.model_copy(update={"text_weights": str(tmp_path / "gone.pt")})
    yaml = recipe_to_yaml(recipe.model_copy(update={"model": gone}))
    return rewritten(run, tmp_path, recipe=yaml)


@pytest.mark.parametrize("name", ["clap", "clap-hf"])
def test_a_run_is_scored_and_asked(name, runs, recipes, bare_machine):
    run = str(runs / name)
    result = evaluate(run, device="cpu", jobs=1, baselines=False)
    assert result["labels"] == ["random-weight encoder"]
    assert [scene["query"] in CAPTIONS["test"] for scene in result["scenes"]] == [True, True]
    assert all(0 <= scene["presence"] <= 1 for scene in result["scenes"])
    noise = np.random.default_rng(1).standard_normal((4, RATE)) * 0.1
    soundfile.write(bare_machine / "mix.wav", noise.T, RATE)
    (answer,) = localize([bare_machine / "mix.wav"], ["a dog"], model=run, device="cpu")
    assert answer["model"].startswith("mask-clap@")
    localizer = open_localizer(run)
    dog, rain = localizer.locate(noise, RATE, ["a dog", "rain"], parse_array("square:0.12"))
    assert dog.azimuth_deg == pytest.approx(answer["azimuth_deg"], abs=0.1)
    assert dog.presence != rain.presence
    assert localizer.recipe == recipes[name]


def test_the_checkpoint_holds_the_network_and_a_name(run, laion_checkpoint):
    tensors = load_file(f"{run}/best.safetensors")
    assert {name.split(".")[0] for name in tensors} == {"net", "readout"}
    text = load_checkpoint(run).text
    assert (text.identity.encoder, text.dim) == ("clap-hf", 512)
    wanted = open_reader(load_checkpoint(run).recipe.model)
    assert torch.equal(text.encode(["a dog"]), wanted.encode(["a dog"]))


def test_captions_are_embedded_once_for_all_runs(recipe, tmp_path, monkeypatch):
    train(recipe, tmp_path / "first", device="cpu", jobs=1)

    def refuse(*arguments):
        raise AssertionError("CLAP was opened again")

    monkeypatch.setattr("tselcli.models.clap.HfClap.__init__", refuse)
    train(recipe, tmp_path / "second", device="cpu", jobs=1)
    one, two = (load_file(tmp_path / run / "best.safetensors") for run in ("first", "second"))
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_a_long_table_of_captions_gives_everyone_its_own(monkeypatch, text_encoder):
    monkeypatch.setattr("tselcli.mask_task.CAPTIONS_AT_ONCE", 2)
    captions = ["a dog", "rain", "a bell that rings", "bees", "wind"]
    table = caption_table(text_encoder, captions)
    assert list(table) == captions
    together = text_encoder.encode(captions)
    torch.testing.assert_close(torch.stack(list(table.values())), together)


def test_without_clap_one_line_says_how_to_get_it(runs, tmp_path):
    moved = moved_elsewhere(runs / "clap", tmp_path)
    with pytest.raises(CheckpointError, match=r"^clap: .*`tsel models fetch clap` downloads it.*$"):
        open_localizer(moved)


def test_clap_is_found_in_the_usual_place_too(runs, tmp_path, bare_machine, laion_checkpoint):
    usual_place(bare_machine, laion_checkpoint)
    moved = load_checkpoint(moved_elsewhere(runs / "clap", tmp_path))
    there = load_checkpoint(str(runs / "clap"))
    assert moved.text.identity.weights == there.text.identity.weights


def test_another_clap_is_refused(runs, tmp_path, bare_machine, laion_checkpoint):
    folder = usual_place(bare_machine, laion_checkpoint)
    with (folder / "merges.txt").open("a") as file:
        file.write("r a\n")
    moved = moved_elsewhere(runs / "clap", tmp_path)
    with pytest.raises(
        CheckpointError, match=f"^{moved}: was trained with another clap .*path clap"
    ):
        open_localizer(moved)


@pytest.mark.parametrize(
    ("named", "wrong"),
    [
        ('{"name": "clap", "weights": "", "dim": 512}', "text_encoder clap instead of clap-hf"),
        ('{"name": "clap-hf", "weights": "", "dim": 1000000}', "dim=1000000 is not 1 to 8192"),
        ('{"name": "clap-hf", "weights": "", "dim": 511}', "size mismatch for words.linear.weight"),
        ('{"name": "clap-hf", "weights": ""}', "'dim'"),
        ("[]", "list indices"),
        ("no JSON", "Expecting value"),
    ],
)
def test_damaged_names_are_one_line(run, tmp_path, named, wrong):
    with pytest.raises(CheckpointError, match=f"do not fit together .*{wrong}") as caught:
        load_checkpoint(rewritten(run, tmp_path, **{ENCODER_KEY: named}))
    assert "\n" not in str(caught.value)


def test_an_encoder_that_cannot_be_found_again_is_not_saved(run, tmp_path):
    class Fresh:
        dim = 512

        def encode(self, texts):
            return torch.zeros(len(texts), 512)

    net, recipe = load_checkpoint(run).net, load_checkpoint(run).recipe
    with pytest.raises(ValueError, match="Fresh: nothing says how to find it again"):
        save_checkpoint(tmp_path / "x.safetensors", net, Readout(64), Fresh(), recipe, {})


def test_calibration_keeps_what_it_reads_with(run, recipe, tmp_path):
    out = tmp_path / "fitted.safetensors"
    figures = calibrate(run, out, recipe=recipe, count=6, device="cpu", jobs=1)
    assert figures["questions"] == 10  # of four scenes of two sources and two of one
    old, new = load_checkpoint(run), load_checkpoint(str(out))
    assert new.text.identity == old.text.identity


def test_adapt_and_export_need_the_compact_encoder(run, recipe, tmp_path):
    needs = rf"^{run}: reads with an encoder that is not inside; adapt needs .* the compact one$"
    with pytest.raises(CheckpointError, match=needs):
        adapt(run, tmp_path / "x.safetensors", recipe=recipe, captions=["paraphrases"])
    with pytest.raises(CheckpointError, match=r"^mask-clap@\w{8}: reads .*; export needs a model"):
        export(run, tmp_path / "x.onnx")
    assert list(tmp_path.glob("x*")) == []


def test_adapt_refuses_clips_without_number(recipe, tmp_path, monkeypatch):
    monkeypatch.setattr(adapting, "MOST_KINDS", 3)
    short = {"captions": [], "steps": 1, "batches": 1, "device": "cpu", "jobs": 1}
    with pytest.raises(DataError, match=r"^audiocaps:.*: 4 kinds of sound.*up to 3; take a corpus"):
        adapt("mask-compact", tmp_path / "x.safetensors", recipe=recipe, **short)


def test_a_table_of_captions_is_kept_for_the_next_run(text_encoder, tmp_path):
    cache, captions = FeatureCache(tmp_path), [f"sound {number}" for number in range(5)]
    first = caption_table(text_encoder, captions, cache)
    encode, asked = text_encoder.encode, []
    text_encoder.encode = lambda texts: asked.append(list(texts)) or encode(texts)
    try:
        again = caption_table(text_encoder, captions, cache)
    finally:
        del text_encoder.encode
    assert [len(texts) for texts in asked] == [1]  # the probe
    assert all(torch.equal(again[caption], first[caption]) for caption in captions)
