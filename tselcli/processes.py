"""Independent tasks in parallel processes, with results in the order of the tasks."""

import multiprocessing
import signal
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

from tselcli.errors import DataError

Task = TypeVar("Task")
Result = TypeVar("Result")

AHEAD = 4  # tasks handed out in advance per worker, so that results do not pile up
_WORK: list[Callable[[Any], Any]] = []  # in a worker process: what it does


def spread(work: Callable[[Task], Result], tasks: Sequence[Task], jobs: int) -> Iterator[Result]:
    """Do all tasks, in this process or in several, and yield the results in order.

    Workers are fresh processes (spawned), get ``work`` once, and leave Ctrl-C to this one.

    Args:
        work: a function of a module, or a partial of one; sent to the workers.
        tasks: what it is called with.
        jobs: processes; 1 works here.

    Raises:
        DataError: a worker was killed.
    """
    if jobs <= 1 or len(tasks) <= 1:
        yield from map(work, tasks)
        return
    pool = ProcessPoolExecutor(
        min(jobs, len(tasks)),
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_start,
        initargs=(work,),
    )
    waiting: deque[Future[Result]] = deque()
    try:
        for task in tasks:
            waiting.append(pool.submit(_do, task))
            if len(waiting) >= AHEAD * jobs:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except BrokenProcessPool as error:
        raise DataError(
            "a worker process was killed, perhaps for want of memory; "
            "run again with fewer --jobs, finished work is kept"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _start(work: Callable[[Any], Any]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _WORK.append(work)


def _do(task: Any) -> Any:
    return _WORK[0](task)
