"""``tsel report``: what ``tsel eval`` found of any number of runs, as rows of the paper's tables.

What is read of a file is checked; a figure that is missing there is None here, never a guess.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tselcli.errors import DataError
from tselcli.model_sections import ConcatLstmRecipe, ConcatRecipe, CrossAttentionRecipe, MaskRecipe
from tselcli.recipe import Recipe, load_recipe, recipe_from_dict

EVAL_FILE, RECIPE_FILE = "eval.json", "recipe.yaml"
RANDOM_SOURCE, RANDOM_AZIMUTH = "chance: random source", "chance: random azimuth"
BEST_CONSTANT = "chance: best constant"
TEXTS = {
    "clap": "CLAP",
    "clap-hf": "CLAP (transformers)",
    "flan-t5": "FlanT5",
    "bert": "BERT",
    "compact": "compact",
}


class _Part(BaseModel):
    """What is read of a part of eval.json; the rest is passed over."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


class _Row(_Part):
    system: str
    mae_deg: float
    scenes: int | None = None
    mae_deg_interval: tuple[float, float] | None = None
    selection: float | None = None
    selection_interval: tuple[float, float] | None = None


class _Scene(_Part):
    others_deg: tuple[float, ...]
    other_labels: tuple[str | None, ...]


class _Result(_Part):
    rows: tuple[_Row, ...] = Field(min_length=1)  # the model's comes first
    model: str | None = None
    recipe: dict[str, Any] | None = None
    labels: tuple[str, ...] = ()
    scenes: tuple[_Scene, ...] = ()


def gather(runs: Sequence[Path]) -> list[dict[str, Any]]:
    """Read evaluated runs.

    Args:
        runs: run folders with ``eval.json``, or such files.

    Returns:
        One row a run, with the columns of ``tselcli.report_tables.COLUMNS``; first Table I, then
        Table II, each in the order of the paper's rows, other runs after them as they were given.

    Raises:
        DataError: a file is missing or is no result of ``tsel eval``.
        RecipeError: the recipe of a run cannot be read.
    """
    rows = [_read_run(run) for run in runs]
    return sorted(rows, key=lambda row: (row["table"], row["row"] is None, row["row"]))


def _read_run(run: Path) -> dict[str, Any]:
    file = run.suffix == ".json" or (run.exists() and not run.is_dir())
    path = run if file else run / EVAL_FILE
    result = _read_result(path)
    recipe = _recipe_of(path, result)
    table = _table_of(recipe)
    ours = result.rows[0]
    published = recipe.published
    if isinstance(recipe.model, MaskRecipe) or (published and published.table != table):
        published = None  # of the scenes' recipe; no published system is like this one
    return {
        "table": table,
        "row": published.row if published else None,
        **_system(recipe),
        "scenes": _scene_kind(recipe, result),
        "mae_deg": ours.mae_deg,
        "mae_deg_interval": ours.mae_deg_interval,
        "published_mae_deg": published.mae_deg if published else None,
        "selection": ours.selection,
        "selection_interval": ours.selection_interval,
        "chance_mae_deg": _chance(result),
        "best_constant_mae_deg": _figure(result, BEST_CONSTANT),
        "count": ours.scenes,
        "labels": list(result.labels),
        "model": result.model or recipe.name,
    }


def _read_result(path: Path) -> _Result:
    again = f"`tsel eval {path.parent}`" if path.name == EVAL_FILE else f"`tsel eval RUN -o {path}`"
    try:
        return _Result.model_validate_json(path.read_bytes())
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such file; {again} writes it") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); check the path") from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        reason = f"{place}: {first['msg']}" if place else first["msg"]
        raise DataError(
            f"{path}: not a result of `tsel eval` ({reason}); {again} writes it anew"
        ) from error


def _recipe_of(path: Path, result: _Result) -> Recipe:
    """Return what was evaluated; a result without its recipe has the run's beside it."""
    if result.recipe is not None:
        return recipe_from_dict(result.recipe, f"{path}: recipe")
    beside = path.with_name(RECIPE_FILE)
    if not beside.is_file():
        raise DataError(f"{path}: no recipe in it or beside it; `tsel eval RUN` writes one with it")
    return load_recipe(str(beside))


def _table_of(recipe: Recipe) -> Literal["I", "II"]:
    model = recipe.model
    frames = isinstance(model, ConcatLstmRecipe)
    frames |= isinstance(model, CrossAttentionRecipe) and model.frames
    return "II" if frames else "I"


def _system(recipe: Recipe) -> dict[str, str]:
    """Name features and fusion as the paper does."""
    model = recipe.model
    names = {"text_feature": TEXTS[model.text_encoder], "audio_feature": "GCC-PHAT"}
    if isinstance(model, MaskRecipe):
        return {**names, "audio_feature": "log-mel, SRP-PHAT", "fusion": "mask, then steer"}
    if isinstance(model, CrossAttentionRecipe):
        return {**names, "fusion": "CA"}
    if isinstance(model, ConcatRecipe | ConcatLstmRecipe) and model.audio_encoder:
        names["audio_feature"] += f", {TEXTS[model.audio_encoder]}"
    return {**names, "fusion": "Concat"}


def _scene_kind(recipe: Recipe, result: _Result) -> str:
    """Say how many sources sounded: those of the scenes, or as the recipe asks."""
    kinds = {
        (1 + len(scene.others_deg), len(scene.other_labels) - len(scene.others_deg))
        for scene in result.scenes
    } or {(recipe.scene.directional, recipe.scene.additive)}
    if len(kinds) > 1:
        return "mixed"
    directional, additive = kinds.pop()
    words = f"{_word(directional)} dir."
    return f"{words}, {_word(additive).lower()} add." if additive else words


def _word(count: int) -> str:
    return {1: "One", 2: "Two", 3: "Three", 4: "Four"}.get(count, str(count))


def _chance(result: _Result) -> float | None:
    """Return the MAE of picking a source at random, or an azimuth where there is but one."""
    if result.rows[0].selection is None:
        return _figure(result, RANDOM_AZIMUTH)
    return _figure(result, RANDOM_SOURCE)


def _figure(result: _Result, system: str) -> float | None:
    found = [row.mae_deg for row in result.rows if row.system == system]
    return found[0] if found else None
