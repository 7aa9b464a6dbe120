"""Simulate scenes into a folder: ``tsel simulate``.

    OUT/recipe.yaml                  what the folder was made with
    OUT/manifest.jsonl               one line per scene, in order: the proof that it is complete
    OUT/audio/train_000000.flac      the recording
    OUT/dcase/train_000000.csv       frame,class,source,azimuth,elevation

Scenes do not depend on each other, so an interrupted run is continued by the same command, a
cluster renders a shard per machine into one folder, and the bytes are the same whatever the
number of workers. Lines are added to the manifest as scenes are finished and sorted at the end.
"""

import os
import re
import time
from collections import Counter
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tselcli.acoustics.folder import add_line, finished_scenes, sort_manifest
from tselcli.acoustics.manifest import MANIFEST, dcase_text, scene_line
from tselcli.acoustics.measured import RirBank
from tselcli.acoustics.render import render_scene
from tselcli.acoustics.scene import SPLITS, Scene, draw_scene
from tselcli.acoustics.tracks import bank_of
from tselcli.console import progress_bar
from tselcli.corpora.audio import write_audio
from tselcli.corpora.captions import open_corpora
from tselcli.corpora.clip import Corpus
from tselcli.errors import DataError, RecipeError
from tselcli.files import write_text_atomically
from tselcli.processes import spread
from tselcli.recipe import Recipe, load_recipe, recipe_to_yaml
from tselcli.shoeboxes import shoebox_of

MAX_SHOWN = 5  # problems listed in the last message
MAX_COUNT = 1_000_000  # file names have six digits


@dataclass(frozen=True)
class Summary:
    """What a run did.

    Attributes:
        out: the folder.
        split: of the corpus.
        rendered: scenes rendered now.
        kept: scenes found complete.
        moving: how many sources move in those rendered now.
        noise: how many of those rendered now have which noise: ``ambience`` (the room's own),
            ``diffuse`` or ``none``.
        seconds: how long it took.
    """

    out: Path
    split: str
    rendered: int
    kept: int
    moving: int
    noise: dict[str, int]
    seconds: float


@dataclass(frozen=True)
class _Job:
    """What every scene of a run needs; sent once to each worker."""

    recipe: Recipe
    corpus: Corpus
    bank: RirBank | None
    out: Path
    split: str
    seed: int


@dataclass(frozen=True)
class _Outcome:
    """A manifest line with what it says of noise and motion, or what was wrong with the scene."""

    line: str = ""
    noise: str = ""
    moving: int = 0
    problem: str = ""


def simulate(
    recipe: Recipe,
    out: Path,
    *,
    split: str = "train",
    count: int = 100,
    seed: int | None = None,
    jobs: int = 1,
    shard: str | None = None,
    corpus: str | None = None,
) -> Summary:
    """Render the scenes 0 to ``count`` - 1 of a split that are not there yet.

    Args:
        recipe: its ``corpus`` and ``scene`` sections count.
        out: the folder, new or holding scenes of the same recipe and seed.
        split: ``train``, ``val`` or ``test``.
        count: scenes of the split, over all shards.
        seed: of the scenes; None is the recipe's.
        jobs: worker processes; 0 is one per processor.
        shard: "i/n" renders only the scenes i-1, i-1+n, i-1+2n and so on.
        corpus: replaces the sources of the recipe.

    Raises:
        RecipeError: an option makes no sense, or the folder holds something else.
        DataError: the corpus, the measured rooms or the folder cannot be used; or, at the end,
            scenes were left out because a clip or a response of theirs cannot be read.
    """
    began = time.monotonic()
    indices = _indices(split, count, shard)
    if jobs < 0:
        raise RecipeError(f"jobs {jobs}: must not be negative; 0 uses every processor")
    recipe = _resolve(recipe, seed, corpus)
    sounds = open_corpora([recipe.corpus.source, *recipe.corpus.also], split)
    bank = bank_of(recipe.scene)
    _prepare(out, recipe)
    done = finished_scenes(out, split)
    missing = [index for index in indices if index not in done]
    job = _Job(recipe, sounds, bank, out, split, recipe.seed)
    problems, noises, moving = [], Counter[str](), 0
    try:
        with progress_bar("simulate", len(indices), "scenes", len(indices) - len(missing)) as step:
            for outcome in spread(partial(_render, job), missing, jobs or os.cpu_count() or 1):
                if outcome.problem:
                    problems.append(outcome.problem)
                    step(complaint=f"left out: {outcome.problem}")
                else:
                    add_line(out, outcome.line)
                    noises[outcome.noise] += 1
                    moving += outcome.moving
                    step()
    finally:
        sort_manifest(out)
    if problems:
        raise DataError(_complaint(out, problems, len(missing)))
    kept = len(indices) - len(missing)
    seconds = time.monotonic() - began
    return Summary(out, split, len(missing), kept, moving, dict(noises), seconds)


def _indices(split: str, count: int, shard: str | None) -> range:
    """Check the options and list the scenes of this shard."""
    if split not in SPLITS:
        raise RecipeError(f"split '{split}': unknown; use one of {', '.join(SPLITS)}")
    if not 1 <= count <= MAX_COUNT:
        raise RecipeError(f"count {count}: must be 1 to {MAX_COUNT}")
    if shard is None:
        return range(count)
    numbers = re.fullmatch(r"([0-9]{1,6})/([0-9]{1,6})", shard.strip())
    part, parts = (int(number) for number in numbers.groups()) if numbers else (0, 0)
    if not 1 <= part <= parts:
        raise RecipeError(f"shard '{shard}': must be i/n with i from 1 to n, such as 1/4")
    return range(part - 1, count, parts)


def _resolve(recipe: Recipe, seed: int | None, corpus: str | None) -> Recipe:
    """Put the options that change the scenes into the recipe."""
    changes: dict[str, object] = {}
    if corpus is not None:
        changes["corpus"] = recipe.corpus.model_copy(update={"source": corpus, "also": ()})
    if seed is not None:
        if seed < 0:
            raise RecipeError(f"seed {seed}: must not be negative")
        changes["seed"] = seed
    return recipe.model_copy(update=changes)


def _prepare(out: Path, recipe: Recipe) -> None:
    """Make the folder, or check that its scenes were drawn from the same recipe and seed."""
    try:
        for folder in (out / "audio", out / "dcase"):
            folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"{out}: {error.strerror}; give a folder that can be written") from error
    if not (out / "recipe.yaml").exists():
        if (out / MANIFEST).exists():
            raise RecipeError(f"{out}: holds scenes without a recipe.yaml; give another folder")
        write_text_atomically(out / "recipe.yaml", recipe_to_yaml(recipe))
        return
    before = load_recipe(str(out / "recipe.yaml"))
    other = [
        name
        for name in ("seed", "corpus", "scene")
        if getattr(before, name) != getattr(recipe, name)
    ]
    if other:
        raise RecipeError(
            f"{out}: holds scenes of another {' and '.join(other)} (see its recipe.yaml); "
            f"give another folder, or delete this one"
        )


def _render(job: _Job, index: int) -> _Outcome:
    """Draw, render and write one scene."""
    name = f"{job.split}_{index:06d}"
    try:
        scene = draw_scene(job.recipe.scene, job.corpus, job.seed, job.split, index, job.bank)
        rendered = render_scene(scene, job.corpus, job.bank, shoebox_of(scene.method))
    except DataError as error:
        return _Outcome(problem=str(error))
    write_audio(job.out / "audio" / f"{name}.flac", rendered.signal, scene.sample_rate)
    write_text_atomically(job.out / "dcase" / f"{name}.csv", dcase_text(rendered.scene))
    line = scene_line(rendered.scene, f"audio/{name}.flac")
    moving = sum(source.positions is not None for source in rendered.scene.sources)
    return _Outcome(line, _noise_of(rendered.scene), moving)


def _noise_of(scene: Scene) -> str:
    if scene.noise_snr_db is None:
        return "none"
    return "diffuse" if scene.ambience is None else "ambience"


def _complaint(out: Path, problems: list[str], total: int) -> str:
    """Sum up the scenes that were left out; each different problem is named once."""
    counted = Counter(problems).most_common()
    named = "; ".join(f"{problem} ({times} scene(s))" for problem, times in counted[:MAX_SHOWN])
    more = f"; and {len(counted) - MAX_SHOWN} more" if len(counted) > MAX_SHOWN else ""
    return (
        f"{out}: {len(problems)} of {total} scenes left out; mend what is named and run again. "
        f"{named}{more}"
    )
