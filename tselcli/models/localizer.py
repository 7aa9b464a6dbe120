"""From a recording and sentences to azimuths: mask, then steer.

A recording is read in blocks, so that memory grows with the number of mel cells and not with
the spectra: 20 s of sound are in time and frequency at once, however long the file. The whole
recording is summed before it is steered, so a block boundary changes nothing but the context
that the network sees.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from tselcli.acoustics.ambisonics import to_acn_sn3d
from tselcli.acoustics.geometry import MicArray
from tselcli.acoustics.wiring import wired
from tselcli.corpora.audio import resample
from tselcli.errors import DataError
from tselcli.features.steering import Steering, steering_of
from tselcli.features.stft import log_mel, mel_bands, mel_power, reference_power, stft
from tselcli.models import choice
from tselcli.models.checkpoint import Checkpoint, load_checkpoint
from tselcli.models.posterior import AZIMUTHS, find_peaks, peak_azimuth
from tselcli.models.track import Heard, Track, follow

BLOCK_S = 20.0


@dataclass(frozen=True)
class Answer:
    """Where a described sound is.

    Attributes:
        query: the description.
        azimuth_deg: in [-180, 180), counter-clockwise, 0 = front.
        confidence: posterior probability within 10 degrees of the answer.
        presence: probability that the described sound is there at all; None where a model
            cannot tell.
        alternatives: next best directions and their posterior probabilities.
        posterior: over AZIMUTHS, sums to 1, (A,).
        track: where it is in every 100 ms, if that was asked.
    """

    query: str
    azimuth_deg: float
    confidence: float
    presence: float | None
    alternatives: tuple[tuple[float, float], ...]
    posterior: npt.NDArray[Any]
    track: Track | None = None

    @property
    def present(self) -> bool | None:
        """Whether the sound is more likely there than not; None where a model cannot tell."""
        return None if self.presence is None else self.presence >= 0.5


class Localizer:
    """A model ready to answer; holds the steering tables of the arrays it has seen last."""

    has_tracks = True

    def __init__(self, checkpoint: Checkpoint) -> None:
        self.checkpoint = checkpoint
        self.name = checkpoint.name
        self.recipe = checkpoint.recipe
        self.features = checkpoint.recipe.features
        self.device = checkpoint.readout.power.device
        self.bands = mel_bands(
            self.features.sample_rate, self.features.n_fft, self.features.n_mels
        ).to(self.device)
        self._known: dict[MicArray, Steering] = {}

    @classmethod
    def load(cls, name_or_path: str = "mask-compact", device: str = "cpu") -> "Localizer":
        """Load a bundled model by name, or a checkpoint file.

        Raises:
            CheckpointError: it is missing or damaged.
        """
        return cls(load_checkpoint(name_or_path, device))

    @torch.no_grad()
    def locate(
        self,
        signal: npt.NDArray[Any],
        sample_rate: int,
        queries: Sequence[str],
        array: MicArray,
        alternatives: int = 3,
        track: bool = False,
    ) -> list[Answer]:
        """Answer where each described sound is.

        Args:
            signal: recording (C, N), float, finite; C microphones in the array's order.
            sample_rate: of the signal, Hz.
            queries: descriptions; all share one pass of the network.
            array: where the microphones stand.
            alternatives: further directions to give at most.
            track: also say where each sound is in every 100 ms.

        Returns:
            One answer per query, in their order.

        Raises:
            DataError: the channels do not fit the array, or the recording is silent.
        """
        audio = self.prepare(signal, sample_rate, array)
        picture = self.picture(self.steering(array).reference(audio))
        logits, presence = self.match(picture, queries)
        new = choice.newness(picture[0])
        choices = self._choices(audio, picture, logits, new, array)
        tracks: list[Track | None] = [None] * len(queries)
        if track:
            heard = Heard(audio, picture, logits, new, array)
            tracks = [*follow(self, heard, queries, choices)]
        return [
            self._answer(query, chosen.posterior, float(there), alternatives, followed)
            for query, chosen, there, followed in zip(
                queries, choices, presence, tracks, strict=True
            )
        ]

    def track(
        self, signal: npt.NDArray[Any], sample_rate: int, queries: Sequence[str], array: MicArray
    ) -> list[Track]:
        """Follow each described sound; arguments and errors are those of :meth:`locate`."""
        answers = self.locate(signal, sample_rate, queries, array, track=True)
        return [answer.track for answer in answers if answer.track is not None]

    def _choices(
        self, audio: Tensor, picture: Tensor, logits: Tensor, new: Tensor, array: MicArray
    ) -> list[choice.Choice]:
        """Choose among the directions that can be heard, for every query."""
        readout = self.checkpoint.readout
        masked = readout.weights(logits, picture)[0] * new
        left = choice.steering_weights(logits[0], picture[0], new, readout.energy)
        steering = self.steering(array)
        rows = self.response(audio, torch.cat([masked, *left]), array).cpu().numpy()
        count = len(masked)
        histogram = steering.onsets(audio).double().cpu().numpy()
        asked = [
            choice.candidates(rows[q], rows[count + q], rows[-1], histogram, AZIMUTHS)
            for q in range(count)
        ]
        union = sorted({index for found in asked for index in found})
        evidence = steering.agreement(self.spectra(audio), union)
        choices = []
        for q, found in enumerate(asked):
            columns = evidence[..., [union.index(index) for index in found]]
            scores = choice.direction_scores(logits[0, q], picture[0], new, columns, readout.focus)
            masked_share = rows[q][found] / max(float(rows[q].max()), 1e-9)
            total = choice.likeliness(scores.cpu().numpy()) + float(readout.trust) * masked_share
            total = total + choice.credibility(choice.heights(histogram, AZIMUTHS[found]))
            chances = np.exp(float(readout.contrast) * np.round(total - total.max(), 2))
            sources = (rows[q], rows[count + q], rows[-1])
            azimuths = np.array([peak_azimuth(sources, index) for index in found])
            posterior = choice.posterior_of(azimuths, chances / chances.sum(), AZIMUTHS)
            choices.append(choice.Choice(posterior, found, histogram))
        return choices

    def prepare(self, signal: npt.NDArray[Any], sample_rate: int, array: MicArray) -> Tensor:
        """Check a recording (C, N) and bring it to the model's rate; ambisonics to ACN, SN3D.

        Its level does not matter, so it is only changed where powers would leave the range of
        single precision.

        Raises:
            DataError: the channels do not fit the array, or the recording is silent.
        """
        signal = wired(signal, array)
        peak = float(np.abs(signal).max(initial=0.0))
        if peak == 0:
            raise DataError("the recording is silent; there is nothing to localize")
        if not 1e-6 < peak < 1e6:
            signal = signal / peak
        if array.foa is not None:
            signal = to_acn_sn3d(signal, array.foa)
        audio = resample(signal, sample_rate, self.features.sample_rate)
        return torch.from_numpy(np.ascontiguousarray(audio, dtype=np.float32)).to(self.device)

    def _answer(
        self,
        query: str,
        posterior: npt.NDArray[Any],
        presence: float,
        more: int,
        track: Track | None,
    ) -> Answer:
        peaks = find_peaks(posterior, 1 + more)
        return Answer(query, *peaks[0], presence, tuple(peaks[1:]), posterior, track)

    def spectra(self, audio: Tensor) -> Iterator[Tensor]:
        """Yield the spectrum in blocks: complex (1, C, T of the block, F)."""
        features = self.features
        frames = int(BLOCK_S * features.sample_rate / features.hop)
        frames -= frames % (features.mel_pool * self.checkpoint.net.step)
        total = 1 + audio.shape[1] // features.hop
        half = features.n_fft // 2
        for first in range(0, total, frames):
            count = min(frames, total - first)
            start = first * features.hop
            stop = start + (count - 1) * features.hop
            piece = audio[:, max(0, start - half) : stop + half]
            pad = (max(0, half - start), max(0, stop + half - audio.shape[1]))
            piece = torch.nn.functional.pad(piece, pad)
            yield stft(piece, features.n_fft, features.hop, centred=False)[None]

    def picture(self, audio: Tensor) -> Tensor:
        """Draw the log-mel picture (1, T', M) of `Steering.reference` (C, N)."""
        mel = [
            mel_power(reference_power(spectrum), self.bands, self.features.mel_pool)
            for spectrum in self.spectra(audio)
        ]
        return log_mel(torch.cat(mel, dim=1))

    def match(self, picture: Tensor, queries: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Match all cells with all queries: logits (1, Q, T'/2, M/2), presence (Q,)."""
        net = self.checkpoint.net
        text = self.checkpoint.text.encode(queries).to(self.device)
        features = self.features
        frames = int(BLOCK_S * features.sample_rate / features.hop / features.mel_pool)
        blocks = [net.logits(net.cells(part), text) for part in picture.split(frames, dim=1)]
        logits = torch.cat(blocks, dim=2)
        return logits, torch.sigmoid(net.presence_logits(logits, picture))[0]

    def response(self, audio: Tensor, weights: Tensor, array: MicArray) -> Tensor:
        """Steer the recording under every query's weights.

        Args:
            audio: (C, N) at the model's rate.
            weights: of mel cells (Q, T', M).
            array: that heard it.

        Returns:
            (Q, A) over AZIMUTHS, in [-1, 1].
        """
        return self.steering(array).response(self.spectra(audio), weights)

    def steering(self, array: MicArray) -> Steering:
        """Prepare to steer with an array, or remember it."""
        if array not in self._known:
            if len(self._known) > 8:
                self._known.clear()
            coarse = round(choice.HEIGHT_STEP_DEG)
            self._known[array] = steering_of(array, AZIMUTHS, coarse, self.features, self.device)
        return self._known[array]
