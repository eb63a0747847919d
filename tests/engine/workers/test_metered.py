"""The meter of a search: what it counts, and that nothing goes by it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from engine.backends.backend import Backend
from engine.problem.problem import Problem
from engine.record.costs import Costs
from engine.workers.metered import Metered
from tests.support.small_problem import small_problem
from tests.support.workers import Here, vmapped


@dataclass(frozen=True)
class Doubled:
    """A task whose items cost what comes out of them."""

    def size(self, item: int) -> int:
        return item

    def __call__(self, backend: Backend, items: Sequence[int]) -> list[int]:
        return [2 * item for item in items]

    def cost(self, problem: Problem, item: int, result: int) -> Costs:
        return Costs(len(problem.train) * item, result)


class Unpriced:
    def size(self, item: int) -> int:
        return item

    def __call__(self, backend: Backend, items: Sequence[int]) -> Sequence[int]:
        raise AssertionError("it is not to be run")


@pytest.fixture
def pool() -> Metered:
    return Metered(Here(vmapped(small_problem())))


def test_what_tasks_cost_is_added_up_and_results_are_those_of_the_pool(pool: Metered) -> None:
    assert pool.run(Doubled(), [3, 4]) == [6, 8] and pool.run(Doubled(), [5]) == [10]
    assert pool.costs == Costs(50 * 12, 24)
    assert pool.run(Doubled(), []) == [] and pool.costs == Costs(50 * 12, 24)
    pool.add(Costs(forward_samples=100))
    assert pool.costs == Costs(50 * 12, 124)


def test_what_is_computed_for_viewers_is_not_counted(pool: Metered) -> None:
    assert pool.unmetered.run(Doubled(), [3]) == [6]
    assert pool.costs == Costs()


def test_what_is_not_known_stays_so(pool: Metered) -> None:
    pool.costs = None
    pool.run(Doubled(), [3])
    assert pool.costs is None


def test_a_task_that_tells_no_cost_is_refused(pool: Metered) -> None:
    task: Any = Unpriced()
    with pytest.raises(TypeError, match="Unpriced has no method cost"):
        pool.run(task, [3])
