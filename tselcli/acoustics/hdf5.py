"""HDF5 files that are opened when they are read, in the process that reads them.

MATLAB (v7.3) and SOFA both write HDF5. An open file belongs to one process, so what holds files
pickles without them, and a forked worker opens its own.
"""

import os
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from tselcli.acoustics.rirs import Samples
from tselcli.errors import DataError

MAX_OPEN = 16
CHUNKS_BYTES = 16 << 20  # of one dataset; a compressed chunk may span many directions
MAX_SAMPLES = 1 << 24  # of one direction over all channels: 64 of 5 s at 48 kHz
MAX_DIRECTIONS = 100_000  # of one file
DAMAGE = (OSError, RuntimeError, KeyError, ValueError, TypeError, OverflowError)


class OpenFiles:
    """The files that this process has open, the last used at the end."""

    def __init__(self) -> None:
        self._process = os.getpid()
        self._files: OrderedDict[Path, Any] = OrderedDict()

    def __reduce__(self) -> tuple[type["OpenFiles"], tuple[()]]:
        """Leave the open files behind: a pickle begins without any."""
        return OpenFiles, ()

    @contextmanager
    def reading(self, path: Path) -> Iterator[Any]:
        """Lend a file, open for reading.

        Raises:
            DataError: it is missing or damaged, also where only reading shows it.
        """
        try:
            yield self._open(path)
        except DAMAGE as problem:
            raise DataError(explain(path, problem)) from problem

    def _open(self, path: Path) -> Any:
        import h5py

        if self._process != os.getpid():
            self._process, self._files = os.getpid(), OrderedDict()
        file = self._files.pop(path, None)
        if not file:  # a closed file is false
            file = h5py.File(path, "r", rdcc_nbytes=CHUNKS_BYTES)
        self._files[path] = file
        while len(self._files) > MAX_OPEN:
            self._files.popitem(last=False)[1].close()
        return file


def explain(path: Path, problem: BaseException) -> str:
    """Say in one line why a file cannot be read, and the way out."""
    if isinstance(problem, FileNotFoundError):
        return f"{path}: no such file; check the name"
    if isinstance(problem, PermissionError):
        return f"{path}: may not be read; check its permissions"
    reason = " ".join(str(problem).split())
    for words in ("truncated file", "file signature not found", "inflate() failed"):
        if words in reason:
            reason = words
    return f"{path}: cannot be read as HDF5 ({reason}); it is cut or damaged, get it again"


def check_indices(indices: Sequence[int], count: int) -> None:
    """Refuse directions that are not there, before -1 silently means the last one.

    Raises:
        IndexError: an index is below 0, or not below the count; there is none at all.
    """
    if not len(indices):
        raise IndexError(f"no direction asked for of a track that has {count}")
    for index in indices:
        if not 0 <= index < count:
            raise IndexError(f"direction {index} of a track that has {count}, from 0")


def check_samples(path: Path, what: str, responses: Samples) -> Samples:
    """Give responses back if every sample is a number.

    Raises:
        DataError: one is infinite or none at all.
    """
    if not np.isfinite(responses).all():
        raise DataError(f"{path}: {what} holds samples that are no numbers; get the file again")
    return responses
