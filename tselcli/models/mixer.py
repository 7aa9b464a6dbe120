"""Mixes stems into training batches.

A *stem* is one clip heard alone in one room: its mel power at the reference channel. Powers of
independent sounds add up, so a mixture is a sum of stems and costs nothing: rooms are computed
once, mixtures are new at every step.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from tselcli.corpora.clip import Clip, compatible
from tselcli.features.stft import log_mel, mel_bands
from tselcli.models.losses import ABSENT, UNDECIDED
from tselcli.sections import FeatureRecipe, MixingRecipe


class Heard(Protocol):
    """One clip in one room."""

    @property
    def clip(self) -> Clip:
        """What sounds."""

    @property
    def mel(self) -> npt.NDArray[Any]:
        """As of a `Stem`; may be read from disk when it is asked for."""


class Stems(Protocol):
    """What there is to mix."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Heard]: ...

    def __getitem__(self, number: int, /) -> Heard: ...


@dataclass(frozen=True)
class Stem:
    """One clip in one room: ``mel`` is log10 of mel power, float16 (T, M), active RMS 0 dB."""

    clip: Clip
    mel: npt.NDArray[Any]


@dataclass(frozen=True)
class Batch:
    """Mixtures and the descriptions that are asked of all of them.

    Attributes:
        picture: log-mel of the mixtures (B, T, M).
        ratios: share of each source in each cell (B, S, T, M); empty places are zero.
        text: description embeddings (Q, D).
        owner: which source of mixture b description q is of, (B, Q), or ABSENT, UNDECIDED.
        asked: the descriptions that each mixture is asked cell by cell, (B, K) indices: those of
            its own sources, and absent ones.
        lessons: what a teacher makes of each source heard alone, unit vectors (B, S, E); zero
            where it was not asked.
        odds: what it makes of every class, log-odds (B, S, N); likewise.
    """

    picture: Tensor
    ratios: Tensor
    text: Tensor
    owner: Tensor
    asked: Tensor
    lessons: Tensor
    odds: Tensor

    def to(self, device: torch.device) -> "Batch":
        """Move all parts to a device."""
        return Batch(*(getattr(self, part.name).to(device) for part in fields(self)))


class Mixer:
    """Draws batches of mixtures from stems; the state is its random generator alone."""

    def __init__(
        self,
        stems: Stems,
        text: dict[str, Tensor],
        recipe: MixingRecipe,
        features: FeatureRecipe,
        rng: np.random.Generator,
        batch_size: int,
        lessons: dict[str, Tensor] | None = None,
        odds: dict[str, Tensor] | None = None,
    ) -> None:
        self.stems = stems
        self.lessons, self.odds = lessons or {}, odds or {}
        self.text = text
        self.recipe = recipe
        self.rng = rng
        self.batch_size = batch_size
        self.n_frames = round(
            recipe.crop_s * features.sample_rate / features.hop / features.mel_pool
        )
        self.n_mels = features.n_mels
        self.cross_spread = cross_spread(features)
        self.band_hz = band_centres(features)
        by_label: dict[str, list[int]] = {}
        for index, stem in enumerate(stems):
            by_label.setdefault(stem.clip.label, []).append(index)
        self.by_label = list(by_label.values())
        share = np.sqrt([len(members) for members in self.by_label])
        self.label_share = np.cumsum(share / share.sum())
        self._conflict: dict[tuple[str, str], bool] = {}

    def state(self) -> Any:
        """Give what the next batches depend on."""
        return self.rng.bit_generator.state

    def restore(self, state: Any) -> None:
        """Go on where ``state`` was taken."""
        self.rng.bit_generator.state = state

    def batch(self) -> Batch:
        """Draw ``batch_size`` mixtures and their descriptions, new at every call."""
        chosen, picture, ratios = self.mixtures()
        described = [self.stems[i].clip for members in chosen for i in members]
        described += [self.stems[i].clip for i in self._draw(self.recipe.extra_queries)]
        text = torch.stack([self._caption(clip) for clip in described])
        owner = self._owners(chosen, described)
        asked = self._asked(owner, self.recipe.sources[1])
        questions = torch.from_numpy(owner), torch.from_numpy(asked)
        taught = self._taught(self.lessons, chosen), self._taught(self.odds, chosen)
        return Batch(self._striped(picture), ratios, text, *questions, *taught)

    def mixtures(self) -> tuple[list[list[int]], Tensor, Tensor]:
        """Draw ``batch_size`` mixtures.

        Returns:
            The stems in each, their log-mel (B, T, M), and the share of each source
            (B, S, T, M).
        """
        low, high = self.recipe.sources
        chosen = [
            self._choose(int(self.rng.integers(low, high + 1))) for _ in range(self.batch_size)
        ]
        power = np.zeros((len(chosen), high, self.n_frames, self.n_mels), dtype=np.float32)
        for b, members in enumerate(chosen):
            together = self.rng.random() < 0.5
            for s, index in enumerate(members):
                self._place(power[b, s], self.stems[index].mel, together)
        stems = torch.from_numpy(power) * torch.from_numpy(self._colour(power.shape))
        mixture, ratios = self._mix(stems)
        return chosen, log_mel(mixture), ratios

    def _draw(self, count: int) -> list[int]:
        """Draw stems; rare labels come more often than their share."""
        labels = np.searchsorted(self.label_share, self.rng.random(count), side="right")
        members = [self.by_label[min(int(k), len(self.by_label) - 1)] for k in labels]
        return [row[int(self.rng.integers(len(row)))] for row in members]

    def _choose(self, count: int) -> list[int]:
        """Draw stems that may sound together."""
        members: list[int] = []
        for _ in range(50 * count):
            if len(members) == count:
                break
            (index,) = self._draw(1)
            clip = self.stems[index].clip
            if all(not self._conflicts(clip, self.stems[other].clip) for other in members):
                members.append(index)
        return members

    def _conflicts(self, a: Clip, b: Clip) -> bool:
        if a.label == a.id or b.label == b.id:  # too many pairs to remember
            return not compatible(a, b)
        key = (a.label, b.label)
        if key not in self._conflict:
            self._conflict[key] = not compatible(a, b)
        return self._conflict[key]

    def _place(self, row: npt.NDArray[Any], mel: npt.NDArray[Any], together: bool) -> None:
        """Put a stem into the crop: from its start, or shifted at random."""
        frames = len(row)
        if together:
            part, onset = mel[:frames], 0
        elif len(mel) > frames:
            start = int(self.rng.integers(len(mel) - frames + 1))
            part, onset = mel[start : start + frames], 0
        else:
            part, onset = mel, int(self.rng.integers(frames - len(mel) + 1))
        row[onset : onset + len(part)] = np.power(10.0, part.astype(np.float32))

    def _colour(self, shape: tuple[int, ...]) -> npt.NDArray[Any]:
        """Draw the level and a smooth equaliser of every source, and cut the band of some."""
        batch, sources, _, bands = shape
        recipe, rng = self.recipe, self.rng
        gain = rng.uniform(-recipe.gain_db, recipe.gain_db, (batch, sources, 1))
        ripple = np.arange(1, 5)[:, None] * np.linspace(0, np.pi, bands)
        curve = rng.uniform(-1, 1, (batch, sources, 4)) @ np.cos(ripple) / 2
        level = gain + recipe.equalise_db * curve
        cutoff = np.exp(rng.uniform(np.log(2000.0), np.log(8000.0), (batch, sources, 1)))
        limited = rng.random((batch, sources, 1)) < recipe.band_limit
        octaves = np.log2(np.maximum(self.band_hz / cutoff, 1.0))
        level = level - limited * np.minimum(120.0 * octaves, 60.0)
        return np.asarray(np.power(10.0, level / 10)[:, :, None], dtype=np.float32)

    def _mix(self, stems: Tensor) -> tuple[Tensor, Tensor]:
        """Add the stems and some noise, with the interference that real spectra show."""
        total = stems.sum(dim=1)
        spread = (total.square() - stems.square().sum(dim=1)).clamp_min(0).sqrt()
        noise = torch.from_numpy(self.rng.standard_normal(total.shape, dtype=np.float32))
        mixture = (total + spread * noise * self.cross_spread).clamp_min(0.05 * total)
        hiss = self._hiss(total)
        return mixture + hiss, stems / (total + hiss).clamp_min(1e-20)[:, None]

    def _striped(self, picture: Tensor) -> Tensor:
        """Blank some stripes of time and of frequency of every picture (B, T, M)."""
        picture = picture.clone()
        for one in picture:
            for part in (one, one.T):
                for _ in range(self.recipe.stripes):
                    wide = int(self.rng.integers(len(part) // 8 + 1))
                    start = int(self.rng.integers(len(part) - wide + 1))
                    part[start : start + wide] = 0
        return picture

    def _taught(self, known: dict[str, Tensor], chosen: list[list[int]]) -> Tensor:
        """Look up what the teacher makes of the sources: (B, S, E)."""
        size = len(next(iter(known.values()), ()))
        found = torch.zeros(len(chosen), self.recipe.sources[1], size)
        for b, members in enumerate(chosen):
            for s, index in enumerate(members):
                lesson = known.get(self.stems[index].clip.id)
                if lesson is not None:
                    found[b, s] = lesson
        return found

    def _hiss(self, total: Tensor) -> Tensor:
        """Draw stationary background noise, 10 to 60 dB below the mixture, of random slope."""
        batch, _, bands = total.shape
        snr = self.rng.uniform(10, 60, (batch, 1, 1))
        slope = self.rng.uniform(-20, 5, (batch, 1, 1)) * np.linspace(0, 1, bands)
        level = np.power(10.0, (slope - snr) / 10).astype(np.float32)
        grain = self.rng.gamma(3.0, 1 / 3, total.shape).astype(np.float32)
        loudness = total.mean(dim=(1, 2), keepdim=True)
        return torch.from_numpy(level * grain) * loudness

    def _caption(self, clip: Clip) -> Tensor:
        """Embed a random caption, at times half way to another one of the same clip."""
        first, second = self.rng.integers(len(clip.captions), size=2)
        text = self.text[clip.captions[first]]
        if self.rng.random() < 0.3:
            mix = float(self.rng.uniform(0, 0.5))
            text = (1 - mix) * text + mix * self.text[clip.captions[second]]
        noise = torch.from_numpy(self.rng.standard_normal(len(text), dtype=np.float32))
        return torch.nn.functional.normalize(text + 0.01 * noise, dim=0)

    def _asked(self, owner: npt.NDArray[Any], sources: int) -> npt.NDArray[Any]:
        """Pick the descriptions to ask of each mixture: first its own, then absent ones."""
        count = min(sources + self.recipe.absent_queries, owner.shape[1])
        # Own ones sort first, then absent ones in random order, undecided ones last.
        rank = np.where(owner >= 0, 0.0, np.where(owner == ABSENT, 1.0, 2.0))
        return np.argsort(rank + self.rng.random(owner.shape), axis=1)[:, :count]

    def _owners(self, chosen: list[list[int]], described: list[Clip]) -> npt.NDArray[Any]:
        owner = np.full((len(chosen), len(described)), ABSENT, dtype=np.int64)
        for b, members in enumerate(chosen):
            clips = [self.stems[index].clip for index in members]
            for q, clip in enumerate(described):
                for s, mine in enumerate(clips):
                    if mine.label == clip.label:
                        owner[b, q] = s
                        break
                    if self._conflicts(mine, clip):
                        owner[b, q] = UNDECIDED
        return owner


def band_centres(features: FeatureRecipe) -> npt.NDArray[Any]:
    """Give the frequency of every mel band in hertz (M,)."""
    bands = mel_bands(features.sample_rate, features.n_fft, features.n_mels).numpy()
    hertz = np.linspace(0, features.sample_rate / 2, len(bands))
    return np.asarray(hertz @ bands / np.maximum(bands.sum(axis=0), 1e-12))


def cross_spread(features: FeatureRecipe) -> Tensor:
    """Give the spread of the interference term per mel band: it averages out over bins."""
    bands = mel_bands(features.sample_rate, features.n_fft, features.n_mels)
    bins = bands.sum(dim=0).square() / bands.square().sum(dim=0).clamp_min(1e-12)
    return (bins * 0.75 * features.mel_pool).clamp_min(1.0).rsqrt()
