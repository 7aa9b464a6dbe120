from dataclasses import replace

import pytest
import torch

from tests.models.test_mixer import FEATURES, RULES, clip, mixer, stems
from tselcli.models.device_mixer import DeviceMixer
from tselcli.models.losses import ABSENT, UNDECIDED
from tselcli.models.stem_table import has_kinds, stem_table

LABELS = ("bell", "dog", "rain", "siren", "wolf")


def device_mixer(rules=RULES, seed=0, size=6, sounds=None, **known):
    sounds = stems() if sounds is None else sounds
    return DeviceMixer(stem_table(sounds, mixer().text, **known), rules, FEATURES, size, seed)


def labels_of(machine, drawn):
    table = machine.table
    found = table.label[table.clip[drawn.clamp_min(0)]]
    return torch.where(drawn >= 0, found, -1)


def test_the_same_seed_gives_the_same_batches_and_a_state_goes_on():
    one, two = device_mixer(), device_mixer()
    torch.testing.assert_close(one.batch().picture, two.batch().picture)
    assert not torch.equal(one.batch().picture, device_mixer(seed=1).batch().picture)
    state = one.state()
    following = one.batch().picture
    two.restore(state)
    torch.testing.assert_close(two.batch().picture, following)


def test_batches_have_the_shapes_of_those_of_the_other_mixer():
    mine, theirs = device_mixer().batch(), mixer().batch()
    for part in ("picture", "ratios", "asked"):
        assert getattr(mine, part).shape == getattr(theirs, part).shape
    assert mine.owner.shape == (6, 6 * 3 + 5) == (6, len(mine.text))


def test_a_stem_is_where_it_was_put():
    machine = device_mixer(replace_rules(gain_db=0.0, equalise_db=0.0, band_limit=0.0), size=40)
    drawn = machine.choose()
    placed = machine.placed(drawn)
    for b, row in enumerate(drawn.tolist()):
        for s, number in enumerate(row):
            if number < 0:
                assert not placed[b, s].any()
                continue
            stem = machine.table.mel[int(machine.table.first[number]) :][
                : int(machine.table.length[number])
            ]
            power = 10.0 ** stem.float()
            there = placed[b, s][placed[b, s].any(dim=1)]
            assert len(there) == min(len(power), 100)
            begins = [
                k
                for k in range(len(power) - len(there) + 1)
                if torch.allclose(power[k : k + len(there)], there, rtol=1e-3)
            ]
            assert begins


def test_half_of_the_mixtures_begin_together():
    machine = device_mixer(size=400)
    drawn = machine.choose()
    short = machine.table.length[drawn.clamp_min(0)] == 20
    starts = machine.placed(drawn).any(dim=-1).int().argmax(dim=-1)
    at_once = (starts == 0)[short & (drawn >= 0)].float().mean()
    assert 0.4 < float(at_once) < 0.65  # 1 in 81 of the others begins there as well


def test_shares_are_ratios_of_the_whole():
    batch = device_mixer().batch()
    assert float(batch.ratios.min()) >= 0
    assert float(batch.ratios.sum(dim=1).max()) <= 1 + 1e-4


def test_mixtures_are_as_loud_and_as_wide_as_those_of_the_other_mixer():
    rules = replace_rules(stripes=0)
    mine = torch.cat([device_mixer(rules, n, 64).batch().picture for n in range(4)])
    theirs = torch.cat([mixer(rules, n).batch().picture for n in range(40)])
    assert float(mine.mean()) == pytest.approx(float(theirs.mean()), abs=0.02)
    assert float(mine.std()) == pytest.approx(float(theirs.std()), abs=0.02)
    profile = mine.mean(dim=(0, 1)) - theirs.mean(dim=(0, 1))
    assert float(profile.abs().max()) < 0.06


def test_the_hiss_is_as_loud_as_that_of_the_other_mixer():
    total = torch.ones(4000, 4, 64)
    mine = device_mixer().hiss(total).log10()
    theirs = mixer()._hiss(total).log10()
    assert float(mine.mean()) == pytest.approx(float(theirs.mean()), abs=0.05)
    assert float(mine.diff(dim=1).std()) == pytest.approx(float(theirs.diff(dim=1).std()), abs=0.02)


def test_sounds_at_once_interfere_and_one_alone_does_not():
    quiet = replace_rules(gain_db=0.0, equalise_db=0.0, band_limit=0.0)
    machine = device_mixer(quiet, size=200)
    drawn = machine.choose()
    machine.placed = lambda stems: (stems >= 0)[..., None, None] * torch.ones(1, 1, 100, 64)
    machine.hiss = torch.zeros_like
    one = torch.where(torch.arange(3) < 1, drawn, -1)
    assert float(machine.mixtures(one)[0].std()) < 1e-6
    two = torch.where(torch.arange(3) < 2, drawn, -1)
    power = torch.pow(10.0, 8 * machine.mixtures(two)[0])
    relative = (power / power.mean(dim=(1, 2), keepdim=True)).std(dim=(0, 1))
    expected = machine.spread / 2**0.5  # the geometric mean of both, of twice one
    torch.testing.assert_close(relative[-8:], expected[-8:], rtol=0.1, atol=0.02)


def test_sounds_that_could_be_confused_never_meet():
    machine = device_mixer(size=500)
    labels = labels_of(machine, machine.choose())
    dog, wolf = LABELS.index("dog"), LABELS.index("wolf")
    assert not ((labels == dog).any(dim=1) & (labels == wolf).any(dim=1)).any()
    for row in labels.tolist():
        kinds = [label for label in row if label >= 0]
        assert len(set(kinds)) == len(kinds) >= 2
    counts = (labels >= 0).sum(dim=1)
    assert 0.4 < float((counts == 3).float().mean()) < 0.6


def test_a_place_stays_empty_where_nothing_fits():
    only = [stem for stem in stems() if stem.clip.label in ("dog", "wolf")]
    machine = device_mixer(sounds=only, size=20)
    drawn = machine.choose()
    assert (drawn[:, 0] >= 0).all()
    assert (drawn[:, 1:] < 0).all()
    assert torch.isfinite(machine.batch().picture).all()


def test_owners_tell_own_absent_and_undecided_descriptions():
    machine = device_mixer()
    dog, rain, wolf = (LABELS.index(kind) for kind in ("dog", "rain", "wolf"))
    labels = torch.tensor([[rain, dog, -1], [rain, -1, -1]])
    owner = machine.owners(labels, torch.tensor([dog, rain, wolf]))
    assert owner.tolist() == [[1, 0, UNDECIDED], [ABSENT, 0, ABSENT]]


def test_own_descriptions_are_asked_first():
    batch = device_mixer().batch()
    owner = batch.owner.gather(1, batch.asked)
    own = (batch.owner >= 0).sum(dim=1)
    for row, count in zip(owner.tolist(), own.tolist(), strict=True):
        assert all(o >= 0 for o in row[: min(count, len(row))])
        assert UNDECIDED not in row[count:] or ABSENT not in row[row.index(UNDECIDED) :]


def test_rare_labels_come_more_often_than_their_share():
    many = stems() + [s for s in stems() if s.clip.label == "rain"] * 8
    machine = device_mixer(sounds=many)
    labels = labels_of(machine, machine.draw(4000))
    share = float((labels == LABELS.index("rain")).float().mean())
    assert share == pytest.approx(27**0.5 / (27**0.5 + 4 * 3**0.5), abs=0.03)


def test_captions_are_unit_vectors_near_their_own():
    machine = device_mixer()
    clips = torch.arange(5).repeat(40)
    text = machine.captions(clips)
    torch.testing.assert_close(text.norm(dim=1), torch.ones(len(text)))
    table = machine.table
    own = torch.stack(
        [
            (text[n] @ table.text[table.caption[table.caption_first[c] :][:2]].float().T).max()
            for n, c in enumerate(clips.tolist())
        ]
    )
    assert float(own.min()) > 0.6  # half way between two unlike captions
    assert 0.5 < float((own > 0.99).float().mean()) < 0.95


def test_stripes_blank_time_and_frequency_alone():
    machine = device_mixer(replace_rules(stripes=2), size=50)
    striped = machine.striped(torch.ones(50, 100, 64))
    rows, columns = (striped == 0).all(dim=2), (striped == 0).all(dim=1)
    assert rows.any()
    assert columns.any()
    torch.testing.assert_close(striped == 0, rows[:, :, None] | columns[:, None])
    assert int(rows.sum(dim=1).max()) <= 2 * (100 // 8)


def test_a_cut_band_is_silent_above():
    machine = device_mixer(replace_rules(gain_db=0.0, equalise_db=0.0, band_limit=1.0))
    colour = machine.colour(30, 2)
    assert float(colour[..., machine.band_hz < 2000].min()) == 1.0
    assert float((colour[..., -1] < 0.1).float().mean()) > 0.8  # cut at 2 to 8 kHz


def test_levels_stay_in_their_range():
    machine = device_mixer(replace_rules(gain_db=10.0, equalise_db=0.0, band_limit=0.0))
    level = 10 * machine.colour(200, 2).log10()
    assert 9 < float(level.abs().max()) <= 10.001


def test_lessons_stand_beside_their_sources():
    vectors = {f"id of {kind}": torch.full((3,), float(n + 1)) for n, kind in enumerate(LABELS[:4])}
    machine = device_mixer(lessons=vectors, odds={"id of rain": torch.ones(2)})
    batch = machine.batch()
    assert batch.lessons.shape == (6, 3, 3)
    assert batch.odds.shape == (6, 3, 2)
    machine = device_mixer(lessons=vectors)
    drawn = machine.choose()
    labels = labels_of(machine, drawn)
    machine.choose = lambda: drawn
    expected = torch.where((labels >= 0) & (labels < 4), labels + 1, 0)
    torch.testing.assert_close(machine.batch().lessons[..., 0], expected.float())


def test_clips_of_two_corpora_may_share_a_number():
    named = [replace(s, clip=replace(s.clip, id="1", source=s.clip.label)) for s in stems()]
    table = device_mixer(sounds=named).table
    assert len(table.label) == 5
    assert table.label[table.clip].tolist() == [kind for kind in range(5) for _ in range(3)]


def test_stems_without_kinds_are_not_tabled():
    assert has_kinds(stems())
    nameless = replace(clip("dog"), label="id of dog")
    assert not has_kinds([replace(stem, clip=nameless) for stem in stems()])


def replace_rules(**changes):
    return RULES.model_copy(update=changes)
