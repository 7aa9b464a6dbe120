"""A training run in progress: networks, optimiser, counters, and the files it leaves."""

import csv
import math
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from tselcli.console import Advance, progress_bar
from tselcli.dataset import Trial, padded_others
from tselcli.errors import CheckpointError
from tselcli.metrics import mae, selection_accuracy
from tselcli.models.checkpoint import Checkpoint, build_net, load_checkpoint, save_checkpoint
from tselcli.models.encoders import CompactTextEncoder
from tselcli.models.localizer import Localizer
from tselcli.models.mask import MaskNet, Readout
from tselcli.models.mixer import Mixer, Stem
from tselcli.models.training import (
    averaged,
    batch_loss,
    cell_evidence,
    fit_readout,
    learning_rate,
)
from tselcli.recipe import Recipe

COLUMNS = ("epoch", "step", "minutes", "lr", "loss", "mask", "choice", "presence")
VALIDATION = ("val_mae_deg", "val_selection", "best")


class Run:
    """What a run is made of, and everything that resumes."""

    def __init__(
        self,
        recipe: Recipe,
        out: Path,
        stems: list[Stem],
        trials: list[Trial],
        text: CompactTextEncoder,
        device: torch.device,
    ) -> None:
        torch.manual_seed(recipe.seed)
        self.recipe, self.out, self.trials, self.device = recipe, out, trials, device
        self.text = text.to(device)
        self.net = build_net(recipe, text.dim).to(device)
        self.average = averaged(self.net, recipe.train.ema)
        self.readout = Readout(recipe.features.n_mels).to(device)
        rules = recipe.train
        self.optimiser = torch.optim.AdamW(
            self.net.parameters(), lr=rules.lr, weight_decay=rules.weight_decay
        )
        self.step = 0
        self.seconds = 0.0
        self.best: dict[str, float] = {}
        self.stale = 0
        captions = sorted({caption for stem in stems for caption in stem.clip.captions})
        vectors = self.text.encode(captions).cpu()
        table = dict(zip(captions, vectors, strict=True))
        rng = np.random.default_rng([recipe.seed, 7])
        self.mixer = Mixer(stems, table, recipe.mixing, recipe.features, rng, rules.batch_size)

    def fit(self) -> None:
        """Train until the steps, the minutes or the patience are used up."""
        rules = self.recipe.train
        with progress_bar("steps", rules.steps, unit="steps", done=self.step) as advance:
            while self._share_done() < 1 and self.stale < rules.patience:
                figures = self._epoch(advance)
                figures |= self._validate()
                self._log(figures)
                self.save()

    def _share_done(self) -> float:
        rules = self.recipe.train
        share = self.step / rules.steps
        return share if rules.minutes is None else max(share, self.seconds / 60 / rules.minutes)

    def _epoch(self, advance: Advance) -> dict[str, float]:
        rules = self.recipe.train
        total: dict[str, float] = {}
        count = 0
        self.net.train()
        while count < rules.steps_per_epoch and self._share_done() < 1:
            began = time.monotonic()
            parts = self._one_step()
            self.seconds += time.monotonic() - began
            total = {name: total.get(name, 0.0) + value for name, value in parts.items()}
            count += 1
            advance(note=f"loss {parts['loss']:.3f}{self._standing()}")
        return {name: value / max(1, count) for name, value in total.items()}

    def _standing(self) -> str:
        if not self.best:
            return ""
        return (
            f", best validation: {self.best['val_mae_deg']:.1f} degrees, "
            f"{100 * self.best['val_selection']:.0f} % right"
        )

    def _one_step(self) -> dict[str, float]:
        rules = self.recipe.train
        factor = learning_rate(rules, self.step, self._share_done())
        for group in self.optimiser.param_groups:
            group["lr"] = rules.lr * factor
        batch = self.mixer.batch().to(self.device)
        loss, parts = batch_loss(self.net, batch, self.recipe.mixing)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.net.parameters(), rules.clip_grad)
        self.optimiser.step()
        self.average.update_parameters(self.net)
        self.step += 1
        return {"lr": rules.lr * factor, "loss": float(loss.detach()), **parts}

    def _localizer(self) -> Localizer:
        net = self.average.module
        assert isinstance(net, MaskNet)
        net.eval()
        return Localizer(Checkpoint(net, self.readout, self.text, self.recipe, {}, "in training"))

    def _validate(self) -> dict[str, float]:
        figures = self._figures(self._localizer())
        better = figures["val_mae_deg"] < self.best.get("val_mae_deg", np.inf)
        self.stale = 0 if better else self.stale + 1
        if better:
            self.best = figures | {"step": self.step}
            self._save_best()
        return figures | {"best": float(better)}

    def _figures(self, localizer: Localizer) -> dict[str, float]:
        found = np.array(
            [
                localizer.locate(t.signal, t.scene.sample_rate, [t.query], t.array)[0].azimuth_deg
                for t in self.trials
            ]
        )
        truth = np.array([trial.azimuth_deg for trial in self.trials])
        others = padded_others(trial.others_deg for trial in self.trials)
        chosen = selection_accuracy(found, truth, others)
        return {
            "val_mae_deg": mae(found, truth),
            "val_selection": math.nan if chosen is None else chosen,
        }

    def _save_best(self) -> None:
        net = self.average.module
        figures = self.best | {"minutes": self.seconds / 60}
        path = self.out / "best.safetensors"
        save_checkpoint(path, net, self.readout, self.text, self.recipe, figures)

    def _log(self, parts: dict[str, float]) -> None:
        path = self.out / "log.csv"
        new = not path.exists()
        epoch = -(-self.step // self.recipe.train.steps_per_epoch)
        row = {"epoch": epoch, "step": self.step, "minutes": self.seconds / 60, **parts}
        with path.open("a", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, COLUMNS + VALIDATION)
            if new:
                writer.writeheader()
            writer.writerow({name: f"{value:.6g}" for name, value in row.items()})

    def save(self) -> None:
        """Write last.pt under a temporary name and rename it."""
        state = {
            "net": self.net.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "torch_rng": torch.get_rng_state(),
            "rng": self.mixer.rng.bit_generator.state,
            "counters": {"step": self.step, "seconds": self.seconds, "stale": self.stale},
            "best": self.best,
        }
        temporary = self.out / "last.pt.part"
        torch.save(state, temporary)
        temporary.replace(self.out / "last.pt")

    def restore(self) -> None:
        """Go on where ``save`` stopped.

        Raises:
            CheckpointError: last.pt is damaged or of another network.
        """
        path = self.out / "last.pt"
        try:
            state: dict[str, Any] = torch.load(path, map_location=self.device, weights_only=True)
            self.net.load_state_dict(state["net"])
            self.average.load_state_dict(state["average"])
            self.optimiser.load_state_dict(state["optimiser"])
            torch.set_rng_state(state["torch_rng"].cpu())
            self.mixer.rng.bit_generator.state = state["rng"]
        except (RuntimeError, KeyError, ValueError, EOFError, OSError) as error:
            raise CheckpointError(
                f"{path}: cannot resume from it ({error}); delete the run and train anew"
            ) from error
        self.step, self.best = state["counters"]["step"], state["best"]
        self.seconds, self.stale = state["counters"]["seconds"], state["counters"]["stale"]

    def finish(self) -> dict[str, Any]:
        """Fit the readout to the best weights on the validation scenes, and save both.

        Returns:
            The figures before and after.
        """
        best = load_checkpoint(str(self.out / "best.safetensors"), self.device)
        localizer = Localizer(best)
        evidence = []
        for trial in self.trials:
            audio = localizer.prepare(trial.signal, trial.scene.sample_rate, trial.array)
            truth = (trial.array, trial.azimuth_deg)
            evidence.append(cell_evidence(localizer, audio, trial.query, truth))
        best.readout.requires_grad_(True)
        nats = fit_readout(best.readout, evidence)
        best.readout.requires_grad_(False)
        figures = self._figures(localizer)
        before = dict(best.figures)
        after = {f"{name}_fitted": value for name, value in figures.items()}
        summary = before | after | {"readout_nats": nats}
        path = self.out / "best.safetensors"
        save_checkpoint(path, best.net, best.readout, best.text, self.recipe, summary)
        return summary
