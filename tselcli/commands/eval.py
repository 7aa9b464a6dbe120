"""``tsel eval``: how often right, how far off, and beside it what chance and physics give.

All rows of the table answer the same questions about the same scenes: the model, steering that
ignores the query, a choice between two beams, and, where the scenes are rendered here, steering
under the true ratio mask.
"""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from tselcli import report
from tselcli.acoustics.lines import fold_deg, line_of
from tselcli.baselines import baseline_azimuths
from tselcli.console import progress_bar
from tselcli.dataset import Trial, anything_moves, folder_trials, fresh_trials, padded_others
from tselcli.files import make_folder, write_text_atomically
from tselcli.frame_eval import draw_scene_tracks, follow_trial, frame_rows
from tselcli.metrics import chance_levels, score
from tselcli.models.checkpoint import bundled_models
from tselcli.models.direct import DirectLocalizer
from tselcli.models.direct_checkpoint import open_localizer
from tselcli.models.localizer import Answer, Localizer
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
        baselines: also score what needs no model.
        track: score every 100 ms; None does where the model can and a source moves.
        plot: folder to draw the tracks of some scenes in; wants them.
        out: JSON file to write, with the answer to every scene; None is ``eval.json`` in a run
            folder, and nothing for other models.

    Returns:
        ``rows`` (one a system, figures of :func:`tselcli.metrics.score`, or with tracks of
        :func:`tselcli.frame_metrics.score_frames`; then the former are ``clip_rows``),
        ``folded`` (whether front and back count alike, for microphones in a line),
        ``scenes`` (truth and answers), and what was evaluated: ``recipe`` is the model's, with
        the corpus, the scenes and the published figure of the recipe that was asked for.

    Raises:
        DataError: no scenes, or sounds that cannot be read.
        CheckpointError: the model cannot be loaded.
    """
    torch_device = pick_device(device)
    localizer = open_localizer(model, torch_device)
    chosen = recipe or localizer.recipe
    total, trials = _trials(chosen, data, split, count, seed, jobs, baselines)
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
            answer = _answer(localizer, trial, track)
            scenes.append(_judge(localizer, trial, answer, baselines))
            lines.add(line_of(trial.array))
            if answer.track is not None:
                parts = (trial, localizer.features, baselines)
                followed.append(follow_trial(localizer.name, answer.track, *parts))
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
        "rows": _rows(scenes, line),
        "scenes": scenes,
    }
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
        starss = is_starss(data)
        total, trials = starss_trials(data, split) if starss else folder_trials(data)
        total = total if count is None else min(count, total)
        return total, _first(trials, total)
    total = recipe.eval.count if count is None else count
    return total, fresh_trials(recipe, split, _seed(recipe, seed), total, jobs, images)


def _first(trials: Iterator[Trial], count: int) -> Iterator[Trial]:
    for _, trial in zip(range(count), trials, strict=False):
        yield trial


def _answer(localizer: Localizer | DirectLocalizer, trial: Trial, track: bool) -> Answer:
    question = (trial.signal, trial.scene.sample_rate, [trial.query], trial.array)
    return localizer.locate(*question, track=track)[0]


def _judge(
    localizer: Localizer | DirectLocalizer, trial: Trial, answer: Answer, baselines: bool
) -> dict[str, Any]:
    """Lay the model's answer to a trial beside the truth and the other systems."""
    scene = trial.scene
    answers = {localizer.name: answer.azimuth_deg}
    if baselines:
        answers |= baseline_azimuths(trial, localizer)
    return {
        "index": scene.index,
        "split": scene.split,
        "query": trial.query,
        "label": scene.sources[0].label,
        "other_labels": [source.label for source in scene.sources[1:]],
        "azimuth_deg": trial.azimuth_deg,
        "others_deg": list(trial.others_deg),
        "rt60_s": scene.rt60_measured_s,
        "level_db": [source.level_db for source in scene.sources[1:]],
        "confidence": answer.confidence,
        "presence": answer.presence,
        "answers": answers,
    }


def _rows(scenes: list[dict[str, Any]], line_deg: float | None) -> list[dict[str, Any]]:
    """Score every system, the model first, then physics, then chance.

    Of microphones in a line, front and back count alike.
    """
    targets = fold_deg([scene["azimuth_deg"] for scene in scenes], line_deg)
    others = padded_others(tuple(scene["others_deg"]) for scene in scenes)
    others = fold_deg(others, line_deg)
    rows = []
    for system in scenes[0]["answers"]:
        found = fold_deg([scene["answers"][system] for scene in scenes], line_deg)
        rows.append({"system": system, **score(found, targets, others, np.random.default_rng(0))})
    for system, figures in chance_levels(targets, others, line_deg is not None).items():
        rows.append({"system": f"chance: {system.replace('_', ' ')}", **figures})
    return rows
