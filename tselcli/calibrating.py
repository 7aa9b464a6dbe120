"""Scenes of the validation split as questions, to calibrate a model's choice and presence."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from tselcli.corpora.clip import Clip, absent_captions
from tselcli.dataset import Trial
from tselcli.metrics import auroc
from tselcli.models.calibration import Question, fit_choice, fit_presence, question
from tselcli.models.choosing import choose
from tselcli.models.localizer import Localizer

ABSENT = 2  # descriptions of what is not there, asked of every scene
LEAST_SCENES = 20


@dataclass(frozen=True)
class Evidence:
    """What was asked of a model, and what it had to say.

    Attributes:
        questions: candidates for descriptions of sounds with a place; those without a candidate
            near the truth are left out.
        asked: how many there were.
        pooled: pooled logit of every description, absent ones included.
        there: whether it describes something in its scene.
    """

    questions: list[Question]
    asked: int
    pooled: list[float]
    there: list[bool]


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
    asked, pooled, there = 0, list[float](), list[bool]()
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
        for source, chosen in zip(placed, choose(localizer, heard), strict=False):
            assert source.azimuth_deg is not None
            found = question(chosen, source.azimuth_deg)
            questions += [] if found is None else [found]
            asked += 1
    return Evidence(questions, asked, pooled, there)


def calibrate(localizer: Localizer, evidence: Evidence) -> dict[str, Any]:
    """Fit choice and presence in place; with too few scenes, they stay as they are.

    Returns:
        ``questions`` asked, the share of them with a candidate near the truth (``offered``), the
        share ``chosen`` rightly among these, and the ``auroc`` of presence.
    """
    if len(evidence.questions) < LEAST_SCENES:
        return {"questions": evidence.asked}
    readout, net = localizer.checkpoint.readout, localizer.checkpoint.net
    readout.choice.data.copy_(fit_choice(evidence.questions))
    if len(set(evidence.there)) == 2:
        net.presence.data.copy_(fit_presence(evidence.pooled, evidence.there))
    weights = readout.choice.double().cpu().numpy()
    right = [int((q.table @ weights).argmax()) == q.answer for q in evidence.questions]
    return {
        "questions": evidence.asked,
        "offered": len(evidence.questions) / evidence.asked,
        "chosen": float(np.mean(right)),
        "auroc": auroc(evidence.pooled, evidence.there),
    }
