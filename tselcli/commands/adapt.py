"""``tsel adapt``: teach a trained model more ways to say it.

The network that hears stays as it is. It listens to mixtures once, and what it makes of every
source is kept; then the text encoder and its projection learn to choose among those sources
from many more captions per kind of sound than the corpus has. A term holds the encoder near
its old vectors, so that descriptions of other sounds keep their meaning. Minutes on a CPU.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tselcli.calibrating import learn_kinds
from tselcli.console import progress_bar
from tselcli.corpora.clip import Clip, compatible
from tselcli.dataset import corpus_of
from tselcli.errors import DataError
from tselcli.features.cache import default_cache
from tselcli.mask_task import caption_table
from tselcli.models.cells import coarse
from tselcli.models.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from tselcli.models.losses import ABSENT, UNDECIDED, audible, choice_loss, pooled_sources
from tselcli.models.mixer import Mixer
from tselcli.models.reading import compact_only
from tselcli.models.training import check_precision, pick_device
from tselcli.recipe import Recipe
from tselcli.stems import fresh_stems

WORDS_LR, TEXT_LR = 5e-4, 1e-4  # highest rates of the projection and of the encoder
WARMUP = 20
BATCHES = 2  # of heard mixtures per step
RIVALS = 60  # further captions per step, to choose among
MOST_KINDS = 5000  # of sound; each is compared with every other


@dataclass(frozen=True)
class Heard:
    """What the network made of one batch of mixtures.

    Attributes:
        sources: mean cell embedding of every source (B, S, D).
        audible: which sources can be heard (B, S).
        kinds: number of each source's kind of sound (B, S), -1 for empty places.
    """

    sources: Tensor
    audible: Tensor
    kinds: Tensor


def adapt(
    model: str,
    out: Path,
    *,
    recipe: Recipe,
    captions: Sequence[str],
    steps: int = 800,
    batches: int = 1400,
    seed: int = 0,
    device: str = "auto",
    jobs: int = 2,
) -> dict[str, Any]:
    """Train the text side of a model on further captions and write a new checkpoint.

    Args:
        model: bundled name, run folder or file.
        out: safetensors file to write.
        recipe: whose ``corpus`` (train split) gives sounds and captions.
        captions: CSV files with the columns ``label,caption``, or ``paraphrases``, which comes
            with the package; labels of other corpora are passed over.
        steps: of the optimiser.
        batches: mixtures to listen to, in batches of the recipe's size.
        seed: of mixtures and captions.
        device: auto, cpu, cuda or mps.
        jobs: processes that put clips into rooms.

    Returns:
        ``captions`` learnt, ``steps``, last ``loss`` and ``drift`` (one minus the mean cosine
        to the old text vectors).

    Raises:
        RecipeError: ``train.precision`` will not do on this device.
        DataError: a captions file cannot be used, or the corpus has too many kinds of sound.
        CheckpointError: the model cannot be loaded, or reads with an encoder of other people.
    """
    place = pick_device(device)
    checkpoint = load_checkpoint(model, place)
    compact_only(checkpoint.text, model, "adapt")
    check_precision(recipe.train.precision, place)
    rng = np.random.default_rng([seed, 11])
    torch.manual_seed(seed)
    tables = (*recipe.corpus.captions, *captions)
    corpus = recipe.corpus.model_copy(update={"captions": tables})
    recipe = recipe.model_copy(update={"corpus": corpus})
    kinds = {clip.label for clip in corpus_of(recipe, "train").clips}
    if len(kinds) > MOST_KINDS:
        raise DataError(
            f"{corpus.source}: {len(kinds)} kinds of sound, or clips without any; adapt compares "
            f"each with every other, up to {MOST_KINDS}; take a corpus with labels"
        )
    heard, clips = _listen(checkpoint, recipe, batches, rng, place, jobs)
    texts = [list(clip.captions) for clip in clips]
    learnt = sum(len(row) for row in texts)
    half = recipe.train.precision == "bfloat16"
    loss, drift = _teach(checkpoint, heard, clips, texts, steps, rng, half)
    learn_kinds(checkpoint, clips)
    figures = dict(checkpoint.figures) | {"adapted_captions": learnt, "adapted_steps": steps}
    parts = (checkpoint.net, checkpoint.readout, checkpoint.text)
    save_checkpoint(out, *parts, checkpoint.recipe, figures)
    return {"captions": learnt, "steps": steps, "loss": loss, "drift": drift}


def _listen(
    checkpoint: Checkpoint,
    recipe: Recipe,
    batches: int,
    rng: np.random.Generator,
    place: torch.device,
    jobs: int,
) -> tuple[list[Heard], list[Clip]]:
    """Hear ``batches`` batches of mixtures; also gives one clip of every kind of sound."""
    total, parts = fresh_stems(recipe, default_cache(), jobs)
    stems = []
    with progress_bar("rooms", total) as advance:
        for part in parts:
            stems += part
            advance()
    kinds = {stem.clip.label: stem.clip for stem in stems}
    number = {label: k for k, label in enumerate(kinds)}
    size = recipe.train.batch_size
    mixer = Mixer(stems, {}, recipe.mixing, recipe.features, rng, size)
    heard = []
    with progress_bar("mixtures", batches, unit="batches") as advance, torch.no_grad():
        for _ in range(batches):
            chosen, picture, ratios = mixer.mixtures()
            kinds_of = torch.full(ratios.shape[:2], -1)
            for b, row in enumerate(chosen):
                for s, index in enumerate(row):
                    kinds_of[b, s] = number[stems[index].clip.label]
            sources, loud = _pool(checkpoint, picture.to(place), ratios.to(place))
            heard.append(Heard(sources, loud, kinds_of.to(place)))
            advance()
    return heard, list(kinds.values())


def _pool(checkpoint: Checkpoint, picture: Tensor, ratios: Tensor) -> tuple[Tensor, Tensor]:
    """Give the mean cell embedding of every source, and which can be heard."""
    loudness = audible(picture)
    weight = coarse(loudness)
    shares = coarse(ratios * loudness[:, None]) / weight.clamp_min(1e-6)[:, None]
    return pooled_sources(checkpoint.net.cells(picture), shares, weight)


def _teach(
    checkpoint: Checkpoint,
    heard: list[Heard],
    clips: list[Clip],
    texts: list[list[str]],
    steps: int,
    rng: np.random.Generator,
    half: bool,
) -> tuple[float, float]:
    """Fit the encoder and its projection in place; gives the last loss and drift."""
    text = compact_only(checkpoint.text, checkpoint.name, "adapt")
    words = torch.nn.ModuleList(checkpoint.net.word_heads())
    before = caption_table(text, sorted({caption for row in texts for caption in row}))
    clash = torch.tensor([[a is not b and not compatible(a, b) for b in clips] for a in clips])
    clash = clash.to(heard[0].sources.device)
    for part in (words, text):
        part.requires_grad_(True)
    optimiser = torch.optim.AdamW(
        [{"params": words.parameters()}, {"params": text.parameters()}], weight_decay=0.01
    )
    loss, drift = torch.zeros(()), torch.zeros(())
    with progress_bar("captions", steps, unit="steps") as advance:
        for step in range(steps):
            decay = 0.5 * (1 + math.cos(math.pi * step / steps)) * min(1, (step + 1) / WARMUP)
            for group, top in zip(optimiser.param_groups, (WORDS_LR, TEXT_LR), strict=True):
                group["lr"] = top * decay
            picked = [heard[i] for i in rng.integers(len(heard), size=BATCHES)]
            kinds = torch.cat([one.kinds for one in picked])
            asked = torch.cat([kinds[kinds >= 0], _random(len(clips), kinds, rng)])
            captions = [texts[k][rng.integers(len(texts[k]))] for k in asked.tolist()]
            tokens, mask = text.tokenize(captions)
            with torch.autocast(kinds.device.type, torch.bfloat16, enabled=half):
                vectors = text(tokens.to(kinds.device), mask.to(kinds.device)).float()
            score = checkpoint.net.scores(torch.cat([one.sources for one in picked]), vectors)
            old = torch.stack([before[caption] for caption in captions]).to(vectors)
            drift = (1 - (vectors * old).sum(dim=1)).mean()
            present = torch.cat([one.audible for one in picked])
            loss = choice_loss(score, present, owners(kinds, asked, clash))
            optimiser.zero_grad()
            (loss + drift).backward()
            optimiser.step()
            advance(note=f"loss {float(loss.detach()):.2f}")
    for part in (words, text):
        part.requires_grad_(False)
    return float(loss.detach()), float(drift.detach())


def _random(count: int, like: Tensor, rng: np.random.Generator) -> Tensor:
    return torch.from_numpy(rng.integers(count, size=RIVALS)).to(like.device)


def owners(kinds: Tensor, asked: Tensor, clash: Tensor) -> Tensor:
    """Say which source each description is of.

    Args:
        kinds: kind of sound of every source (B, S), -1 for empty places.
        asked: kind of sound that each description means (Q,).
        clash: which kinds could be confused (K, K).

    Returns:
        (B, Q): a source, or ABSENT, or UNDECIDED where a source's kind could be meant as well.
    """
    there = kinds >= 0
    own = (kinds[..., None] == asked) & there[..., None]  # (B, S, Q)
    close = (clash[kinds.clamp_min(0)][..., asked] & there[..., None]).any(dim=1)
    owner = torch.where(close, UNDECIDED, ABSENT)
    return torch.where(own.any(dim=1), own.int().argmax(dim=1), owner)
