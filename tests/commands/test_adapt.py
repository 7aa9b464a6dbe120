import numpy as np
import pytest
import torch

from tselcli.commands import adapt
from tselcli.commands.adapt import Heard, _teach, owners
from tselcli.corpora.clip import Clip
from tselcli.models.checkpoint import Checkpoint, build_net
from tselcli.models.encoders import CompactTextEncoder
from tselcli.models.losses import ABSENT, UNDECIDED
from tselcli.models.readout import Readout
from tselcli.recipe import recipe_from_dict

LABELS = ("dog", "rain", "siren", "bell")
CLIPS = [
    Clip(label, label, (f"a {label}",), "train", frozenset({"alarm"} if n > 1 else {label}), None)
    for n, label in enumerate(LABELS)
]


def test_owners_are_sources_absent_or_undecided():
    clash = torch.zeros(4, 4, dtype=torch.bool)
    clash[2, 3] = clash[3, 2] = True
    kinds = torch.tensor([[0, 2], [3, -1]])
    asked = torch.tensor([2, 0, 1, 3])
    assert owners(kinds, asked, clash).tolist() == [
        [1, 0, ABSENT, UNDECIDED],
        [UNDECIDED, ABSENT, ABSENT, 0],
    ]


@pytest.mark.parametrize("half", [False, True])
def test_new_words_find_their_sound_and_hearing_stays(monkeypatch, half):
    monkeypatch.setattr(adapt, "WORDS_LR", 0.02)  # the encoder here is random, not trained
    monkeypatch.setattr(adapt, "TEXT_LR", 0.005)
    torch.manual_seed(0)
    letters = [chr(code) for code in range(ord("a"), ord("z") + 1)]
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters, *(f"##{c}" for c in letters)]
    sizes = {"embed_dim": 8, "hidden": 16, "layers": 1, "heads": 2, "ffn": 16, "max_tokens": 32}
    text = CompactTextEncoder(pieces, **sizes)
    recipe = recipe_from_dict({"name": "t", "model": {"width": 4, "levels": 2, "embed_dim": 8}})
    net = build_net(recipe, 16).eval().requires_grad_(False)
    model = Checkpoint(net, Readout(64), text.eval().requires_grad_(False), recipe, {}, "t@0")
    sources = 4 * torch.eye(8)[:4]  # what each kind of sound sounds like
    pairs = [(a, b) for a in range(4) for b in range(4) if a != b]
    heard = [
        Heard(sources[list(pair)][None], torch.ones(1, 2, dtype=torch.bool), torch.tensor([pair]))
        for pair in pairs
    ]
    hearing = {name: value.clone() for name, value in net.stem.state_dict().items()}
    texts = [["a dog", "woof"], ["rain", "drizzle"], ["siren", "wailing"], ["bell", "ding"]]
    loss, drift = _teach(model, heard, CLIPS, texts, 150, np.random.default_rng(0), half)
    assert loss < 2.5
    assert 0 <= drift < 1.5
    found = net.scores(sources[None], text.encode([row[1] for row in texts]))[0].argmax(dim=0)
    assert found.tolist() == [0, 1, 2, 3]
    for name, value in net.stem.state_dict().items():
        torch.testing.assert_close(value, hearing[name])
    assert not any(parameter.requires_grad for parameter in text.parameters())
