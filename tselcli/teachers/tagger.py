"""Any classifier of waveforms that was exported as ONNX.

It takes one sound (1, N) and gives log-odds of its classes (1, K), before a sigmoid, and an
embedding (1, E), in this order. EfficientAT, PANNs and CED can be exported so.
"""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tselcli.errors import DataError, RecipeError
from tselcli.teachers.teacher import Vectors

SHORTEST_S = 1.0


class Tagger:
    """A classifier in an ONNX file.

    Args:
        path: float32 (1, N) in, log-odds (1, K) and an embedding (1, E) out.
        rate: of the sounds that it takes, in Hz.

    Raises:
        DataError: it takes or gives something else.
        RecipeError: the runtime is not installed.
    """

    def __init__(self, path: Path, rate: int) -> None:
        self.rate = rate
        self.session = _open(path)
        inputs = self.session.get_inputs()
        try:
            if len(inputs) != 1:
                raise ValueError(f"it takes {len(inputs)} inputs")
            self.input = inputs[0].name
            told = self._run(np.zeros((1, round(SHORTEST_S * rate)), dtype=np.float32))
            shapes = [one.shape for one in told]
            if len(told) < 2 or any(len(shape) != 2 or shape[0] != 1 for shape in shapes[:2]):
                raise ValueError(f"it gives {shapes}")
        except Exception as error:  # the runtime has kinds of its own
            raise DataError(
                f"{path}: not a classifier of sounds (1, N) that gives log-odds (1, K) and an "
                f"embedding (1, E): {str(error).splitlines()[0]}; export it so"
            ) from error
        self.n_classes = shapes[0][1]

    def hear(self, sound: npt.NDArray[Any]) -> tuple[Vectors, Vectors]:
        """Listen to a sound (N,): its embedding (E,), and log-odds (K,)."""
        sound = np.asarray(0.5 * sound / np.abs(sound).max(), dtype=np.float32)
        missing = max(0, round(SHORTEST_S * self.rate) - len(sound))
        odds, embedding, *_ = self._run(np.pad(sound, (0, missing))[None])
        return embedding[0], odds[0]

    def _run(self, sounds: Vectors) -> list[Vectors]:
        told: list[Vectors] = self.session.run(None, {self.input: sounds})
        return told


def _open(path: Path) -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise RecipeError(
            'a teacher in ONNX needs its runtime; pip install "tselcli[onnx]"'
        ) from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # processes listen side by side
    options.log_severity_level = 4
    try:
        return onnxruntime.InferenceSession(str(path), options, ["CPUExecutionProvider"])
    except Exception as error:  # the runtime has kinds of its own
        raise DataError(f"{path}: not an ONNX model ({str(error).splitlines()[0]})") from error
