"""Scenes of the validation split as questions, to calibrate a model's choice and presence."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tselcli.corpora.clip import Clip, absent_captions
from tselcli.dataset import Trial
from tselcli.metrics import auroc
from tselcli.models.calibration import (
    Question,
    fit_before,
    fit_choice,
    fit_place,
    fit_presence,
    fit_there,
    question,
)
from tselcli.models.cells import coarse
from tselcli.models.checkpoint import Checkpoint
from tselcli.models.choice import kin_of, matches, source_odds
from tselcli.models.choosing import choose
from tselcli.models.localizer import Localizer
from tselcli.models.losses import audible
from tselcli.models.matching import COMMON, KINDS
from tselcli.models.scenery import Array
from tselcli.models.scoring import Heard

ABSENT = 2  # descriptions of what is not there, asked of every scene
LEAST_SCENES = 20
WORDINGS = 12  # of a kind of sound, to say what it is called
SAMPLED = 8  # cells of every scene, to stand for everyday sounds


@dataclass(frozen=True)
class Evidence:
    """What was asked of a model, and what it had to say.

    Attributes:
        questions: candidates for descriptions of sounds with a place.
        pooled: pooled logit of every description, absent ones included.
        tables: what speaks for each of its candidates (K, 13).
        there: whether it describes something in its scene.
        text: embedding of every description (Q, text_dim).
        cells: embeddings of cells in which something sounds, some of every scene (N, D).
    """

    questions: list[Question]
    pooled: list[float]
    tables: list[Array]
    there: list[bool]
    text: Tensor
    cells: Tensor


@torch.no_grad()
def gather(localizer: Localizer, trials: Iterable[Trial], clips: Sequence[Clip]) -> Evidence:
    """Ask a model for every source of every scene, and for some sounds that are not there.

    Args:
        localizer: the model.
        trials: scenes of the validation split.
        clips: of the corpus; captions of those that could not be confused with a scene's sources
            stand for what is absent.
    """
    questions: list[Question] = []
    pooled, tables, there = list[float](), list[Array](), list[bool]()
    texts, cells = list[Tensor](), list[Tensor]()
    by_name = {(clip.source, clip.id): clip for clip in clips}
    for number, trial in enumerate(trials):
        rng = np.random.default_rng([number, 17])
        placed = [s for s in trial.scene.sources if s.azimuth_deg is not None]
        mine = [by_name.get((s.corpus, s.clip_id)) for s in trial.scene.sources]
        present = [clip for clip in mine if clip is not None]
        absent = absent_captions(present, clips, rng, ABSENT)
        queries = [source.caption for source in placed] + absent
        audio = localizer.prepare(trial.signal, trial.scene.sample_rate, trial.array)
        heard = localizer.hear(audio, queries, trial.array)
        pooled += localizer.checkpoint.net.pooled(heard.matched.logits, heard.picture)[0].tolist()
        there += [True] * len(placed) + [False] * len(absent)
        texts.append(localizer.checkpoint.text.encode(queries).to(localizer.device))
        cells.append(_sampled(localizer, heard, rng))
        places = [s.azimuth_deg for s in placed if s.azimuth_deg is not None]
        choices = choose(localizer, heard)
        tables += [chosen.table for chosen in choices]
        for azimuth_deg, chosen in zip(places, choices, strict=False):
            questions.append(question(chosen, azimuth_deg, places))
    return Evidence(questions, pooled, tables, there, torch.cat(texts), torch.cat(cells))


def _sampled(localizer: Localizer, heard: Heard, rng: np.random.Generator) -> Tensor:
    """Embed some cells of a recording in which something sounds: (SAMPLED, D)."""
    embedded = localizer.checkpoint.net.cells(heard.picture)[0].flatten(1).T
    loud = torch.nonzero(coarse(audible(heard.picture))[0].flatten() > 0)[:, 0]
    return embedded[loud[torch.from_numpy(rng.integers(len(loud), size=SAMPLED)).to(loud.device)]]


@torch.no_grad()
def learn_kinds(checkpoint: Checkpoint, clips: Sequence[Clip]) -> None:
    """Note in a network what the kinds of sound are called that it was trained on, at most KINDS.

    Args:
        checkpoint: the model.
        clips: for training.
    """
    named: dict[str, dict[str, None]] = {}
    for clip in clips:
        named.setdefault(clip.label, {}).update(dict.fromkeys(clip.captions))
    net, known = checkpoint.net, [named[label] for label in evenly(sorted(named), KINDS)]
    net.kinds.zero_()
    for row, captions in enumerate(known):
        text = checkpoint.text.encode(evenly(list(captions), WORDINGS)).to(net.kinds.device)
        net.kinds[row] = net.project(text).mean(dim=0)


def evenly(values: Sequence[str], most: int) -> list[str]:
    """Take so many values at most, evenly spread."""
    count = min(most, len(values))
    return [values[k * len(values) // count] for k in range(count)]


def calibrate(localizer: Localizer, evidence: Evidence) -> dict[str, Any]:
    """Fit choice and presence in place; with too few scenes, they stay as they are.

    Returns:
        ``questions`` asked, the share of them with a candidate near the truth (``offered``), the
        share ``chosen`` rightly among these, and the ``auroc`` of presence.
    """
    answered = [asked for asked in evidence.questions if asked.answer is not None]
    if len(answered) < LEAST_SCENES:
        return {"questions": len(evidence.questions)}
    readout = localizer.checkpoint.readout
    place = fit_place(evidence.questions)
    weights = fit_choice(answered, place)
    # The cells behind these tables were shared by the weights that it had until now.
    readout.before.data.copy_(fit_before(evidence.questions))
    readout.place.data.copy_(place)
    readout.choice.data.copy_(weights)
    known, chosen = place.double().numpy(), weights.double().numpy()
    picks = [matches(q.table, source_odds(q.table, known)) @ chosen for q in answered]
    right = [int(pick.argmax()) == q.answer for pick, q in zip(picks, answered, strict=True)]
    figures: dict[str, Any] = {
        "questions": len(evidence.questions),
        "offered": len(answered) / len(evidence.questions),
        "chosen": float(np.mean(right)),
    }
    if len(set(evidence.there)) == 2:
        chances = [matches(table, source_odds(table, known)) @ chosen for table in evidence.tables]
        figures["auroc"] = auroc(_calibrate_presence(localizer, evidence, chances), evidence.there)
    return figures


def _calibrate_presence(
    localizer: Localizer, evidence: Evidence, picks: Sequence[Array]
) -> list[float]:
    """Fit presence in place; gives the log-odds of all descriptions."""
    net, readout = localizer.checkpoint.net, localizer.checkpoint.readout
    net.common.copy_(_spread(evidence.cells))
    usual = net.usual(evidence.text)
    net.presence.data.copy_(fit_presence(evidence.pooled, usual.tolist(), evidence.there))
    odds = net.presence_odds(torch.tensor(evidence.pooled).to(usual), usual)
    kin = [kin_of(pick, table) for pick, table in zip(picks, evidence.tables, strict=True)]
    slope, offset, weight = fit_there(odds.tolist(), kin, evidence.there)
    readout.there.data.copy_(torch.stack([slope, offset, weight]))
    found: list[float] = (slope * odds + offset + weight * odds.new_tensor(kin)).tolist()
    return found


def _spread(cells: Tensor) -> Tensor:
    """Take COMMON of the cells (N, D), evenly, or all of them as often as it needs."""
    every = torch.arange(COMMON, device=cells.device)
    return cells[every * len(cells) // COMMON if len(cells) > COMMON else every % len(cells)]
