"""A recording of any length, read in pieces at the rate that is wanted.

An hour of four channels is a gigabyte, so it is never held as a whole: a piece is decoded and
resampled when it is asked for, with as much around it as the filter reaches, so that its samples
are those of the whole recording.
"""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from tselcli.corpora.audio import MP3_SLACK, check_file, check_finite, damaged, part, resample
from tselcli.errors import DataError

Samples = NDArray[np.float32]

BLOCK_S = 20.0
RUN_UP = 16_384  # samples: blocks of Ogg and MP3 overlap with those before
FILTER_REACH = 10  # zero crossings of scipy's polyphase filter to each side


@dataclass(frozen=True)
class Levels:
    """How loud each channel of a recording is.

    Attributes:
        peak: largest magnitude of each channel (C,).
        clipped: share of the samples of each channel that stand at full scale, in runs (C,).
    """

    peak: NDArray[np.float64]
    clipped: NDArray[np.float64]


class Recording:
    """A file that is open for reading; holds one piece of it.

    Args:
        path: WAV, FLAC, Ogg, MP3 or AIFF.
        start_s: where to begin, in seconds; at least 0.
        stop_s: where to end, in seconds; None, or a time after the end, is the end.
        rate: to resample to, Hz; None keeps the file's own.

    Raises:
        DataError: as :func:`tselcli.corpora.audio.read_audio`, but for the length.
    """

    def __init__(
        self, path: Path, start_s: float = 0.0, stop_s: float | None = None, rate: int | None = None
    ) -> None:
        check_file(path)
        self.path = path
        try:
            self._sound = soundfile.SoundFile(str(path))
            self._begin, self._count = part(self._sound, path, start_s, stop_s, None)
        except soundfile.LibsndfileError as error:
            raise damaged(path, error) from error
        self.file_rate, self.channels = int(self._sound.samplerate), int(self._sound.channels)
        self.rate = self.file_rate if rate is None else rate
        common = math.gcd(self.rate, self.file_rate)
        self._up, self._down = self.rate // common, self.file_rate // common
        self.samples = -(-self._count * self._up // self._down)
        self._first = 0
        self._tail = np.zeros((self.channels, 0), dtype=np.float32)  # from _first to where we are
        self._seek(0)

    def read(self, first: int, last: int) -> Samples:
        """Read the samples from ``first`` to before ``last`` at the wanted rate, (C, last - first).

        Args:
            first: at least 0.
            last: at most ``samples``.

        Raises:
            DataError: the file ends too early, is damaged, or holds NaN or infinite samples.
        """
        if self._up == self._down:
            return self._native(first, last)
        # Whole steps of the filter before the piece: its phases are then those of the whole.
        reach = FILTER_REACH * max(self._up, self._down) // self._up + 1
        step = max(0, first * self._down // self._up - reach) // self._down
        stop = min(self._count, -(-last * self._down // self._up) + reach)
        piece = resample(self._native(step * self._down, stop), self.file_rate, self.rate)
        return piece[:, first - step * self._up : last - step * self._up]

    def levels(self) -> Levels:
        """Listen to the whole recording once, and say how loud it is.

        Raises:
            DataError: as :meth:`read`.
        """
        peak, clipped = np.zeros(self.channels), np.zeros(self.channels)
        block = round(BLOCK_S * self.file_rate)
        for first in range(0, self._count, block):
            piece = np.abs(self._native(first, min(self._count, first + block)))
            peak = np.maximum(peak, piece.max(axis=1))
            clipped += clipped_samples(piece)
        return Levels(peak, clipped / self._count)

    def _native(self, first: int, last: int) -> Samples:
        """Read samples of the file's own rate, counted from where the recording begins."""
        held = self._first + self._tail.shape[1]
        if not self._first <= first <= held:
            self._seek(first)
            self._first = held = first
            self._tail = self._tail[:, :0]
        tail = self._tail[:, first - self._first :]
        if last > held:
            tail = np.concatenate([tail, self._decode(held, last)], axis=1)
        self._first, self._tail = first, tail
        return tail[:, : last - first]

    def _seek(self, first: int) -> None:
        """Go to a sample; a decoder that hears what comes before it gives the same samples."""
        place = self._begin + first
        try:
            self._sound.seek(max(0, place - RUN_UP))
            self._sound.read(min(place, RUN_UP), dtype="float32")
        except soundfile.LibsndfileError as error:
            raise damaged(self.path, error) from error

    def _decode(self, first: int, last: int) -> Samples:
        try:
            signal = self._sound.read(last - first, dtype="float32", always_2d=True)
        except soundfile.LibsndfileError as error:
            raise damaged(self.path, error) from error
        missing = last - first - len(signal)
        if missing:
            slack = MP3_SLACK * self._sound.frames if self._sound.format == "MP3" else 0
            if missing > slack:
                raise DataError(
                    f"{self.path}: damaged or cut short, it ends after "
                    f"{(self._begin + first + len(signal)) / self.file_rate:.1f} s; replace it"
                )
            signal = np.pad(signal, ((0, missing), (0, 0)))
        check_finite(signal, self.path, self._begin + first, self.file_rate)
        return np.ascontiguousarray(signal.T)


def clipped_samples(magnitude: Samples) -> NDArray[np.float64]:
    """Count samples (C, N) that stand at full scale beside another one that does: (C,)."""
    full = magnitude >= 0.999
    beside = full[:, 1:] & full[:, :-1]
    return np.asarray(beside.sum(axis=1), dtype=np.float64)
