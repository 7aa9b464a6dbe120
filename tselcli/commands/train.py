"""``tsel train``: teach the mask network to find described sounds.

A run folder is resumable at every epoch and says all that is needed to repeat it:

    RUN/recipe.yaml       the full resolved recipe
    RUN/log.csv           one line per epoch
    RUN/best.safetensors  averaged weights of the best epoch, readout and text encoder inside
    RUN/last.pt           state to resume from

Clips placed in rooms are kept in the feature cache (``$TSEL_CACHE``) and shared by all runs.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeVar

from tselcli.console import progress_bar
from tselcli.dataset import Trial, folder_trials, fresh_trials
from tselcli.errors import DataError, RecipeError
from tselcli.features.cache import default_cache
from tselcli.files import write_text_atomically
from tselcli.models.encoders import CompactTextEncoder, bundled_text_encoder, load_text_weights
from tselcli.models.mixer import Stem
from tselcli.models.training import pick_device
from tselcli.recipe import Recipe, recipe_to_yaml
from tselcli.stems import folder_stems, fresh_stems
from tselcli.trainer import Run

Item = TypeVar("Item")


def train(
    recipe: Recipe,
    out: Path,
    *,
    data: Path | None = None,
    val_data: Path | None = None,
    device: str = "auto",
    resume: bool = False,
    jobs: int = 2,
) -> dict[str, Any]:
    """Train a model and write a run folder.

    Args:
        recipe: the experiment.
        out: run folder.
        data: folder of ``tsel simulate --split train``; None places clips in rooms as it goes.
        val_data: folder of ``tsel simulate --split val``; None renders ``val_scenes`` scenes.
        device: auto, cpu, cuda or mps.
        resume: go on with the run in ``out``.
        jobs: processes that prepare the data.

    Returns:
        The figures of the best epoch.

    Raises:
        RecipeError: ``out`` holds a run and ``resume`` is off, or a run of another recipe.
        DataError: nothing to train on.
        CheckpointError: last.pt is damaged.
    """
    chosen = pick_device(device)
    _open_run(recipe, out, resume)
    text = _text_encoder(recipe)
    stems = _stems(recipe, data, jobs)
    trials = _trials(recipe, val_data, jobs)
    if len({stem.clip.label for stem in stems}) < 2:
        raise DataError("training needs sounds of at least two kinds; enlarge corpus.source")
    run = Run(recipe, out, stems, trials, text, chosen)
    if resume and (out / "last.pt").exists():
        run.restore()
    run.fit()
    return run.finish()


def _open_run(recipe: Recipe, out: Path, resume: bool) -> None:
    stored = out / "recipe.yaml"
    yaml = recipe_to_yaml(recipe)
    if stored.exists() and not resume:
        raise RecipeError(f"{out}: holds a run already; add --resume to go on with it")
    if stored.exists() and stored.read_text(encoding="utf-8") != yaml:
        raise RecipeError(f"{out}: was begun with another recipe; choose another --out")
    out.mkdir(parents=True, exist_ok=True)
    write_text_atomically(stored, yaml)


def _text_encoder(recipe: Recipe) -> CompactTextEncoder:
    weights = recipe.model.text_weights
    return bundled_text_encoder() if weights is None else load_text_weights(Path(weights))


def _stems(recipe: Recipe, data: Path | None, jobs: int) -> list[Stem]:
    cache = default_cache()
    if data is not None:
        total, parts = folder_stems(recipe.features, data, cache, jobs)
    else:
        total, parts = fresh_stems(recipe, cache, jobs)
    return [stem for part in _shown("rooms", total, parts) for stem in part]


def _trials(recipe: Recipe, data: Path | None, jobs: int) -> list[Trial]:
    if data is not None:
        total, trials = folder_trials(data)
    else:
        total = recipe.train.val_scenes
        trials = fresh_trials(recipe, "val", recipe.seed, total, jobs)
    return list(_shown("validation scenes", total, trials))


def _shown(label: str, total: int, items: Iterable[Item]) -> Iterable[Item]:
    """Pass items on under a progress bar."""
    with progress_bar(label, total) as advance:
        for item in items:
            yield item
            advance()
