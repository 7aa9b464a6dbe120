import os

import pytest

from tselcli.errors import DataError, RecipeError
from tselcli.processes import spread
from tselcli.recipe import load_recipe

# What workers do must be importable there, which a test module is not: `eval` will do.


def test_results_come_in_order_from_other_processes():
    tasks = [f"({number} ** 2, __import__('os').getpid())" for number in range(12)]
    results = list(spread(eval, tasks, jobs=2))
    assert [number for number, _ in results] == [number**2 for number in range(12)]
    assert os.getpid() not in {process for _, process in results}


def test_one_job_works_here_and_only_as_far_as_asked():
    results = spread(float, range(10**9), jobs=1)
    assert [next(results), next(results)] == [0.0, 1.0]


def test_what_a_worker_raises_arrives():
    results = spread(load_recipe, ["tiny", "tinny", "tiny"], jobs=2)
    assert next(results).name == "tiny"
    with pytest.raises(RecipeError, match="did you mean 'tiny'"):
        next(results)


def test_a_killed_worker_is_one_line():
    with pytest.raises(DataError, match=r"a worker process was killed.*--jobs"):
        list(spread(os._exit, [1, 1, 1], jobs=2))


def test_a_slow_task_leaves_no_worker_idle():
    """While one worker is busy with the first task, the other goes on to the tasks behind it."""
    ended = "(__import__('time').sleep({}), __import__('os').getpid(), __import__('time').time())"
    results = list(spread(eval, [ended.format(s) for s in [1.0] + [0.01] * 6], jobs=2))
    _, slow, slow_end = results[0]
    assert all(end < slow_end and worker != slow for _, worker, end in results[1:])
