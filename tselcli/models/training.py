"""The pieces of a training run: one step, the schedule, the averaged weights, the readout."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from tselcli.acoustics.geometry import MicArray
from tselcli.errors import RecipeError
from tselcli.features.stft import spread_share
from tselcli.models.cells import AUDIBLE, coarse, fine
from tselcli.models.localizer import Localizer
from tselcli.models.losses import (
    audible,
    choice_loss,
    class_loss,
    lesson_loss,
    mask_loss,
    pooled_sources,
    presence_loss,
    query_targets,
)
from tselcli.models.matching import Matching
from tselcli.models.mixer import Batch
from tselcli.models.posterior import AZIMUTHS
from tselcli.models.readout import Readout
from tselcli.sections import MixingRecipe, TrainRecipe

TARGET_SPREAD_DEG = 4.0
EVIDENCE_STEP = 3  # of AZIMUTHS

Truth = tuple[MicArray, float]


def pick_device(name: str) -> torch.device:
    """Resolve ``auto``, ``cpu``, ``cuda`` or ``mps``.

    Raises:
        RecipeError: unknown, or not to be had on this machine.
    """
    have = {
        "cpu": True,
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
    }
    if name == "auto":
        return torch.device(next(kind for kind in ("cuda", "mps", "cpu") if have[kind]))
    if not have.get(name, False):
        usable = ", ".join(kind for kind, ok in have.items() if ok)
        raise RecipeError(f"--device {name}: not available here; use auto or one of: {usable}")
    return torch.device(name)


def check_precision(precision: str, device: torch.device) -> None:
    """Refuse bfloat16 on a processor that has AVX2 and nothing beyond.

    It is imitated there: three layers took eight times as long as in float32, and recurrent
    networks do not run at all.

    Raises:
        RecipeError: ``train.precision`` will not do on this device.
    """
    imitated = device.type == "cpu" and torch.backends.cpu.get_cpu_capability() == "AVX2"
    if precision == "bfloat16" and imitated:
        raise RecipeError(
            "train.precision=bfloat16: this processor has no instructions for it; "
            "go back to --set train.precision=float32"
        )


def averaged(net: nn.Module, decay: float) -> AveragedModel:
    """Keep an exponential moving average of weights and statistics; decay 0 follows at once."""
    return AveragedModel(net, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=True)


def learning_rate(recipe: TrainRecipe, step: int, progress: float) -> float:
    """Give the factor on ``lr`` at a step.

    Args:
        recipe: schedule, warm-up and epoch length.
        step: optimiser steps done.
        progress: share of the run that is over, in [0, 1].
    """
    warm = min(1.0, (step + 1) / max(1, recipe.warmup_steps))
    if recipe.schedule == "cosine":
        return warm * (0.5 * (1 + math.cos(math.pi * min(1.0, progress))) + 1e-3)
    if recipe.schedule == "step":
        epoch = step // recipe.steps_per_epoch
        return warm * math.pow(0.5, epoch // recipe.lr_halve_epochs)
    return warm


def batch_loss(
    net: Matching, batch: Batch, recipe: MixingRecipe, names: Tensor | None = None
) -> tuple[Tensor, dict[str, float]]:
    """Compute the training loss of a batch and its parts, in nats.

    Args:
        net: the network.
        batch: mixtures.
        recipe: weights of the parts.
        names: text embeddings of the classes that a teacher knows (N, text_dim).
    """
    cells = net.cells(batch.picture)
    loudness = audible(batch.picture)
    weight = coarse(loudness)
    ratios = coarse(batch.ratios * loudness[:, None]) / weight.clamp_min(1e-6)[:, None]
    sources, heard = pooled_sources(cells, ratios, weight)
    choice = choice_loss(net.scores(sources, batch.text), heard, batch.owner)
    owner = batch.owner.gather(1, batch.asked)
    logits = net.logits(cells, batch.text[batch.asked])
    mask = mask_loss(logits, query_targets(ratios, owner), weight, owner)
    presence = presence_loss(net.presence_logits(logits, batch.picture, None), owner)
    loss = mask + recipe.choice_weight * choice + recipe.presence_weight * presence
    parts = {"mask": mask, "choice": choice, "presence": presence}
    if net.tutor is not None:
        parts["lesson"] = lesson_loss(net.tutor(sources), batch.lessons, heard)
        loss = loss + recipe.teacher_weight * parts["lesson"]
    if names is not None:
        parts["classes"] = class_loss(net.scores(sources, names), batch.odds, heard)
        loss = loss + recipe.classes_weight * parts["classes"]
    return loss, {name: float(part.detach()) for name, part in parts.items()}


@dataclass(frozen=True)
class Evidence:
    """What the readout needs to know of one validation recording.

    Attributes:
        log_mask: logarithm of the query's mask, audible points only (N,).
        picture: log-mel of the same points (N,).
        band: mel band of the same points (N,), int64.
        steered: what each point says about each azimuth (N, A).
        mass: number of bins behind each point (N,).
        target: distribution over azimuth to reach (A,).
    """

    log_mask: Tensor
    picture: Tensor
    band: Tensor
    steered: Tensor
    mass: Tensor
    target: Tensor


@torch.no_grad()
def cell_evidence(localizer: Localizer, audio: Tensor, query: str, truth: Truth) -> Evidence:
    """Collect what each audible cell of a recording says about a query's azimuth.

    Args:
        localizer: the model, for its mask.
        audio: (C, N) of :meth:`Localizer.prepare`.
        query: the description.
        truth: the array and the azimuth of the described sound in degrees.
    """
    array, azimuth_deg = truth
    steering = localizer.steering(array)
    picture = localizer.picture(steering.reference(audio))
    logits = localizer.match(picture, [query]).logits
    share = spread_share(localizer.bands)  # (M, F)
    every = list(range(0, len(AZIMUTHS), EVIDENCE_STEP))
    agreement = steering.agreement(localizer.spectra(audio), every)  # (T', M, A)
    heard = picture[0] > AUDIBLE
    mass = (share.sum(dim=1) * localizer.features.mel_pool).expand_as(heard)
    band = torch.arange(heard.shape[1], device=heard.device).expand_as(heard)
    return Evidence(
        fine(nn.functional.logsigmoid(logits), picture.shape[1])[0, 0][heard],
        picture[0][heard],
        band[heard],
        (agreement[heard] * mass[heard][:, None]).half(),
        mass[heard],
        azimuth_target(azimuth_deg, AZIMUTHS[every]).to(audio.device),
    )


def azimuth_target(azimuth_deg: float, grid_deg: npt.NDArray[Any]) -> Tensor:
    """Spread an azimuth over a grid: wrapped Gaussian of 4 degrees, sums to 1, (A,)."""
    away = (grid_deg - azimuth_deg + 180) % 360 - 180
    bell = np.exp(-0.5 * np.square(away / TARGET_SPREAD_DEG))
    return torch.from_numpy((bell / bell.sum()).astype(np.float32))


def fit_readout(readout: Readout, evidence: Sequence[Evidence], steps: int = 200) -> float:
    """Learn how to read masks: cross entropy of the azimuth posterior, by gradient.

    Args:
        readout: changed in place.
        evidence: of held-out recordings, since masks are too good on those trained on.
        steps: of Adam over all recordings at once.

    Returns:
        Mean cross entropy reached, nats.
    """
    optimiser = torch.optim.Adam(readout.parameters(), lr=0.05)
    loss = torch.zeros(())
    for _ in range(steps):
        terms = [_cross_entropy(readout, item) for item in evidence]
        rough = readout.band.diff().square().sum() + 0.1 * readout.band.square().sum()
        loss = torch.stack(terms).mean()
        optimiser.zero_grad()
        (loss + 0.01 * rough).backward()
        optimiser.step()
    return float(loss.detach())


def _cross_entropy(readout: Readout, item: Evidence) -> Tensor:
    level = 8 * (item.picture - 1) * math.log(10)
    log_weight = readout.power * item.log_mask + readout.energy * level + readout.band[item.band]
    weight = torch.softmax(log_weight, dim=0)
    response = (weight @ item.steered.float()) / (weight @ item.mass).clamp_min(1e-12)
    return -(item.target * readout.posterior(response)).sum()
