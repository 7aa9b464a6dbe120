"""Telling directions beside a sound that is alike in all channels.

Cells in which nothing but waves are heard are looked at by their phases, as always. Those that
hold something alike as well are looked at without the mean of the channels, where that is gone
(:mod:`tselcli.features.centred`). At low frequencies this cannot tell front from back, which
phases can, so how much of a cell is directed decides between the two.
"""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from tselcli.features.alike import directed
from tselcli.features.centred import Differences
from tselcli.features.directions import agreement, beam_agreement, cell_agreement
from tselcli.features.gcc import phases
from tselcli.features.precedence import count_onsets, listening_window
from tselcli.features.srp import weighted_cross
from tselcli.features.stft import mel_power, reference_power, spread_mask, spread_share
from tselcli.features.streamed import Sound

if TYPE_CHECKING:
    from tselcli.features.steering import MicSteering

Grid = npt.NDArray[np.float64]
TINY = 1e-30


class BesideAlike:
    """Tells directions in recordings into which a sound without one was mixed.

    Args:
        by_phase: of the same array.
        mics: positions (C, 3) in metres.
        azimuth_deg: grid (A,).
        coarse: the histogram of onsets takes every so-manieth azimuth.
        sample_rate: Hz.
    """

    def __init__(
        self, by_phase: "MicSteering", mics: Grid, azimuth_deg: Grid, coarse: int, sample_rate: int
    ) -> None:
        self.by_phase, self.rate = by_phase, sample_rate
        self.bands, self.pool = by_phase.bands, by_phase.pool
        device, n_fft = by_phase.bands.device, 2 * (len(by_phase.bands) - 1)
        self.left = Differences(mics, azimuth_deg, sample_rate, n_fft, device)
        window = listening_window(sample_rate)[0]
        self.begun = Differences(mics, azimuth_deg[::coarse], sample_rate, window, device)

    def reference(self, audio: Sound) -> Sound:
        """As `Steering.reference`: all microphones."""
        return audio

    def response(self, spectra: Iterable[Tensor], weights: Tensor) -> Tensor:
        """As `Steering.response`, a cell by its phases as far as it is directed."""
        first, mass = 0, weights.new_zeros(len(weights))
        turned, left = torch.zeros(()), torch.zeros(())
        for spectrum in spectra:
            frames = spectrum.shape[2]
            rows = weights[:, first : first + -(-frames // self.pool)]
            share = self._directed(spectrum)
            own, rest = (
                spread_mask(rows * part, self.bands, self.pool, frames)
                for part in (share, 1 - share)
            )
            turned = turned + weighted_cross(phases(spectrum), own[None])[0]
            left = left + self.left.weighted(spectrum, rest)
            mass = mass + (own + rest).sum(dim=(1, 2))
            first += rows.shape[1]
        both = self.by_phase.table.respond(turned) / turned.shape[1] + self.left.respond(left)
        return both / mass.clamp_min(1e-12)[:, None]

    def by_frame(
        self, spectrum: Tensor, weights: Tensor, frames: Tensor, step: int
    ) -> tuple[Tensor, Tensor]:
        """As `Steering.by_frame`, a cell by its phases as far as it is directed."""
        share = self._directed(spectrum)[None]
        share = spread_mask(share, self.bands, self.pool, len(weights))[0]
        turned, mass = self.by_phase.by_frame(spectrum, weights * share, frames, step)
        left, rest = self.left.by_frame(spectrum, weights * (1 - share), frames, step)
        pairs = len(self.by_phase.table.turning[0])
        pairs = pairs * (pairs - 1) // 2
        return turned / pairs + left, mass / pairs + rest

    def agreement(self, spectra: Iterable[Tensor], indices: list[int]) -> Tensor:
        """As `Steering.agreement`, in [-1, 1]."""
        turning = self.by_phase.table.turning[indices]
        bands, cells = spread_share(self.bands), []
        for part in spectra:
            share = self._directed(part)[..., None]
            turned = agreement(phases(part)[0], turning, bands, self.pool)
            left = beam_agreement(*self.left.few(part, indices), bands, self.pool)
            cells.append(share * turned + (1 - share) * left)
        return torch.cat(cells)

    def beside_alike(
        self, spectra: Callable[[], Iterable[Tensor]], new: Tensor, loud: Tensor
    ) -> tuple["BesideAlike", Tensor]:
        """As `Steering.beside_alike`; a cell counts as far as its power is not alike."""
        shares = []
        for part in spectra():
            left = mel_power(self.left.power(part), self.bands, self.pool)
            whole = mel_power(reference_power(part), self.bands, self.pool)
            shares.append((left / whole.clamp_min(TINY)).clamp(max=1.0)[0])
        return self, new * torch.cat(shares)

    def onsets(self, audio: Sound, masks: Tensor | None = None) -> Tensor:
        """As `Steering.onsets`, of the power that is not alike."""
        size = len(self.begun.table)
        listen = self.begun.power, self._agree
        return count_onsets(audio, self.rate, size, *listen, masks, self.by_phase.cell_s)

    def _agree(self, spectrum: Tensor, share: Tensor) -> Tensor:
        turned = agreement(phases(spectrum)[0], self.by_phase.histogram.turning, share, 1)
        left = cell_agreement(self.begun(spectrum)[0], self.begun.table, share, 1)
        own = directed(turned)[..., None]
        return own * turned[..., :-1] + (1 - own) * left

    def _directed(self, spectrum: Tensor) -> Tensor:
        """Say how much of every cell of a block (1, C, T, F) is directed: (T', M)."""
        circle = self.by_phase.circle
        assert circle is not None  # else nothing alike can be told
        bands = spread_share(self.bands)
        return directed(agreement(phases(spectrum)[0], circle, bands, self.pool))
