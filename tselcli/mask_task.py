"""Teaching the mask network: mixtures of clips in rooms, and the readout at the end."""

import hashlib
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tselcli.calibrating import calibrate, gather, learn_kinds
from tselcli.console import progress_bar
from tselcli.dataset import Trial, corpus_of, padded_others
from tselcli.errors import DataError
from tselcli.features.cache import FeatureCache, content_key, default_cache
from tselcli.metrics import mae, selection_accuracy
from tselcli.models.checkpoint import (
    Checkpoint,
    build_net,
    load_checkpoint,
    save_checkpoint,
    take_over,
)
from tselcli.models.device_mixer import DeviceMixer
from tselcli.models.lessons import Lessons, load_lessons
from tselcli.models.localizer import Localizer
from tselcli.models.matching import Matching
from tselcli.models.mixer import Mixer, Stems
from tselcli.models.protocols import TextEncoder
from tselcli.models.readout import Readout
from tselcli.models.stem_table import has_kinds, stem_table
from tselcli.models.training import batch_loss, cell_evidence, fit_readout
from tselcli.recipe import Recipe
from tselcli.stems import file_digest

CAPTIONS_AT_ONCE = 512
PROBE = "a dog barks far away while rain falls on a roof"


class MaskTask:
    """What :class:`tselcli.trainer.Run` asks of the mask model.

    Args:
        recipe: the experiment.
        stems: clips in rooms, to mix.
        trials: validation scenes, gone through once an epoch.
        text: the frozen text encoder, on the device.
        device: where to train.
        rank: of this process, for mixtures of its own.
    """

    parts: tuple[str, ...]

    def __init__(
        self,
        recipe: Recipe,
        stems: Stems,
        trials: Iterable[Trial],
        text: TextEncoder,
        device: torch.device,
        rank: int = 0,
    ) -> None:
        torch.manual_seed(recipe.seed)
        self.parts = ("mask", "choice", "presence")
        self.recipe, self.trials, self.device = recipe, trials, device
        self.text = text
        lessons = _lessons(recipe, stems)
        size = len(next(iter(lessons.vectors.values()), ()))
        self.net: nn.Module = build_net(recipe, text.dim, size).to(device)
        if recipe.train.start is not None:
            take_over(self.net, recipe.train.start)
        if lessons.vectors:
            self.parts = (*self.parts, "lesson")
        if lessons.names:
            self.parts = (*self.parts, "classes")
        self.readout = Readout(recipe.features.n_mels).to(device)
        captions = {caption for stem in stems for caption in stem.clip.captions}
        table = caption_table(self.text, sorted(captions | {*lessons.names}), default_cache())
        names = [table[name] for name in lessons.names]
        self.names = torch.stack(names).to(device) if names else None
        self.mixer = mixer_of(recipe, stems, table, lessons, device, rank)
        self.rank = rank

    def loss(self, net: nn.Module) -> tuple[Tensor, dict[str, float]]:
        """Compute the loss of a new batch of mixtures, and its terms."""
        assert isinstance(net, Matching)
        batch = self.mixer.batch().to(self.device)
        return batch_loss(net, batch, self.recipe.mixing, self.names)

    def figures(self, net: nn.Module) -> dict[str, float]:
        """Judge a network on the validation scenes."""
        assert isinstance(net, Matching)
        checkpoint = Checkpoint(net, self.readout, self.text, self.recipe, {}, "in training")
        return validate(Localizer(checkpoint), self.trials)

    def save(self, path: Path, net: nn.Module, figures: dict[str, float]) -> None:
        """Write a checkpoint."""
        save_checkpoint(path, net, self.readout, self.text, self.recipe, figures)

    def finish(self, path: Path) -> dict[str, Any]:
        """Fit the readout to the best weights on the validation scenes, and save both.

        Choice and presence are fitted to the same scenes then.

        Returns:
            The figures before and after.
        """
        best = load_checkpoint(str(path), self.device)
        localizer = Localizer(best)
        evidence = []
        for trial in self.trials:
            audio = localizer.prepare(trial.signal, trial.scene.sample_rate, trial.array)
            truth = (trial.array, trial.azimuth_deg)
            evidence.append(cell_evidence(localizer, audio, trial.query, truth))
        best.readout.requires_grad_(True)
        nats = fit_readout(best.readout, evidence)
        best.readout.requires_grad_(False)
        learn_kinds(best, corpus_of(self.recipe, "train").clips)
        clips = corpus_of(self.recipe, "val").clips
        fitted = calibrate(localizer, gather(localizer, self.trials, clips))
        figures = validate(localizer, self.trials)
        after = {f"{name}_fitted": value for name, value in figures.items()}
        summary = dict(best.figures) | after | {"readout_nats": nats, "calibration": fitted}
        save_checkpoint(path, best.net, best.readout, best.text, self.recipe, summary)
        return summary

    def state(self) -> Any:
        """Give the state of the random numbers that mix."""
        return self.mixer.state()

    def restore(self, state: Any) -> None:
        """Go on with the same mixtures; further processes begin new ones."""
        if self.rank == 0:
            self.mixer.restore(state)


def mixer_of(
    recipe: Recipe,
    stems: Stems,
    table: dict[str, Tensor],
    lessons: Lessons,
    device: torch.device,
    rank: int,
) -> Mixer | DeviceMixer:
    """Mix where the network is; stem by stem what is on disk, or has no kinds of sound.

    Args:
        recipe: how to mix.
        stems: a list is in memory; what else there is reads its stems from disk.
        table: embedding of every caption.
        lessons: of a teacher, by clip.
        device: of the network.
        rank: of this process, for mixtures of its own.
    """
    seed = [recipe.seed, 7] if rank == 0 else [recipe.seed, 7, rank]
    rng = np.random.default_rng(seed)
    batch = recipe.train.batch_size
    taught = dict(lessons.vectors), dict(lessons.odds)
    rules = recipe.mixing, recipe.features
    if not isinstance(stems, list) or not has_kinds(stems):
        return Mixer(stems, table, *rules, rng, batch, *taught)
    there = stem_table(stems, table, *taught).to(device)
    return DeviceMixer(there, *rules, batch, int(rng.integers(2**63)))


def caption_table(
    text: TextEncoder, captions: Sequence[str], cache: FeatureCache | None = None
) -> dict[str, Tensor]:
    """Embed all captions before training, some at a time: each (D,), on the CPU.

    Args:
        text: the encoder.
        captions: without repetition.
        cache: keeps vectors for the next run; an encoder is known by what it makes of a probe.
    """
    table: dict[str, Tensor] = {}
    probe = hashlib.sha256(text.encode([PROBE]).cpu().numpy().tobytes()).hexdigest()
    parts = [
        captions[first:][:CAPTIONS_AT_ONCE] for first in range(0, len(captions), CAPTIONS_AT_ONCE)
    ]
    with progress_bar(f"parts of {len(captions)} captions", len(parts)) as advance:
        for part in parts:
            key = content_key(kind="caption-vectors", probe=probe, captions=list(part))
            known = None if cache is None else cache.get(key)
            vectors = text.encode(part).cpu() if known is None else torch.from_numpy(known)
            if cache is not None and known is None:
                cache.put(key, vectors.numpy())
            table |= zip(part, vectors, strict=True)
            advance()
    return table


def _lessons(recipe: Recipe, stems: Stems) -> Lessons:
    """Find what the teacher made of the clips, by id; empty without a teacher.

    Raises:
        DataError: the teacher has heard none of them.
    """
    if recipe.mixing.teacher is None:
        return Lessons({}, {}, ())
    known = load_lessons(Path(recipe.mixing.teacher))
    clips = {stem.clip.id: stem.clip for stem in stems}
    digests = {name: file_digest(clip) for name, clip in clips.items()}
    digests = {name: digest for name, digest in digests.items() if digest in known.vectors}
    if not digests:
        raise DataError(
            f"{recipe.mixing.teacher}: knows none of the {len(clips)} training clips; "
            "make it anew with `tsel lessons` from this corpus"
        )
    vectors = {name: known.vectors[digest] for name, digest in digests.items()}
    odds = {name: known.odds[digest] for name, digest in digests.items() if known.names}
    return Lessons(vectors, odds, known.names)


def validate(localizer: Any, trials: Iterable[Trial]) -> dict[str, float]:
    """Ask for the target of every trial: mean error in degrees, and how often it was chosen."""
    answers, targets, further = [], [], []
    for trial in trials:  # once: those of a folder are read anew each time
        question = (trial.signal, trial.scene.sample_rate, [trial.query], trial.array)
        answers.append(localizer.locate(*question)[0].azimuth_deg)
        targets.append(trial.azimuth_deg)
        further.append(trial.others_deg)
    found, truth, others = np.array(answers), np.array(targets), padded_others(further)
    chosen = selection_accuracy(found, truth, others)
    return {
        "val_mae_deg": mae(found, truth),
        "val_selection": math.nan if chosen is None else chosen,
    }
