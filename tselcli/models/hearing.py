"""Recordings as a model hears them: at its rate, wired to the array, in memory or on disk."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from tselcli.acoustics.ambisonics import to_acn_sn3d
from tselcli.acoustics.geometry import MicArray
from tselcli.acoustics.wiring import wired, wiring
from tselcli.corpora.audio import resample
from tselcli.corpora.recording import Recording
from tselcli.errors import DataError
from tselcli.features.streamed import Advance, Sound, Streamed

WHOLE_SAMPLES = 2**24  # over all channels; up to 64 MB are held in memory
USUAL = (1e-6, 1e6)  # peaks in which powers stay in the range of single precision


def prepare(
    signal: npt.NDArray[Any],
    sample_rate: int,
    array: MicArray,
    rate: int,
    device: torch.device | str,
) -> Tensor:
    """Check a recording (C, N) and bring it to a model's rate; ambisonics to ACN, SN3D.

    Raises:
        DataError: the channels do not fit the array, or the recording is silent.
    """
    signal = wired(signal, array)
    gain = _gain(float(np.abs(signal).max(initial=0.0)))
    signal = signal if gain == 1 else signal * gain
    if array.foa is not None:
        signal = to_acn_sn3d(signal, array.foa)
    audio = resample(signal, sample_rate, rate)
    return torch.from_numpy(np.ascontiguousarray(audio, dtype=np.float32)).to(device)


def open_sound(
    path: Path,
    array: MicArray,
    rate: int,
    device: torch.device | str,
    start_s: float = 0.0,
    stop_s: float | None = None,
    advance: Advance | None = None,
) -> Sound:
    """Open a file as `prepare` prepares a signal: in memory if it is short.

    Args:
        path: WAV, FLAC, Ogg, MP3 or AIFF.
        array: that recorded it.
        rate: of the model, Hz.
        device: where samples are wanted.
        start_s: where to begin, seconds.
        stop_s: where to end, seconds; None is the end.
        advance: called after every 20 s that were read of a long file.

    Raises:
        DataError: the file cannot be used, its channels do not fit the array, or it is silent.
    """
    recording = Recording(path, start_s, stop_s, rate)
    wires = wiring(array, recording.channels)
    if recording.samples * recording.channels <= WHOLE_SAMPLES:
        return prepare(recording.read(0, recording.samples), rate, array, rate, device)
    gain = _gain(float(recording.levels().peak[wires].max()))
    return Streamed(recording, array, gain, device, advance)


def _gain(peak: float) -> float:
    """Say by what to multiply a recording; its level does not matter, so mostly by nothing.

    Raises:
        DataError: it is silent.
    """
    if peak == 0:
        raise DataError("the recording is silent; there is nothing to localize")
    return 1.0 if USUAL[0] < peak < USUAL[1] else 1 / peak
