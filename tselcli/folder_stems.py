"""The sources of a simulated folder, each heard alone, for training beyond what fits into memory.

The first pass over a folder renders its scenes source by source and puts the stems into the
cache. What it found is written down there as well, under the hash of the scenes and the
analysis: as long as neither changes, later runs neither read the scenes nor look at the stems
before they use them. A stem that is gone or damaged by then is made again.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from tselcli.acoustics.manifest import SceneList, read_manifest, scene_to_json
from tselcli.acoustics.measured import RirBank
from tselcli.acoustics.render import render_scene
from tselcli.acoustics.tracks import bank_of
from tselcli.corpora.audio import resample
from tselcli.corpora.clip import Clip, Corpus, with_full_paths
from tselcli.dataset import corpus_of
from tselcli.errors import DataError
from tselcli.features.cache import FeatureCache, content_key
from tselcli.processes import Executor, spread
from tselcli.recipe import load_recipe
from tselcli.sections import FeatureRecipe
from tselcli.shoeboxes import shoebox_of
from tselcli.stems import STEM_VERSION, stem_mel

MEMORY = 2**30  # bytes of stems that are kept in memory; others are read when they are used
RECORD = np.dtype(
    [("key", "S64"), ("scene", "<i4"), ("source", "<i4"), ("clip", "<i4"), ("frames", "<i4")]
)
Found = tuple[str, tuple[str, str], int]  # of a stem: cache key, corpus and id of its clip, frames


@dataclass(frozen=True)
class _Job:
    """What every scene of a folder needs; sent once to each worker."""

    features: FeatureRecipe
    scenes: SceneList
    split: str
    corpus: Corpus
    bank: RirBank | None
    cache: FeatureCache


@dataclass(frozen=True)
class KeptStem:
    """One source of a scene (`tselcli.models.mixer.Heard`), read from the cache when used."""

    clip: Clip
    number: int
    folder: "FolderStems"

    @property
    def mel(self) -> npt.NDArray[Any]:
        """As `tselcli.models.mixer.Stem.mel`."""
        return self.folder.mel(self.number)


class FolderStems:
    """The stems of a folder of ``tsel simulate``, in the order of its scenes.

    Args:
        features: analysis.
        folder: with a manifest or shards, and the recipe.yaml that it was made with.
        cache: where stems are kept.
        memory: bytes of stems to keep in memory.

    Raises:
        DataError: no scenes, scenes of several splits, or a sound that is gone.
    """

    def __init__(
        self, features: FeatureRecipe, folder: Path, cache: FeatureCache, memory: int = MEMORY
    ) -> None:
        scenes = read_manifest(folder.absolute())
        splits = {scenes[0][0].split, scenes[len(scenes) - 1][0].split}  # they are in order
        if len(splits) != 1:
            raise DataError(
                f"{folder}: holds the splits {sorted(splits)}; train on a folder of one"
            )
        recipe, split = load_recipe(str(folder / "recipe.yaml")), splits.pop()
        corpus = with_full_paths(corpus_of(recipe, split))
        self.job = _Job(features, scenes, split, corpus, bank_of(recipe.scene), cache)
        self.record: npt.NDArray[Any] | None = None
        self.clips: list[Clip] = []
        self._room, self._kept = memory, dict[int, npt.NDArray[Any]]()
        self._recall()

    @property
    def complete(self) -> bool:
        """Whether all stems were made."""
        return self.record is not None

    @property
    def scenes(self) -> int:
        """How many scenes there are."""
        return len(self.job.scenes)

    @property
    def frames(self) -> int:
        """Frames of all stems together."""
        return int(self._found["frames"].sum())

    def __len__(self) -> int:
        return len(self._found)

    def __iter__(self) -> Iterator[KeptStem]:
        return (self[number] for number in range(len(self)))

    def __getitem__(self, number: int) -> KeptStem:
        return KeptStem(self.clips[self._found["clip"][number]], number, self)

    def fill(self, jobs: int, executor: Executor | None = None) -> Iterator[int]:
        """Make what the cache lacks; yields how many stems each scene has, in order."""
        rows: list[tuple[str, int, int, int, int]] = []
        names: dict[tuple[str, str], int] = {}
        work = partial(_fill_scene, self.job)
        for scene, found in enumerate(spread(work, range(self.scenes), jobs, executor)):
            for source, (key, name, frames) in enumerate(found):
                rows.append((key, scene, source, names.setdefault(name, len(names)), frames))
            yield len(found)
        written = json.dumps(list(names)).encode()
        self.job.cache.put(self._key("clips"), np.frombuffer(written, dtype=np.uint8))
        self.job.cache.put(self._key("stems"), np.array(rows, dtype=RECORD))
        self._recall()

    def mel(self, number: int) -> npt.NDArray[Any]:
        """Read a stem, (T, M) float16; made again where the cache lost it.

        Raises:
            DataError: a sound of its scene is gone.
        """
        if number in self._kept:
            return self._kept[number]
        row = self._found[number]
        key = row["key"].decode()
        mel = self.job.cache.get(key)
        if mel is None:
            _fill_scene(self.job, int(row["scene"]))
            mel = self.job.cache.get(key)
        if mel is None:
            raise DataError(f"{self.job.cache.folder}: loses what is written; choose another cache")
        if mel.nbytes <= self._room:
            self._room -= mel.nbytes
            self._kept[number] = mel
        return mel

    @property
    def _found(self) -> npt.NDArray[Any]:
        if self.record is None:
            raise ValueError("fill() must come first")
        return self.record

    def _recall(self) -> None:
        """Find what an earlier pass wrote down."""
        record = self.job.cache.get(self._key("stems"))
        names = self.job.cache.get(self._key("clips"))
        if record is None or names is None or record.dtype != RECORD:
            return
        clips = {(clip.source, clip.id): clip for clip in self.job.corpus.clips}
        wanted = [tuple(name) for name in json.loads(names.tobytes())]
        gone = [name for name in wanted if name not in clips]
        if gone:
            raise DataError(f"{gone[0][0]}: {gone[0][1]} is gone; it sounds in the scenes")
        self.record, self.clips = record, [clips[name] for name in wanted]

    def _key(self, part: str) -> str:
        if not hasattr(self, "_digest"):
            self._digest = self.job.scenes.digest()
        return content_key(
            kind="folder-stems",
            version=STEM_VERSION,
            part=part,
            scenes=self._digest,
            features=self.job.features.model_dump(mode="json"),
        )


def _fill_scene(job: _Job, number: int) -> list[Found]:
    """Compute what the cache lacks of one scene; says what there is of each source."""
    scene, _ = job.scenes[number]
    if scene.split != job.split:
        raise DataError(f"{job.scenes.files[0]}: holds several splits; train on a folder of one")
    keys = [
        content_key(
            kind="scene-stem",
            version=STEM_VERSION,
            scene=scene_to_json(scene),
            source=source,
            features=job.features.model_dump(mode="json"),
        )
        for source in range(len(scene.sources))
    ]
    found = [job.cache.get(key) for key in keys]
    mels = [mel for mel in found if mel is not None]
    if len(mels) < len(keys):
        torch.set_num_threads(1)
        images = render_scene(scene, job.corpus, job.bank, shoebox_of(scene.method)).images
        if scene.array.foa is not None:
            images = images[:, :1]  # W, which is what the localizer looks at
        images = resample(images, scene.sample_rate, job.features.sample_rate)
        mels = [stem_mel(image, job.features) for image in images]
        for key, mel in zip(keys, mels, strict=True):
            job.cache.put(key, mel)
    frames = [len(mel) for mel in mels]
    names = [(source.corpus, source.clip_id) for source in scene.sources]
    return list(zip(keys, names, frames, strict=True))
