"""Searches that share their batches: the same results as alone, fewer calls, and no deadlock."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch

from engine.backends.backend import Backend
from engine.methods import build_method
from engine.problem.problem import Problem
from engine.record.events import Outcome
from engine.record.geometry import BeadString
from engine.spec.keys import Spec
from engine.workers.pool import Item, Pool, Result, Task, Workers
from engine.workers.shared import SharedPool
from tests.support.landscapes import double_well, landscape, ring, spec_for
from tests.support.searches import run
from tests.support.small_problem import small_problem
from tests.support.workers import vmapped


@dataclass(frozen=True)
class Add:
    """A task whose results show who did it: each item and a number."""

    number: int
    samples: int = 1

    def size(self, item: int) -> int:
        return self.samples

    def __call__(self, backend: Backend, items: Sequence[int]) -> list[int]:
        if any(item < 0 for item in items):
            raise ArithmeticError(f"{min(items)} is below zero")
        return [item + self.number for item in items]


class CountingPool(Pool):
    """Remembers the task and the number of items of every call."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(vmapped(problem), [torch.device("cpu")])
        self.calls: list[tuple[Any, int]] = []

    def __enter__(self) -> CountingPool:
        return self

    def run(self, task: Task[Item, Result], items: Sequence[Item]) -> list[Result]:
        self.calls.append((task, len(items)))
        return super().run(task, items)


class Clock:
    """Stands still unless it is put forward."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.seen_by: set[str] = set()
        """Names of threads; a search looks at the clock when it asks."""

    def __call__(self) -> float:
        self.seen_by.add(threading.current_thread().name)
        return self.now_s

    @contextmanager
    def running(self, asked: set[str], over: threading.Event) -> Iterator[threading.Event]:
        """Fast, from when those have asked until it is over; the event says that it stands."""
        stands = threading.Event()

        def run_on() -> None:
            while not over.is_set():
                if asked <= self.seen_by:
                    self.now_s += 1.0
                time.sleep(0.002)
            stands.set()

        thread = threading.Thread(target=run_on)
        thread.start()
        try:
            yield stands
        finally:
            over.set()
            thread.join()


@contextmanager
def shared(
    patience_s: float = 0.01, clock: Callable[[], float] | None = None
) -> Iterator[tuple[SharedPool, CountingPool]]:
    """With a clock that stands still every search is waited for, however busy the machine."""
    with CountingPool(landscape(ring)) as pool:
        yield SharedPool(pool, patience_s, clock or Clock()), pool


def together(pool: SharedPool, searches: Sequence[Callable[[], Any]]) -> list[Any] | BaseException:
    """What `run_all` returns or raises. Where searches wait for each other it does not return."""
    try:
        return pool.run_all(searches)
    except BaseException as error:
        return error


def sums(pool: Workers, task: Add, rounds: int, first: int = 0) -> list[int]:
    """A search that asks again and again, of two items each time, going on from the answer."""
    items = [first, first + 100]
    for _ in range(rounds):
        items = pool.run(task, items)
    return items


# ---------------------------------------------------------------- joining


def test_equal_tasks_are_one_call() -> None:
    with shared() as (pool, counted):
        found = together(pool, [partial(sums, pool, Add(1), 4, n) for n in range(5)])
        assert found == [[n + 4, n + 104] for n in range(5)]
        assert counted.calls == [(Add(1), 10)] * 4


def test_different_tasks_are_calls_of_their_own() -> None:
    with shared() as (pool, counted):
        tasks = [Add(1), Add(2), Add(1), Add(2, samples=7)]
        found = together(pool, [partial(sums, pool, task, 3, n) for n, task in enumerate(tasks)])
        assert found == [[3, 103], [7, 107], [5, 105], [9, 109]]
        assert len(counted.calls) == 9
        for number in range(3):
            some = counted.calls[3 * number : 3 * number + 3]
            assert sorted((task.number, task.samples, count) for task, count in some) == [
                (1, 1, 4),
                (2, 1, 2),
                (2, 7, 2),
            ]


def test_each_gets_its_own_results_in_its_own_order() -> None:
    """As many items as it asked about, however many the others ask about."""

    def asks(pool: SharedPool, count: int) -> list[int]:
        return pool.run(Add(1000), list(range(count, 0, -1)))

    with shared() as (pool, counted):
        found = together(pool, [partial(asks, pool, count) for count in (3, 1, 7, 2)])
        assert found == [[1000 + n for n in range(count, 0, -1)] for count in (3, 1, 7, 2)]
        assert counted.calls == [(Add(1000), 13)]


def test_searches_of_different_lengths() -> None:
    """Those that go on longer are not held up by those that have ended."""
    with shared() as (pool, counted):
        found = together(pool, [partial(sums, pool, Add(1), n, 0) for n in (0, 1, 5, 2)])
        assert found == [[n, 100 + n] for n in (0, 1, 5, 2)]
        assert [count for _, count in counted.calls] == [6, 4, 2, 2, 2]


def test_nothing_asked_is_nothing_done() -> None:
    """A search that asks about no items does not wait for the others."""

    def asks_nothing(pool: SharedPool) -> list[int]:
        return pool.run(Add(1), [])

    with shared() as (pool, counted):
        assert together(pool, [partial(asks_nothing, pool)]) == [[]]
        assert together(pool, []) == []
        assert counted.calls == []


def test_it_serves_a_single_caller_outside_of_searches() -> None:
    with shared() as (pool, _):
        assert isinstance(pool, Workers)
        assert pool.run(Add(2), [1, 2]) == [3, 4]


def test_one_pool_for_one_round_of_searches_after_another() -> None:
    with shared() as (pool, counted):
        for _ in range(3):
            assert together(pool, [partial(sums, pool, Add(1), 2, n) for n in range(2)]) == [
                [2, 102],
                [3, 103],
            ]
        assert counted.calls == [(Add(1), 4)] * 6


# ---------------------------------------------------------------- exceptions


def test_an_exception_in_a_task_comes_back_to_the_one_whose_items_raise_it() -> None:
    """Those that asked for the same, or for something else, get their results."""
    caught: list[str] = []
    with shared() as (pool, counted):

        def bold(first: int) -> list[int]:
            try:
                return pool.run(Add(1), [first])
            except ArithmeticError as error:
                caught.append(str(error))
                return pool.run(Add(3), [-first])

        searches: list[Callable[[], list[int]]] = [partial(bold, -5), partial(bold, -6)]
        same, other = partial(sums, pool, Add(1), 3, 7), partial(sums, pool, Add(2), 4, 1)
        found = together(pool, [*searches, same, other])
        assert found == [[8], [9], [10, 110], [9, 109]]
        assert counted.calls.count((Add(1), 4)) == 1
    assert sorted(caught) == ["-5 is below zero", "-6 is below zero"]


def test_an_exception_ends_the_whole_with_it_after_the_others() -> None:
    ended: list[list[int]] = []
    with shared() as (pool, _):

        def good() -> None:
            ended.append(sums(pool, Add(2), 6, 1))

        failing = partial(sums, pool, Add(-40), 9, 50)  # below zero in its third call
        found = together(pool, [good, failing, good])
        assert isinstance(found, ArithmeticError)
        assert "-30 is below zero" in str(found)
        assert ended == [[13, 113]] * 2


@dataclass(frozen=True)
class Unhashable(Add):
    """A task that cannot be compared with those of other searches."""

    numbers: Any = field(default_factory=lambda: np.zeros(2))


def test_a_task_that_cannot_be_joined_raises_for_all_and_holds_nobody_up() -> None:
    with CountingPool(small_problem()) as pool:
        shared = SharedPool(pool)
        with pytest.raises(TypeError, match="unhashable"):
            shared.run_all([lambda: shared.run(Unhashable(1), [1]) for _ in range(3)])


@pytest.mark.parametrize("raised", [KeyError("lost"), KeyboardInterrupt(), SystemExit(3)])
@pytest.mark.parametrize("after", [0, 2])
def test_a_search_that_raises_does_not_hold_up_the_others(
    raised: BaseException, after: int
) -> None:
    """Of its own accord, before it has asked for anything or later."""
    ended: list[list[int]] = []
    with shared() as (pool, _):

        def raises() -> None:
            sums(pool, Add(1), after)
            raise raised

        def good() -> None:
            ended.append(sums(pool, Add(1), 5))

        assert together(pool, [good, raises, good]) is raised
        assert ended == [[5, 105]] * 2


@pytest.mark.parametrize("missing", [0, 1, 2])
def test_a_search_that_gets_no_thread_does_not_hold_up_the_others(
    missing: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended: list[list[int]] = []
    start = threading.Thread.start

    def refused(thread: threading.Thread) -> None:
        if thread.name == f"search-{missing}":
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refused)
    with shared() as (pool, _):
        searches = [lambda: ended.append(sums(pool, Add(1), 5))] * 3
        assert str(together(pool, searches)) == "can't start new thread"
    assert len(ended) == 2


# ---------------------------------------------------------------- searches that do not ask


def test_a_search_that_does_not_ask_is_not_waited_for() -> None:
    """First one of them sleeps until the other is far ahead, then the other way round."""
    far, further = threading.Event(), threading.Event()
    with shared(patience_s=0.02, clock=time.monotonic) as (pool, _):

        def early() -> list[int]:
            items = sums(pool, Add(1), 5)
            far.set()
            further.wait()
            return pool.run(Add(1), items)

        def late() -> list[int]:
            far.wait()
            items = sums(pool, Add(1), 4, 10)
            further.set()
            return pool.run(Add(1), items)

        assert together(pool, [early, late]) == [[6, 106], [15, 115]]


def test_searches_that_all_sleep_hold_nothing_up() -> None:
    """As when every one of them is paused: whoever wakes up goes on."""
    wake = [threading.Event() for _ in range(3)]
    with shared(patience_s=0.02, clock=time.monotonic) as (pool, _):

        def sleeper(number: int) -> list[int]:
            wake[number].wait()
            items = sums(pool, Add(1), 3, number)
            if number:
                wake[number - 1].set()
            return items

        wake[2].set()
        found = together(pool, [partial(sleeper, number) for number in range(3)])
        assert found == [[3, 103], [4, 104], [5, 105]]


def test_a_search_that_asks_again_is_waited_for_again() -> None:
    """It was left out; when all have asked once more, they go on as one."""
    clock, far = Clock(), threading.Event()
    with shared(clock=clock) as (pool, counted), clock.running(set(), over=far) as stands:

        def hasty() -> list[int]:
            items = sums(pool, Add(1), 3)
            far.set()
            while "search-1" not in clock.seen_by:
                time.sleep(0.002)
            return sums(pool, Add(1), 4, items[0])

        def sleepy() -> list[int]:
            stands.wait()
            return sums(pool, Add(1), 4, 50)

        assert together(pool, [hasty, sleepy]) == [[7, 107], [54, 154]]
        assert counted.calls == [(Add(1), 2)] * 3 + [(Add(1), 4)] * 4


def test_those_that_wait_for_their_turn_are_still_waited_for() -> None:
    """One that sleeps in its turn is left out; the others have not kept anybody waiting."""
    clock, over = Clock(), threading.Event()
    with shared(clock=clock) as (pool, counted):

        def sleepy() -> list[int]:
            clock.now_s += 1.0
            over.wait()
            return sums(pool, Add(1), 1, 50)

        def second() -> list[int]:
            return sums(pool, Add(1), 2)

        def last() -> list[int]:
            items = sums(pool, Add(1), 2, 20)
            over.set()
            return items

        assert together(pool, [sleepy, second, last]) == [[51, 151], [2, 102], [22, 122]]
        assert counted.calls == [(Add(1), 4), (Add(1), 4), (Add(1), 2)]


def test_those_in_a_long_call_are_still_waited_for() -> None:
    """One that was left out asks during the call; its next call is that of all."""
    clock, begun = Clock(), threading.Event()

    @dataclass(frozen=True)
    class Long:
        """Takes much longer than the others are waited for."""

        def size(self, item: int) -> int:
            return 1

        def __call__(self, backend: Backend, items: Sequence[int]) -> list[int]:
            begun.set()
            while "search-2" not in clock.seen_by:
                time.sleep(0.002)
            for _ in range(10):  # so often do those that wait look at the clock
                clock.now_s += 1.0
                time.sleep(0.01)
            return list(items)

    both = {"search-0", "search-1"}
    with shared(clock=clock) as (pool, counted), clock.running(both, over=begun) as stands:

        def first(number: int) -> list[int]:
            return pool.run(Add(1), pool.run(Long(), [number]))

        def late() -> list[int]:
            stands.wait()
            return pool.run(Add(1), [30])

        found = together(pool, [partial(first, 10), partial(first, 20), late])
        assert found == [[11], [21], [31]]
        assert counted.calls == [(Long(), 2), (Add(1), 3)]


# ---------------------------------------------------------------- one after the other


def test_each_item_has_its_search_and_no_more_are_under_way_than_asked() -> None:
    with CountingPool(small_problem()) as counted:
        pool, lock = SharedPool(counted), threading.Lock()
        under_way, most, found = 0, 0, []

        def search(item: int) -> None:
            nonlocal under_way, most
            with lock:
                under_way += 1
                most = max(most, under_way)
            (answer,) = pool.run(Add(100), [item])
            with lock:
                found.append(answer)
                under_way -= 1

        pool.run_each(range(7), search, 3, threading.Event())
        assert sorted(found) == list(range(100, 107))
        assert 2 <= most <= 3
        pool.run_each([], search, 3, threading.Event())
        assert len(found) == 7


def test_none_begins_after_a_stop() -> None:
    with CountingPool(small_problem()) as counted:
        pool, stop, begun = SharedPool(counted), threading.Event(), []

        def search(item: int) -> None:
            begun.append(item)
            if item == 2:
                stop.set()

        pool.run_each(range(9), search, 1, stop)
        assert begun == [0, 1, 2]


def test_an_exception_stops_the_rest_and_is_raised_when_all_have_ended() -> None:
    with CountingPool(small_problem()) as counted:
        pool, stop, ended = SharedPool(counted), threading.Event(), []

        def search(item: int) -> None:
            pool.run(Add(1), [item])
            if item == 1:
                raise ZeroDivisionError("item 1")
            pool.run(Add(1), [item])
            ended.append(item)

        with pytest.raises(ZeroDivisionError, match="item 1"):
            pool.run_each(range(20), search, 2, stop)
        assert stop.is_set()
        assert 0 in ended and len(ended) < 5


# ---------------------------------------------------------------- whole searches


def spec(method: str, seed: int, level: float) -> Spec:
    made = spec_for(level=level, seed=seed, patience=60, max_depth=4)
    sgd = made.endpoints.optimizer
    constrained = made.search.constrained.model_copy(
        update={"optimizer": sgd, "patience": 60, "rho": 0.3, "max_beads": 16}
    )
    changed = {"method": method, "constrained": constrained}
    search = made.search.model_copy(update=changed)
    endpoints = made.endpoints.model_copy(update={"max_steps": 400})
    return made.model_copy(update={"search": search, "endpoints": endpoints})


def whole(pool: Workers, problem: Problem, of: Spec) -> tuple[Outcome, BeadString]:
    method = build_method(of, pool)
    run(method)
    assert method.verdict is not None
    return method.verdict.outcome, method.string()


@pytest.mark.parametrize(
    ("method", "surface", "level"),
    [("greedy", ring, 0.02), ("greedy", double_well, 0.3), ("constrained", ring, 0.05)],
)
def test_searches_together_find_what_they_find_alone(
    method: str, surface: Callable[[torch.Tensor], torch.Tensor], level: float
) -> None:
    """Seeds whose searches take different times and ends; and fewer calls in all.

    A bead that starts on the pass between two wells falls to the side that rounding chooses, and
    rounding depends on the batch: there only the outcome and the endpoints are the same.
    """
    problem = landscape(surface)
    specs = [spec(method, seed, level) for seed in range(6, 9)]
    with CountingPool(problem) as alone:
        expected = [whole(alone, problem, one) for one in specs]
    with CountingPool(problem) as counted:
        pool = SharedPool(counted)
        found = together(pool, [partial(whole, pool, problem, one) for one in specs])
    assert isinstance(found, list)
    assert [outcome for outcome, _ in found] == [outcome for outcome, _ in expected]
    assert len({len(string.beads) for _, string in expected}) > 1
    for (outcome, string), (_, other) in zip(found, expected, strict=True):
        np.testing.assert_allclose(string.beads[[0, -1]], other.beads[[0, -1]], atol=1e-4)
        if outcome is Outcome.CONNECTED:
            np.testing.assert_allclose(string.beads, other.beads, atol=1e-4)
            np.testing.assert_allclose(string.profiles, other.profiles, atol=1e-4)
    assert len(counted.calls) < len(alone.calls)


def test_searches_of_different_methods_together() -> None:
    problem = landscape(ring)
    specs = [spec("greedy", 8, 0.02), spec("constrained", 8, 0.05), spec("auto", 7, 0.05)]
    with CountingPool(problem) as alone:
        expected = [whole(alone, problem, one) for one in specs]
    with CountingPool(problem) as counted:
        pool = SharedPool(counted)
        found = together(pool, [partial(whole, pool, problem, one) for one in specs])
    assert isinstance(found, list)
    for (outcome, string), (known, other) in zip(found, expected, strict=True):
        assert outcome is known is Outcome.CONNECTED
        np.testing.assert_allclose(string.beads, other.beads, atol=1e-4)


def test_random_endpoints_do_not_depend_on_what_other_searches_draw() -> None:
    """Searches in threads of their own draw at the same time, each from its own seed."""
    problem = landscape(ring)
    expected = [problem.initial(seed) for seed in range(200)]
    found: list[torch.Tensor] = [torch.zeros(2)] * len(expected)

    def draw(first: int) -> None:
        for seed in range(first, len(expected), 8):
            found[seed] = problem.initial(seed)

    threads = [threading.Thread(target=draw, args=(first,)) for first in range(8)]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)  # so that the threads take turns within a draw
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    different = [n for n, (a, b) in enumerate(zip(found, expected, strict=True)) if (a != b).any()]
    assert different == []


# ---------------------------------------------------------------- in a hurry


@dataclass(frozen=True)
class Round(Add):
    """A task that may leave its items as they are."""

    def skip(self, items: Sequence[int]) -> Sequence[int]:
        return items


class AtOnce(CountingPool):
    """A pool whose backend takes whole rounds, so that its calls may be cut."""

    def __init__(self, problem: Problem, each_s: float) -> None:
        super().__init__(problem)
        self.now_s, self._each_s = 0.0, each_s

        class Backend:
            steps_at_once = True

        self._fake: Any = Backend()

    @property
    def backend(self) -> Any:
        return self._fake

    def clock(self) -> float:
        return self.now_s

    def run(self, task: Task[Item, Result], items: Sequence[Item]) -> list[Result]:
        """Computes at a speed that the clock shows."""
        self.calls.append((task, len(items)))
        self.now_s += self._each_s * len(items)
        return list(task(self._fake, items))


def asks(shared: SharedPool, task: Task[int, int], rounds: int, own: int) -> list[int]:
    found = [own]
    for _ in range(rounds):
        found = shared.run(task, found)
    return found


def test_long_calls_are_cut_between_searches_and_give_the_same() -> None:
    pool = AtOnce(small_problem(), each_s=0.0625)
    shared = SharedPool(pool, clock=pool.clock)
    found = shared.run_all([partial(asks, shared, Round(3), 2, own) for own in range(12)])
    assert found == [[own + 6] for own in range(12)]
    sizes = [size for _, size in pool.calls]
    assert sum(sizes) == 24
    assert sizes[0] == 1 and max(sizes[1:]) == 4  # of 0.2 seconds, once the speed is known


def test_other_tasks_are_never_cut() -> None:
    pool = AtOnce(small_problem(), each_s=0.05)
    shared = SharedPool(pool, clock=pool.clock)
    shared.run_all([partial(asks, shared, Add(3), 2, own) for own in range(12)])
    assert [size for _, size in pool.calls] == [12, 12]


def test_in_a_hurry_the_rest_of_a_round_is_skipped() -> None:
    """Each search has all of the round or nothing of it; what cannot be skipped is computed."""
    pool = AtOnce(small_problem(), each_s=0.05)
    shared = SharedPool(pool, clock=pool.clock, hurried=lambda: len(pool.calls) >= 2)
    found = shared.run_all([partial(asks, shared, Round(3), 1, 10 * own) for own in range(12)])
    assert sorted(result - 10 * own for own, (result,) in enumerate(found)) == [0] * 7 + [3] * 5
    assert [size for _, size in pool.calls] == [1, 4]
    assert shared.run_all([partial(asks, shared, Add(3), 1, 4)]) == [[7]]


def test_who_steps_aside_does_not_hold_up_the_others() -> None:
    """The one waits until the others have ended, without being left out for its silence."""
    pool = CountingPool(small_problem())
    shared = SharedPool(pool, patience_s=60.0)
    others: list[int] = []

    def waits() -> list[int]:
        while len(others) < 3:
            shared.step_aside(0.001)
        return shared.run(Add(3), [4])

    def works(own: int) -> list[int]:
        found = asks(shared, Add(3), 5, own)
        others.append(own)
        return found

    searches: list[Callable[[], list[int]]] = [waits, *(partial(works, n) for n in range(3))]
    found = shared.run_all(searches)
    assert found == [[7], [15], [16], [17]]


# ---------------------------------------------------------------- a worker for each call


@contextmanager
def compiled(workers: int) -> Iterator[Pool]:
    """A pool that takes its backend for compiled code, whose calls can share nothing."""
    with Pool(vmapped(small_problem()), [torch.device("cpu")] * workers) as pool:
        for worker in pool._workers:
            backend: Any = worker.backend
            backend.steps_at_once = True
        yield pool


@dataclass(frozen=True)
class Meet(Round):
    """Ends once so many calls are under way at a time; takes a while, and sets an event."""

    barrier: threading.Barrier | None = None
    computed: threading.Event | None = None

    def __call__(self, backend: Backend, items: Sequence[int]) -> list[int]:
        if self.barrier is not None:
            self.barrier.wait(60.0)
        if self.computed is not None:
            self.computed.set()
        time.sleep(0.002)
        return super().__call__(backend, items)


def test_a_worker_computes_while_a_search_has_its_turn() -> None:
    """The one asks for what is worth a call, and the other goes on only when that is computed."""
    computed = threading.Event()
    with compiled(workers=2) as pool:
        shared = SharedPool(pool, patience_s=60.0)

        def asks_for_much() -> list[int]:
            first = shared.run(Round(1), [1])
            return shared.run(Meet(1, samples=10**15, computed=computed), first)

        def takes_its_time() -> list[int]:
            first = shared.run(Meet(1), [5])  # from which on the speed of such tasks is known
            assert computed.wait(60.0)
            return shared.run(Round(1), first)

        assert together(shared, [asks_for_much, takes_its_time]) == [[3], [7]]


def test_calls_of_two_workers_are_under_way_at_a_time() -> None:
    barrier = threading.Barrier(2)
    with compiled(workers=2) as pool:
        shared = SharedPool(pool, patience_s=60.0)

        def search(number: int) -> list[int]:
            first = shared.run(Meet(1), [number])
            return shared.run(Meet(number, samples=10**15, barrier=barrier), first)

        assert together(shared, [partial(search, 10), partial(search, 20)]) == [[21], [41]]


def test_a_call_that_fails_on_one_worker_is_told_to_its_search_alone() -> None:
    with compiled(workers=2) as pool:
        shared = SharedPool(pool)

        def search(number: int) -> int | str:
            found = [number]
            try:
                for _ in range(20):
                    found = shared.run(Meet(-1 if number == 3 else 1), found)
            except ArithmeticError as error:
                return str(error)
            return found[0]

        found = together(shared, [partial(search, number) for number in range(6)])
        assert found == [20, 21, 22, "-1 is below zero", 24, 25]


def test_the_servers_end_with_the_searches() -> None:
    before = threading.active_count()
    with shared() as (pool, _):
        for searches in (3, 1, 2):
            together(pool, [partial(sums, pool, Add(1), 2)] * searches)
            assert threading.active_count() == before + 1  # the pool's own worker
    assert threading.active_count() == before


def test_without_any_thread_that_serves_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    start = threading.Thread.start

    def refused(thread: threading.Thread) -> None:
        if thread.name.startswith("server"):
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refused)
    with shared() as (pool, _):
        found = together(pool, [partial(sums, pool, Add(1), 2)])
        assert isinstance(found, RuntimeError) and "can't start" in str(found)
        assert pool.run(Add(1), [2]) == [3]
