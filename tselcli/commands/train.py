"""``tsel train``: teach a network to find described sounds.

A run folder is resumable at every epoch and says all that is needed to repeat it:

    RUN/recipe.yaml       the full resolved recipe
    RUN/log.csv           one line per epoch
    RUN/best.safetensors  averaged weights of the best epoch, and all that goes with them
    RUN/last.pt           state to resume from

The mask model learns from mixtures of clips in rooms, which are kept in the feature cache
(``$TSEL_CACHE``) and shared by all runs; the paper's models learn from whole scenes. Under
``torchrun`` several processes train together, each on batches of its own.
"""

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import torch

from tselcli.console import progress_bar
from tselcli.dataset import Trial, folder_trials, fresh_trials
from tselcli.errors import DataError, RecipeError
from tselcli.examples import Example, FolderExamples, fresh_examples
from tselcli.features.cache import default_cache
from tselcli.files import write_text_atomically
from tselcli.folder_stems import FolderStems
from tselcli.model_sections import MaskRecipe
from tselcli.models.lessons import load_lessons
from tselcli.models.mixer import Stems
from tselcli.models.reading import open_reader
from tselcli.models.training import check_precision, pick_device
from tselcli.recipe import Recipe, recipe_to_yaml
from tselcli.stems import fresh_stems
from tselcli.trainer import Run, Task, rank_and_world

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
        RecipeError: ``out`` holds a run and ``resume`` is off, or a run of another recipe, or
            another process trains into it; or ``train.precision`` will not do here.
        DataError: nothing to train on.
        CheckpointError: last.pt is damaged, or ``mixing.teacher`` holds no lessons.
    """
    chosen = pick_device(device)
    rank, _ = rank_and_world()
    if rank == 0:
        _check_run(recipe, out, resume)
        check_precision(recipe.train.precision, chosen)
    with alone_in(out) if rank == 0 else contextlib.nullcontext():
        return _train(recipe, out, data, val_data, chosen, resume, jobs)


@contextlib.contextmanager
def alone_in(out: Path) -> Iterator[None]:
    """Let one process at a time train into a folder; the system lets go of it if that is killed.

    Raises:
        RecipeError: another one does.
    """
    try:
        import fcntl
    except ImportError:  # Windows has none
        yield
        return
    name = hashlib.sha256(str(out.resolve()).encode()).hexdigest()[:16]
    with (Path(tempfile.gettempdir()) / f"tsel-train-{os.getuid()}-{name}.lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise RecipeError(
                f"{out}: another process trains into it; wait for it or choose another --out"
            ) from error
        yield


def _train(
    recipe: Recipe,
    out: Path,
    data: Path | None,
    val_data: Path | None,
    chosen: torch.device,
    resume: bool,
    jobs: int,
) -> dict[str, Any]:
    rank, _ = rank_and_world()
    prepare = _mask_task if recipe.model.name == "mask" else _direct_task
    task = prepare(recipe, data, val_data, chosen, jobs)
    if rank == 0:  # a run that cannot begin leaves nothing
        out.mkdir(parents=True, exist_ok=True)
        write_text_atomically(out / "recipe.yaml", recipe_to_yaml(recipe))
    run = Run(recipe, out, task, chosen)
    if resume and (out / "last.pt").exists():
        run.restore()
    run.forget_what_follows()
    run.fit()
    return run.finish()


def _check_run(recipe: Recipe, out: Path, resume: bool) -> None:
    stored = out / "recipe.yaml"
    if stored.exists() and not resume:
        raise RecipeError(f"{out}: holds a run already; add --resume to go on with it")
    if stored.exists() and stored.read_text(encoding="utf-8") != recipe_to_yaml(recipe):
        raise RecipeError(f"{out}: was begun with another recipe; choose another --out")


def _mask_task(
    recipe: Recipe, data: Path | None, val_data: Path | None, device: torch.device, jobs: int
) -> Task:
    from tselcli.mask_task import MaskTask

    assert isinstance(recipe.model, MaskRecipe)
    text = open_reader(recipe.model, device)
    if recipe.mixing.teacher is not None:
        load_lessons(Path(recipe.mixing.teacher))  # refuse it before any rooms are computed
    stems = _stems(recipe, data, jobs)
    if len({stem.clip.label for stem in stems}) < 2:
        raise DataError("training needs sounds of at least two kinds; enlarge corpus.source")
    trials = _trials(recipe, val_data, jobs)
    return MaskTask(recipe, stems, trials, text, device, rank_and_world()[0])


def _direct_task(
    recipe: Recipe, data: Path | None, val_data: Path | None, device: torch.device, jobs: int
) -> Task:
    from tselcli.direct_task import DirectTask
    from tselcli.models.direct import Semantics

    cache = default_cache()
    semantics = Semantics(recipe, device, cache)
    listen = semantics.sound is not None
    analysis = recipe.features, cache, listen
    folder = None
    if data is not None:
        folder = _filled("recordings", FolderExamples.open(data, *analysis), jobs)
    validation: Iterable[Example]
    if val_data is not None:
        judged = FolderExamples.open(val_data, *analysis)
        validation = _filled("validation scenes", judged, jobs)
    else:
        total = recipe.train.val_scenes
        scenes = (recipe, "val", recipe.seed, range(total))
        fresh = fresh_examples(*scenes, jobs, listen)
        validation = list(_shown("validation scenes", total, fresh))
    return DirectTask(recipe, folder, validation, semantics, device, jobs, rank_and_world())


def _filled(label: str, folder: FolderExamples, jobs: int) -> FolderExamples:
    """Compute what is missing, unless it is known that nothing is."""
    if folder.frames() is None:
        for _ in _shown(label, len(folder), folder.fill(jobs)):
            pass
    return folder


def _stems(recipe: Recipe, data: Path | None, jobs: int) -> Stems:
    cache = default_cache()
    if data is None:
        total, parts = fresh_stems(recipe, cache, jobs)
        return [stem for part in _shown("rooms", total, parts) for stem in part]
    stems = FolderStems(recipe.features, data, cache)
    if not stems.complete:
        for _ in _shown("scenes", stems.scenes, stems.fill(jobs)):
            pass
    return stems


def _trials(recipe: Recipe, data: Path | None, jobs: int) -> Iterable[Trial]:
    if data is not None:
        return folder_trials(data)
    total = recipe.train.val_scenes
    trials = fresh_trials(recipe, "val", recipe.seed, total, jobs)
    return list(_shown("validation scenes", total, trials))


def _shown(label: str, total: int, items: Iterable[Item]) -> Iterable[Item]:
    """Pass items on under a progress bar."""
    with progress_bar(label, total) as advance:
        for item in items:
            yield item
            advance()
