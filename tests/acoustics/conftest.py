from pathlib import Path

import numpy as np
import pytest
import soundfile

from tselcli.corpora.clip import Clip, Corpus
from tselcli.sections import RoomRecipe, SceneRecipe

RATE = 8_000


@pytest.fixture
def corpus(tmp_path: Path) -> Corpus:
    """Six bursts of noise of different kinds, lengths and levels."""
    rng = np.random.default_rng(0)
    clips = []
    for number in range(6):
        burst = rng.standard_normal(RATE // 4 + 700 * number) * 0.02 * (number + 1)
        path = tmp_path / f"burst{number}.wav"
        soundfile.write(path, burst, RATE, subtype="FLOAT")
        label = f"kind {number}"
        words = (f"a {label}", f"the {label}")
        clips.append(Clip(path.stem, label, words, "train", frozenset(), path, 0, "bursts"))
    return Corpus("bursts", tuple(clips))


@pytest.fixture
def quick() -> SceneRecipe:
    """Short scenes in small rooms with few reflections."""
    room = RoomRecipe(
        length_m=(4.0, 6.0), width_m=(4.0, 6.0), height_m=(3.0, 4.0), rt60_s=(0.4, 0.5), max_order=3
    )
    return SceneRecipe(sample_rate=RATE, duration_s=1.0, room=room)
