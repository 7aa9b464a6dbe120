from dataclasses import replace

import numpy as np
import pytest
import torch

from tselcli.corpora.clip import Clip
from tselcli.models.losses import ABSENT, UNDECIDED
from tselcli.models.mixer import Mixer, Stem
from tselcli.sections import FeatureRecipe, MixingRecipe

FEATURES = FeatureRecipe()
RULES = MixingRecipe(sources=(2, 3), extra_queries=5, absent_queries=3)


def clip(label, groups=()):
    return Clip(
        f"id of {label}", label, (f"a {label}", f"one {label}"), "train", frozenset(groups), None
    )


def stems():
    rng = np.random.default_rng(0)
    labels = {"dog": ("canine",), "wolf": ("canine",), "siren": (), "rain": (), "bell": ()}
    return [
        Stem(clip(label, groups), rng.uniform(-3, 0, (frames, 64)).astype(np.float16))
        for label, groups in labels.items()
        for frames in (20, 80, 300)
    ]


def mixer(rules=RULES, seed=0):
    generator = torch.Generator().manual_seed(0)
    text = {
        caption: torch.nn.functional.normalize(torch.randn(16, generator=generator), dim=0)
        for stem in stems()
        for caption in stem.clip.captions
    }
    return Mixer(stems(), text, rules, FEATURES, np.random.default_rng(seed), 6)


def test_the_same_generator_gives_the_same_batches():
    one, two = mixer().batch(), mixer().batch()
    torch.testing.assert_close(one.picture, two.picture)
    torch.testing.assert_close(one.text, two.text)
    assert not torch.equal(one.picture, mixer(seed=1).batch().picture)


def test_shares_are_ratios_of_the_whole():
    batch = mixer().batch()
    assert batch.picture.shape == (6, 100, 64)
    assert batch.ratios.shape == (6, 3, 100, 64)
    assert float(batch.ratios.min()) >= 0
    assert float(batch.ratios.sum(dim=1).max()) <= 1 + 1e-4


def test_every_source_has_its_description_and_clashing_ones_are_undecided():
    machine = mixer()
    for _ in range(5):
        batch = machine.batch()
        sources = (batch.ratios.flatten(2).sum(dim=2) > 0).sum(dim=1)
        for row, count in zip(batch.owner, sources.tolist(), strict=True):
            assert {int(owner) for owner in row if owner >= 0} == set(range(count))
        assert batch.text.shape[0] == int(sources.sum()) + 5
    # A wolf is asked of a mixture with a dog: neither present nor absent.
    assert UNDECIDED in batch.owner or ABSENT in batch.owner
    chosen = machine._owners(
        [[0, 6]], [clip("dog"), clip("wolf", ("canine",)), clip("rain"), clip("siren")]
    )
    assert chosen.tolist() == [[0, UNDECIDED, ABSENT, 1]]


def test_sounds_that_could_be_confused_never_meet():
    machine = mixer()
    for _ in range(100):
        labels = [machine.stems[index].clip.label for index in machine._choose(3)]
        assert len(set(labels)) == len(labels)
        assert {"dog", "wolf"} - set(labels)


def test_clips_without_kinds_keep_apart_by_their_words_and_fill_no_memory():
    captions = {"x1": "a dog barks", "x2": "barking dogs", "x3": "rain falls", "x4": "a bell rings"}
    alone = [
        Clip(name, name, (text,), "train", frozenset(), None) for name, text in captions.items()
    ]
    text = {caption: torch.eye(4)[n] for n, caption in enumerate(captions.values())}
    many = [Stem(one, stems()[0].mel) for one in alone]
    machine = Mixer(many, text, RULES, FEATURES, np.random.default_rng(0), 6)
    for _ in range(50):
        assert {"x1", "x2"} - {machine.stems[index].clip.id for index in machine._choose(3)}
    owner = machine._owners([[0, 2]], alone)
    assert owner.tolist() == [[0, UNDECIDED, 1, ABSENT]]
    assert machine.batch().text.shape[1] == 4
    assert machine._conflict == {}


def test_own_descriptions_are_asked_first():
    batch = mixer().batch()
    for owner, asked in zip(batch.owner, batch.asked, strict=True):
        assert asked.shape == (6,)
        own = set(torch.nonzero(owner >= 0)[:, 0].tolist())
        assert own <= set(asked.tolist()) or len(own) > 6


def test_a_cut_band_is_silent_above():
    machine = mixer(replace_rules(band_limit=1.0, equalise_db=0.0, gain_db=0.0))
    level = machine._colour((4, 2, 1, 64))
    assert (level[..., -1] < 1e-4).mean() > 0.5
    np.testing.assert_allclose(level[..., 0], 1, rtol=1e-5)


def test_levels_stay_in_their_range():
    machine = mixer(replace_rules(band_limit=0.0, equalise_db=0.0, gain_db=6.0))
    level_db = 10 * np.log10(machine._colour((50, 2, 1, 64)))
    assert -6.001 <= level_db.min() < -4 < 4 < level_db.max() <= 6.001


def test_rare_labels_come_more_often_than_their_share():
    many = [Stem(clip("rain"), stems()[0].mel)] * 99 + [Stem(clip("bell"), stems()[0].mel)]
    machine = replace_stems(mixer(), many)
    drawn = [machine.stems[index].clip.label for index in machine._draw(2000)]
    assert drawn.count("bell") / 2000 == pytest.approx(1 / (1 + 99**0.5), abs=0.03)


def replace_rules(**changes):
    return RULES.model_copy(update=changes)


def replace_stems(machine, chosen):
    return Mixer(chosen, machine.text, machine.recipe, FEATURES, np.random.default_rng(0), 6)


def test_a_short_sound_lies_whole_inside_the_crop():
    row = np.zeros((100, 64), dtype=np.float32)
    mixer()._place(row, np.zeros((20, 64), dtype=np.float16), together=False)
    assert (row.sum(axis=1) > 0).sum() == 20


def test_captions_are_unit_vectors_near_their_own():
    machine = mixer()
    own = replace(stems()[0]).clip
    vector = machine._caption(own)
    assert float(vector.norm()) == pytest.approx(1, abs=1e-5)
    assert max(float(vector @ machine.text[caption]) for caption in own.captions) > 0.7


def test_stripes_blank_time_and_frequency_of_the_picture_alone():
    plain, striped = mixer().batch(), mixer(replace_rules(stripes=2)).batch()
    torch.testing.assert_close(plain.ratios, striped.ratios)
    gone = (striped.picture == 0) & (plain.picture > 0)
    kept = striped.picture[~gone]
    torch.testing.assert_close(kept, plain.picture[~gone])
    blank = striped.picture == 0
    assert 0 < float(gone.float().mean()) < 0.5
    whole = blank.all(dim=2).any(dim=1) | blank.all(dim=1).any(dim=1)
    assert bool(whole.all())


def test_lessons_stand_beside_their_sources():
    machine = mixer()
    machine.lessons = {f"id of {label}": torch.eye(3)[k] for k, label in enumerate(("dog", "rain"))}
    machine.odds = {name: 2 - lesson[:2] for name, lesson in machine.lessons.items()}
    chosen, *_ = mixer().mixtures()
    batch = machine.batch()
    for b, members in enumerate(chosen):
        for s, index in enumerate(members):
            name = machine.stems[index].clip.id
            wanted = machine.lessons.get(name, torch.zeros(3))
            torch.testing.assert_close(batch.lessons[b, s], wanted)
            wanted = machine.odds.get(name, torch.zeros(2))
            torch.testing.assert_close(batch.odds[b, s], wanted)
