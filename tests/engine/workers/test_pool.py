"""Workers: how items are cut among them, what comes back, and how they round."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pytest
import torch

from engine.backends.backend import Backend
from engine.problem.problem import Problem
from engine.workers.pool import Pool, open_pool
from tests.support.landscapes import landscape, ring, spec_for
from tests.support.small_problem import small_problem
from tests.support.workers import vmapped

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def problem() -> Problem:
    return small_problem()


@dataclass(frozen=True)
class Echo:
    """A task that gives its items back, or fails where it meets one."""

    fails_at: int | None = None

    def size(self, item: int) -> int:
        return 10**7

    def __call__(self, backend: Backend, items: Sequence[int]) -> list[tuple[int, ...]]:
        if self.fails_at in items:
            raise ArithmeticError(f"item {self.fails_at}")
        return [tuple(items)] * len(items)


@pytest.mark.parametrize("workers", [1, 2])
def test_an_exception_in_a_worker_comes_back(problem: Problem, workers: int) -> None:
    failing = pytest.raises(ArithmeticError, match="item 3")
    with Pool(vmapped(problem), workers * [CPU]) as pool, failing:
        pool.run(Echo(fails_at=3), [3])


def test_shards_are_even_and_in_order(problem: Problem) -> None:
    with Pool(vmapped(problem), [CPU] * 3) as pool:
        assert pool.shards(range(7), 7 * [10**7]) == [range(0, 2), range(2, 5), range(5, 7)]
        assert pool.shards(range(7), 7 * [1]) == [range(0, 7)]
        assert pool.shards(range(2), 2 * [10**7]) == [range(0, 1), range(1, 2)]
        assert pool.run(Echo(), range(7)) == [(0, 1)] * 2 + [(2, 3, 4)] * 3 + [(5, 6)] * 2


def test_items_of_unequal_size_are_cut_evenly(problem: Problem) -> None:
    """One long item is as much as all the short ones before it."""
    sizes = [10**7] * 6 + [6 * 10**7]
    with Pool(vmapped(problem), [CPU] * 2) as pool:
        assert pool.shards(range(7), sizes) == [range(0, 6), range(6, 7)]
        assert pool.shards(range(7), sizes[::-1]) == [range(0, 1), range(1, 7)]


def test_faster_workers_get_more_once_all_speeds_are_known(problem: Problem) -> None:
    """As GPUs of two kinds would: the second does three times as many samples a second."""
    sizes = [10**7] * 8
    with Pool(vmapped(problem), [CPU] * 2) as pool:
        pool._learn(1, 300.0)
        assert pool.shards(range(8), sizes) == [range(0, 4), range(4, 8)]
        pool._learn(0, 100.0)
        assert pool.shards(range(8), sizes) == [range(0, 2), range(2, 8)]
        for _ in range(30):  # it is slowed down by something else
            pool._learn(1, 100.0)
        assert pool.shards(range(8), sizes) == [range(0, 4), range(4, 8)]


@pytest.mark.parametrize(("precision", "rounded"), [("float32", False), ("tf32", True)])
def test_tf32_is_used_where_it_is_asked_for(precision: str, rounded: bool) -> None:
    spec = spec_for(0.3).model_copy(update={"precision": precision, "device": "cpu", "workers": 1})
    try:
        with open_pool(vmapped(landscape(ring)), spec):
            assert torch.backends.cuda.matmul.allow_tf32 is rounded
            assert torch.backends.cudnn.allow_tf32 is rounded
    finally:
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
