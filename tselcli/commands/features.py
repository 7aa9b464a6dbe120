"""``tsel features``: compute what training needs of a simulated folder, once and ahead of time."""

from pathlib import Path
from typing import Any

from tselcli.console import progress_bar
from tselcli.features.cache import FeatureCache, default_cache
from tselcli.recipe import load_recipe
from tselcli.stems import folder_stems


def features(folder: Path, *, jobs: int = 2, cache: Path | None = None) -> dict[str, Any]:
    """Fill the feature cache with the stems of every source of every scene.

    What is there already is kept, so an interrupted run goes on where it stopped, and
    ``tsel train --data FOLDER`` finds everything done.

    Args:
        folder: of ``tsel simulate``; its recipe.yaml says how to analyse.
        jobs: processes.
        cache: folder of the cache; None is the user's (``$TSEL_CACHE``).

    Returns:
        ``scenes``, ``stems``, ``frames`` and the ``cache`` they are in.

    Raises:
        DataError: no manifest, or a sound that is gone.
    """
    recipe = load_recipe(str(folder / "recipe.yaml"))
    store = FeatureCache(cache) if cache is not None else default_cache()
    total, parts = folder_stems(recipe.features, folder, store, jobs)
    stems = frames = 0
    with progress_bar("features", total, unit="scenes") as advance:
        for part in parts:
            stems += len(part)
            frames += sum(len(stem.mel) for stem in part)
            advance(note=f"{stems} stems")
    return {"scenes": total, "stems": stems, "frames": frames, "cache": str(store.folder)}
