"""Workers on other machines: a Dask cluster as an executor (extra ``dask``).

The scheduler hands a task of a lost worker to another one, so losing workers costs time only.
What all tasks have in common, such as the corpus, goes to every worker once, also to those that
join later. Results are written here or into folders that all machines share; that they do is
checked before the work begins, since a worker that writes elsewhere would lose what it made.
"""

import secrets
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tselcli.errors import DataError, RecipeError
from tselcli.files import unwritable
from tselcli.processes import Executor

if TYPE_CHECKING:
    from distributed import Client, Future

CONNECT_S = 10.0
WORKERS_S = 60.0  # to wait for the first worker
MARK = ".tsel-shared-"


@contextmanager
def crew(
    scheduler: str | None, jobs: int, shared: Sequence[Path]
) -> Iterator[tuple[int, Executor | None]]:
    """Say who works: how many, and the executor, for `tselcli.processes.spread`.

    Args:
        scheduler: address of a Dask scheduler; None is processes of this machine.
        jobs: how many of them.
        shared: folders that all machines of a cluster must share.

    Raises:
        RecipeError: Dask is not installed, or the address is none.
        DataError: the cluster cannot be used.
    """
    if scheduler is None:
        yield jobs, None
        return
    with open_cluster(scheduler, [folder.absolute() for folder in shared]) as cluster:
        yield cluster.workers, cluster


@contextmanager
def open_cluster(address: str, shared: Sequence[Path]) -> Iterator["Cluster"]:
    """Connect to a scheduler, and check that all workers see the folders that they share.

    Args:
        address: such as ``tcp://10.0.0.1:8786``.
        shared: folders that must be the same for all machines; absolute paths.

    Raises:
        RecipeError: Dask is not installed, or this is no address.
        DataError: nobody answers, there is no worker, or one does not share a folder.
    """
    try:
        from distributed import Client
    except ImportError as error:
        raise RecipeError(
            f"--scheduler {address}: needs Dask; install it with `pip install 'tselcli[dask]'`"
        ) from error
    try:
        client = Client(address, timeout=CONNECT_S, set_as_default=False)
    except ValueError as error:
        raise RecipeError(
            f"--scheduler {address}: not an address; write tcp://HOST:PORT"
        ) from error
    except OSError as error:
        raise DataError(
            f"{address}: no Dask scheduler answers; start one with `dask scheduler`"
        ) from error
    cluster = Cluster(client, address)
    try:
        cluster.check(shared)
        yield cluster
    finally:
        cluster.close()


class Cluster:
    """An executor (`tselcli.processes.Executor`) whose workers are those of a scheduler."""

    def __init__(self, client: "Client", address: str) -> None:
        self.client, self.address = client, address
        self.names: dict[int, tuple[str, Callable[[Any], Any]]] = {}

    @property
    def workers(self) -> int:
        """How many tasks can be done at a time."""
        return max(1, int(sum(self.client.nthreads().values())))

    def check(self, shared: Sequence[Path]) -> None:
        """See that there are workers, that they have this package, and share folders with us.

        Raises:
            DataError: something is missing.
        """
        try:
            self.client.wait_for_workers(1, timeout=WORKERS_S)
        except TimeoutError as error:
            raise DataError(
                f"{self.address}: has no workers; start some with `dask worker {self.address}`"
            ) from error
        for folder in shared:
            self._check_shared(folder)

    def _check_shared(self, folder: Path) -> None:
        from tselcli.cluster_worker import answer_mark

        mark = folder / f"{MARK}{secrets.token_hex(4)}"
        try:
            mark.touch()
            answers = self.client.run(answer_mark, str(mark), on_error="return")
            for worker, answer in answers.items():
                if isinstance(answer, ImportError):
                    raise DataError(
                        f"{worker}: this worker lacks a package ({answer}); "
                        "install the same version of tselcli[dask] there"
                    )
                if not isinstance(answer, str) or not mark.with_name(answer).exists():
                    raise DataError(
                        f"{worker}: this worker does not share {folder}; choose a folder that "
                        "all machines see under the same name and can write, or stop the worker"
                    )
        except OSError as error:
            raise unwritable(mark, error) from error
        finally:
            for file in folder.glob(f"{mark.name}*"):
                file.unlink(missing_ok=True)

    def submit(self, work: Callable[[Any], Any], task: Any, /) -> "_Promise":
        """Have a task done by any worker; ``work`` is sent once to each of them."""
        from tselcli.cluster_worker import Give, do

        if id(work) not in self.names:
            name = f"tsel-{secrets.token_hex(8)}"
            self.client.register_plugin(Give(name, work), name=name)
            self.names[id(work)] = (name, work)  # holds on to it, so that its id stays its own
        name, _ = self.names[id(work)]
        return _Promise(self.client.submit(do, name, task, pure=False), self.address)

    def close(self) -> None:
        """Leave the cluster; what nobody waits for any more is dropped."""
        with suppress(OSError, CancelledError):  # the scheduler may be gone
            for name, _ in self.names.values():
                self.client.unregister_worker_plugin(name)
        self.client.close()


@dataclass(frozen=True)
class _Promise:
    """A task that was handed out."""

    future: "Future[Any]"
    address: str

    def result(self) -> Any:
        """Wait for the task.

        Raises:
            DataError: its workers died again and again, or the scheduler did.
        """
        from distributed import KilledWorker

        try:
            return self.future.result()
        except KilledWorker as error:
            raise DataError(
                f"{self.address}: several workers died at one task, perhaps for want of memory; "
                "run again with larger workers, finished work is kept"
            ) from error
        except CancelledError as error:
            raise DataError(
                f"{self.address}: the scheduler is gone; run again, finished work is kept"
            ) from error
