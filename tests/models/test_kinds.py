"""What a network knows about kinds of sound, and what follows for a description."""

import dataclasses
import math

import numpy as np
import pytest
import torch

from tselcli.acoustics.geometry import parse_array
from tselcli.calibrating import evenly, learn_kinds
from tselcli.commands.join import join
from tselcli.corpora.clip import Clip
from tselcli.features.steering import steering_of
from tselcli.models.checkpoint import load_checkpoint
from tselcli.models.choice import COLUMNS, MATCH, Choice
from tselcli.models.choosing import presence
from tselcli.models.mask import MaskNet
from tselcli.models.matching import KIN, OWN, SURER, Matched
from tselcli.models.readout import Readout
from tselcli.models.scoring import Heard
from tselcli.sections import FeatureRecipe


@pytest.fixture
def net():
    """Scores are dot products; the kinds lie along the axes."""
    net = MaskNet(n_mels=16, text_dim=3, width=4, levels=2, embed_dim=4, word_hidden=5)
    net = net.eval().requires_grad_(False)
    net.bias.zero_()
    net.kinds[:3] = 8 * torch.eye(4)[:3]
    return net


def test_what_fits_another_kind_better_is_not_the_described_sound(net):
    """Both sounds fit the first kind alike; the second is clearly of another."""
    poor, other = torch.tensor([0.2, 0.0, 0.0, 0.0]), torch.tensor([0.2, 0.0, 3.0, 0.0])
    query = net.kinds[0]
    assert float(net.match(poor[None], query[None])) == float(net.match(other[None], query[None]))
    kin = net.kinship(torch.stack([poor, other]), query)
    assert float(kin[0] - kin[1]) > 5


def test_chances_are_those_of_the_formula(net):
    sound, query = torch.tensor([0.5, 0.3, -0.2, 0.1]), torch.tensor([6.0, 2.0, 0.0, 0.0])
    every = torch.cat([query[None], net.kinds[:3]])
    chances = torch.softmax(SURER * (every @ sound) / 2, dim=0)  # 2: root of four dimensions
    near = [6 / math.sqrt(40), 2 / math.sqrt(40), 0.0]
    kin = torch.tensor([OWN] + [math.exp(KIN * (one - 1)) for one in near])
    expected = torch.log((chances * kin).sum() + 1e-5)
    torch.testing.assert_close(net.kinship(sound[None], query)[0], expected)


def test_an_unknown_description_stands_for_itself(net):
    """No kind is a kin of it; the sound that fits it better is the likelier one."""
    sounds = torch.tensor([[0.0, 0.0, 0.0, 1.0], [0.0, 1.0, 0.0, 1.0], [0.0, 0.0, 0.0, -1.0]])
    kin = net.kinship(sounds, torch.tensor([0.0, 0.0, 0.0, 8.0]))
    assert kin[0] > kin[1] > kin[2]


def test_without_kinds_nothing_speaks_for_anybody(net):
    net.kinds.zero_()
    kin = net.kinship(torch.randn(5, 4), torch.randn(4))
    torch.testing.assert_close(kin, torch.full((5,), math.log(OWN + 1e-5)))


def test_a_kin_of_the_description_makes_its_presence_likelier():
    readout = Readout(16)
    readout.there.data = torch.tensor([2.0, -1.0, 0.5])
    signal, picture, words = torch.zeros(4, 16), torch.zeros(1, 4, 16), torch.zeros(2, 4)
    steering = steering_of(parse_array("foa"), np.arange(360.0), 4, FeatureRecipe(), "cpu")
    matched = Matched(torch.zeros(1, 2, 2, 8), torch.tensor([0.3, 0.3]), None, words)
    heard = Heard(signal, picture, matched, torch.ones(4, 16), steering)
    choices = [chosen(-1.0, -5.0), chosen(-6.0, -7.0)]
    likely, poor = presence(readout, heard, choices)
    assert likely == pytest.approx(1 / (1 + math.exp(-(2.0 * 0.3 - 1.0 + 0.5 * -2.0))))
    assert poor < likely
    alone = dataclasses.replace(heard, matched=Matched(matched.logits, matched.odds))
    assert presence(readout, alone, choices) == [pytest.approx(1 / (1 + math.exp(-0.3)))] * 2


def chosen(*kin):
    """Two candidates, the first three times as likely as the second."""
    table = np.zeros((2, len(COLUMNS)))
    table[:, MATCH.index("kin")] = kin
    flat, chances = np.full(360, 1 / 360), np.log([0.75, 0.25])
    return Choice(flat, [0, 180], np.array([-180.0, 0.0]), chances, table, np.ones(90))


def test_kinds_are_learnt_from_captions():
    model = load_checkpoint("mask-compact")
    clips = [
        Clip("1", "siren", ("a siren", "a siren wails"), "train", frozenset(), None),
        Clip("2", "dog", ("a dog barks",), "train", frozenset(), None),
        Clip("3", "siren", ("a siren",), "train", frozenset(), None),
    ]
    learn_kinds(model, clips)
    known = model.net.kinds[model.net.kinds.any(dim=1)]
    with torch.no_grad():
        dog, siren, wails = model.net.project(
            model.text.encode(["a dog barks", "a siren", "a siren wails"])
        )
    torch.testing.assert_close(known, torch.stack([dog, (siren + wails) / 2]))


def test_a_new_committee_knows_no_kinds(tmp_path):
    join(["mask-compact", "mask-compact"], tmp_path / "two.safetensors")
    assert load_checkpoint("mask-compact").net.kinds.any()
    assert not load_checkpoint(str(tmp_path / "two.safetensors")).net.kinds.any()


def test_values_are_taken_evenly():
    assert evenly(list("abcdef"), 3) == ["a", "c", "e"]
    assert evenly(list("ab"), 3) == ["a", "b"]
