"""Workers: how items are cut among them, what comes back, and how they round."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
import torch

from engine.backends.backend import Backend
from engine.breaks import BrokenOff, passing
from engine.problem.problem import Problem
from engine.steps.groups import Group
from engine.steps.rows import fresh
from engine.workers.pool import WORTH_A_GPU, Pool
from tests.support.gpus import Gpus
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


@dataclass(frozen=True)
class Passing:
    """A task that passes so many samples for each item, and notes the items that it has done."""

    done: list[int] = field(compare=False)
    first: threading.Event = field(compare=False)
    """The task goes on past its first sample only once this is set."""
    many: int

    def size(self, item: int) -> int:
        return 10**9

    def passed(self, item: int) -> int:
        return self.many

    def __call__(self, backend: Backend, items: Sequence[int]) -> list[int]:
        for item in items:
            for _ in range(self.many):
                passing(1)
                self.first.wait()
            self.done.append(item)
        return list(items)


def test_who_attends_is_told_what_share_is_done(problem: Problem) -> None:
    task, told = Passing([], threading.Event(), 4), list[float]()

    def attend(share: float, seconds: float) -> None:
        told.append(share)
        task.first.set()

    with Pool(vmapped(problem), [CPU]) as pool, pool.attended(attend):
        assert pool.run(task, [7, 8]) == [7, 8]
    assert told[0] in (0.0, 0.125)  # the second of eight samples waits for the first look
    assert all(0 <= share <= 1 for share in told)


@pytest.mark.parametrize("workers", [1, 2])
def test_who_attends_can_break_a_call_off(problem: Problem, workers: int) -> None:
    task = Passing([], threading.Event(), 10**9)  # for ever

    def attend(share: float, seconds: float) -> None:
        task.first.set()
        raise BrokenOff

    with Pool(vmapped(problem), [CPU] * workers) as pool:
        with pool.attended(attend), pytest.raises(BrokenOff):
            pool.run(task, [1, 2, 3, 4])
        assert task.done == []
        assert pool.run(Passing([], task.first, 3), [5, 6]) == [5, 6]  # the workers are free


@dataclass(frozen=True)
class Made:
    """A task that gives a new tensor of the worker's device for each item, in a tuple and bare."""

    def size(self, item: int) -> int:
        return 10**9

    def __call__(
        self, backend: Backend, items: Sequence[int]
    ) -> list[tuple[str, torch.Tensor, Group]]:
        device = backend.problem.device
        theta = torch.full((1, 3), 0.5, device=device)
        group = Group((1,), fresh(theta, ("momentum",), 0.1, 7, [3]))
        return [(str(device), torch.full((2,), item, device=device), group) for item in items]


@pytest.mark.parametrize("gpus", [2, 8], indirect=True)
def test_whatever_gpu_computed_it_a_result_is_on_the_first(problem: Problem, gpus: Gpus) -> None:
    with Pool(vmapped(problem), gpus.devices) as pool:
        found = pool.run(Made(), list(range(16)))
    assert {device for device, _, _ in found} == set(map(str, gpus.devices))
    first = gpus.devices[0]
    assert all(theta.device == first for _, theta, _ in found)
    assert torch.stack([theta for _, theta, _ in found])[:, 0].tolist() == list(range(16))
    for _, _, group in found:
        assert group.rows.theta.device == group.rows.state["momentum"].device == first


@pytest.mark.parametrize("gpus", [2], indirect=True)
def test_small_work_stays_on_one_gpu(problem: Problem, gpus: Gpus) -> None:
    with Pool(vmapped(problem), gpus.devices) as pool:
        cost = problem.cost.products + problem.cost.values
        assert len(pool.shards(range(8), 8 * [WORTH_A_GPU // cost // 8])) == 1
        assert len(pool.shards(range(8), 8 * [3 * WORTH_A_GPU // cost // 8])) == 2


@pytest.mark.parametrize("gpus", [2], indirect=True)
def test_a_faster_gpu_gets_more(problem: Problem, gpus: Gpus) -> None:
    """Speeds are those of calls that both took part in, and not of one that only the first had."""
    with Pool(vmapped(problem), gpus.devices) as pool:
        speeds = pool._speeds
        assert pool.shards(range(8), 8 * [10**9]) == [range(0, 4), range(4, 8)]
        for _ in range(30):
            speeds.learn([100.0, 300.0])
        assert pool.shards(range(8), 8 * [10**9]) == [range(0, 2), range(2, 8)]
        before = speeds.of_first(2)
        pool.run(Made(), [1])
        assert speeds.of_first(2) == before
        pool.run(Made(), [1, 2, 3, 4])
        assert speeds.of_first(2) != before
