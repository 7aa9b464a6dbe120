"""Simulate scenes into a folder: ``tsel simulate``.

    OUT/recipe.yaml                  what the folder was made with
    OUT/manifest.jsonl               one line per scene, in order: the proof that it is complete
    OUT/audio/train_000000.flac      the recording
    OUT/dcase/train_000000.csv       frame,class,source,azimuth,elevation
    OUT/audio/012/...                each further thousand of scenes, and of labels in dcase
    OUT/shards/train-000012.tar      instead of both, packed: `tselcli.acoustics.packing`

Scenes do not depend on each other, so an interrupted run is continued by the same command, a
cluster renders a shard per machine into one folder, and the bytes are the same whatever the
number of workers. Lines are added to the manifest as scenes are finished and sorted at the end.
"""

import os
import re
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tselcli.acoustics.folder import (
    add_line,
    audio_place,
    finished_scenes,
    labels_place,
    leftovers,
    prepare_folder,
    sort_manifest,
)
from tselcli.acoustics.manifest import dcase_text, scene_line
from tselcli.acoustics.measured import RirBank
from tselcli.acoustics.packing import pack
from tselcli.acoustics.render import render_scene
from tselcli.acoustics.scene import SPLITS, Scene, draw_scene
from tselcli.acoustics.tracks import bank_of
from tselcli.cluster import crew
from tselcli.console import progress_bar
from tselcli.corpora.audio import write_audio
from tselcli.corpora.captions import open_corpora
from tselcli.corpora.clip import Corpus, with_full_paths
from tselcli.errors import DataError, RecipeError
from tselcli.files import make_folder, write_text_atomically
from tselcli.processes import Executor, spread
from tselcli.recipe import Recipe
from tselcli.shoeboxes import shoebox_of

MAX_SHOWN = 5  # problems listed in the last message
MAX_COUNT = 1_000_000  # file names have six digits
MOVING = "moving"  # beside kinds of noise, in counts


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
    scheduler: str | None = None,
    webdataset: bool = False,
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
        scheduler: address of a Dask cluster that works instead of processes of this machine;
            its workers must see the folder and the sounds under the same names.
        webdataset: pack the scenes into tar files in the end.

    Raises:
        RecipeError: an option makes no sense, or the folder holds something else.
        DataError: the corpus, the measured rooms, the folder or the cluster cannot be used; or,
            at the end, scenes were left out because a clip or a response of theirs cannot be
            read.
    """
    began = time.monotonic()
    indices = _indices(split, count, shard)
    if jobs < 0:
        raise RecipeError(f"jobs {jobs}: must not be negative; 0 uses every processor")
    recipe = _resolve(recipe, seed, corpus)
    if shard is not None and webdataset:
        raise RecipeError(f"shard {shard}: packs no scenes; render all, then --merge packs them")
    sounds = with_full_paths(open_corpora([recipe.corpus.source, *recipe.corpus.also], split))
    bank = bank_of(recipe.scene)
    prepare_folder(out, recipe)
    done = finished_scenes(out, split)
    missing = [index for index in indices if index not in done]
    job = _Job(recipe, sounds, bank, out.absolute(), split, recipe.seed)
    with crew(scheduler, jobs or os.cpu_count() or 1, [out]) as workers:
        problems, counted = _render_all(job, missing, len(indices) - len(missing), *workers)
    if webdataset:
        pack(out)
    if problems:
        raise DataError(_complaint(out, problems, len(missing)))
    kept = len(indices) - len(missing)
    moving = counted.pop(MOVING, 0)
    seconds = time.monotonic() - began
    return Summary(out, split, len(missing), kept, moving, dict(counted), seconds)


def _render_all(
    job: _Job, missing: list[int], kept: int, jobs: int, executor: Executor | None
) -> tuple[list[str], Counter[str]]:
    """Render scenes and add their lines; gives problems, and counts of noise and motion."""
    half_written = leftovers(job.out) if missing else set()
    problems, counted = list[str](), Counter[str]()
    try:
        with progress_bar("simulate", kept + len(missing), "scenes", kept) as step:
            for outcome in spread(partial(_render, job), missing, jobs, executor):
                if outcome.problem:
                    problems.append(outcome.problem)
                    step(complaint=f"left out: {outcome.problem}")
                else:
                    add_line(job.out, outcome.line)
                    counted[outcome.noise] += 1
                    counted[MOVING] += outcome.moving
                    step()
    except BaseException:
        with suppress(DataError):  # what is wrong with the disk was said already
            sort_manifest(job.out)
        raise
    sort_manifest(job.out)
    for file in half_written:  # what was half written then and still is, was left by a kill
        file.unlink(missing_ok=True)
    return problems, counted


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


def _render(job: _Job, index: int) -> _Outcome:
    """Draw, render and write one scene."""
    audio = audio_place(job.split, index)
    try:
        scene = draw_scene(job.recipe.scene, job.corpus, job.seed, job.split, index, job.bank)
        rendered = render_scene(scene, job.corpus, job.bank, shoebox_of(scene.method))
    except DataError as error:
        return _Outcome(problem=str(error))
    make_folder((job.out / audio).parent)
    write_audio(job.out / audio, rendered.signal, scene.sample_rate)
    write_text_atomically(job.out / labels_place(audio), dcase_text(rendered.scene))
    line = scene_line(rendered.scene, audio)
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
