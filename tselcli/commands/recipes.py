"""``tsel recipes``: the recipes that come with the package, to look at, copy and check.

A bundled recipe opens with the command that runs it, an empty comment line and a description,
whose first sentence is what ``tsel recipes ls`` shows.
"""

import os
import re
from collections.abc import Sequence
from pathlib import Path

from tselcli.errors import RecipeError
from tselcli.files import write_text_atomically
from tselcli.problems import did_you_mean
from tselcli.recipe import bundled_recipes, load_recipe, recipe_to_yaml


def list_recipes() -> list[tuple[str, str]]:
    """Return the name and the first sentence of every bundled recipe, sorted by name."""
    return [(name, _first_sentence(path)) for name, path in bundled_recipes().items()]


def copy_recipe(name: str, target: Path | None, overwrite: bool) -> Path:
    """Copy a bundled recipe, comments and all; one with a base is copied resolved.

    Args:
        name: of the recipe.
        target: file or existing folder; None is the working folder.
        overwrite: replace what is there.

    Raises:
        RecipeError: there is no such recipe, or the target exists already.
        DataError: the target cannot be written.
    """
    bundled = bundled_recipes()
    if name not in bundled:
        hint = did_you_mean(name, bundled)
        raise RecipeError(f"{name!r}: no such recipe{hint}; bundled are {', '.join(bundled)}")
    target = Path() if target is None else target
    if os.path.isdir(target):
        target = target / bundled[name].name
    if os.path.exists(target) and not overwrite:
        raise RecipeError(f"{target}: exists already; add --force to replace it")
    text = bundled[name].read_text(encoding="utf-8")
    if re.search(r"^base:", text, re.MULTILINE):
        text = recipe_to_yaml(load_recipe(name))
    write_text_atomically(target, text)
    return target


def find_problems(recipes: Sequence[str]) -> dict[str, str | None]:
    """Check recipes; each maps to all its problems in one text, or to None."""
    found: dict[str, str | None] = {}
    for recipe in recipes:
        try:
            load_recipe(recipe)
        except RecipeError as error:
            found[recipe] = str(error)
        else:
            found[recipe] = None
    return found


def _first_sentence(path: Path) -> str:
    """Read the first sentence of the description at the top of a recipe."""
    comments = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            break
        comments.append(line.lstrip("# "))
    return re.split(r"(?<=\.)\s", " ".join(comments[1:]).strip())[0]
