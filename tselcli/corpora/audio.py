"""Audio files in and out: one place that knows what can be wrong with a recording.

A file is refused with one clear line instead of giving silence, half a sound or a huge
allocation: the header is checked against a limit before any sample is read, and what is read is
compared with what the header promised. libsndfile repairs cut WAV, AIFF and Ogg files silently,
so its log is asked whether it had to.
"""

import io
import math
import os
import re
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from tselcli.errors import DataError
from tselcli.files import write_bytes_atomically
from tselcli.tars import read_member, split_path

AUDIO_SUFFIXES = (".wav", ".flac", ".ogg", ".mp3", ".aiff", ".aif")
MAX_SAMPLES = 2**28  # over all channels; 1 GiB as float32
MAX_PACKED_BYTES = 2**28  # of a recording in a tar file
MIN_RATE, MAX_RATE = 8_000, 192_000  # Hz
STREAMED_BYTES = 0x7FFFF000  # writers that cannot seek back put this or more as "unknown length"
MP3_SLACK = 0.01  # an MP3 header gives its length only roughly

_LONGER_CHUNK = re.compile(r"^\s*(?:data|SSND)\s*: (\d+) \(should be (\d+)\)", re.MULTILINE)


def read_audio(
    path: Path | str,
    start_s: float = 0.0,
    stop_s: float | None = None,
    max_samples: int = MAX_SAMPLES,
) -> tuple[NDArray[np.float32], int]:
    """Read a recording, or a part of it.

    Args:
        path: WAV, FLAC, Ogg, MP3 or AIFF; also one in a tar file, ``shard.tar/a.flac``.
        start_s: where to begin, in seconds; at least 0.
        stop_s: where to end, in seconds; None, or a time after the end, is the end.
        max_samples: the most samples to read, over all channels.

    Returns:
        The signal, float32 (channels C, samples N), and its sample rate in Hz.

    Raises:
        DataError: there is no such file, or it is empty, damaged, cut short, not audio, too
            large, has an unusual rate, or holds NaN or infinite samples.
        ValueError: ``start_s`` is negative or not before ``stop_s``.
    """
    path = Path(path)
    if start_s < 0 or (stop_s is not None and stop_s <= start_s):
        raise ValueError(f"start_s={start_s}, stop_s={stop_s} must be 0 <= start < stop")
    packed = split_path(path)
    if packed is None:
        check_file(path)
    file = str(path) if packed is None else io.BytesIO(read_member(*packed, MAX_PACKED_BYTES))
    try:
        with soundfile.SoundFile(file) as sound:
            first, count = part(sound, path, start_s, stop_s, max_samples)
            sound.seek(first)
            signal = sound.read(count, dtype="float32", always_2d=True)
            slack = math.ceil(MP3_SLACK * sound.frames) if sound.format == "MP3" else 0
            rate = int(sound.samplerate)
    except soundfile.LibsndfileError as error:
        raise damaged(path, error) from error
    if not len(signal) or len(signal) < count - slack:
        raise DataError(
            f"{path}: damaged or cut short, {len(signal)} of {count} samples are there; replace it"
        )
    check_finite(signal, path, first, rate)
    return np.ascontiguousarray(signal.T), rate


def duration_of(path: Path) -> float:
    """Read from the header of a recording how long it is, in seconds.

    Raises:
        DataError: as `read_audio`, as far as the header tells.
    """
    check_file(path)
    try:
        with soundfile.SoundFile(str(path)) as sound:
            _, count = part(sound, path, 0.0, None, None)
            return float(count / sound.samplerate)
    except soundfile.LibsndfileError as error:
        raise damaged(path, error) from error


def damaged(path: Path, error: soundfile.LibsndfileError) -> DataError:
    """Say what libsndfile found wrong with a file."""
    reason = error.error_string.removeprefix("Error : ").rstrip(".")
    return DataError(f"{path}: damaged or not audio ({reason}); convert or replace it")


def check_file(path: Path) -> None:
    """Refuse what is no audio file before libsndfile sees it."""
    if os.path.isdir(path):
        raise DataError(f"{path}: is a folder; give an audio file")
    if not os.path.exists(path):
        raise DataError(f"{path}: no such file; check the name")
    if not os.path.isfile(path):
        raise DataError(f"{path}: not an ordinary file; give an audio file")
    if path.suffix.lower() not in AUDIO_SUFFIXES:
        raise DataError(
            f"{path}: unknown kind of audio '{path.suffix}'; convert it to one of "
            f"{', '.join(AUDIO_SUFFIXES)}"
        )
    if path.stat().st_size == 0:
        raise DataError(f"{path}: empty file; record or copy it again")


def part(
    sound: soundfile.SoundFile,
    path: Path,
    start_s: float,
    stop_s: float | None,
    max_samples: int | None,
) -> tuple[int, int]:
    """Check the header, and give the first sample and the number of samples to read."""
    frames, rate, channels = int(sound.frames), int(sound.samplerate), int(sound.channels)
    if not MIN_RATE <= rate <= MAX_RATE:
        raise DataError(
            f"{path}: sample rate {rate} Hz is outside {MIN_RATE}-{MAX_RATE} Hz; resample it"
        )
    if _is_cut(sound.extra_info):
        raise DataError(f"{path}: cut short, the header promises more than is there; replace it")
    if frames <= 0:
        raise DataError(f"{path}: holds no samples; record or copy it again")
    first = math.floor(start_s * rate)
    if first >= frames:
        raise DataError(
            f"{path}: ends at {frames / rate:.2f} s, before {start_s:g} s; ask for an earlier part"
        )
    end = frames if stop_s is None or stop_s * rate >= frames else math.ceil(stop_s * rate)
    if max_samples is not None and (end - first) * channels > max_samples:
        raise DataError(
            f"{path}: {channels} channels x {end - first} samples are more than the limit of "
            f"{max_samples} in all; cut it into shorter files"
        )
    return first, end - first


def _is_cut(log: str) -> bool:
    """Say whether libsndfile's log tells of a file that ends too early.

    A WAV written to a pipe has a length near 2 or 4 GiB that means "unknown" and is not cut.
    """
    if "Last page lacks an end-of-stream bit" in log:
        return True
    promised = _LONGER_CHUNK.search(log)
    return promised is not None and int(promised[2]) < int(promised[1]) < STREAMED_BYTES


def check_finite(signal: NDArray[np.float32], path: Path, first: int, rate: int) -> None:
    """Refuse samples (N, C) that are NaN or infinite, naming the earliest."""
    bad = np.flatnonzero(~np.isfinite(signal).all(axis=1))
    if len(bad):
        raise DataError(
            f"{path}: {len(bad)} samples are NaN or infinite, the first at "
            f"{(first + bad[0]) / rate:.3f} s; write the file again"
        )


def resample(signal: NDArray[np.float32], rate: int, new_rate: int) -> NDArray[np.float32]:
    """Change the sample rate with a polyphase filter.

    Args:
        signal: float32 (..., samples N).
        rate: of ``signal``, in Hz.
        new_rate: wanted, in Hz.

    Returns:
        float32 (..., ceil(N * new_rate / rate)); the signal itself when the rates agree.
    """
    if rate <= 0 or new_rate <= 0:
        raise ValueError(f"rate={rate}, new_rate={new_rate} must be positive")
    if rate == new_rate:
        return signal
    common = math.gcd(rate, new_rate)
    from scipy.signal import resample_poly  # takes half as long to import as torch

    slower = resample_poly(signal, new_rate // common, rate // common, axis=-1)
    return np.asarray(slower, dtype=np.float32)


def write_audio(path: Path, signal: NDArray[np.float32], rate: int) -> None:
    """Write a recording with 16 bits per sample, whole or not at all.

    Args:
        path: ``.flac`` or ``.wav``; the folder must exist.
        signal: (channels C, samples N) in [-1, 1].
        rate: in Hz.

    Raises:
        DataError: the folder is missing, or the file cannot be written.
        ValueError: ``signal`` has another shape, no samples, or a peak above 1 or NaN.
    """
    if signal.ndim != 2 or signal.size == 0:
        raise ValueError(f"signal has shape {signal.shape}, not (channels, samples)")
    peak = float(np.abs(signal).max())
    if not peak <= 1.0:
        raise ValueError(f"{path}: peak {peak:.3f} is above 1 and would be clipped")
    if path.suffix.lower() not in (".flac", ".wav"):
        raise DataError(f"{path}: cannot write '{path.suffix}'; use .flac or .wav")
    if not path.parent.is_dir():
        raise DataError(f"{path}: no such folder; create it first")
    packed = io.BytesIO()  # libsndfile calls a full disk "System error."
    try:
        kind = path.suffix[1:].upper()
        soundfile.write(packed, signal.T, rate, subtype="PCM_16", format=kind)
    except soundfile.LibsndfileError as error:
        raise DataError(f"{path}: cannot be written ({error}); check the signal") from error
    write_bytes_atomically(path, packed.getvalue())
