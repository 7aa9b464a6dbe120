"""YAMNet (M. Plakal and D. Ellis), as a TensorFlow Lite file that takes log-mel patches.

What it makes of the patches of 0.96 s of a sound is averaged, loud ones more.
"""

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tselcli.errors import DataError, RecipeError
from tselcli.teachers.teacher import Vectors

RATE, WINDOW, HOP, N_FFT = 16_000, 400, 160, 512
BANDS, LOW_HZ, HIGH_HZ = 64, 125.0, 7500.0
PATCH, PATCH_HOP = 96, 48  # frames
EMBEDDING = 1024
SILENT_DB = -40.0


class Yamnet:
    """The classifier of 521 kinds of sound in a file: patches (1, 96, 64) in, scores (1, 521) out.

    Args:
        path: TensorFlow Lite, in 8 bits or not.

    Raises:
        DataError: it is no such file.
        RecipeError: the interpreter is not installed.
    """

    rate = RATE

    def __init__(self, path: Path) -> None:
        self.interpreter = _open(path)
        self.input = self.interpreter.get_input_details()[0]["index"]
        embedding = _embedding(self.interpreter)
        if embedding is None:
            raise DataError(f"{path}: no embedding of {EMBEDDING} numbers in it; not YAMNet")
        self.embedding = embedding
        self.matrix, self.offset = class_layer(self.interpreter, path)
        self.n_classes = len(self.offset)

    def hear(self, sound: npt.NDArray[Any]) -> tuple[Vectors, Vectors]:
        """Average what it makes of a sound (N,) at 16 kHz: (1024,) and log-odds (521,)."""
        sound = 0.5 * sound / np.abs(sound).max()
        vectors, levels = [], []
        for start, patch in _patches(log_mel_frames(sound)):
            self.interpreter.set_tensor(self.input, patch[None])
            self.interpreter.invoke()
            vectors.append(_numbers(self.interpreter, self.embedding).reshape(-1))
            piece = sound[start * HOP : (start + PATCH) * HOP]
            levels.append(np.square(piece).mean() if len(piece) else 0.0)
        loudness = 10 * np.log10(np.array(levels) / max(levels) + 1e-9)
        weight = np.maximum(loudness - SILENT_DB, 0.0)
        embedding = np.asarray(weight / weight.sum() @ np.stack(vectors), dtype=np.float32)
        return embedding, np.asarray(self.matrix @ embedding + self.offset, dtype=np.float32)


def class_layer(interpreter: Any, path: Path) -> tuple[Vectors, Vectors]:
    """Read how it goes from its embedding to log-odds: matrix (521, 1024), offset (521,).

    Raises:
        DataError: it does not do so in one step.
    """
    details = interpreter.get_tensor_details()
    of = {tuple(one["shape"]): one for one in details}
    matrix = next((one for shape, one in of.items() if shape[1:] == (EMBEDDING,)), None)
    offset = matrix and next(
        (one for one in details if tuple(one["shape"]) == (matrix["shape"][0],)), None
    )
    if matrix is None or offset is None:
        raise DataError(f"{path}: no layer of classes behind the embedding; not YAMNet")
    return _numbers(interpreter, matrix), _numbers(interpreter, offset)


def log_mel_frames(sound: npt.NDArray[Any]) -> Vectors:
    """Draw its picture of a sound (N,) at 16 kHz: (T, 64).

    Frames of 25 ms every 10 ms, periodic Hann window, magnitudes in 64 triangular bands that
    are evenly spaced on the mel scale from 125 to 7500 Hz.
    """
    sound = np.pad(sound, (0, max(0, WINDOW + (PATCH - 1) * HOP - len(sound))))
    frames = np.lib.stride_tricks.sliding_window_view(sound, WINDOW)[::HOP]
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WINDOW) / WINDOW)
    magnitude = np.abs(np.fft.rfft(frames * window, N_FFT))
    mel = np.log(magnitude @ _bands() + 0.001)
    return np.asarray(mel * 0.9908 + 1.3994, dtype=np.float32)  # as it was quantised


def _bands() -> npt.NDArray[np.float64]:
    bins = _mel(np.linspace(0, RATE / 2, N_FFT // 2 + 1))[:, None]
    edges = np.linspace(_mel(np.array(LOW_HZ)), _mel(np.array(HIGH_HZ)), BANDS + 2)
    low, centre, high = edges[:-2], edges[1:-1], edges[2:]
    rise, fall = (bins - low) / (centre - low), (high - bins) / (high - centre)
    bands: npt.NDArray[np.float64] = np.maximum(0.0, np.minimum(rise, fall))
    bands[0] = 0.0
    return bands


def _mel(hertz: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.asarray(1127.0 * np.log1p(hertz / 700.0))


def _open(path: Path) -> Any:
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError as error:
        raise RecipeError(
            'the teacher needs an interpreter; pip install "tselcli[teacher]"'
        ) from error
    try:
        with warnings.catch_warnings():  # keeping what lies before the scores is meant
            warnings.simplefilter("ignore", UserWarning)
            interpreter = Interpreter(
                str(path), experimental_preserve_all_tensors=True, num_threads=1
            )
        interpreter.allocate_tensors()
        shape = list(interpreter.get_input_details()[0]["shape"])
    except (ValueError, RuntimeError, OSError) as error:
        raise DataError(f"{path}: not a TensorFlow Lite model ({error})") from error
    if shape != [1, PATCH, BANDS]:
        raise DataError(f"{path}: takes {shape} instead of [1, {PATCH}, {BANDS}]; not YAMNet")
    return interpreter


def _embedding(interpreter: Any) -> dict[str, Any] | None:
    """Find the tensor before the scores, or None."""
    wanted = [1, 1, 1, EMBEDDING]
    found: list[dict[str, Any]] = [
        tensor for tensor in interpreter.get_tensor_details() if list(tensor["shape"]) == wanted
    ]
    return found[-1] if found else None


def _numbers(interpreter: Any, details: dict[str, Any]) -> Vectors:
    """Read a tensor, in 8 bits or not."""
    scale, zero = details["quantization"]
    raw = interpreter.get_tensor(details["index"]).astype(np.float32)
    return np.asarray((raw - zero) * (scale or 1.0), dtype=np.float32)


def _patches(frames: Vectors) -> Iterator[tuple[int, Vectors]]:
    """Cut frames (T, 64) into overlapping patches (96, 64), with their first frame."""
    for start in range(0, len(frames) - PATCH + 1, PATCH_HOP):
        yield start, frames[start : start + PATCH]
