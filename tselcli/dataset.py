"""Recordings with their truth: rendered on the spot, or read from a folder of ``tsel simulate``.

Rendering runs in parallel processes; what comes out does not depend on how many there are.
"""

import itertools
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tselcli.acoustics.geometry import MicArray
from tselcli.acoustics.manifest import SceneList, expand_positions, read_manifest
from tselcli.acoustics.measured import RirBank
from tselcli.acoustics.render import render_scene
from tselcli.acoustics.scene import Scene, Source, draw_scene
from tselcli.acoustics.tracks import bank_of
from tselcli.acoustics.trajectory import FRAME_S
from tselcli.corpora.audio import read_audio
from tselcli.corpora.captions import open_corpora
from tselcli.corpora.clip import Corpus
from tselcli.corpora.wordings import with_captions, with_labels
from tselcli.frame_metrics import FrameTruth
from tselcli.processes import spread
from tselcli.recipe import Recipe
from tselcli.shoeboxes import shoebox_of

PEEKED = 8  # trials that are looked at to see whether sources move


@dataclass(frozen=True)
class Trial:
    """One question with its answer.

    Attributes:
        scene: the whole truth.
        signal: recording (C, N) float32.
        images: what each source contributes (S, C, N); None when read from a folder.
        labels: where the sources are in every 100 ms, where the scene does not say it.
    """

    scene: Scene
    signal: npt.NDArray[Any]
    images: npt.NDArray[Any] | None = None
    labels: FrameTruth | None = None

    @property
    def array(self) -> MicArray:
        """The microphones."""
        return self.scene.array

    @property
    def query(self) -> str:
        """The description of the target."""
        return self.scene.sources[0].caption

    @property
    def azimuth_deg(self) -> float:
        """Where the target is."""
        azimuth = self.scene.sources[0].azimuth_deg
        assert azimuth is not None  # the target is directional
        return azimuth

    @property
    def others_deg(self) -> tuple[float, ...]:
        """Where the other directional sources are."""
        others = (source.azimuth_deg for source in self.scene.sources[1:])
        return tuple(azimuth for azimuth in others if azimuth is not None)

    @property
    def frames(self) -> FrameTruth:
        """Where the directional sources are in every 100 ms, and when they sound."""
        if self.labels is not None:
            return self.labels
        count = max(1, math.ceil(self.signal.shape[1] / self.scene.sample_rate / FRAME_S - 1e-6))
        return frame_truth(self.scene, count)


def truth_track(source: Source, n_frames: int) -> npt.NDArray[np.float64]:
    """Say where a source is in every frame of 100 ms.

    Args:
        source: at rest, or with ``positions``: (frame, azimuth, elevation, distance), each of
            which holds from its frame until the next.
        n_frames: T.

    Returns:
        (T, 3): azimuth and elevation in degrees, distance in metres; NaN for a source without
        a place.
    """
    positions = getattr(source, "positions", None)
    if not positions:
        place = (source.azimuth_deg, source.elevation_deg, source.distance_m)
        positions = [] if source.azimuth_deg is None else [(0, *place)]
    return expand_positions([list(position) for position in positions], n_frames)


def frame_truth(scene: Scene, n_frames: int) -> FrameTruth:
    """Lay out where the directional sources of a scene are, and when they sound."""
    sources = [source for source in scene.sources if source.azimuth_deg is not None]
    places = np.stack([truth_track(source, n_frames)[:, 0] for source in sources], axis=1)
    active = np.zeros(places.shape, dtype=np.bool_)
    for number, source in enumerate(sources):
        for first, stop in ((0, n_frames),) if source.active is None else source.active:
            active[first:stop, number] = True
    return FrameTruth(places[:, 0], active[:, 0], places[:, 1:], active[:, 1:])


def padded_others(trials: Iterable[tuple[float, ...]]) -> npt.NDArray[Any]:
    """Stack the azimuths of other sources, (N, K), NaN where a scene has fewer."""
    rows = list(trials)
    width = max((len(row) for row in rows), default=0)
    return np.array([row + (np.nan,) * (width - len(row)) for row in rows]).reshape(
        len(rows), width
    )


def corpus_of(recipe: Recipe, split: str) -> Corpus:
    """Open the sounds that a recipe names.

    Those for training get its further captions, and lack the labels that it holds out.

    Raises:
        DataError: a source cannot be opened, or no sound is left.
    """
    rules = recipe.corpus
    corpus = open_corpora([rules.source, *rules.also], split)
    if split == "train":
        corpus = with_captions(corpus, rules.captions)
    wanted = "known" if split == "train" else rules.labels
    return with_labels(corpus, rules.held_out, wanted)


def fresh_trials(
    recipe: Recipe, split: str, seed: int, count: int, jobs: int, images: bool = False
) -> Iterator[Trial]:
    """Render scenes 0 ... count - 1 of a seed and split, in order.

    Args:
        recipe: corpus and scene ranges.
        split: train, val or test.
        seed: of the scenes.
        count: how many.
        jobs: processes.
        images: keep what each source contributes.
    """
    given = corpus_of(recipe, split), bank_of(recipe.scene)
    work = partial(_render, recipe, *given, split, seed, images)
    return spread(work, range(count), jobs)


def _render(
    recipe: Recipe,
    corpus: Corpus,
    bank: RirBank | None,
    split: str,
    seed: int,
    images: bool,
    index: int,
) -> Trial:
    scene = draw_scene(recipe.scene, corpus, seed, split, index, bank)
    rendered = render_scene(scene, corpus, bank, shoebox_of(scene.method))
    return Trial(rendered.scene, rendered.signal, rendered.images if images else None)


def anything_moves(trials: Iterator[Trial]) -> tuple[bool, Iterator[Trial]]:
    """Look whether a source moves in the first trials, and give all of them back."""
    first = list(itertools.islice(trials, PEEKED))
    return any(trial.frames.moves for trial in first), itertools.chain(first, trials)


@dataclass(frozen=True)
class FolderTrials:
    """The recordings of a folder, each read when it is asked for, so that any number fits.

    Attributes:
        scenes: with the places of their recordings.
    """

    scenes: SceneList

    def __len__(self) -> int:
        return len(self.scenes)

    def __iter__(self) -> Iterator[Trial]:
        return (Trial(scene, read_audio(path)[0]) for scene, path in self.scenes)


def folder_trials(folder: Path) -> FolderTrials:
    """Open the recordings of a folder of ``tsel simulate``.

    Raises:
        DataError: neither manifest nor shards, or nothing in them.
    """
    return FolderTrials(read_manifest(folder))
