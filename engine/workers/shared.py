"""Many searches in one process that share their batches.

Each search runs in a thread of its own and asks its pool for work; when all that are at work wait
for an answer, equal tasks are joined and done in one call. So the beads of a hundred strings
train as one batch, and no method knows of it.

A call ends with its slowest item, and the next begins when the last search has asked: the
searches go at one pace, that of the slowest in each round. But one that keeps the others waiting
without asking (it is paused, or writes to a slow disk) is left out until it asks again.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from threading import Thread
from typing import Any, TypeVar

from engine.workers.pool import Item, Result, Task, Workers

log = logging.getLogger("engine")

Outcome = TypeVar("Outcome")
Clock = Callable[[], float]
"""Seconds that only ever grow."""

#: Seconds without a question after which searches that have not asked are left out.
PATIENCE_S = 1.0


@dataclass(frozen=True)
class _Question:
    task: Task[Any, Any]
    items: Sequence[Any]


_Answer = list[Any] | BaseException


class SharedPool:
    """Looks like a `Pool` to each of the searches that run in `run_all`.

    Between two questions one search runs at a time, by turns: threads that all run at once would
    hand the interpreter to each other at every operation, which costs more than their work.
    """

    def __init__(
        self, pool: Workers, patience_s: float = PATIENCE_S, clock: Clock = time.monotonic
    ) -> None:
        self.devices, self.backend = pool.devices, pool.backend
        self._pool = pool
        self._patience_s, self._clock = patience_s, clock
        self._gate = threading.Lock()
        self._searches: dict[Thread, threading.Event] = {}
        """Each with what wakes it."""
        self._left_out: set[Thread] = set()
        self._asked: dict[Thread, _Question] = {}
        self._answers: dict[Thread, _Answer] = {}
        self._waiting: deque[Thread] = deque()
        """For their turn."""
        self._running: Thread | None = None
        """Whose turn it is."""
        self._computing = False
        self._quiet_since = 0.0
        """When a search asked, ended or began its turn last."""

    def run(self, task: Task[Item, Result], items: Sequence[Item]) -> list[Result]:
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
        turn = self._searches[me]
        while not turn.wait(self._patience_s):
            with self._gate:
                self._leave_out()
                self._go_on()
        turn.clear()

    def _end_turn(self, me: Thread) -> None:
        if self._running is me:
            self._running = None
        self._quiet_since = self._clock()
        self._go_on()

    def _go_on(self) -> None:
        """Does what is asked for where all wait for it; then it is somebody's turn."""
        if self._all_have_asked():
            self._serve()
        if self._running is None and self._waiting:
            self._running = self._waiting.popleft()
            self._quiet_since = self._clock()
            self._searches[self._running].set()

    def _all_have_asked(self) -> bool:
        waits_for = self._searches.keys() - self._left_out
        return bool(self._asked) and not self._computing and waits_for <= self._asked.keys()

    def _leave_out(self) -> None:
        """Those that nobody waits for any longer, where nothing has happened for a while."""
        quiet_s = self._clock() - self._quiet_since
        if self._computing or quiet_s < self._patience_s:
            return
        self._left_out |= self._searches.keys() - self._asked.keys() - set(self._waiting)
        if self._running in self._left_out:
            self._running = None

    def _serve(self) -> None:
        """Does what has been asked for, the gate open to others meanwhile."""
        asked, self._asked = self._asked, {}
        self._computing = True
        self._gate.release()
        try:
            answers = self._answered(asked)
        finally:
            self._gate.acquire()
            self._computing = False
        self._answers |= answers
        self._waiting.extend(asked)
        self._quiet_since = self._clock()

    def _answered(self, asked: Mapping[Thread, _Question]) -> dict[Thread, _Answer]:
        answers: dict[Thread, _Answer] = {}
        for task in dict.fromkeys(question.task for question in asked.values()):
            answers |= self._done(
                task, {who: other.items for who, other in asked.items() if other.task == task}
            )
        return answers

    def _done(
        self, task: Task[Any, Any], asked: Mapping[Thread, Sequence[Any]]
    ) -> dict[Thread, _Answer]:
        """Each one's results. Where the whole fails, each is tried alone: one spoils it for all."""
        try:
            results = self._pool.run(task, [item for items in asked.values() for item in items])
        except BaseException as error:
            if len(asked) == 1:
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

    def run_all(self, searches: Sequence[Callable[[], Outcome]]) -> list[Outcome]:
        """Runs them all, each in its thread; their results, or the first exception."""
        results: list[Any] = [None] * len(searches)

        def one(number: int) -> None:
            me = threading.current_thread()
            self._wait_for_turn(me)
            try:
                results[number] = searches[number]()
            except BaseException as error:
                results[number] = error
            with self._gate:
                del self._searches[me]
                self._left_out.discard(me)
                self._end_turn(me)

        threads = [
            Thread(target=one, args=(number,), name=f"search-{number}")
            for number in range(len(searches))
        ]
        with self._gate:
            self._searches = {thread: threading.Event() for thread in threads}
            self._waiting = deque(threads)
            self._go_on()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for result in results:
            if isinstance(result, BaseException):
                raise result
        return results
