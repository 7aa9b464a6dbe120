"""Every recipe of the folder is sound, and the package finds exactly those."""

import re
from pathlib import Path

import pytest

from tselcli.recipe import bundled_recipes, load_recipe

FOLDER = Path(__file__).parents[1] / "recipes"
FILES = sorted(FOLDER.rglob("*.y*ml"))


def name_of(path):
    return path.relative_to(FOLDER).with_suffix("").as_posix()


def test_no_recipe_is_overlooked():
    assert len(FILES) == 6 + 10
    assert list(bundled_recipes()) == [name_of(path) for path in FILES]


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_recipe_is_sound_and_named_like_its_file(path):
    assert load_recipe(str(path)).name.startswith(name_of(path).replace("/", "-"))


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_recipe_opens_with_the_command_that_runs_it(path):
    name = name_of(path)
    lines = path.read_text(encoding="utf-8").splitlines()
    assert re.match(rf"# tsel (train|simulate) {name} .*--out ", lines[0])
    assert lines[1] == "#"
    assert re.match(r"# [A-Z].*", lines[2])


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_recipe_needs_nothing_beside_the_package(path):
    needed = "audiocaps:AudioCaps" if name_of(path) == "mask-clap" else "synthetic"
    assert load_recipe(str(path)).corpus.source == needed


def test_mask_clap_is_mask_but_for_what_it_reads_with_and_hears():
    one, two = load_recipe("mask"), load_recipe("mask-clap")
    assert (one.model.text_encoder, two.model.text_encoder) == ("compact", "clap")
    changed = {"text_encoder": "compact"}
    assert two.model.model_copy(update=changed) == one.model
    assert (two.scene, two.features) == (one.scene, one.features)
    assert two.train.minutes is None


def test_tiny_is_tiny():
    recipe = load_recipe("tiny")
    assert recipe.scene.duration_s == 4.0
    assert (recipe.model.width, recipe.model.levels) == (16, 3)
    assert recipe.train.steps <= 400
    assert (recipe.train.scenes, recipe.train.val_scenes, recipe.eval.count) == (300, 40, 60)


PUBLISHED = {  # Tables I and II of the paper
    "table1-clap-concat-one-directional": ("I", 1, 1.34),
    "table1-clap-concat-two-directional": ("I", 2, 32.15),
    "table1-clap-clap-concat-two-directional": ("I", 3, 43.3),
    "table1-flan-t5-cross-attention-two-directional": ("I", 4, 37.18),
    "table1-bert-cross-attention-two-directional": ("I", 5, 33.61),
    "table2-clap-concat-moving": ("II", 1, 45.58),
    "table2-clap-clap-concat-moving": ("II", 2, 47.92),
    "table2-flan-t5-cross-attention-moving": ("II", 3, 48.71),
    "table2-bert-cross-attention-moving": ("II", 4, 49.18),
}
PAPER = ["base", *PUBLISHED]


def test_the_papers_systems_are_all_there():
    names = {name for name in bundled_recipes() if name.startswith("paper/")}
    assert names == {f"paper/{name}" for name in PAPER}


@pytest.mark.parametrize(("name", "expected"), PUBLISHED.items(), ids=PUBLISHED)
def test_published_figures_are_the_papers(name, expected):
    published = load_recipe(f"paper/{name}").published
    assert (published.table, published.row, published.mae_deg) == expected


@pytest.mark.parametrize("name", PAPER)
def test_values_are_those_of_the_papers_text(name):
    recipe = load_recipe(f"paper/{name}")
    features, scene, rules = recipe.features, recipe.scene, recipe.train
    assert (features.n_fft, features.hop, features.n_lags) == (1024, 640, 96)
    assert features.sample_rate == 32_000
    assert scene.sample_rate == (24_000 if name.startswith("table2") else 32_000)
    assert (scene.duration_s, scene.onset) == (10.0, "start")
    assert scene.array.geometry == ("foa" if name.startswith("table2") else "square")
    assert scene.motion.share == (0.5 if name.startswith("table2") else 0)
    assert (scene.array.spacing_m, scene.array.height_m) == ((0.1, 0.13), (1.0, 1.2))
    assert scene.room.rt60_s == (0.5, 1.0)
    assert scene.room.length_m == scene.room.width_m == scene.room.height_m == (5.0, 15.0)
    assert (rules.batch_size, rules.lr, rules.weight_decay) == (64, 5e-4, 0)
    assert (rules.schedule, rules.lr_halve_epochs, rules.patience) == ("step", 20, 10)
    assert (rules.ema, rules.warmup_steps) == (0, 0)
    assert rules.steps == 200 * rules.steps_per_epoch
    assert (recipe.objective.loss, recipe.objective.sigma_deg) == ("l1", 5.0)


@pytest.mark.parametrize("name", PUBLISHED)
def test_architecture_is_the_one_that_the_name_says(name):
    recipe = load_recipe(f"paper/{name}")
    model = recipe.model
    moving = name.endswith("moving")
    if "cross-attention" in name:
        assert model.text_encoder == name.split("-", 1)[1].split("-cross")[0]
        sizes = (model.encoder_layers, model.decoder_layers, model.hidden, model.ffn)
        assert sizes == (4, 4, 256, 1024)
        assert (model.name, model.frames) == ("cross-attention", moving)
    else:
        assert model.name == ("concat-lstm" if moving else "concat")
        assert model.text_encoder == "clap"
        assert model.audio_encoder == ("clap" if "clap-clap" in name else None)


@pytest.mark.parametrize("name", PUBLISHED)
def test_scenes_are_as_many_and_as_full_as_the_paper_says(name):
    recipe = load_recipe(f"paper/{name}")
    alone = name.endswith("one-directional")
    assert (recipe.scene.directional, recipe.scene.additive) == ((1, 1) if alone else (2, 0))
    rules = recipe.train
    if name.endswith("moving"):
        assert (rules.scenes, rules.val_scenes, recipe.eval.count) == (7224, 903, 903)
        assert rules.steps_per_epoch == -(-7224 // 64)
    else:
        assert rules.steps_per_epoch == -(-49_838 // 64)


@pytest.mark.parametrize("name", PUBLISHED)
def test_every_system_runs_with_the_bundled_encoder(name):
    recipe = load_recipe(f"paper/{name}", ["model.text_encoder=compact"])
    assert recipe.model.text_encoder == "compact"
