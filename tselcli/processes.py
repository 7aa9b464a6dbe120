"""Independent tasks in parallel processes, with results in the order of the tasks.

Every process keeps to one core: the matrices of a task are small, and the threads of several
processes (or of one, which wait by spinning) would only take the cores from each other.
"""

import ctypes
import multiprocessing
import signal
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from typing import Any, Protocol, TypeVar

from threadpoolctl import threadpool_limits

from tselcli.errors import DataError

Task = TypeVar("Task")
Result = TypeVar("Result")

AHEAD = 4  # tasks handed out in advance per worker, so that results do not pile up
MMAP_THRESHOLD, TRIM_THRESHOLD = -3, -1  # of mallopt in malloc.h
_WORK: list[Callable[[Any], Any]] = []  # in a worker process: what it does


class Promise(Protocol):
    """What becomes of a task: the part of `concurrent.futures.Future` that is used here."""

    def result(self) -> Any:
        """Wait for the task; gives its result, or raises what it raised."""
        ...


class Executor(Protocol):
    """Whoever does tasks: the part of `concurrent.futures.Executor` that is used here.

    An executor of the standard library will do, and so will those of others, of MPI for example.
    """

    def submit(self, work: Callable[[Any], Any], task: Any, /) -> Promise:
        """Have ``work(task)`` done, sooner or later and somewhere."""
        ...


def spread(
    work: Callable[[Task], Result],
    tasks: Sequence[Task],
    jobs: int,
    executor: Executor | None = None,
) -> Iterator[Result]:
    """Do all tasks, in this process or in several, and yield the results in order.

    Workers are fresh processes (spawned), get ``work`` once, and leave Ctrl-C to this one.

    Args:
        work: a function of a module, or a partial of one; sent to the workers.
        tasks: what it is called with.
        jobs: processes; 1 works here. With an executor: how many workers it has.
        executor: who does the tasks instead; whoever gave it shuts it down.

    Raises:
        DataError: a worker was killed.
    """
    if executor is not None:
        yield from _in_order(lambda task: executor.submit(work, task), tasks, AHEAD * jobs)
        return
    if jobs <= 1 or len(tasks) <= 1:
        with one_core():
            yield from map(work, tasks)
        return
    pool = ProcessPoolExecutor(
        min(jobs, len(tasks)),
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_start,
        initargs=(work,),
    )
    try:
        yield from _in_order(lambda task: pool.submit(_do, task), tasks, AHEAD * jobs)
    except BrokenProcessPool as error:
        raise DataError(
            "a worker process was killed, perhaps for want of memory; "
            "run again with fewer --jobs, finished work is kept"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def one_core() -> threadpool_limits:
    """Keep the matrix products of NumPy and SciPy to one thread: for good, or as a context."""
    return threadpool_limits(limits=1, user_api="blas")


def settle() -> None:
    """Make this process a worker: one core, and memory that is kept from task to task.

    By default the C library of Linux gives large arrays back at once and has the next ones
    cleared by the kernel, page by page: a sixth of the time of a scene.
    """
    one_core()
    with suppress(TypeError, OSError, AttributeError):  # other systems, other libraries
        libc = ctypes.CDLL(None)
        libc.mallopt(MMAP_THRESHOLD, 32 << 20)
        libc.mallopt(TRIM_THRESHOLD, 256 << 20)


def _in_order(
    submit: Callable[[Task], Promise], tasks: Sequence[Task], ahead: int
) -> Iterator[Any]:
    """Hand out some tasks in advance, and yield the results in the order of the tasks."""
    waiting: deque[Promise] = deque()
    for task in tasks:
        waiting.append(submit(task))
        if len(waiting) >= ahead:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def _start(work: Callable[[Any], Any]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    settle()
    _WORK.append(work)


def _do(task: Any) -> Any:
    return _WORK[0](task)
