"""What an array knows of directions, whether it is microphones or first-order ambisonics.

Microphones tell directions by delays (`tselcli.features.gcc`), ambisonics by the flow of energy
(`tselcli.features.intensity`). Both answer the same questions about a recording that comes in
blocks of its spectrum.
"""

from collections.abc import Callable, Iterable
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from tselcli.acoustics.geometry import MicArray
from tselcli.features.alike import (
    AROUND,
    directed,
    left_power,
    mixed_in,
    telling,
    tells_alike,
    with_alike,
)
from tselcli.features.beside import BesideAlike
from tselcli.features.centred import can_centre
from tselcli.features.directions import agreement
from tselcli.features.gcc import pair_products, phases
from tselcli.features.intensity import azimuth_votes, foa_agreement, foa_response, intensity
from tselcli.features.precedence import OnsetHistogram, count_onsets
from tselcli.features.srp import SteeringTable, turning, weighted_cross
from tselcli.features.stft import (
    frames_of,
    mel_bands,
    reference_power,
    spread_mask,
    spread_share,
)
from tselcli.features.streamed import Sound
from tselcli.sections import FeatureRecipe

Grid = npt.NDArray[np.float64]
Device = torch.device | str


class Steering(Protocol):
    """Answers what an array can tell of directions."""

    def reference(self, audio: Sound) -> Sound:
        """Keep the channels (C, N) whose mean power says how loud it was: (C', N)."""

    def response(self, spectra: Iterable[Tensor], weights: Tensor) -> Tensor:
        """Steer a recording under every query's weights.

        Args:
            spectra: blocks (1, C, T of the block, F), each a whole number of cells but the last.
            weights: of mel cells (Q, T', M).

        Returns:
            (Q, A) over the grid, in [-1, 1].
        """

    def by_frame(
        self, spectrum: Tensor, weights: Tensor, frames: Tensor, step: int
    ) -> tuple[Tensor, Tensor]:
        """Steer a block of a recording anew in every frame.

        Args:
            spectrum: (1, C, T, F).
            weights: of bins (T, F).
            frames: number of the frame that each row belongs to (T,), from 0, ascending.
            step: take every so-manieth azimuth of the grid.

        Returns:
            Responses (frames, A'), not normalised, and the weight behind them (frames,): the
            quotient is in [-1, 1].
        """

    def agreement(self, spectra: Iterable[Tensor], indices: list[int]) -> Tensor:
        """Say how well every cell agrees with some azimuths of the grid: (T', M, K).

        Blocks are of whole cells, all but the last, and need not follow each other.
        """

    def beside_alike(
        self, spectra: Callable[[], Iterable[Tensor]], new: Tensor, loud: Tensor
    ) -> tuple["Steering", Tensor]:
        """Look past what is alike in all channels, where the array can tell.

        Args:
            spectra: gives the blocks of :meth:`response`, as often as it is asked.
            new: how much of every mel cell is no echo (T', M); times of which all are 0 need not
                be asked.
            loud: how much every cell matters (T', M).

        Returns:
            What tells the directions of this recording, and what is left of ``new`` for it.
        """

    def onsets(self, audio: Sound, masks: Tensor | None = None) -> Tensor:
        """Count where sounds begin in a recording (C, N).

        Args:
            audio: (C, N).
            masks: of described sounds, over cells of 2 x 2 points of the picture (Q, T'/2, M/2).

        Returns:
            Over the coarse grid (1 + Q, H): of all sounds, and of each described one.
        """


class MicSteering:
    """Tells directions by the delays between microphones.

    Args:
        mics: positions (C, 3) in metres.
        azimuth_deg: grid (A,).
        coarse: the histogram of onsets takes every so-manieth azimuth.
        features: analysis.
        device: where to compute.
    """

    def __init__(
        self, mics: Grid, azimuth_deg: Grid, coarse: int, features: FeatureRecipe, device: Device
    ) -> None:
        rate, self.pool = features.sample_rate, features.mel_pool
        self.bands = mel_bands(rate, features.n_fft, features.n_mels).to(device)
        self.table = SteeringTable(mics, azimuth_deg, rate, features.n_fft, device)
        self.histogram = OnsetHistogram(mics, azimuth_deg[::coarse], rate, device)
        self.circle: Tensor | None = None
        self.beside: BesideAlike | None = None
        if tells_alike(mics):
            around = np.arange(AROUND) * 360.0 / AROUND
            self.circle = with_alike(turning(mics, around, rate, features.n_fft)).to(device)
            self.telling = telling(self.circle, spread_share(self.bands))
            if can_centre(len(mics)):
                self.beside = BesideAlike(self, mics, azimuth_deg, coarse, rate)
        self.cell_s = 2 * features.mel_pool * features.hop / rate

    def reference(self, audio: Sound) -> Sound:
        """As `Steering.reference`: all microphones."""
        return audio

    def response(self, spectra: Iterable[Tensor], weights: Tensor) -> Tensor:
        """As `Steering.response`: SRP-PHAT."""
        summed, mass, first = None, torch.zeros(weights.shape[0], device=weights.device), 0
        for spectrum in spectra:
            frames = spectrum.shape[2]
            rows = weights[:, first : first + -(-frames // self.pool)]
            spread = spread_mask(rows, self.bands, self.pool, frames)
            part = weighted_cross(phases(spectrum), spread[None])[0]
            summed = part if summed is None else summed + part
            mass = mass + spread.sum(dim=(1, 2))
            first += rows.shape[1]
        assert summed is not None
        response = self.table.respond(summed)
        return response / (mass * summed.shape[1]).clamp_min(1e-12)[:, None]

    def by_frame(
        self, spectrum: Tensor, weights: Tensor, frames: Tensor, step: int
    ) -> tuple[Tensor, Tensor]:
        """As `Steering.by_frame`: SRP-PHAT."""
        cross, count = pair_products(phases(spectrum))[0], int(frames[-1]) + 1
        summed = torch.zeros_like(cross[:, :1]).repeat(1, count, 1)
        summed.index_add_(1, frames, cross * weights)
        mass = weights.new_zeros(count)
        mass.index_add_(0, frames, weights.sum(dim=1) * len(cross))
        return self.table.respond(summed.transpose(0, 1), step), mass

    def agreement(self, spectra: Iterable[Tensor], indices: list[int]) -> Tensor:
        """As `Steering.agreement`, in [-1, 1]."""
        turning, share = self.table.turning[indices], spread_share(self.bands)
        parts = [agreement(phases(part)[0], turning, share, self.pool) for part in spectra]
        return torch.cat(parts)

    def beside_alike(
        self, spectra: Callable[[], Iterable[Tensor]], new: Tensor, loud: Tensor
    ) -> tuple[Steering, Tensor]:
        """As `Steering.beside_alike`: without the mean if that helps, else by phase alone."""
        if self.circle is None:
            return self, new
        asked, first = (new > 0).any(dim=1), 0
        share, power = spread_share(self.bands), new.new_zeros(2)
        found = [new.new_zeros(0, len(share), len(self.circle))]
        for part in spectra():
            last = first + -(-part.shape[2] // self.pool)
            frames = frames_of(asked[first:last], self.pool, part.shape[2])
            if len(frames):
                some = phases(part[:, :, frames])[0]
                found.append(agreement(some, self.circle, share, self.pool))
            power, first = power + left_power(part), last
        cells = torch.cat(found)
        weights = (new * loud)[asked] * self.telling
        if self.beside is not None and mixed_in(cells, weights, power):
            return self.beside.beside_alike(spectra, new, loud)
        return self, new.index_copy(0, asked.nonzero()[:, 0], new[asked] * directed(cells))

    def onsets(self, audio: Sound, masks: Tensor | None = None) -> Tensor:
        """As `Steering.onsets`."""
        return self.histogram(audio, masks, self.cell_s)


class FoaSteering:
    """Tells directions by the flow of energy: W, Y, Z, X of scale SN3D.

    Args:
        azimuth_deg: grid (A,), evenly from -180 degrees.
        coarse: the histogram of onsets takes every so-manieth azimuth.
        features: analysis.
        device: where to compute.
    """

    def __init__(
        self, azimuth_deg: Grid, coarse: int, features: FeatureRecipe, device: Device
    ) -> None:
        self.rate, self.pool = features.sample_rate, features.mel_pool
        self.bands = mel_bands(self.rate, features.n_fft, features.n_mels).to(device)
        self.azimuths, self.coarse = azimuth_deg, azimuth_deg[::coarse]
        self.cell_s = 2 * features.mel_pool * features.hop / self.rate

    def reference(self, audio: Sound) -> Sound:
        """As `Steering.reference`: W, which is what a microphone there would hear."""
        return audio[:1]

    def response(self, spectra: Iterable[Tensor], weights: Tensor) -> Tensor:
        """As `Steering.response`: votes for the azimuth of every bin."""
        votes = weights.new_zeros(len(weights), len(self.azimuths))
        mass, first = weights.new_zeros(len(weights)), 0
        for spectrum in spectra:
            frames = spectrum.shape[2]
            rows = weights[:, first : first + -(-frames // self.pool)]
            spread = spread_mask(rows, self.bands, self.pool, frames)
            votes = votes + azimuth_votes(intensity(spectrum)[0], spread, len(self.azimuths))
            mass = mass + spread.sum(dim=(1, 2))
            first += rows.shape[1]
        return foa_response(votes, mass)

    def by_frame(
        self, spectrum: Tensor, weights: Tensor, frames: Tensor, step: int
    ) -> tuple[Tensor, Tensor]:
        """As `Steering.by_frame`: votes for the azimuth of every bin."""
        vectors, count = intensity(spectrum)[0], int(frames[-1]) + 1
        size = len(self.azimuths)
        rows = [frames == frame for frame in range(count)]
        votes = [azimuth_votes(vectors[:, row], weights[row][None], size) for row in rows]
        mass = weights.new_zeros(count)
        mass.index_add_(0, frames, weights.sum(dim=1))
        return foa_response(torch.cat(votes), torch.ones_like(mass))[:, ::step], mass

    def agreement(self, spectra: Iterable[Tensor], indices: list[int]) -> Tensor:
        """As `Steering.agreement`, in [0, 1]."""
        grid, share = self.azimuths[indices], spread_share(self.bands)
        parts = [foa_agreement(intensity(part)[0], grid, share, self.pool) for part in spectra]
        return torch.cat(parts)

    def beside_alike(
        self, spectra: Callable[[], Iterable[Tensor]], new: Tensor, loud: Tensor
    ) -> tuple[Steering, Tensor]:
        """As `Steering.beside_alike`: energy that flows nowhere has no vote anyway."""
        return self, new

    def onsets(self, audio: Sound, masks: Tensor | None = None) -> Tensor:
        """As `Steering.onsets`."""
        size, listen = len(self.coarse), (self._omni_power, self._agree)
        return count_onsets(audio, self.rate, size, *listen, masks, self.cell_s)

    def _omni_power(self, spectrum: Tensor) -> Tensor:
        return reference_power(spectrum[:, :1])

    def _agree(self, spectrum: Tensor, share: Tensor) -> Tensor:
        return foa_agreement(intensity(spectrum)[0], self.coarse, share, 1)


def steering_of(
    array: MicArray, azimuth_deg: Grid, coarse: int, features: FeatureRecipe, device: Device
) -> Steering:
    """Prepare to steer with an array over a grid of azimuths."""
    if array.foa is not None:
        return FoaSteering(azimuth_deg, coarse, features, device)
    return MicSteering(array.positions, azimuth_deg, coarse, features, device)
