"""``tsel calibrate``: fit a model's choice among directions, and its presence, to your scenes."""

import itertools
from pathlib import Path
from typing import Any

from tselcli.acoustics.scene import draw_scene
from tselcli.acoustics.tracks import bank_of
from tselcli.calibrating import calibrate as fit
from tselcli.calibrating import gather, learn_kinds
from tselcli.console import progress_bar
from tselcli.dataset import corpus_of, fresh_trials
from tselcli.errors import DataError
from tselcli.models.checkpoint import load_checkpoint, save_checkpoint
from tselcli.models.localizer import Localizer
from tselcli.models.training import pick_device
from tselcli.recipe import Recipe


def calibrate(
    model: str,
    out: Path,
    *,
    recipe: Recipe,
    count: int = 300,
    seed: int = 0,
    device: str = "auto",
    jobs: int = 2,
) -> dict[str, Any]:
    """Fit what turns evidence into chances to scenes of the validation split.

    Half of the scenes are those of the recipe; a third are of a single source, so that a wall is
    not taken for a source where there is no second one, half of them with another sound alike in
    all channels; and a sixth have one source more, so that one is not lost in a crowd, if there
    are clips enough that may sound together. A model that does not know what the kinds of sound
    are called, as one of `tsel join`, learns it from the captions of the training split.

    Args:
        model: bundled name, run folder or file.
        out: safetensors file to write.
        recipe: whose scenes, validation split.
        count: scenes.
        seed: of the scenes.
        device: auto, cpu, cuda or mps.
        jobs: processes that render.

    Returns:
        As :func:`tselcli.calibrating.calibrate`.

    Raises:
        DataError: no validation clips.
        CheckpointError: the model cannot be loaded.
    """
    checkpoint = load_checkpoint(model, pick_device(device))
    if not checkpoint.net.kinds.any():
        learn_kinds(checkpoint, corpus_of(recipe, "train").clips)
    few = count // 6
    trials = itertools.chain(
        fresh_trials(recipe, "val", seed, count - 3 * few, jobs),
        fresh_trials(_with(recipe, directional=1, additive=0), "val", seed + 1, few, jobs),
        fresh_trials(_with(recipe, directional=1, additive=1), "val", seed + 2, few, jobs),
        fresh_trials(_crowded(recipe, seed + 3), "val", seed + 3, few, jobs),
    )
    localizer = Localizer(checkpoint)
    clips = corpus_of(recipe, "val").clips
    with progress_bar("validation scenes", count) as advance:
        shown = (trial for trial in trials if advance() is None)
        evidence = gather(localizer, shown, clips)
    figures = fit(localizer, evidence)
    kept = dict(checkpoint.figures) | {"calibration": figures}
    parts = (checkpoint.net, checkpoint.readout, checkpoint.text, checkpoint.recipe)
    save_checkpoint(out, *parts, kept)
    return figures


def _with(recipe: Recipe, **sounds: int) -> Recipe:
    return recipe.model_copy(update={"scene": recipe.scene.model_copy(update=sounds)})


def _crowded(recipe: Recipe, seed: int) -> Recipe:
    """Add a source, where the clips allow for it."""
    more = _with(recipe, directional=min(recipe.scene.directional + 1, 16))
    try:
        draw_scene(more.scene, corpus_of(more, "val"), seed, "val", 0, bank_of(more.scene))
    except DataError:
        return recipe
    return more
