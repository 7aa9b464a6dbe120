"""What runs in the workers of a Dask cluster; imported where Dask is installed."""

import os
from collections.abc import Callable
from typing import Any

from distributed import Worker, WorkerPlugin

from tselcli.processes import one_core

_WORK: dict[str, Callable[[Any], Any]] = {}  # what this worker does, by name


class Give(WorkerPlugin):  # type: ignore[misc]
    """Gives a worker what all tasks of a run have in common, once and when it joins."""

    def __init__(self, name: str, work: Callable[[Any], Any]) -> None:
        self.name, self.work = name, work

    def setup(self, worker: Worker) -> None:
        """Keep the work in mind."""
        _WORK[self.name] = self.work

    def teardown(self, worker: Worker) -> None:
        """Forget it, at the end of the run."""
        _WORK.pop(self.name, None)


def do(name: str, task: Any) -> Any:
    """Do one task of the work of that name."""
    with one_core():
        return _WORK[name](task)


def answer_mark(mark: str) -> str | None:
    """Write a file beside another one; gives its name, or None where the other is not seen.

    Raises:
        OSError: it cannot be written.
    """
    if not os.path.exists(mark):
        return None
    answer = f"{mark}-{os.getpid()}"
    with open(answer, "x"):
        return os.path.basename(answer)
