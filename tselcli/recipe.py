"""The frozen, strict schema of one experiment.

A recipe holds values only: no class paths, no code. An unknown key is an error that names its
nearest neighbour, and all problems of a file are reported together. ``base: other.yaml`` is
read once and overridden key by key; ``--set section.key=value`` overrides both.
"""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from pydantic import Field, ValidationError, model_validator

from tselcli.errors import RecipeError
from tselcli.model_sections import MaskRecipe, ModelRecipe
from tselcli.problems import did_you_mean, explain, heading
from tselcli.sections import (
    CorpusRecipe,
    EvalRecipe,
    FeatureRecipe,
    MixingRecipe,
    ObjectiveRecipe,
    Published,
    SceneRecipe,
    Section,
    TrainRecipe,
)
from tselcli.yamlfile import format_yaml, parse_yaml, read_yaml


class Recipe(Section):
    """One experiment, whole."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=100)
    seed: int = Field(default=0, ge=0)
    corpus: CorpusRecipe = CorpusRecipe()
    scene: SceneRecipe = SceneRecipe()
    features: FeatureRecipe = FeatureRecipe()
    model: ModelRecipe = MaskRecipe()
    train: TrainRecipe = TrainRecipe()
    mixing: MixingRecipe = MixingRecipe()  # of the mask model only
    objective: ObjectiveRecipe = ObjectiveRecipe()  # of the paper's models only
    eval: EvalRecipe = EvalRecipe()
    published: Published | None = None
    labels: tuple[str, ...] = ()  # said wherever a figure is, such as "random-weight encoder"

    @model_validator(mode="after")
    def _sections_are_used(self) -> "Recipe":
        if self.model.name == "mask" and self.objective != ObjectiveRecipe():
            raise ValueError("objective: the mask model does not use it; see mixing:")
        if self.model.name != "mask" and self.mixing != MixingRecipe():
            raise ValueError(f"mixing: model {self.model.name} does not use it; see objective:")
        return self

    @model_validator(mode="after")
    def _rates_agree(self) -> "Recipe":
        if self.features.hop > self.features.n_fft:
            raise ValueError(
                f"features.hop={self.features.hop} must not exceed n_fft={self.features.n_fft}"
            )
        return self


def load_recipe(name_or_path: str, overrides: Sequence[str] = ()) -> Recipe:
    """Read a bundled recipe or a YAML file, then apply overrides such as ``train.steps=50``.

    Raises:
        RecipeError: unknown name, unreadable file, or every problem of the recipe in one message.
    """
    values = _read_with_base(_find_recipe(name_or_path))
    problems = []
    for override in overrides:
        try:
            values = _merge(values, _parse_override(override))
        except RecipeError as error:
            problems.append(str(error))
    name = f"{name_or_path} with --set {' '.join(overrides)}" if overrides else name_or_path
    return _validate(values, name, problems)


def recipe_from_dict(values: Mapping[str, Any], name: str = "recipe") -> Recipe:
    """Check plain values against the schema; ``name`` heads the error message.

    The check is strict (``steps: yes`` or ``steps: "5"`` is an error); lists stand for tuples.
    """
    return _validate(values, name, [])


def recipe_to_yaml(recipe: Recipe) -> str:
    """Write the full resolved recipe; reading it back gives an equal recipe."""
    return format_yaml(recipe.model_dump(mode="json"))


def bundled_recipes() -> dict[str, Path]:
    """Map the names of the recipes that come with the package to their files, sorted by name."""
    folder = Path(__file__).parent / "recipes"  # in an installed package
    if not folder.is_dir():
        folder = Path(__file__).parents[1] / "recipes"  # in a checkout
    paths = sorted(folder.rglob("*.yaml"))
    return {path.relative_to(folder).with_suffix("").as_posix(): path for path in paths}


def _find_recipe(name_or_path: str) -> Path:
    bundled = bundled_recipes()
    if name_or_path in bundled:
        return bundled[name_or_path]
    if name_or_path.endswith((".yaml", ".yml")) or os.path.exists(name_or_path):
        return Path(name_or_path)
    raise RecipeError(
        f"{name_or_path!r}: no such recipe{did_you_mean(name_or_path, bundled)}; "
        f"give one of {', '.join(bundled)} or the path of a YAML file"
    )


def _read_with_base(path: Path) -> dict[str, Any]:
    values = _read_mapping(path)
    base = values.pop("base", None)
    if base is None:
        return values
    if not isinstance(base, str):
        raise RecipeError(f"{path}: base: must be the path of one YAML file, relative to this one")
    below = _read_mapping(path.parent / base)
    if "base" in below:
        raise RecipeError(f"{path}: base: {base} has a base of its own; only one level is read")
    return _merge(below, values)


def _read_mapping(path: Path) -> dict[str, Any]:
    values = read_yaml(path)
    if not isinstance(values, dict):
        raise RecipeError(f"{path}: not a recipe; write 'key: value' lines, beginning with 'name:'")
    return values


def _parse_override(override: str) -> dict[str, Any]:
    path, equals, text = override.partition("=")
    if not equals or not path.strip():
        raise RecipeError(f"--set {override}: no value given; write section.key=value")
    value = parse_yaml(text, f"--set {override}")
    for key in reversed(path.strip().split(".")):
        value = {key: value}
    return cast(dict[str, Any], value)


def _merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        old = merged.get(key)
        both = isinstance(old, dict) and isinstance(value, dict)
        merged[key] = _merge(cast(dict[str, Any], old), value) if both else value
    return merged


def _validate(values: Mapping[str, Any], name: str, problems: list[str]) -> Recipe:
    model = values.get("model") if isinstance(values, Mapping) else None
    if isinstance(model, dict) and "name" not in model:
        values = {**values, "model": {"name": "mask", **model}}
    # By way of JSON: pydantic's strict mode then takes lists for tuples, but no "5" or yes for 5.
    try:
        recipe = Recipe.model_validate_json(json.dumps(values, default=str), strict=True)
    except ValidationError as error:
        raise RecipeError(heading(name, problems + explain(error, Recipe))) from error
    if problems:
        raise RecipeError(heading(name, problems))
    return recipe
