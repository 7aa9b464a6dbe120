"""From a recording and sentences to azimuths: mask, then steer.

A recording is read in blocks, so that memory grows with the number of mel cells and not with the
spectra, or with the sound itself where that is a file. The whole recording is summed before it is
steered, so a block boundary changes nothing but the context that the network sees.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy.typing as npt
import torch
from torch import Tensor

from tselcli.acoustics.geometry import MicArray
from tselcli.corpora.recording import BLOCK_S
from tselcli.features.steering import Steering, steering_of
from tselcli.features.stft import (
    block_frames,
    frame_blocks,
    log_mel,
    mel_bands,
    mel_power,
    reference_power,
)
from tselcli.features.streamed import Advance, Sound
from tselcli.models import choice
from tselcli.models.checkpoint import Checkpoint, load_checkpoint
from tselcli.models.choosing import choose, presence
from tselcli.models.estimate import estimate_logits
from tselcli.models.hearing import open_sound, prepare
from tselcli.models.live import Moment, stream
from tselcli.models.losses import audible
from tselcli.models.masks import CellMask, cell_mask
from tselcli.models.matching import Matched
from tselcli.models.posterior import AZIMUTHS, find_peaks
from tselcli.models.scoring import Heard, query_groups
from tselcli.models.track import Track, follow


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
        mask: which points of the log-mel picture are of it, if that was asked.
        past_alike: whether a sound that is alike in all channels was looked past.
    """

    query: str
    azimuth_deg: float
    confidence: float
    presence: float | None
    alternatives: tuple[tuple[float, float], ...]
    posterior: npt.NDArray[Any]
    track: Track | None = None
    mask: CellMask | None = None
    past_alike: bool = False

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
        return self.ask(audio, queries, array, alternatives, track)

    def open(
        self,
        path: Path | str,
        array: MicArray,
        start_s: float = 0.0,
        stop_s: float | None = None,
        advance: Advance | None = None,
    ) -> Sound:
        """Open a file of any length for :meth:`ask`; a long one is read in blocks.

        Arguments and errors are those of :func:`tselcli.models.hearing.open_sound`.
        """
        rate = self.features.sample_rate
        return open_sound(Path(path), array, rate, self.device, start_s, stop_s, advance)

    def stream(
        self,
        blocks: Iterable[npt.NDArray[Any]],
        sample_rate: int,
        queries: Sequence[str],
        array: MicArray,
        window_s: float = 10.0,
        alternatives: int = 3,
        track: bool = False,
    ) -> Iterator[Moment]:
        """Answer after every block of a live signal; see :func:`tselcli.models.live.stream`."""
        how = (window_s, alternatives, track)
        return stream(self, blocks, sample_rate, queries, array, *how)

    @torch.no_grad()
    def ask(
        self,
        audio: Sound,
        queries: Sequence[str],
        array: MicArray,
        alternatives: int = 3,
        track: bool = False,
        mask: bool = False,
        estimate: Sound | None = None,
    ) -> list[Answer]:
        """Answer as :meth:`locate` about a sound of :meth:`prepare` or :meth:`open`.

        A long file is read several times over and never held as a whole. With ``mask``, an answer
        also says which points of the log-mel picture are of the described sound. An ``estimate``
        of the sound, from :func:`tselcli.models.estimate.open_estimate`, stands for the network;
        the one query is then but a name.
        """
        usual = self.steering(array)
        reference = usual.reference(audio)
        picture = self.picture(reference)
        if estimate is None:
            matched = self.match(picture, queries)
        else:
            logits = estimate_logits(self, reference, estimate)
            odds = self.checkpoint.net.presence_logits(logits, picture, None)[0]
            matched = Matched(logits, odds)
        steering, new = self._beside_alike(audio, picture, usual)
        past_alike, answers = steering is not usual, []
        for some in query_groups(len(queries), picture):
            heard = Heard(audio, picture, matched.some(some), new, steering)
            choices = choose(self, heard)
            there = presence(self.checkpoint.readout, heard, choices)
            tracks: list[Track | None] = [None] * len(choices)
            if track:
                tracks = [*follow(self, heard, queries[some], choices)]
            for q, (chosen, followed) in enumerate(zip(choices, tracks, strict=True), some.start):
                peaks = find_peaks(chosen.posterior, 1 + alternatives)
                cells = cell_mask(matched.logits[0, q], picture[0], self.features) if mask else None
                chance, more = there[q - some.start], tuple(peaks[1:])
                found = Answer(queries[q], *peaks[0], chance, more, chosen.posterior)
                found = replace(found, track=followed, mask=cells, past_alike=past_alike)
                answers.append(found)
        return answers

    @torch.no_grad()
    def hear(self, audio: Sound, queries: Sequence[str], array: MicArray) -> Heard:
        """Let the network listen to a sound of :meth:`prepare`; what it heard can be asked."""
        steering = self.steering(array)
        picture = self.picture(steering.reference(audio))
        matched = self.match(picture, queries)
        steering, new = self._beside_alike(audio, picture, steering)
        return Heard(audio, picture, matched, new, steering)

    def _beside_alike(
        self, audio: Sound, picture: Tensor, steering: Steering
    ) -> tuple[Steering, Tensor]:
        """Look past what is alike in all channels; gives what is new of the picture as well."""
        new, loud = choice.newness(picture[0]), audible(picture)[0]
        return steering.beside_alike(lambda: self.spectra(audio), new, loud)

    def track(
        self, signal: npt.NDArray[Any], sample_rate: int, queries: Sequence[str], array: MicArray
    ) -> list[Track]:
        """Follow each described sound; arguments and errors are those of :meth:`locate`."""
        answers = self.locate(signal, sample_rate, queries, array, track=True)
        return [answer.track for answer in answers if answer.track is not None]

    def prepare(self, signal: npt.NDArray[Any], sample_rate: int, array: MicArray) -> Tensor:
        """Check a recording (C, N) and bring it to the model's rate; ambisonics to ACN, SN3D.

        Its level does not matter, so it is only changed where powers would leave the range of
        single precision.

        Raises:
            DataError: the channels do not fit the array, or the recording is silent.
        """
        return prepare(signal, sample_rate, array, self.features.sample_rate, self.device)

    def spectra(self, audio: Sound) -> Iterator[Tensor]:
        """Yield the spectrum in blocks of whole cells: complex (1, C, T of the block, F)."""
        features = self.features
        multiple = features.mel_pool * self.checkpoint.net.step
        frames = int(BLOCK_S * features.sample_rate / features.hop)
        frames -= frames % multiple
        small = block_frames(audio.shape[0], features.n_fft, multiple)
        total = 1 + audio.shape[1] // features.hop
        half = features.n_fft // 2
        for first in range(0, total, frames):
            count = min(frames, total - first)
            start = first * features.hop
            stop = start + (count - 1) * features.hop
            piece = audio[:, max(0, start - half) : stop + half]
            pad = (max(0, half - start), max(0, stop + half - audio.shape[1]))
            piece = torch.nn.functional.pad(piece, pad)
            yield from frame_blocks(piece[None], features.n_fft, features.hop, small)

    def picture(self, audio: Sound) -> Tensor:
        """Draw the log-mel picture (1, T', M) of `Steering.reference` (C, N)."""
        features, first = self.features, 0
        cells = -(-(1 + audio.shape[1] // features.hop) // features.mel_pool)
        # Filled in place: pieces between large blocks would keep an hour's memory from going back.
        mel = torch.zeros(1, cells, features.n_mels, device=self.device)
        for spectrum in self.spectra(audio):
            piece = mel_power(reference_power(spectrum), self.bands, features.mel_pool)
            mel[:, first : first + piece.shape[1]] = piece
            first += piece.shape[1]
        return log_mel(mel)

    def match(self, picture: Tensor, queries: Sequence[str]) -> Matched:
        """Match all cells of a picture (1, T', M) with all queries."""
        net = self.checkpoint.net
        text = self.checkpoint.text.encode(queries).to(self.device)
        features = self.features
        frames = int(BLOCK_S * features.sample_rate / features.hop / features.mel_pool)
        frames -= frames % 2  # a cell is two frames
        shape = (1, len(text), -(-picture.shape[1] // 2), picture.shape[2] // 2)
        logits, first = picture.new_zeros(shape), 0
        kept = (1, net.cell_dim, *shape[2:])  # in half precision, of an hour they are 0.4 GB
        cells = torch.zeros(kept, dtype=torch.float16, device=self.device)
        for part in picture.split(frames, dim=1):
            embedded = net.cells(part)
            last = first + embedded.shape[2]
            logits[:, :, first:last], cells[:, :, first:last] = net.logits(embedded, text), embedded
            first = last
        odds = net.presence_logits(logits, picture, text)[0]
        return Matched(logits, odds, cells, net.project(text))

    def steering(self, array: MicArray) -> Steering:
        """Prepare to steer with an array, or remember it."""
        if array not in self._known:
            if len(self._known) > 8:
                self._known.clear()
            coarse = round(choice.HEIGHT_STEP_DEG)
            self._known[array] = steering_of(array, AZIMUTHS, coarse, self.features, self.device)
        return self._known[array]
