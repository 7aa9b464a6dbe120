"""The first wavefront: how many sounds began in each direction.

A wall's echo comes later than its sound, and by other ways. Looked at in steps of 2.5 ms, the
cells of time and frequency in which the power has just risen hold what came straight from a
source, and nothing else; each of them votes for its direction. This is the precedence effect of
hearing (H. Wallach, E. B. Newman and M. R. Rosenzweig, "The precedence effect in sound
localization", Am. J. Psychol. 62(3), 1949).

The window of 8 ms, the bands and the decay were set on scenes of one and of two sources from
the validation split of the recordings that the bundled model learnt from.
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from tselcli.features.alike import tells_alike, with_alike
from tselcli.features.directions import agreement, onsets
from tselcli.features.gcc import phases
from tselcli.features.srp import turning
from tselcli.features.stft import mel_bands, mel_power, reference_power, spread_share, stft
from tselcli.features.streamed import Sound

WINDOW_S, HOP_S = 0.008, 0.0025
N_BANDS = 16
DECAY = 0.995  # of the power that a rise must exceed, from one frame to the next
SHARP = 120.0  # how sharply a cell's vote falls with its agreement
PURE, LOUD = 4.0, 0.25  # exponents of a vote: of the best agreement, of the power
BLOCK = 4000  # frames at a time

Power = Callable[[Tensor], Tensor]
Agree = Callable[[Tensor, Tensor], Tensor]


class OnsetHistogram:
    """Counts the directions in which sounds begin; what begins alike in all channels has none.

    Args:
        mics: positions (C, 3) in metres.
        azimuth_deg: grid (A,).
        sample_rate: of the recordings, Hz.
        device: where to compute.
    """

    def __init__(
        self,
        mics: npt.NDArray[np.float64],
        azimuth_deg: npt.NDArray[np.float64],
        sample_rate: int,
        device: torch.device | str = "cpu",
    ) -> None:
        n_fft = listening_window(sample_rate)[0]
        self.sample_rate = sample_rate
        around = turning(mics, azimuth_deg, sample_rate, n_fft).to(device)
        self.size = len(around)
        self.turning = with_alike(around) if tells_alike(mics) else around

    def __call__(self, audio: Sound, masks: Tensor | None = None, cell_s: float = 1.0) -> Tensor:
        """Count over a whole recording (C, N), as `count_onsets`: (1 + Q, A)."""
        size = len(self.turning)
        rate, listen = self.sample_rate, (reference_power, self._agree)
        return count_onsets(audio, rate, size, *listen, masks, cell_s)[:, : self.size]

    def _agree(self, spectrum: Tensor, share: Tensor) -> Tensor:
        return agreement(phases(spectrum)[0], self.turning, share, 1)


def count_onsets(
    audio: Sound,
    sample_rate: int,
    size: int,
    power_of: Power,
    agree: Agree,
    masks: Tensor | None = None,
    cell_s: float = 1.0,
) -> Tensor:
    """Count where sounds begin over a whole recording, block by block.

    Only where something begins is there a vote, so directions are asked of those frames alone.

    Args:
        audio: (C, N).
        sample_rate: Hz.
        size: directions of the grid A.
        power_of: gives the power (1, T, F) of a spectrum (1, C, T, F).
        agree: gives from some frames of a spectrum, and the weight of every band in every bin
            (M, F), the agreement of every cell with every direction (T, M, A).
        masks: of described sounds, in [0, 1], over cells of time and mel bands (Q, T', M').
        cell_s: duration of such a cell in seconds.

    Returns:
        Votes for every direction of the grid, not negative, (1 + Q, A): of all sounds, and of
        each described one. Zeros for silence and for a recording shorter than one window.
    """
    n_fft, hop = listening_window(sample_rate)
    described = _in_bands(masks)
    bands = mel_bands(sample_rate, n_fft, N_BANDS).to(audio.device)
    total = torch.zeros(1 + len(described), size, device=audio.device)
    before = None
    share, step = spread_share(bands), BLOCK * hop
    for start in range(0, audio.shape[-1] - n_fft + 1, step):
        piece = audio[:, start : start + step + n_fft - hop]
        spectrum = stft(piece[None], n_fft, hop, centred=False)
        power = mel_power(power_of(spectrum), bands, 1)[0]
        new, before = onsets(power, DECAY, before)
        begins = (new > 0).any(dim=1).nonzero()[:, 0]
        if len(begins) == 0:
            continue
        middle_s = (start + n_fft / 2 + hop * begins) / sample_rate
        cells = (middle_s / cell_s).long().clamp_max(max(0, described.shape[1] - 1))
        found = agree(spectrum[:, :, begins], share)
        share_of = described[:, cells.to(described.device)]
        total = total + votes(found, power[begins], new[begins], share_of)
    return total


def _in_bands(masks: Tensor | None) -> Tensor:
    """Average masks (Q, T', M') over the mel bands that make up one of ours: (Q, T', 16)."""
    if masks is None:
        return torch.zeros(0, 1, N_BANDS)
    return torch.nn.functional.adaptive_avg_pool1d(masks, N_BANDS)


def listening_window(sample_rate: int) -> tuple[int, int]:
    """Give the length of the window and the hop in samples."""
    return 2 * round(WINDOW_S * sample_rate / 2), max(1, round(HOP_S * sample_rate))


def votes(agreement: Tensor, power: Tensor, new: Tensor, described: Tensor) -> Tensor:
    """Let every cell vote for its direction; the purer, louder and newer, the more it counts.

    Args:
        agreement: with a grid of directions, (T, M, A).
        power: (T, M).
        new: of `onsets` (T, M).
        described: share of each described sound in every cell (Q, T, M).

    Returns:
        Histograms (1 + Q, A), not normalised; those of several blocks add up. The first is of
        all cells, the others are of the described sounds.
    """
    weight = power**LOUD * new * agreement.amax(dim=-1).clamp_min(0) ** PURE
    chosen = weight > 0
    share = torch.softmax(SHARP * agreement[chosen], dim=-1)
    shares = torch.cat([torch.ones_like(weight[None]), described.to(weight)])
    histogram: Tensor = (shares * weight)[:, chosen] @ share
    return histogram
