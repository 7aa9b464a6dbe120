"""``tsel eval``: how often right, how far off, and beside it what chance and physics give.

All rows of the table answer the same questions about the same scenes: the model, steering that
ignores the query, a choice between two beams, and, where the scenes are rendered here, steering
under the true ratio mask. The result, which ``eval.json`` holds:

    model, seconds      name of the model, how long it took
    data, split, seed   where the scenes are from
    labels              what to know of the model, such as an encoder without training
    recipe              the model's, with corpus, scenes and published figure as they were asked for
    published           the paper's figure, where the recipe names one
    folded, line_deg    whether all microphones are on a line: front and back count alike
    rows                one a system, the model first: `tselcli.metrics.score`, with tracks
                        `tselcli.frame_metrics.score_frames`; chance levels have no intervals
    clip_rows           with tracks: the rows of whole clips
    presence            `tselcli.certainty.presence_figures`; None where the model cannot tell, or
                        no words for what is absent are known, as of recordings without a corpus
    confidence          `tselcli.certainty.confidence_figures`
    breakdowns          `tselcli.breakdowns.break_down`, of the keys asked for; of whole clips
    scenes              one a scene: `tselcli.judging.judge`; enough for all of the above
    tracks              one a scene: truth and answers in every 100 ms
"""

import itertools
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tselcli import report
from tselcli.acoustics.lines import line_of
from tselcli.breakdowns import break_down, laid_out
from tselcli.certainty import confidence_figures, presence_figures
from tselcli.chance import chance_levels
from tselcli.console import progress_bar
from tselcli.dataset import Trial, anything_moves, folder_trials, fresh_trials
from tselcli.files import make_folder, write_text_atomically
from tselcli.frame_eval import draw_scene_tracks, follow_trial, frame_rows
from tselcli.judging import Lacking, judge, recipe_of
from tselcli.metrics import score
from tselcli.models.checkpoint import bundled_models
from tselcli.models.direct_checkpoint import open_localizer
from tselcli.models.training import pick_device
from tselcli.real_scenes import is_starss, starss_trials
from tselcli.recipe import Recipe


def evaluate(
    model: str,
    *,
    data: Path | None = None,
    recipe: Recipe | None = None,
    split: str = "test",
    count: int | None = None,
    seed: int | None = None,
    device: str = "auto",
    jobs: int = 2,
    baselines: bool = True,
    absent: int = 2,
    by: Sequence[str] = (),
    track: bool | None = None,
    plot: Path | None = None,
    out: Path | None = None,
) -> dict[str, Any]:
    """Score a model on fixed scenes.

    Args:
        model: bundled name, checkpoint file or run folder.
        data: folder of ``tsel simulate``, ``starss:DIR`` or ``starss-foa:DIR``; None renders
            scenes of the recipe.
        recipe: corpus and scenes to render; None is the recipe inside the model.
        split: of the corpus to render from.
        count: scenes; None is all of the folder, or the recipe's ``eval.count``.
        seed: of the rendered scenes; None is the recipe's ``eval.seed``.
        device: auto, cpu, cuda or mps.
        jobs: processes that render.
        baselines: also score what needs no model, and the matcher.
        absent: descriptions of what is not there to ask about every scene as well.
        by: keys of :data:`tselcli.breakdowns.KEYS` to break the model's figures down by.
        track: score every 100 ms; None does where the model can and a source moves.
        plot: folder to draw the tracks of some scenes in; wants them.
        out: JSON file to write, with the answer to every scene; None is ``eval.json`` in a run
            folder, and nothing for other models.

    Returns:
        What ``eval.json`` holds, see above.

    Raises:
        DataError: no scenes, or sounds that cannot be read.
        CheckpointError: the model cannot be loaded.
    """
    torch_device = pick_device(device)
    localizer = open_localizer(model, torch_device)
    chosen = recipe or localizer.recipe
    total, trials = _trials(chosen, data, split, count, seed, jobs, baselines)
    lacking = Lacking(recipe or (chosen if data is None else recipe_of(data)), absent)
    if plot is not None:
        track = True
        make_folder(plot)
    elif track is None:
        moves, trials = anything_moves(trials) if localizer.has_tracks else (False, trials)
        track = moves
    began = time.monotonic()
    scenes, followed, lines = [], [], set()
    with progress_bar("scenes", total) as advance:
        for trial in trials:
            scene, way = judge(localizer, trial, lacking, baselines, track)
            scenes.append(scene)
            lines.add(line_of(trial.array))
            if way is not None:
                parts = (trial, localizer.features, baselines)
                followed.append(follow_trial(localizer.name, way, *parts))
            advance()
    if plot is not None:
        draw_scene_tracks(plot, followed)
    line = lines.pop() if len(lines) == 1 else None
    result = {
        "model": localizer.name,
        "data": str(data) if data else chosen.corpus.model_dump(mode="json"),
        "split": scenes[0]["split"],
        "seed": _seed(chosen, seed),
        "labels": list(localizer.recipe.labels),
        "seconds": time.monotonic() - began,
        "recipe": _evaluated(localizer.recipe, chosen).model_dump(mode="json"),
        "folded": line is not None,
        "line_deg": line,
        "rows": _rows(scenes, line),
        "presence": presence_figures(scenes, np.random.default_rng(0)),
        "confidence": confidence_figures(scenes, localizer.name, np.random.default_rng(0)),
        "scenes": scenes,
    }
    if by:
        result["breakdowns"] = break_down(result, by)
    if followed:
        result |= {"clip_rows": result["rows"], "rows": frame_rows(followed, line)}
        result["tracks"] = [scene.record() for scene in followed]
    if chosen.published is not None:
        result["published"] = chosen.published.model_dump(mode="json")
    out = out or _run_file(model)
    if out is not None:
        write_text_atomically(out, report.to_json(result) + "\n")
    return result


def _evaluated(model: Recipe, scenes: Recipe) -> Recipe:
    parts = {name: getattr(scenes, name) for name in ("corpus", "scene", "eval", "published")}
    return model.model_copy(update=parts)


def _run_file(model: str) -> Path | None:
    """Return where a run folder keeps its figures; None for a bundled model or a file."""
    folder = Path(model)
    return folder / "eval.json" if model not in bundled_models() and folder.is_dir() else None


def _seed(recipe: Recipe, seed: int | None) -> int:
    return recipe.eval.seed if seed is None else seed


def _trials(
    recipe: Recipe,
    data: Path | None,
    split: str,
    count: int | None,
    seed: int | None,
    jobs: int,
    images: bool,
) -> tuple[int, Iterator[Trial]]:
    if data is not None:
        if is_starss(data):
            total, trials = starss_trials(data, split)
        else:
            recordings = folder_trials(data)
            total, trials = len(recordings), iter(recordings)
        total = total if count is None else min(count, total)
        return total, itertools.islice(trials, total)
    total = recipe.eval.count if count is None else count
    return total, fresh_trials(recipe, split, _seed(recipe, seed), total, jobs, images)


def _rows(scenes: list[dict[str, Any]], line_deg: float | None) -> list[dict[str, Any]]:
    """Score every system, the model first, then physics, then chance.

    Of microphones in a line, front and back count alike.
    """
    rows = []
    for system in scenes[0]["answers"]:
        figures = score(*laid_out(scenes, system, line_deg), np.random.default_rng(0))
        rows.append({"system": system, **figures})
    _, targets, others = laid_out(scenes, next(iter(scenes[0]["answers"])), line_deg)
    for system, figures in chance_levels(targets, others, line_deg is not None).items():
        rows.append({"system": f"chance: {system.replace('_', ' ')}", **figures})
    return rows
