from collections import Counter

import numpy as np
import pytest
import torch

from tselcli.calibrating import LEAST_SCENES, SAMPLED, Evidence, calibrate, gather
from tselcli.commands.calibrate import calibrate as command
from tselcli.dataset import corpus_of, fresh_trials
from tselcli.models.calibration import Question
from tselcli.models.checkpoint import find_model, load_checkpoint
from tselcli.models.choice import COLUMNS
from tselcli.models.eight_bits import restored, rounded
from tselcli.models.localizer import Localizer
from tselcli.recipe import load_recipe

SHORT = ["scene.duration_s=1.0", "scene.room.max_order=2"]


@pytest.fixture(scope="module")
def recipe():
    return load_recipe("tiny", SHORT)


def test_every_source_is_a_question_and_some_sounds_are_absent(recipe):
    localizer = Localizer.load()
    trials = [*fresh_trials(recipe, "val", 3, 3, 1)]
    clips = corpus_of(recipe, "val").clips
    evidence = gather(localizer, iter(trials), clips)
    assert len(evidence.questions) == 6
    assert evidence.there == [True, True, False, False] * 3
    assert len(evidence.pooled) == len(evidence.tables) == 12
    for asked in evidence.questions:
        assert asked.table.shape == (len(asked.source), len(COLUMNS))
        assert asked.answer is None or asked.source[asked.answer]
    again = gather(localizer, iter(trials), clips)
    assert again.pooled == evidence.pooled
    assert evidence.text.shape == (12, localizer.checkpoint.text.dim)
    assert evidence.cells.shape == (3 * SAMPLED, localizer.checkpoint.net.cell_dim)
    assert evidence.cells.abs().amin(dim=1).max() > 0


def test_too_few_scenes_change_nothing():
    localizer = Localizer.load()
    before = localizer.checkpoint.readout.choice.clone()
    few = [Question(np.eye(2, len(COLUMNS)), 0, np.ones(2, dtype=bool))] * (LEAST_SCENES - 1)
    lost = [Question(np.eye(2, len(COLUMNS)), None, np.ones(2, dtype=bool))] * 11
    assert calibrate(
        localizer, Evidence(few + lost, [], [], [], torch.zeros(0, 384), torch.zeros(0, 128))
    ) == {"questions": 30}
    assert localizer.checkpoint.readout.choice.equal(before)


def test_a_model_is_written_that_differs_in_what_was_fitted(recipe, tmp_path, monkeypatch):
    scenes = Counter()

    def noted(localizer, trials, clips):
        trials = list(trials)
        for trial in trials:
            places = [source.azimuth_deg is not None for source in trial.scene.sources]
            scenes[places.count(True), places.count(False)] += 1
        return gather(localizer, trials, clips)

    monkeypatch.setattr("tselcli.commands.calibrate.gather", noted)
    out = tmp_path / "fitted.safetensors"
    figures = command("mask-compact", out, recipe=recipe, count=30, seed=4, device="cpu", jobs=1)
    assert scenes == {(2, 0): 15, (1, 0): 5, (1, 1): 5, (3, 0): 5}
    assert figures["questions"] == 55
    assert 0.4 < figures["offered"] <= 1
    assert 0.5 < figures["auroc"] <= 1
    old, new = load_checkpoint(str(find_model("mask-compact"))), load_checkpoint(str(out))
    assert new.figures["calibration"] == figures
    assert not new.readout.choice.equal(old.readout.choice)
    assert not new.readout.before.equal(old.readout.before)
    assert not new.readout.there.equal(old.readout.there)
    assert new.readout.band.equal(old.readout.band)
    before = old.net.state_dict()
    before |= restored(rounded({name: w for name, w in before.items() if "members." in name}))
    assert all(
        value.equal(before[name])
        for name, value in new.net.state_dict().items()
        if name not in ("presence", "common")
    )
    assert len(new.net.common.unique(dim=0)) > 30 * SAMPLED / 2
