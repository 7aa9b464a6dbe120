"""A training run in progress: what all models share, and the files that a run leaves.

A :class:`Task` knows what is learnt: it gives the loss of a new batch, judges a network on the
validation scenes and writes the checkpoint. The run does the rest: optimiser and schedule,
averaged weights, early stopping, ``log.csv``, ``last.pt`` to resume from, and several processes
under ``torchrun``, whose gradients are averaged after every step.
"""

import csv
import math
import os
import pickle
import struct
import time
import warnings
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, distributed, nn

from tselcli.console import Advance, progress_bar
from tselcli.errors import CheckpointError, RecipeError
from tselcli.files import write_text_atomically
from tselcli.models.training import averaged, learning_rate
from tselcli.recipe import Recipe

COLUMNS = ("epoch", "step", "minutes", "lr", "loss")
VALIDATION = ("val_mae_deg", "val_selection", "best")
DAMAGE = (
    RuntimeError,
    LookupError,
    ValueError,
    TypeError,
    AttributeError,
    AssertionError,
    ArithmeticError,
    EOFError,
    OSError,
    struct.error,
)


class Task(Protocol):
    """What a model learns, and from what.

    Attributes:
        net: the network, untrained, on its device.
        parts: names of the terms of the loss, for the log.
    """

    net: nn.Module
    parts: tuple[str, ...]

    def loss(self, net: nn.Module) -> tuple[Tensor, dict[str, float]]:
        """Compute the loss of a new batch, and its terms."""
        ...

    def figures(self, net: nn.Module) -> dict[str, float]:
        """Judge a network on the validation scenes: ``val_mae_deg`` and ``val_selection``."""
        ...

    def save(self, path: Path, net: nn.Module, figures: dict[str, float]) -> None:
        """Write a checkpoint whole or not at all."""
        ...

    def finish(self, path: Path) -> dict[str, Any]:
        """Do what comes after training to the best checkpoint; gives its figures."""
        ...

    def state(self) -> Any:
        """Give what the next batches depend on, in plain values."""
        ...

    def restore(self, state: Any) -> None:
        """Go on where ``state`` was taken."""
        ...


def rank_and_world() -> tuple[int, int]:
    """Give the number of this process and how many train together: (0, 1) without torchrun."""
    return int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))


class Run:
    """Everything of a run that resumes."""

    def __init__(self, recipe: Recipe, out: Path, task: Task, device: torch.device) -> None:
        self.recipe, self.out, self.task, self.device = recipe, out, task, device
        self.rank, self.world = rank_and_world()
        if self.world > 1 and not distributed.is_initialized():
            distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
        self.average = averaged(task.net, recipe.train.ema)
        self.optimiser = torch.optim.AdamW(
            task.net.parameters(), lr=recipe.train.lr, weight_decay=recipe.train.weight_decay
        )
        self.step = 0
        self.seconds = 0.0
        self.best: dict[str, float] = {}
        self.stale = 0

    def fit(self) -> None:
        """Train until the steps, the minutes or the patience are used up.

        Raises:
            RecipeError: a batch does not fit into the memory of the GPU.
        """
        rules = self.recipe.train
        with progress_bar("steps", rules.steps, unit="steps", done=self.step) as advance:
            while self._share_done() < 1 and self.stale < rules.patience:
                figures = self._epoch(advance)
                figures |= self._validate()
                if self.rank == 0:
                    self._log(figures)
                    self.save()

    def _share_done(self) -> float:
        rules = self.recipe.train
        share = self.step / rules.steps
        return share if rules.minutes is None else max(share, self._minutes() / rules.minutes)

    def _minutes(self) -> float:
        """Give the minutes of training; the same in all processes, so that they end together."""
        return float(self._agreed([self.seconds / 60])[0])

    def _agreed(self, values: list[Any]) -> list[Any]:
        """Take the values of the first process."""
        if self.world > 1:
            distributed.broadcast_object_list(values, src=0)
        return values

    def _epoch(self, advance: Advance) -> dict[str, float]:
        rules = self.recipe.train
        total: dict[str, float] = {}
        count = 0
        self.task.net.train()
        while count < rules.steps_per_epoch and self._share_done() < 1:
            began = time.monotonic()
            parts = self._one_step()
            self.seconds += time.monotonic() - began
            total = {name: total.get(name, 0.0) + value for name, value in parts.items()}
            count += 1
            advance(note=f"loss {parts['loss']:.3f}{self._standing()}")
        return self._over_all({name: value / max(1, count) for name, value in total.items()})

    def _over_all(self, figures: dict[str, float]) -> dict[str, float]:
        """Average figures over all processes, whose batches together are one large batch."""
        if self.world == 1 or not figures:
            return figures
        summed = torch.tensor(list(figures.values()), dtype=torch.float64, device=self.device)
        distributed.all_reduce(summed)
        return dict(zip(figures, (summed / self.world).tolist(), strict=True))

    def _standing(self) -> str:
        if not self.best:
            return ""
        right = self.best["val_selection"]
        chosen = "" if math.isnan(right) else f", {100 * right:.0f} % right"
        return f", best validation: {self.best['val_mae_deg']:.1f} degrees{chosen}"

    def _one_step(self) -> dict[str, float]:
        rules = self.recipe.train
        net = self.task.net
        factor = learning_rate(rules, self.step, self._share_done())
        for group in self.optimiser.param_groups:
            group["lr"] = rules.lr * factor
        try:
            half = rules.precision == "bfloat16"
            with torch.autocast(self.device.type, torch.bfloat16, enabled=half):
                loss, parts = self.task.loss(net)
            self.optimiser.zero_grad(set_to_none=True)
            loss.backward()
        except torch.OutOfMemoryError as error:
            raise RecipeError(
                f"train.batch_size={rules.batch_size}: does not fit into the memory of "
                f"{self.device}; try --set train.batch_size={max(1, rules.batch_size // 2)}"
            ) from error
        self._share_gradients(net)
        if rules.clip_grad is not None:
            nn.utils.clip_grad_norm_(net.parameters(), rules.clip_grad)
        self.optimiser.step()
        self.average.update_parameters(net)
        self.step += 1
        return {"lr": rules.lr * factor, "loss": float(loss.detach()), **parts}

    def _share_gradients(self, net: nn.Module) -> None:
        """Average the gradients over all processes."""
        if self.world > 1:
            for parameter in net.parameters():
                if parameter.grad is None:
                    parameter.grad = torch.zeros_like(parameter)
                distributed.all_reduce(parameter.grad)
                parameter.grad /= self.world

    def _validate(self) -> dict[str, float]:
        net = self.average.module
        net.eval()
        figures: dict[str, float] = self.task.figures(net) if self.rank == 0 else {}
        figures = self._agreed([figures])[0]
        better = figures["val_mae_deg"] < self.best.get("val_mae_deg", math.inf)
        self.stale = 0 if better else self.stale + 1
        if better:
            self.best = figures | {"step": self.step}
            if self.rank == 0:
                best = self.best | {"minutes": self.seconds / 60}
                self.task.save(self.out / "best.safetensors", net, best)
                (self.out / "eval.json").unlink(missing_ok=True)  # of weights that are gone
        return figures | {"best": float(better)}

    def _log(self, parts: dict[str, float]) -> None:
        path = self.out / "log.csv"
        new = not path.exists()
        epoch = -(-self.step // self.recipe.train.steps_per_epoch)
        row = {"epoch": epoch, "step": self.step, "minutes": self.seconds / 60, **parts}
        with path.open("a", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, COLUMNS + self.task.parts + VALIDATION)
            if new:
                writer.writeheader()
            writer.writerow({name: f"{value:.6g}" for name, value in row.items()})

    def save(self) -> None:
        """Write last.pt under a temporary name and rename it."""
        state = {
            "net": self.task.net.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "torch_rng": torch.get_rng_state(),
            "task": self.task.state(),
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
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # about pickles that are not of torch
                state = torch.load(path, map_location=self.device, weights_only=True)
            counters = state["counters"]
            self.step, self.stale = int(counters["step"]), int(counters["stale"])
            self.seconds = float(counters["seconds"])
            self.best = {
                str(name): value if isinstance(value, int) else float(value)
                for name, value in state["best"].items()
            }
            if self.best and not {"val_mae_deg", "val_selection"} <= set(self.best):
                raise ValueError("its best figures are incomplete")
            self.task.net.load_state_dict(state["net"])
            self.average.load_state_dict(state["average"])
            self.optimiser.load_state_dict(state["optimiser"])
            torch.set_rng_state(state["torch_rng"].cpu())
            self.task.restore(state["task"])
        except pickle.UnpicklingError as error:  # torch's own words advise to run what is in it
            raise CheckpointError(
                f"{path}: cannot resume from it (more than numbers, or damaged); "
                "delete the run and train anew"
            ) from error
        except DAMAGE as error:
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise CheckpointError(
                f"{path}: cannot resume from it ({reason}); delete the run and train anew"
            ) from error

    def forget_what_follows(self) -> None:
        """Take lines out of the log that come after this step: they are going to be repeated.

        A run that was killed may have logged an epoch without keeping it, or half a line.
        """
        path = self.out / "log.csv"
        if self.rank or not path.exists():
            return
        header, *lines = path.read_text(encoding="utf-8").splitlines(keepends=True) or [""]
        kept = []
        for line in lines:
            step = line.split(",")[1:2]
            if not line.endswith("\n") or not step or float(step[0]) > self.step:
                break
            kept.append(line)
        write_text_atomically(path, "".join([header, *kept]) if kept else "")
        if not kept:
            path.unlink()

    def finish(self) -> dict[str, Any]:
        """Close the run; gives the figures of the best epoch, in the first process alone."""
        figures = dict(self.best) if self.rank == 0 else {}
        if self.rank == 0:
            figures |= self.task.finish(self.out / "best.safetensors")
        if self.world > 1:
            distributed.barrier()
            distributed.destroy_process_group()
        return figures
