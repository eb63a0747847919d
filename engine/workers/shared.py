"""Lets many searches in one process share their batches.

Each search runs in a thread of its own and asks its pool for work. When all searches wait for an
answer, equal tasks are joined and done in one call. So the beads of a hundred strings train as one
batch, and no method knows of it.

A call ends with its slowest item, and the next begins when the last search has asked, so the
searches go at the pace of the slowest in each round. But a search that keeps the others waiting
without asking, because it is paused or writes to a slow disk, is left out until it asks again.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from threading import Thread
from typing import Any, Protocol, TypeVar, runtime_checkable

from engine.breaks import BrokenOff
from engine.workers.pool import Item, Result, Task, Workers

log = logging.getLogger("engine")

Outcome = TypeVar("Outcome")
Clock = Callable[[], float]
"""Returns a time in seconds that only ever grows."""

#: The seconds without a question after which searches that have not asked are left out.
PATIENCE_S = 1.0
#: The seconds that a call takes at most, about, before it is asked again whether to hurry.
CALL_S = 0.2


@runtime_checkable
class Skippable(Protocol):
    """A task that may leave its items as they are, since it is asked for again until it is done."""

    def skip(self, items: Sequence[Any], /) -> Sequence[Any]:
        """Returns the results of items for which nothing is computed."""


@dataclass(frozen=True)
class _Question:
    """The task and the items that a search asks for."""

    task: Task[Any, Any]
    items: Sequence[Any]


_Answer = list[Any] | BaseException


class SharedPool:
    """A pool that joins the tasks of all searches that run in `run_all`.

    Between two questions the searches run by turns, one at a time. Threads that all run at once
    would hand the interpreter to each other at every operation, which costs more than their work.
    """

    def __init__(
        self,
        pool: Workers,
        patience_s: float = PATIENCE_S,
        clock: Clock = time.monotonic,
        hurried: Callable[[], bool] = lambda: False,
    ) -> None:
        """Shares `pool`. A search that does not ask for `patience_s` seconds is left out.

        Once `hurried` returns True, what can be skipped is skipped, so that every search soon
        comes to the end of its step.
        """
        self.devices, self.backend = pool.devices, pool.backend
        self._pool, self._hurried = pool, hurried
        self._sizes_per_s: dict[type[Any], float] = {}
        """The sum of the sizes of a task's items that are computed in a second, by kind of task."""
        self._patience_s, self._clock = patience_s, clock
        self._gate = threading.Lock()
        self._searches: dict[Thread, threading.Event] = {}
        """The threads of the searches, each with the event that gives it its turn."""
        self._left_out: set[Thread] = set()
        self._asked: dict[Thread, _Question] = {}
        self._answers: dict[Thread, _Answer] = {}
        self._waiting: deque[Thread] = deque()
        """The searches that wait for their turn."""
        self._running: Thread | None = None
        """The search whose turn it is."""
        self._computing = False
        self._quiet_since = 0.0
        """The time at which a search last asked, ended or began its turn."""

    def run(self, task: Task[Item, Result], items: Sequence[Item]) -> list[Result]:
        """Returns a task's results in the order of the items, or raises what went wrong.

        A thread that is none of the searches gets them at once from the shared pool.
        """
        if not items:
            return []
        me = threading.current_thread()
        if me not in self._searches:
            return self._pool.run(task, items)
        with self._gate:
            self._asked[me] = _Question(task, items)
            self._left_out.discard(me)
            self._end_turn(me)
        self._wait_for_turn(me)
        with self._gate:
            answer = self._answers.pop(me)
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def _wait_for_turn(self, me: Thread) -> None:
        """Waits until it is a search's turn, and leaves out others that keep it waiting."""
        turn = self._searches[me]
        while not turn.wait(self._patience_s):
            with self._gate:
                self._leave_out()
                self._go_on()
        turn.clear()

    def _end_turn(self, me: Thread) -> None:
        """Ends a search's turn. The gate must be held."""
        if self._running is me:
            self._running = None
        self._quiet_since = self._clock()
        self._go_on()

    def _go_on(self) -> None:
        """Computes once all searches have asked, then gives the turn to the next that waits."""
        if self._all_have_asked():
            self._serve()
        if self._running is None and self._waiting:
            self._running = self._waiting.popleft()
            self._quiet_since = self._clock()
            self._searches[self._running].set()

    def _all_have_asked(self) -> bool:
        """Returns whether every search that is not left out waits for an answer."""
        waits_for = self._searches.keys() - self._left_out
        return bool(self._asked) and not self._computing and waits_for <= self._asked.keys()

    def _leave_out(self) -> None:
        """Leaves out the searches that have not asked, where nothing has happened for a while."""
        quiet_s = self._clock() - self._quiet_since
        if self._computing or quiet_s < self._patience_s:
            return
        self._left_out |= self._searches.keys() - self._asked.keys() - set(self._waiting)
        if self._running in self._left_out:
            self._running = None

    def _serve(self) -> None:
        """Computes everything that was asked for. The gate is open to others meanwhile.

        What goes wrong with a task itself, such as one that has no hash, is told to all who asked.
        """
        asked, self._asked = self._asked, {}
        self._computing = True
        self._gate.release()
        answers: dict[Thread, _Answer]
        try:
            answers = self._answered(asked)
        except BaseException as error:
            answers = dict.fromkeys(asked, error)
        finally:
            self._gate.acquire()
            self._computing = False
        self._answers |= answers
        self._waiting.extend(asked)
        self._quiet_since = self._clock()

    def _answered(self, asked: Mapping[Thread, _Question]) -> dict[Thread, _Answer]:
        """Returns the answer to each question, with equal tasks joined."""
        answers: dict[Thread, _Answer] = {}
        for task in dict.fromkeys(question.task for question in asked.values()):
            same = {who: other.items for who, other in asked.items() if other.task == task}
            for part in self._parts(task, same):
                answers |= self._done(task, part)
        return answers

    def _parts(
        self, task: Task[Any, Any], asked: dict[Thread, Sequence[Any]]
    ) -> Iterator[dict[Thread, Sequence[Any]]]:
        """Yields the searches that ask for one task, as many together as share a call.

        That is all of them, except where a task can be skipped and the results do not depend on who
        shares a call. There a call takes about `CALL_S`, so that a search is never kept for longer
        once it is to end. The items of one search always share a call.
        """
        if not isinstance(task, Skippable) or not self.backend.steps_at_once:
            yield asked
            return
        part: dict[Thread, Sequence[Any]] = {}
        size = 0
        for who, items in asked.items():
            part[who] = items
            size += sum(task.size(item) for item in items)
            speed = self._sizes_per_s.get(type(task))
            # Each worker gets something to do while the speed is not known.
            if len(part) >= len(self.devices) if speed is None else size >= CALL_S * speed:
                yield part
                part, size = {}, 0
        if part:
            yield part

    def _done(
        self, task: Task[Any, Any], asked: Mapping[Thread, Sequence[Any]]
    ) -> dict[Thread, _Answer]:
        """Returns each search's results of one task, or its exception.

        Where the joined call fails, each search's items are tried alone, because the items of one
        search may have spoiled the call for all.
        """
        try:
            results = self._computed(task, [item for items in asked.values() for item in items])
        except BaseException as error:
            if len(asked) == 1 or isinstance(error, BrokenOff):
                return dict.fromkeys(asked, error)
            log.warning("%r on what %d searches asked for: each alone", error, len(asked))
            alone: dict[Thread, _Answer] = {}
            for who, items in asked.items():
                alone |= self._done(task, {who: items})
            return alone
        answers: dict[Thread, _Answer] = {}
        for who, items in asked.items():
            answers[who], results = results[: len(items)], results[len(items) :]
        return answers

    def _computed(self, task: Task[Any, Any], items: Sequence[Any]) -> list[Any]:
        """Returns a task's results, or skips it where that is possible and there is no time."""
        if isinstance(task, Skippable) and self._hurried():
            return list(task.skip(items))
        began = self._clock()
        results = self._pool.run(task, items)
        seconds = self._clock() - began
        if seconds > 0:
            self._sizes_per_s[type(task)] = sum(task.size(item) for item in items) / seconds
        return results

    def step_aside(self, seconds: float) -> None:
        """Waits in the thread of a search, and gives the others their turns meanwhile."""
        me = threading.current_thread()
        with self._gate:
            self._left_out.add(me)
            self._end_turn(me)
        time.sleep(seconds)
        with self._gate:
            self._waiting.append(me)
            self._go_on()
        self._wait_for_turn(me)

    def run_all(self, searches: Sequence[Callable[[], Outcome]]) -> list[Outcome]:
        """Runs every search in a thread of its own and returns their results in order.

        Waits until all have ended, and then raises the first exception if there was any. One that
        gets no thread, for want of memory, does not hold up the others.
        """
        results: list[Any] = [None] * len(searches)

        def one(number: int) -> None:
            """Runs one search by turns with the others, and keeps its result or its exception."""
            me = threading.current_thread()
            self._wait_for_turn(me)
            try:
                results[number] = searches[number]()
            except BaseException as error:
                results[number] = error
            self._leave(me)

        threads = [
            Thread(target=one, args=(number,), name=f"search-{number}")
            for number in range(len(searches))
        ]
        with self._gate:
            self._searches = {thread: threading.Event() for thread in threads}
            self._waiting = deque(threads)
            self._go_on()
        started = []
        for number, thread in enumerate(threads):
            try:
                thread.start()
                started.append(thread)
            except RuntimeError as error:
                results[number] = error
                self._leave(thread)
        for thread in started:
            thread.join()
        for result in results:
            if isinstance(result, BaseException):
                raise result
        return results

    def _leave(self, thread: Thread) -> None:
        """Takes out a search that has ended, or has not begun, and passes on its turn."""
        with self._gate:
            del self._searches[thread]
            self._left_out.discard(thread)
            if thread in self._waiting:
                self._waiting.remove(thread)
            self._end_turn(thread)

    def run_each(
        self,
        items: Sequence[Item],
        search: Callable[[Item], None],
        at_once: int,
        stop: threading.Event,
    ) -> None:
        """Searches for each item, so many at a time; where one search ends the next begins.

        None begins once `stop` is set. Where a search raises, `stop` is set, and the exception is
        raised again when those under way have ended.
        """
        left, lock = iter(items), threading.Lock()

        def next_item() -> tuple[Item] | None:
            with lock:
                return None if stop.is_set() else next(zip(left), None)

        def work() -> None:
            try:
                while (item := next_item()) is not None:
                    search(*item)
            except BaseException:
                stop.set()
                raise

        self.run_all([work] * min(at_once, len(items)))
