"""What the next call computes, for whom, and on which workers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from threading import Thread
from typing import Any

import pytest
import torch

from engine.workers.pool import Pool
from engine.workers.questions import CALL_S, WORTH_S, Call, Questions
from tests.support.landscapes import landscape, ring
from tests.support.small_problem import small_problem
from tests.support.workers import vmapped


@dataclass(frozen=True)
class Add:
    """A task whose items have themselves as their sizes."""

    number: int = 1

    def size(self, item: int) -> int:
        return item

    def __call__(self, backend: object, items: Sequence[int]) -> list[int]:
        return [item + self.number for item in items]


@dataclass(frozen=True)
class Round(Add):
    """The same, in rounds that may be skipped."""

    def skip(self, items: Sequence[int]) -> Sequence[int]:
        return items


@dataclass(frozen=True)
class Backend:
    """Says whether it is compiled code."""

    steps_at_once: bool


class Lanes:
    """Workers that compute nothing."""

    def __init__(self, count: int, compiled: bool = True) -> None:
        self.backend, self.count = Backend(compiled), count

    def each(self) -> tuple[Any, ...]:
        return tuple(f"worker {number}" for number in range(self.count))


def threads(count: int) -> list[Thread]:
    return [Thread(name=f"search-{number}") for number in range(count)]


def questions(count: int, compiled: bool = True) -> Questions:
    pool: Any = Lanes(count, compiled)
    return Questions(pool)


def learned(of: Questions, task: Add, size: int, seconds: float) -> None:
    """Lets the first lane take so long for one item of that size."""
    of.learn(Call(task, {Thread(): [size]}, of.lanes[:1]), seconds)


def next_call(of: Questions, all_asked: bool) -> Call:
    found = of.next_call(all_asked)
    assert found is not None
    return found


# ---------------------------------------------------------------- all workers


@pytest.mark.parametrize("compiled", [True, False])
def test_nothing_is_due_before_all_have_asked_where_no_speed_is_known(compiled: bool) -> None:
    of = questions(2, compiled)
    assert not of.due(all_asked=True) and of.next_call(all_asked=True) is None
    a, b = threads(2)
    of.ask(a, Add(), [10**9])
    assert of.who == {a}
    assert not of.due(all_asked=False) and of.next_call(all_asked=False) is None
    of.ask(b, Add(), [1, 2])
    call = next_call(of, all_asked=True)
    assert call.asked == {a: [10**9], b: [1, 2]} and call.items == [10**9, 1, 2]
    assert of.who == set()
    assert call.workers is of._pool
    assert [part.asked for part in call.each()] == [{a: [10**9]}, {b: [1, 2]}]


def test_what_is_not_compiled_is_never_cut_and_never_begins_early() -> None:
    of = questions(3, compiled=False)
    assert len(of.lanes) == 1
    learned(of, Round(), 1, 1.0)
    asking = threads(5)
    for who in asking:
        of.ask(who, Round(), [100])
    assert of.next_call(all_asked=False) is None
    call = next_call(of, all_asked=True)
    assert list(call.asked) == asking
    of.ask(asking[0], Round(), [1])
    assert of.next_call(all_asked=True) is None  # all workers are busy
    of.ended(call)
    assert next_call(of, all_asked=True).asked == {asking[0]: [1]}


def test_tasks_go_by_the_one_who_asked_first() -> None:
    of = questions(1)
    a, b, c = threads(3)
    for who, number in ((a, 2), (b, 1), (c, 2)):
        of.ask(who, Add(number), [1])
    first = next_call(of, all_asked=True)
    assert (first.task, list(first.asked)) == (Add(2), [a, c])
    assert of.next_call(all_asked=True) is None
    of.ended(first)
    assert next_call(of, all_asked=True).task == Add(1)


def test_a_task_that_has_no_hash_or_no_size_leaves_no_question() -> None:
    of = questions(2)
    (who,) = threads(1)

    class Unhashable(Add):
        __hash__ = None  # type: ignore[assignment]

    class Sizeless(Add):
        def size(self, item: int) -> int:
            raise ArithmeticError("no size")

    with pytest.raises(TypeError, match="unhashable"):
        of.ask(who, Unhashable(), [1])
    with pytest.raises(ArithmeticError):
        of.ask(who, Sizeless(), [1])
    assert of.who == set() and not of.due(all_asked=True)


# ---------------------------------------------------------------- a worker for each call


def test_a_worker_begins_once_what_waits_is_worth_it() -> None:
    of = questions(2)
    learned(of, Add(), 1000, 1.0)
    a, b, c = threads(3)
    of.ask(a, Add(), [int(1000 * WORTH_S) - 1])
    assert not of.due(all_asked=False)
    of.ask(b, Add(), [1])
    assert of.due(all_asked=False)
    call = next_call(of, all_asked=False)
    assert list(call.asked) == [a] and len(call.lanes) == 1  # the other worker has the other half
    of.ask(c, Add(), [int(1000 * WORTH_S)])
    other = next_call(of, all_asked=False)
    assert list(other.asked) == [b, c] and other.lanes != call.lanes
    of.ask(a, Add(), [10**6])
    assert of.next_call(all_asked=True) is None  # both are busy
    of.ended(other)
    assert next_call(of, all_asked=True).lanes == other.lanes


def test_small_questions_do_not_wait_behind_large_ones() -> None:
    """Whoever waits longest is next once anything is worth a call."""
    of = questions(2)
    learned(of, Round(), 1000, 1.0)
    small, *large = threads(5)
    of.ask(small, Add(), [1])
    for who in large:
        of.ask(who, Round(), [1000])
    assert list(next_call(of, all_asked=False).asked) == [small]
    assert list(next_call(of, all_asked=False).asked) == large[:1]


def test_a_call_takes_no_longer_than_it_may_before_it_is_asked_whether_to_hurry() -> None:
    of = questions(2)
    learned(of, Round(), 1000, 1.0)
    asking = threads(40)
    for who in asking:
        of.ask(who, Round(), [50])
    together = next_call(of, all_asked=True)
    assert len(together.asked) == 2 * CALL_S * 1000 / 50  # both workers share it
    of.ended(together)
    assert len(next_call(of, all_asked=False).asked) == CALL_S * 1000 / 50
    of.learn(together, 4.0)  # 400 in 4 seconds of two workers: 50 a second for each
    assert len(next_call(of, all_asked=False).asked) == 1


def test_two_long_tasks_are_two_calls_at_a_time() -> None:
    """Short ones share the workers one after another, which costs less than to hand them over."""
    of = questions(2)
    a, b = threads(2)
    for size, lanes in ((1, 2), (1000, 1)):
        learned(of, Add(), 1000, 1.0)
        of.ask(a, Add(1), [size])
        of.ask(b, Add(2), [size])
        first = next_call(of, all_asked=True)
        assert len(first.lanes) == lanes
        if lanes == 2:
            of.ended(first)
        second = next_call(of, all_asked=True)
        assert {first.task, second.task} == {Add(1), Add(2)}
        of.ended(second)
    assert len(second.lanes) == 1


# ---------------------------------------------------------------- a pool's workers


def test_each_worker_computes_in_the_thread_that_asks() -> None:
    with Pool(vmapped(small_problem()), [torch.device("cpu")] * 3) as pool:
        each = pool.each()
        assert len(each) == 3
        for worker in each:
            assert worker.run(Add(5), [1, 2]) == [6, 7]
            assert worker.devices == (torch.device("cpu"),) and worker.backend is pool.backend
    with Pool(vmapped(landscape(ring)), [torch.device("cpu")]) as alone:
        assert alone.each() == (alone,)
