from dataclasses import FrozenInstanceError, replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tselcli.corpora.clip import Clip, absent_captions, clashes, compatible, read_clip
from tselcli.errors import DataError

DOG = Clip("dog-1", "dog bark", ("a dog barks",), "test", frozenset({"dog"}), Path("dog.wav"))
RAIN = Clip("rain-1", "rain", ("rain falls",), "test", frozenset({"water"}), Path("rain.wav"))


def described(name, *captions):
    """Give a clip of a corpus without labels."""
    return Clip(name, name, captions, "test", frozenset(), Path(f"{name}.wav"))


def test_different_sounds_are_compatible_either_way():
    assert compatible(DOG, RAIN)
    assert compatible(RAIN, DOG)


@pytest.mark.parametrize(
    "other",
    [
        replace(RAIN, label="dog bark"),
        replace(RAIN, groups=frozenset({"water", "dog"})),
        replace(RAIN, captions=("rain falls", "A dog barks")),
    ],
)
def test_label_group_or_caption_in_common_is_not_compatible(other):
    assert not compatible(DOG, other)
    assert not compatible(other, DOG)


def test_wording_decides_only_where_there_are_no_labels():
    """With labels, somebody decided that both may sound together; without, words must."""
    near = replace(RAIN, captions=("a dog barks loudly",))
    assert compatible(DOG, near)
    assert not compatible(DOG, described("x", "a dog barks loudly"))
    assert not compatible(described("y", "a cat meows", "a dog barking"), described("x", "dogs"))
    assert compatible(described("y", "a cat meows"), described("x", "a dog barks loudly"))


def test_absent_captions_are_of_what_could_not_be_confused():
    rng = np.random.default_rng(0)
    howl = replace(DOG, id="dog-2", label="howl", captions=("a dog howls",))
    sea = replace(RAIN, id="sea", label="sea", captions=("waves", "surf"), groups=frozenset())
    clips = (DOG, howl, RAIN, sea)
    assert absent_captions([DOG, RAIN], clips, rng, 1) in (["waves"], ["surf"])
    assert sorted(absent_captions([DOG, RAIN], clips, rng, 3)) == ["surf", "waves"]
    assert absent_captions([DOG, sea], (DOG, howl, sea), rng, 2) == []
    assert absent_captions([], clips, rng, 2) == []  # nothing is known of the scene


def test_clip_is_frozen():
    with pytest.raises(FrozenInstanceError):
        DOG.label = "cat"


def test_read_clip_is_the_mean_of_the_channels(tmp_path):
    """Two channels of 0.5 and -0.25 average to 0.125, at any sample rate."""
    path = tmp_path / "dog.wav"
    soundfile.write(path, np.tile([0.5, -0.25], (32_000, 1)), 32_000, subtype="FLOAT")
    signal = read_clip(replace(DOG, path=path), 16_000)
    assert signal.dtype == np.float32
    assert signal.shape == (16_000,)
    np.testing.assert_allclose(signal[500:-500], 0.125, atol=1e-3)


def test_read_clip_of_a_missing_file_says_so(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        read_clip(replace(DOG, path=tmp_path / "none.wav"), 16_000)


def test_clashes_are_the_pairs_that_are_not_compatible():
    rng = np.random.default_rng(3)
    kinds = [
        Clip(
            id=f"clip {n}",
            label=f"kind {n}",
            captions=tuple(f"{'A' if n % 2 else 'a'} sound {k}" for k in rng.integers(60, size=3)),
            split="train",
            groups=frozenset(f"group {k}" for k in rng.integers(30, size=n % 3)),
            path=None,
        )
        for n in range(40)
    ]
    expected = [[not compatible(one, other) for other in kinds] for one in kinds]
    assert np.array_equal(clashes(kinds), expected)
    assert 40 < clashes(kinds).sum() < 40 * 40
