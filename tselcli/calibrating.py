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
    fit_choice,
    fit_place,
    fit_presence,
    question,
)
from tselcli.models.cells import coarse
from tselcli.models.choice import matches, source_odds
from tselcli.models.choosing import choose
from tselcli.models.localizer import Localizer
from tselcli.models.losses import audible
from tselcli.models.matching import COMMON
from tselcli.models.track import Heard

ABSENT = 2  # descriptions of what is not there, asked of every scene
LEAST_SCENES = 20
SAMPLED = 8  # cells of every scene, to stand for everyday sounds


@dataclass(frozen=True)
class Evidence:
    """What was asked of a model, and what it had to say.

    Attributes:
        questions: candidates for descriptions of sounds with a place.
        pooled: pooled logit of every description, absent ones included.
        there: whether it describes something in its scene.
        text: embedding of every description (Q, text_dim).
        cells: embeddings of cells in which something sounds, some of every scene (N, D).
    """

    questions: list[Question]
    pooled: list[float]
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
    pooled, there = list[float](), list[bool]()
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
        pooled += localizer.checkpoint.net.pooled(heard.logits, heard.picture)[0].tolist()
        there += [True] * len(placed) + [False] * len(absent)
        texts.append(localizer.checkpoint.text.encode(queries).to(localizer.device))
        cells.append(_sampled(localizer, heard, rng))
        places = [s.azimuth_deg for s in placed if s.azimuth_deg is not None]
        for azimuth_deg, chosen in zip(places, choose(localizer, heard), strict=False):
            questions.append(question(chosen, azimuth_deg, places))
    return Evidence(questions, pooled, there, torch.cat(texts), torch.cat(cells))


def _sampled(localizer: Localizer, heard: Heard, rng: np.random.Generator) -> Tensor:
    """Embed some cells of a recording in which something sounds: (SAMPLED, D)."""
    embedded = localizer.checkpoint.net.cells(heard.picture)[0].flatten(1).T
    loud = torch.nonzero(coarse(audible(heard.picture))[0].flatten() > 0)[:, 0]
    return embedded[loud[torch.from_numpy(rng.integers(len(loud), size=SAMPLED)).to(loud.device)]]


def calibrate(localizer: Localizer, evidence: Evidence) -> dict[str, Any]:
    """Fit choice and presence in place; with too few scenes, they stay as they are.

    Returns:
        ``questions`` asked, the share of them with a candidate near the truth (``offered``), the
        share ``chosen`` rightly among these, and the ``auroc`` of presence.
    """
    answered = [asked for asked in evidence.questions if asked.answer is not None]
    if len(answered) < LEAST_SCENES:
        return {"questions": len(evidence.questions)}
    readout, net = localizer.checkpoint.readout, localizer.checkpoint.net
    place = fit_place(evidence.questions)
    weights = fit_choice(answered, place)
    readout.place.data.copy_(place)
    readout.choice.data.copy_(weights)
    if len(set(evidence.there)) == 2:
        net.common.copy_(_spread(evidence.cells))
        usual = net.usual(evidence.text)
        net.presence.data.copy_(fit_presence(evidence.pooled, usual.tolist(), evidence.there))
    known, chosen = place.double().numpy(), weights.double().numpy()
    picks = [matches(q.table, source_odds(q.table, known)) @ chosen for q in answered]
    odds = net.presence_odds(torch.tensor(evidence.pooled).to(place), net.usual(evidence.text))
    right = [int(pick.argmax()) == q.answer for pick, q in zip(picks, answered, strict=True)]
    return {
        "questions": len(evidence.questions),
        "offered": len(answered) / len(evidence.questions),
        "chosen": float(np.mean(right)),
        "auroc": auroc(odds.tolist(), evidence.there),
    }


def _spread(cells: Tensor) -> Tensor:
    """Take COMMON of the cells (N, D), evenly, or all of them as often as it needs."""
    every = torch.arange(COMMON, device=cells.device)
    return cells[every * len(cells) // COMMON if len(cells) > COMMON else every % len(cells)]
