"""Any classifier of waveforms that was exported as ONNX.

It takes one sound (1, N) and gives log-odds of its classes (1, K), before a sigmoid, and an
embedding (1, E), in this order; EfficientAT's mn04 was exported so.
"""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tselcli.errors import DataError, RecipeError
from tselcli.teachers.teacher import Vectors

SHORTEST_S = 1.0
PROBES_S = (SHORTEST_S, 10.5)
TROUBLES = (  # what the runtime raises, none of it of a common kind
    "EPFail",
    "Fail",
    "InvalidArgument",
    "InvalidGraph",
    "InvalidProtobuf",
    "NoModel",
    "NoSuchFile",
    "NotImplemented",
    "RuntimeException",
)


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
        runtime = _runtime()
        state = runtime.capi.onnxruntime_pybind11_state
        troubles = tuple(getattr(state, name) for name in TROUBLES)
        options = runtime.SessionOptions()
        options.intra_op_num_threads = 1  # processes listen side by side
        options.log_severity_level = 4
        try:
            self.session = runtime.InferenceSession(str(path), options, ["CPUExecutionProvider"])
        except troubles as error:
            raise DataError(f"{path}: not an ONNX model ({_first_line(error)})") from error
        inputs = self.session.get_inputs()
        if len(inputs) != 1:
            raise DataError(_other(path, f"it takes {len(inputs)} inputs"))
        self.input = inputs[0].name
        try:
            told = [self._run(_noise(round(length * rate))) for length in PROBES_S]
        except troubles as error:
            raise DataError(_other(path, _first_line(error))) from error
        self.n_classes = _classes(path, told)

    def hear(self, sound: npt.NDArray[Any]) -> tuple[Vectors, Vectors]:
        """Listen to a sound (N,): its embedding (E,), and log-odds (K,)."""
        sound = np.asarray(0.5 * sound / np.abs(sound).max(), dtype=np.float32)
        missing = max(0, round(SHORTEST_S * self.rate) - len(sound))
        odds, embedding, *_ = self._run(np.pad(sound, (0, missing))[None])
        return embedding[0], odds[0]

    def _run(self, sounds: Vectors) -> list[Vectors]:
        told: list[Vectors] = self.session.run(None, {self.input: sounds})
        return told


def _runtime() -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise RecipeError(
            'a teacher in ONNX needs its runtime; pip install "tselcli[onnx]"'
        ) from error
    return onnxruntime


def _noise(length: int) -> Vectors:
    rng = np.random.default_rng(0)
    return 0.1 * rng.standard_normal((1, length), dtype=np.float32)


def _classes(path: Path, told: list[list[Vectors]]) -> int:
    """Count the classes in what was told of sounds of several lengths, or refuse it."""
    shapes = {tuple(part.shape for part in one) for one in told}
    (first, *others) = shapes
    if others or len(first) < 2 or any(len(part) != 2 or part[0] != 1 for part in first[:2]):
        raise DataError(_other(path, f"it gives {sorted(shapes)}"))
    if all(((odds >= 0) & (odds <= 1)).all() for odds, *_ in told):
        raise DataError(_other(path, "it gives probabilities"))
    count: int = first[0][1]
    return count


def _other(path: Path, reason: str) -> str:
    return (
        f"{path}: not a classifier of sounds (1, N) of any length that gives log-odds (1, K) and "
        f"an embedding (1, E): {reason}; export it so"
    )


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
