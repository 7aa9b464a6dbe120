"""A Dask cluster of separate processes, run by tests as a program.

It prints the address of its scheduler, then the processes of its workers whenever it reads a
line, and goes when its input is closed.
"""

import json
import sys

from distributed import LocalCluster


def say(line):
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    with LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
    ) as cluster:
        say(cluster.scheduler_address)
        for _ in sys.stdin:
            workers = [worker.pid for worker in cluster.workers.values()]
            say(json.dumps(workers))
