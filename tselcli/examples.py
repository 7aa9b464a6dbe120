"""What the paper's networks learn from: correlations of a recording, a query, and the answer.

Examples are rendered on the way in worker processes, so that the network only trains, or read
from a folder of ``tsel simulate``, whose correlations are kept in the feature cache.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from tselcli.acoustics.manifest import (
    SceneList,
    expand_positions,
    read_manifest,
    scene_to_json,
)
from tselcli.acoustics.measured import RirBank
from tselcli.acoustics.render import render_scene
from tselcli.acoustics.scene import Scene, draw_scene
from tselcli.acoustics.tracks import bank_of
from tselcli.acoustics.trajectory import FRAME_S
from tselcli.corpora.audio import read_audio
from tselcli.corpora.clip import Corpus
from tselcli.dataset import corpus_of
from tselcli.features.cache import FeatureCache, content_key
from tselcli.features.gcc import clip_gcc
from tselcli.processes import Executor, spread
from tselcli.recipe import Recipe
from tselcli.sections import FeatureRecipe
from tselcli.shoeboxes import shoebox_of

VERSION = 1  # of the correlations; part of every cache key


@dataclass(frozen=True)
class Example:
    """One question with its answer, as a network sees it.

    Attributes:
        scene: the whole truth.
        gcc: correlations (P, T, L), half precision.
        mono: mean over the microphones (N,) float32; None where no encoder listens.
    """

    scene: Scene
    gcc: npt.NDArray[np.float16]
    mono: npt.NDArray[Any] | None

    @property
    def query(self) -> str:
        """The description of the target."""
        return self.scene.sources[0].caption

    def azimuths(self, n_frames: int) -> npt.NDArray[Any]:
        """Where the target is in every frame of 100 ms, degrees (n_frames,)."""
        target = self.scene.sources[0]
        if target.positions is None:
            return np.full(n_frames, target.azimuth_deg, dtype=np.float32)
        return expand_positions(target.positions, n_frames)[:, 0].astype(np.float32)

    def active(self, n_frames: int) -> npt.NDArray[Any]:
        """In which frames of 100 ms the target sounds: 1 or 0, (n_frames,)."""
        flags = np.zeros(n_frames, dtype=np.float32)
        for first, end in self.scene.sources[0].active or ():
            flags[first:end] = 1.0
        return flags


def fresh_examples(
    recipe: Recipe, split: str, seed: int, indices: Sequence[int], jobs: int, listen: bool
) -> Iterator[Example]:
    """Render scenes of a seed and split, in order.

    Args:
        recipe: corpus, scene ranges and analysis.
        split: train, val or test.
        seed: of the scenes.
        indices: which scenes.
        jobs: processes.
        listen: keep the mono recording.
    """
    given = corpus_of(recipe, split), bank_of(recipe.scene)
    work = partial(_render, recipe, *given, split, seed, listen)
    return spread(work, indices, jobs)


def _render(
    recipe: Recipe,
    corpus: Corpus,
    bank: RirBank | None,
    split: str,
    seed: int,
    listen: bool,
    index: int,
) -> Example:
    torch.set_num_threads(1)
    scene = draw_scene(recipe.scene, corpus, seed, split, index, bank)
    rendered = render_scene(scene, corpus, bank, shoebox_of(scene.method))
    signal, rate = rendered.signal, rendered.scene.sample_rate
    mono = signal.mean(axis=0) if listen else None
    return Example(rendered.scene, clip_gcc(signal, rate, recipe.features), mono)


@dataclass(frozen=True)
class FolderExamples:
    """The recordings of a folder of ``tsel simulate``; correlations come from the cache.

    When all of them are there, the cache says so under the hash of the scenes and the analysis:
    later runs begin at once, and compute what is gone or damaged when they come to it.
    """

    scenes: SceneList
    features: FeatureRecipe
    cache: FeatureCache
    listen: bool

    @classmethod
    def open(
        cls, folder: Path, features: FeatureRecipe, cache: FeatureCache, listen: bool = False
    ) -> "FolderExamples":
        """Open the scenes of a folder.

        Raises:
            DataError: there are none.
        """
        return cls(read_manifest(folder.absolute()), features, cache, listen)

    def __len__(self) -> int:
        return len(self.scenes)

    def __iter__(self) -> Iterator[Example]:
        return (self.example(number) for number in range(len(self)))

    def example(self, number: int) -> Example:
        """Read one recording; what the cache lacks is computed and kept.

        Raises:
            DataError: the recording cannot be read.
        """
        scene, path = self.scenes[number]
        mono = read_audio(path)[0].mean(axis=0) if self.listen else None
        return Example(scene, self.correlations(scene, path), mono)

    def correlations(self, scene: Scene, path: Path) -> npt.NDArray[np.float16]:
        """Find the correlations (P, T, L) of a recording, or compute them."""
        key = content_key(
            kind="clip-gcc",
            version=VERSION,
            scene=scene_to_json(scene),
            features=self.features.model_dump(mode="json"),
        )
        gcc = self.cache.get(key)
        if gcc is None:
            signal, rate = read_audio(path)
            gcc = clip_gcc(signal, rate, self.features)
            self.cache.put(key, gcc)
        return gcc

    def frames(self) -> int | None:
        """Count the frames of all recordings; None where not all are computed."""
        record = self.cache.get(self._record_key())
        return None if record is None else int(record[0])

    def fill(self, jobs: int, executor: Executor | None = None) -> Iterator[int]:
        """Compute what the cache lacks; yields the number of frames of each recording."""
        total = 0
        for count in spread(partial(_fill, self), range(len(self)), jobs, executor):
            total += count
            yield count
        self.cache.put(self._record_key(), np.array([total], dtype=np.int64))

    def _record_key(self) -> str:
        return content_key(
            kind="folder-gcc",
            version=VERSION,
            scenes=self.scenes.digest(),
            features=self.features.model_dump(mode="json"),
        )


def _fill(folder: FolderExamples, number: int) -> int:
    torch.set_num_threads(1)
    return int(folder.correlations(*folder.scenes[number]).shape[1])


def label_frames(duration_s: float) -> int:
    """Count the frames of 100 ms in a recording."""
    return max(1, round(duration_s / FRAME_S))
