"""``tsel features``: compute what training needs of a simulated folder, once and ahead of time.

What that is depends on the model of the folder's recipe: mel pictures of every source for the
mask model, GCC-PHAT of every recording for the paper's.
"""

from pathlib import Path
from typing import Any

from tselcli.console import progress_bar
from tselcli.examples import FolderExamples
from tselcli.features.cache import FeatureCache, default_cache
from tselcli.recipe import Recipe, load_recipe
from tselcli.stems import folder_stems


def features(folder: Path, *, jobs: int = 2, cache: Path | None = None) -> dict[str, Any]:
    """Fill the feature cache with what training on a folder needs.

    What is there already is kept, so an interrupted run goes on where it stopped, and
    ``tsel train --data FOLDER`` finds everything done.

    Args:
        folder: of ``tsel simulate``; its recipe.yaml says how to analyse.
        jobs: processes.
        cache: folder of the cache; None is the user's (``$TSEL_CACHE``).

    Returns:
        ``scenes``, ``frames`` and the ``cache`` they are in; for the mask model also ``stems``,
        sources that can be heard.

    Raises:
        DataError: no manifest, or a sound that is gone.
    """
    recipe = load_recipe(str(folder / "recipe.yaml"))
    store = FeatureCache(cache) if cache is not None else default_cache()
    if recipe.model.name != "mask":
        return _correlations(folder, recipe, store, jobs)
    total, parts = folder_stems(recipe.features, folder, store, jobs)
    stems = frames = 0
    with progress_bar("features", total, unit="scenes") as advance:
        for part in parts:
            stems += len(part)
            frames += sum(len(stem.mel) for stem in part)
            advance(note=f"{stems} stems")
    return {"scenes": total, "stems": stems, "frames": frames, "cache": str(store.folder)}


def _correlations(folder: Path, recipe: Recipe, store: FeatureCache, jobs: int) -> dict[str, Any]:
    examples = FolderExamples.open(folder, recipe.features, store)
    frames = 0
    with progress_bar("features", len(examples), unit="scenes") as advance:
        for count in examples.fill(jobs):
            frames += count
            advance()
    return {"scenes": len(examples), "frames": frames, "cache": str(store.folder)}
