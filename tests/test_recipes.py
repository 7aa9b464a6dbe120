"""Every recipe of the folder is sound, and the package finds exactly those."""

import re
from pathlib import Path

import pytest

from tselcli.recipe import bundled_recipes, load_recipe

FOLDER = Path(__file__).parents[1] / "recipes"
FILES = sorted(FOLDER.rglob("*.y*ml"))


def test_no_recipe_is_overlooked():
    assert len(FILES) == 3
    names = [str(path.relative_to(FOLDER).with_suffix("").as_posix()) for path in FILES]
    assert list(bundled_recipes()) == names


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_recipe_is_sound_and_named_like_its_file(path):
    assert load_recipe(str(path)).name.startswith(path.stem)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_recipe_opens_with_the_command_that_runs_it(path):
    name = path.relative_to(FOLDER).with_suffix("").as_posix()
    lines = path.read_text(encoding="utf-8").splitlines()
    assert re.match(rf"# tsel (train|simulate) {name} .*--out ", lines[0])
    assert lines[1] == "#"
    assert re.match(r"# [A-Z].*", lines[2])


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_recipe_needs_nothing_beside_the_package(path):
    assert load_recipe(str(path)).corpus.source == "synthetic"


def test_tiny_is_tiny():
    recipe = load_recipe("tiny")
    assert recipe.scene.duration_s == 4.0
    assert (recipe.model.width, recipe.model.levels) == (16, 3)
    assert recipe.train.steps <= 400
    assert (recipe.train.scenes, recipe.train.val_scenes, recipe.eval.count) == (300, 40, 60)
