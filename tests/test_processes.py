import os
import signal

import pytest

from tselcli.errors import DataError
from tselcli.processes import spread


def square(number):
    return number * number, os.getpid()


def refuse_three(number):
    if number == 3:
        raise DataError("3: not liked; leave it out")
    return number


def die(number):
    os.kill(os.getpid(), signal.SIGKILL)


def test_results_come_in_order_from_other_processes():
    results = list(spread(square, range(12), jobs=2))
    assert [number for number, _ in results] == [number * number for number in range(12)]
    assert os.getpid() not in {process for _, process in results}


def test_one_job_works_here_and_only_as_far_as_asked():
    results = spread(square, range(10**9), jobs=1)
    assert next(results) == (0, os.getpid())


def test_what_a_worker_raises_arrives():
    results = spread(refuse_three, range(6), jobs=2)
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(DataError, match="3: not liked"):
        next(results)


def test_a_killed_worker_is_one_line():
    with pytest.raises(DataError, match="a worker process was killed.*--jobs"):
        list(spread(die, range(3), jobs=2))
