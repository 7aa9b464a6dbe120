"""``tsel features``: compute what training needs of a simulated folder, once and ahead of time.

What that is depends on the model of the folder's recipe: mel pictures of every source for the
mask model, GCC-PHAT of every recording for the paper's.
"""

from pathlib import Path
from typing import Any

from tselcli.cluster import crew
from tselcli.console import progress_bar
from tselcli.examples import FolderExamples
from tselcli.features.cache import FeatureCache, default_cache
from tselcli.files import make_folder
from tselcli.folder_stems import FolderStems
from tselcli.recipe import Recipe, load_recipe


def features(
    folder: Path, *, jobs: int = 2, cache: Path | None = None, scheduler: str | None = None
) -> dict[str, Any]:
    """Fill the feature cache with what training on a folder needs.

    What is there already is kept, so an interrupted run goes on where it stopped, and
    ``tsel train --data FOLDER`` finds everything done. When all is done, the cache says so, and
    another call returns at once.

    Args:
        folder: of ``tsel simulate``; its recipe.yaml says how to analyse.
        jobs: processes.
        cache: folder of the cache; None is the user's (``$TSEL_CACHE``).
        scheduler: address of a Dask cluster that works instead of processes of this machine;
            its workers must see both folders and the sounds under the same names.

    Returns:
        ``scenes``, ``frames`` and the ``cache`` they are in; for the mask model also ``stems``,
        sources that can be heard.

    Raises:
        DataError: no scenes, a sound that is gone, or a cluster that cannot be used.
    """
    recipe = load_recipe(str(folder / "recipe.yaml"))
    store = FeatureCache(cache.absolute()) if cache is not None else default_cache()
    make_folder(store.folder)
    find = _stems if recipe.model.name == "mask" else _correlations
    return {**find(folder, recipe, store, jobs, scheduler), "cache": str(store.folder)}


def _stems(
    folder: Path, recipe: Recipe, store: FeatureCache, jobs: int, scheduler: str | None
) -> dict[str, Any]:
    stems = FolderStems(recipe.features, folder, store)
    if not stems.complete:
        half_written = store.leftovers()
        with (
            crew(scheduler, jobs, [folder, store.folder]) as workers,
            progress_bar("features", stems.scenes, unit="scenes") as advance,
        ):
            total = 0
            for count in stems.fill(*workers):
                total += count
                advance(note=f"{total} stems")
        store.remove(half_written)
    return {"scenes": stems.scenes, "stems": len(stems), "frames": stems.frames}


def _correlations(
    folder: Path, recipe: Recipe, store: FeatureCache, jobs: int, scheduler: str | None
) -> dict[str, Any]:
    examples = FolderExamples.open(folder, recipe.features, store)
    frames = examples.frames()
    if frames is None:
        half_written = store.leftovers()
        with (
            crew(scheduler, jobs, [folder, store.folder]) as workers,
            progress_bar("features", len(examples), unit="scenes") as advance,
        ):
            frames = 0
            for count in examples.fill(*workers):
                frames += count
                advance()
        store.remove(half_written)
    return {"scenes": len(examples), "frames": frames}
