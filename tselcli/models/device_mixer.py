"""Mixes stems where the network is: all mixtures of a batch at once, in torch.

A :class:`tselcli.models.stem_table.StemTable` holds every stem, caption and lesson there, and a
batch is some gathers and sums. What is drawn is distributed as by
:class:`tselcli.models.mixer.Mixer`, from torch's random numbers; on a GPU a batch takes
milliseconds, so that the network sets the pace.
"""

from typing import Any

import torch
from torch import Tensor

from tselcli.features.stft import log_mel
from tselcli.models.losses import ABSENT, UNDECIDED
from tselcli.models.mixer import Batch, band_centres, cross_spread
from tselcli.models.stem_table import StemTable
from tselcli.sections import FeatureRecipe, MixingRecipe

TRIES = 16  # draws of a sound that may stand beside those that are there


class DeviceMixer:
    """Draws batches of mixtures on the device of a table.

    Args:
        table: what there is to mix.
        recipe: how.
        features: analysis of the stems.
        batch_size: mixtures B.
        seed: of the random numbers.
    """

    def __init__(
        self,
        table: StemTable,
        recipe: MixingRecipe,
        features: FeatureRecipe,
        batch_size: int,
        seed: int,
    ) -> None:
        self.table, self.recipe, self.batch_size = table, recipe, batch_size
        self.device = table.mel.device
        self.rng = torch.Generator(self.device).manual_seed(seed)
        frames = recipe.crop_s * features.sample_rate / features.hop / features.mel_pool
        self.n_frames = round(frames)
        self.spread = cross_spread(features).to(self.device)
        hertz = torch.from_numpy(band_centres(features)).float()
        self.band_hz = hertz.to(self.device)

    def state(self) -> Any:
        """Give what the next batches depend on."""
        return self.rng.get_state()

    def restore(self, state: Any) -> None:
        """Go on where ``state`` was taken."""
        self.rng.set_state(state.cpu())

    def batch(self) -> Batch:
        """Draw mixtures and their descriptions, new at every call."""
        table = self.table
        stems = self.choose()
        picture, ratios = self.mixtures(stems)
        there = stems >= 0
        others = self.draw(stems.numel()).view_as(stems)
        extra = self.draw(self.recipe.extra_queries)
        clips = table.clip[torch.cat([torch.where(there, stems, others).flatten(), extra])]
        text = self.captions(clips)
        own = table.clip[stems.clamp_min(0)]
        owner = self.owners(torch.where(there, table.label[own], -1), table.label[clips])
        asked = self.asked(owner)
        taught = [known[own].float() * there[..., None] for known in (table.lessons, table.odds)]
        return Batch(self.striped(picture), ratios, text, owner, asked, *taught)

    def uniform(self, low: float, high: float, *size: int) -> Tensor:
        """Draw numbers in [low, high)."""
        return low + (high - low) * torch.rand(size, generator=self.rng, device=self.device)

    def below(self, count: Tensor) -> Tensor:
        """Draw a whole number in [0, count) for every count."""
        drawn = self.uniform(0, 1, *count.shape) * count
        return torch.minimum(drawn.long(), (count - 1).clamp_min(0))

    def draw(self, count: int) -> Tensor:
        """Draw stems (count,); rare labels come more often than their share."""
        labels = self.labels(count)
        return self.table.label_first[labels] + self.below(self.table.label_count[labels])

    def labels(self, count: int) -> Tensor:
        """Draw labels (count,)."""
        edges = self.table.share.cumsum(0)
        drawn = torch.searchsorted(edges, self.uniform(0, 1, count), right=True)
        return drawn.clamp_max(len(edges) - 1)

    def choose(self) -> Tensor:
        """Draw stems that may sound together: (B, S), -1 where there is none."""
        low, high = self.recipe.sources
        rows = torch.arange(self.batch_size, device=self.device)
        labels = self.labels(self.batch_size)[:, None]
        for _ in range(1, high):
            tries = self.labels(self.batch_size * TRIES).view(self.batch_size, TRIES)
            clash = self.table.conflict[tries[:, :, None], labels.clamp_min(0)[:, None]]
            fits = ~(clash & (labels >= 0)[:, None]).any(dim=-1)
            found = tries[rows, fits.int().argmax(dim=1)]
            labels = torch.cat([labels, torch.where(fits.any(dim=1), found, -1)[:, None]], dim=1)
        wanted = low + self.below(torch.full_like(rows, high - low + 1))
        there = (torch.arange(high, device=self.device) < wanted[:, None]) & (labels >= 0)
        first, count = (
            of[labels.clamp_min(0)] for of in (self.table.label_first, self.table.label_count)
        )
        return torch.where(there, first + self.below(count), -1)

    def mixtures(self, stems: Tensor) -> tuple[Tensor, Tensor]:
        """Mix chosen stems (B, S): log-mel (B, T, M), and shares of the sources (B, S, T, M)."""
        power = self.placed(stems) * self.colour(*stems.shape)[:, :, None]
        total = power.sum(dim=1)
        spread = (total.square() - power.square().sum(dim=1)).clamp_min(0).sqrt()
        noise = torch.randn(total.shape, generator=self.rng, device=self.device)
        mixture = (total + spread * noise * self.spread).clamp_min(0.05 * total)
        hiss = self.hiss(total)
        return log_mel(mixture + hiss), power / (total + hiss).clamp_min(1e-20)[:, None]

    def placed(self, stems: Tensor) -> Tensor:
        """Put stems (B, S) into crops, from their start or shifted at random: (B, S, T, M)."""
        table, frames = self.table, self.n_frames
        first, length = table.first[stems.clamp_min(0)], table.length[stems.clamp_min(0)]
        apart = (self.uniform(0, 1, len(stems), 1) < 0.5).expand_as(stems)
        spare = frames - length
        shift = self.below(spare.abs() + 1) * spare.sign() * apart  # later, or cut at the start
        place = torch.arange(frames, device=self.device) - shift[..., None]
        sounds = (place >= 0) & (place < length[..., None]) & (stems >= 0)[..., None]
        mel = table.mel[first[..., None] + torch.where(sounds, place, 0)].float()
        return torch.pow(10.0, mel) * sounds[..., None]

    def colour(self, batch: int, sources: int) -> Tensor:
        """Draw levels and smooth equalisers, and cut the band of some: power (B, S, M)."""
        recipe, bands = self.recipe, len(self.band_hz)
        gain = self.uniform(-recipe.gain_db, recipe.gain_db, batch, sources, 1)
        half_turns = torch.linspace(0, torch.pi, bands, device=self.device)
        ripple = torch.arange(1, 5, device=self.device)[:, None] * half_turns
        curve = self.uniform(-1, 1, batch, sources, 4) @ ripple.cos() / 2
        cutoff = 2000.0 * 4.0 ** self.uniform(0, 1, batch, sources, 1)
        octaves = (self.band_hz / cutoff).clamp_min(1.0).log2()
        limited = self.uniform(0, 1, batch, sources, 1) < recipe.band_limit
        level = gain + recipe.equalise_db * curve - limited * (120.0 * octaves).clamp_max(60.0)
        return torch.pow(10.0, level / 10)

    def hiss(self, total: Tensor) -> Tensor:
        """Draw stationary noise, 10 to 60 dB below the mixture (B, T, M), of random slope."""
        batch, _, bands = total.shape
        snr = self.uniform(10, 60, batch, 1, 1)
        rise = torch.linspace(0, 1, bands, device=self.device)
        level = torch.pow(10.0, (self.uniform(-20, 5, batch, 1, 1) * rise - snr) / 10)
        # The mean of three exponentials: a gamma distribution of shape 3 and mean 1.
        grain = -(1 - self.uniform(0, 1, 3, *total.shape)).log().mean(dim=0)
        return level * grain * total.mean(dim=(1, 2), keepdim=True)

    def striped(self, picture: Tensor) -> Tensor:
        """Blank some stripes of time and of frequency of every picture (B, T, M)."""
        for axis in (1, 2):
            size = picture.shape[axis]
            for _ in range(self.recipe.stripes):
                top = torch.full((len(picture), 1), size // 8 + 1, device=self.device)
                wide = self.below(top)
                start = self.below(size - wide + 1)
                at = torch.arange(size, device=self.device)
                blank = (at >= start) & (at < start + wide)
                picture = picture.masked_fill(blank.unsqueeze(3 - axis), 0.0)
        return picture

    def captions(self, clips: Tensor) -> Tensor:
        """Embed a random caption of every clip, at times half way to another of it: (Q, D)."""
        table = self.table
        first, count = table.caption_first[clips], table.caption_count[clips]
        one, other = (
            table.text[table.caption[first + self.below(count)]].float() for _ in range(2)
        )
        mixed = self.uniform(0, 1, len(clips), 1) < 0.3
        text = torch.lerp(one, other, mixed * self.uniform(0, 0.5, len(clips), 1))
        noise = torch.randn(text.shape, generator=self.rng, device=self.device)
        return torch.nn.functional.normalize(text + 0.01 * noise, dim=-1)

    def owners(self, labels: Tensor, described: Tensor) -> Tensor:
        """Say which source (labels (B, S), -1 is none) each description (Q,) is of: (B, Q)."""
        same = labels[:, :, None] == described
        near = self.table.conflict[labels.clamp_min(0)][:, :, described] & (labels >= 0)[..., None]
        owner = torch.where(near.any(dim=1), UNDECIDED, ABSENT)
        return torch.where(same.any(dim=1), same.int().argmax(dim=1), owner)

    def asked(self, owner: Tensor) -> Tensor:
        """Pick the descriptions to ask of each mixture: its own first, then absent ones: (B, K)."""
        count = min(self.recipe.sources[1] + self.recipe.absent_queries, owner.shape[1])
        rank = torch.where(owner >= 0, 0.0, torch.where(owner == ABSENT, 1.0, 2.0))
        return (rank + self.uniform(0, 1, *owner.shape)).argsort(dim=1)[:, :count]
