"""A long recording with the face of a tensor: its samples are read when they are asked for.

What works on a recording in memory, ``audio[:, first:last]`` and ``audio.shape``, works on this
as well, and holds no more than a slice at a time.
"""

from collections.abc import Callable
from typing import overload

import numpy as np
import torch
from torch import Tensor

from tselcli.acoustics.ambisonics import to_acn_sn3d
from tselcli.acoustics.geometry import MicArray
from tselcli.acoustics.wiring import wired, wiring
from tselcli.corpora.recording import BLOCK_S, Recording

Advance = Callable[[], None]


class Streamed:
    """The microphones of an array in a recording, ambisonics as ACN and SN3D.

    Args:
        recording: at the rate that is wanted.
        array: that recorded it.
        gain: to apply, so that powers stay in the range of single precision.
        device: where slices are wanted.
        advance: called after every 20 s that were read.

    Raises:
        DataError: the channels do not fit the array.
    """

    def __init__(
        self,
        recording: Recording,
        array: MicArray,
        gain: float = 1.0,
        device: torch.device | str = "cpu",
        advance: Advance | None = None,
    ) -> None:
        self.recording, self.array, self.gain = recording, array, gain
        self.device = torch.device(device)
        self.shape = (len(wiring(array, recording.channels)), recording.samples)
        self.advance = advance
        self._rows = slice(None)
        self._read_s = 0.0

    @overload
    def __getitem__(self, key: slice) -> "Streamed": ...
    @overload
    def __getitem__(self, key: tuple[slice, slice]) -> Tensor: ...

    def __getitem__(self, key: slice | tuple[slice, slice]) -> "Streamed | Tensor":
        """Give some channels, still unread, or a slice of samples (C, last - first), float32."""
        if isinstance(key, slice):
            some = Streamed(self.recording, self.array, self.gain, self.device, self.advance)
            some._rows = key
            some.shape = (len(range(*key.indices(self.shape[0]))), self.shape[1])
            return some
        first, last, _ = key[1].indices(self.shape[1])
        heard = wired(self.recording.read(first, max(first, last)), self.array)
        if self.array.foa is not None:
            heard = to_acn_sn3d(heard, self.array.foa)
        self._count((last - first) / self.recording.rate)
        piece = np.ascontiguousarray(heard[self._rows][key[0]] * np.float32(self.gain))
        return torch.from_numpy(piece).to(self.device)

    def _count(self, seconds: float) -> None:
        self._read_s += seconds
        while self._read_s >= BLOCK_S:
            self._read_s -= BLOCK_S
            if self.advance is not None:
                self.advance()


Sound = Tensor | Streamed  # (C, N)
