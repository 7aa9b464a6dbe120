"""Teaching the paper's networks: rendered scenes in, a distribution over azimuth out."""

import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from tselcli.dataset import padded_others
from tselcli.examples import Example, FolderExamples, fresh_examples
from tselcli.metrics import angular_error, selection_accuracy
from tselcli.models.azimuth_losses import AZIMUTH_LOSSES, gaussian_target
from tselcli.models.direct import Semantics, build_fusion
from tselcli.models.direct_checkpoint import save_direct
from tselcli.models.posterior import AZIMUTHS
from tselcli.recipe import Recipe

VALIDATION_BATCH = 16


class DirectTask:
    """What :class:`tselcli.trainer.Run` asks of the paper's models.

    Args:
        recipe: the experiment.
        folder: recordings to train on; None renders new ones for every batch.
        validation: examples to judge by, gone through once an epoch.
        semantics: the frozen encoders.
        device: where to train.
        jobs: processes that render.
        rank: number of this process, and of how many that train together.
    """

    parts: tuple[str, ...] = ("azimuth",)

    def __init__(
        self,
        recipe: Recipe,
        folder: FolderExamples | None,
        validation: Iterable[Example],
        semantics: Semantics,
        device: torch.device,
        jobs: int = 2,
        rank: tuple[int, int] = (0, 1),
    ) -> None:
        torch.manual_seed(recipe.seed)
        self.recipe, self.folder, self.validation = recipe, folder, validation
        self.semantics, self.device, self.jobs = semantics, device, jobs
        self.rank, self.world = rank
        first = next(iter(validation))
        self.sizes = semantics.sizes(len(first.scene.array.mics))
        self.net: nn.Module = build_fusion(recipe, self.sizes).to(device)
        self.batches = 0  # drawn so far, by each process
        self._source: Iterator[Example] | None = None

    def loss(self, net: nn.Module) -> tuple[Tensor, dict[str, float]]:
        """Compute the loss of a new batch."""
        logits, target, weight = self._ask(net, self._batch())
        loss = AZIMUTH_LOSSES[self.recipe.objective.loss](logits.float(), target, weight)
        return loss, {"azimuth": float(loss.detach())}

    def _batch(self) -> list[Example]:
        if self._source is None:
            self._source = self._folder_stream() if self.folder else self._fresh_stream()
        size = self.recipe.train.batch_size
        batch = list(itertools.islice(self._source, size))
        self.batches += 1
        return batch

    def _fresh_stream(self) -> Iterator[Example]:
        """Render every ``world``-th scene, each one once, with one pool of processes."""
        rules = self.recipe.train
        first = self.batches * rules.batch_size * self.world + self.rank
        numbers = range(first, rules.steps * rules.batch_size * self.world, self.world)
        scenes = (self.recipe, "train", self.recipe.seed, numbers)
        return fresh_examples(*scenes, self.jobs, self.semantics.sound is not None)

    def _folder_stream(self) -> Iterator[Example]:
        """Read the folder again and again, each time in another order."""
        assert self.folder is not None
        count = len(self.folder)
        done = self.batches * self.recipe.train.batch_size
        while True:
            seed = [self.recipe.seed, 5, self.rank, done // count]
            order = np.random.default_rng(seed).permutation(count)[done % count :]
            for number in order:
                yield self.folder.example(int(number))
            done += len(order)

    def _ask(self, net: nn.Module, examples: Sequence[Example]) -> tuple[Tensor, Tensor, Tensor]:
        """Give logits (B, A) or (B, T, A), the target of the same shape, and weights."""
        gcc = torch.from_numpy(np.stack([example.gcc for example in examples])).to(self.device)
        text, mask = self.semantics.read([example.query for example in examples])
        mono = [example.mono for example in examples if example.mono is not None]
        heard = self.semantics.hear(mono, examples[0].scene.sample_rate)
        logits = net(gcc.float(), text, mask, heard)
        frames = logits.shape[1] if logits.dim() == 3 else 1
        azimuth = torch.from_numpy(np.stack([e.azimuths(frames) for e in examples]))
        weight = torch.from_numpy(np.stack([e.active(frames) for e in examples]))
        if logits.dim() == 2:
            azimuth, weight = azimuth[:, 0], torch.ones(len(examples))
        rules = self.recipe.objective
        target = gaussian_target(azimuth, rules.sigma_deg, rules.wrapped)
        return logits, target.to(self.device), weight.to(self.device)

    @torch.no_grad()
    def figures(self, net: nn.Module) -> dict[str, float]:
        """Judge a network on the validation examples.

        Returns:
            ``val_mae_deg``, the mean over clips of the mean over frames in which the target
            sounds (paper, equation 9), and ``val_selection``, by the mean posterior of a clip.
        """
        errors, answers = list[float](), list[float]()
        targets, further = list[float](), list[tuple[float, ...]]()
        examples = iter(self.validation)
        while part := list(itertools.islice(examples, VALIDATION_BATCH)):
            logits, _, weight = self._ask(net, part)
            posterior = torch.softmax(logits.float(), dim=-1).cpu().numpy()
            for k, example in enumerate(part):
                errors.append(_frame_error(posterior[k], example, weight[k].cpu().numpy()))
                whole = posterior[k] if posterior[k].ndim == 1 else posterior[k].mean(axis=0)
                answers.append(float(AZIMUTHS[int(whole.argmax())]))
                targets.append(float(example.azimuths(1)[0]))
                further.append(_others(example))
        truth, others = np.array(targets), padded_others(further)
        chosen = selection_accuracy(np.array(answers), truth, others)
        return {
            "val_mae_deg": float(np.mean(errors)),
            "val_selection": math.nan if chosen is None else chosen,
        }

    def save(self, path: Path, net: nn.Module, figures: dict[str, float]) -> None:
        """Write a checkpoint."""
        save_direct(path, net, self.semantics, self.recipe, self.sizes, figures)

    def finish(self, path: Path) -> dict[str, Any]:
        """Count what was trained; nothing is fitted after training."""
        numbers = sum(parameter.numel() for parameter in self.net.parameters())
        return {"parameters": numbers}

    def state(self) -> Any:
        """Give the number of batches drawn."""
        return self.batches

    def restore(self, state: Any) -> None:
        """Go on with the batches that follow."""
        self.batches = int(state)


def _frame_error(posterior: npt.NDArray[Any], example: Example, weight: npt.NDArray[Any]) -> float:
    """Average the error over the frames in which the target sounds, degrees."""
    rows = np.atleast_2d(posterior)
    found = AZIMUTHS[rows.argmax(axis=1)]
    errors = angular_error(found, example.azimuths(len(rows)))
    weight = np.atleast_1d(weight)
    return float(np.average(errors, weights=weight if weight.any() else None))


def _others(example: Example) -> tuple[float, ...]:
    sources = example.scene.sources[1:]
    return tuple(source.azimuth_deg for source in sources if source.azimuth_deg is not None)
