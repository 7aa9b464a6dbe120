"""The registry as a whole: same sound for same seed, sane at every rate, told apart by ear."""

import re
from collections import Counter
from functools import cache
from itertools import pairwise

import numpy as np
import pytest
from scipy.signal import stft

from tselcli.corpora.synthetic import FIRST_SEED, KINDS, PER_LABEL, synthesise, synthetic_clips
from tselcli.errors import DataError

LABELS = sorted(KINDS)
RATES = (8_000, 16_000, 48_000)
SMALL_WORDS = set(
    re.findall(
        r"\w+",
        """a an the of in on is are with to and by from at as for it its over through into off
        being be up down one that sound long short loud dark""",
    )
)


@cache
def sound(label, seed, rate):
    return synthesise(label, seed, rate)


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("label", LABELS)
def test_every_kind_is_sane_at_every_rate(label, rate):
    signal = sound(label, 0, rate)
    assert signal.dtype == np.float32
    assert signal.ndim == 1
    assert 0.5 <= len(signal) / rate <= 8
    assert np.isfinite(signal).all()
    assert np.abs(signal).max() == pytest.approx(0.9, abs=1e-4)
    assert np.sqrt(np.mean(signal**2)) > 0.01  # not one lonely click
    assert abs(signal.mean()) < 1e-4
    assert np.abs(signal[[0, -1]]).max() == 0
    edge = max(3, rate // 8000)  # 0.1 ms: a fade is still near zero
    assert max(np.abs(signal[:edge]).max(), np.abs(signal[-edge:]).max()) < 0.02


@pytest.mark.parametrize("label", LABELS)
def test_same_seed_same_samples_other_seed_other_sound(label):
    again = synthesise(label, 0, 8000)
    other = sound(label, 1, 8000)
    np.testing.assert_array_equal(again, sound(label, 0, 8000))
    shared = min(len(again), len(other))
    likeness = abs(np.corrcoef(again[:shared], other[:shared])[0, 1])
    assert likeness < 0.5


@pytest.mark.parametrize("label", LABELS)
def test_rates_tell_the_same_story(label):
    durations = [len(sound(label, 0, rate)) / rate for rate in RATES]
    assert np.ptp(durations) < 3e-3
    coarse, fine = (loudness(sound(label, 0, rate), rate) for rate in (16_000, 48_000))
    shared = min(len(coarse), len(fine))
    steady = np.std(fine) < 0.3 * np.mean(fine)  # then there is no story to compare
    assert steady or np.corrcoef(coarse[:shared], fine[:shared])[0, 1] > 0.7


def loudness(signal, rate, step_s=0.05):
    """RMS of each 50 ms, (frames,)."""
    step = round(step_s * rate)
    frames = signal[: len(signal) // step * step].reshape(-1, step)
    return np.sqrt(np.mean(frames**2, axis=1))


@pytest.mark.parametrize(
    ("label", "samples", "rms"),
    [
        ("siren", 54123, 0.32660),
        ("rain", 42105, 0.14467),
        ("footsteps", 27128, 0.05208),
        ("car accelerating", 45920, 0.16689),
    ],
)
def test_sounds_are_the_same_on_every_machine(label, samples, rms):
    signal = sound(label, 3, 8000)  # a change here moves every figure measured on this corpus
    assert len(signal) == samples
    assert np.sqrt(np.mean(signal**2, dtype=np.float64)) == pytest.approx(rms, rel=1e-3)


@pytest.mark.parametrize("label", LABELS)
def test_seed_draws_length_and_not_only_noise(label):
    assert len({len(sound(label, seed, 8000)) for seed in range(4)}) == 4


def test_captions_belong_to_one_kind_and_one_use():
    assert len(KINDS) >= 28
    assert "a vehicle accelerating" in KINDS["car accelerating"].captions_train
    every = Counter(
        caption.casefold()
        for kind in KINDS.values()
        for caption in kind.captions_train + kind.captions_test
    )
    assert [caption for caption, times in every.items() if times > 1] == []
    for label, kind in KINDS.items():
        assert kind.label == label
        assert len(kind.captions_train) >= 6, label
        assert len(kind.captions_test) >= 3, label


def test_test_captions_use_other_words():
    for label, kind in KINDS.items():
        seen = {word for caption in kind.captions_train for word in re.findall(r"\w+", caption)}
        for caption in kind.captions_test:
            words = set(re.findall(r"\w+", caption)) - SMALL_WORDS
            assert len(words & seen) <= 1, (label, caption)


def test_splits_share_no_seed_and_no_id():
    clips = {split: synthetic_clips(split) for split in PER_LABEL}
    for split, per_label in PER_LABEL.items():
        assert Counter(clip.label for clip in clips[split]) == dict.fromkeys(KINDS, per_label)
    for first, second in (("train", "val"), ("train", "test"), ("val", "test")):
        seeds = [{clip.seed for clip in clips[split]} for split in (first, second)]
        assert seeds[0].isdisjoint(seeds[1])
    ids = [clip.id for split in PER_LABEL for clip in clips[split]]
    assert len(set(ids)) == len(ids)


def test_a_clip_carries_its_kind():
    clip = next(clip for clip in synthetic_clips("test") if clip.id == "synthetic/siren/test_003")
    assert clip.captions == KINDS["siren"].captions_test
    assert clip.groups == frozenset({"alarm"})
    assert clip.path is None
    assert clip.source == "synthetic"
    assert synthetic_clips("val")[0].captions == KINDS["dog bark"].captions_train
    assert len(synthetic_clips("train", per_label=2)) == 2 * len(KINDS)


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: synthesise("unicorn", 0, 16_000), "unicorn: no such synthetic sound; there are"),
        (lambda: synthetic_clips("dev"), "dev: no such split; choose train, val or test"),
        (lambda: synthetic_clips("val", per_label=0), "per_label=0: .*choose 1 to"),
        (lambda: synthetic_clips("val", per_label=2_000_000), "per_label=2000000: "),
    ],
)
def test_mistakes_are_explained(call, match):
    with pytest.raises(DataError, match=match):
        call()


def describe(label, seed, rate=8000):
    """Summarise a sound: its spectrum, how that varies, and how the loudness moves, (features,)."""
    frequency, _, spectrum = stft(sound(label, seed, rate), rate, nperseg=256, noverlap=128)
    power = np.abs(spectrum) ** 2
    edges = np.geomspace(60, 3800, 21)
    bands = [
        power[(frequency >= low) & (frequency < max(high, low + 32))].sum(0)
        for low, high in pairwise(edges)
    ]
    level_db = 10 * np.log10(np.array(bands) / power.sum(0).max() + 1e-6)
    mean_db = 10 * np.log10(np.mean(bands, axis=1) / power.sum(0).mean() + 1e-5)
    envelope = np.sqrt(power.sum(0))
    swing = np.abs(np.fft.rfft((envelope - envelope.mean()) * np.hanning(len(envelope)), 1024))
    swing = np.array([part.mean() for part in np.split(swing, [8, 16, 32, 64, 128, 256])])
    swing_db = 10 * np.log10(swing / swing.sum() + 1e-3)
    change = np.abs(np.diff(level_db)).mean(1)
    return np.concatenate([mean_db, level_db.std(1), swing_db, change])


def test_kinds_are_told_apart_by_the_nearest_centroid():
    train = np.array([[describe(label, seed) for seed in range(4)] for label in LABELS])
    test = np.array([[describe(label, FIRST_SEED["test"] + i) for i in (0, 1)] for label in LABELS])
    scale = train.std((0, 1))
    centroids = train.mean(1) / scale  # (kinds, features)
    distance = ((test[:, :, None] / scale - centroids) ** 2).sum(-1)
    right = distance.argmin(-1) == np.arange(len(LABELS))[:, None]
    assert right.mean() > 0.8  # chance is 1 / 55; measured 0.95
