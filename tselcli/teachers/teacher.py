"""What a teacher is, and how its file is opened."""

from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from tselcli.errors import DataError

Vectors = npt.NDArray[np.float32]


class Teacher(Protocol):
    """A classifier that has an embedding before its classes."""

    @property
    def rate(self) -> int:
        """Of the sounds that it takes, in Hz."""

    @property
    def n_classes(self) -> int:
        """How many kinds of sound it knows."""

    def hear(self, sound: npt.NDArray[Any]) -> tuple[Vectors, Vectors]:
        """Tell what it makes of a sound (N,): its embedding (E,), and log-odds of its classes."""


def open_teacher(path: Path, rate: int) -> Teacher:
    """Open a teacher by what its file is called: NAME.tflite or NAME.onnx.

    Args:
        path: YAMNet as TensorFlow Lite, or a classifier of waveforms as ONNX.
        rate: of the latter, in Hz.

    Raises:
        DataError: it is neither, or not there.
        RecipeError: what runs it is not installed.
    """
    kind = path.suffix.lower()
    if kind not in (".tflite", ".onnx"):
        raise DataError(f"{path}: not a teacher; give YAMNet as .tflite or a classifier as .onnx")
    if not path.is_file():
        raise DataError(f"{path}: no such file; a teacher has to be brought from elsewhere")
    if kind == ".onnx":
        from tselcli.teachers.tagger import Tagger

        return Tagger(path, rate)
    from tselcli.teachers.yamnet import Yamnet

    return Yamnet(path)
