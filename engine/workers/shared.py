"""Lets many searches in one process share their batches.

Each search runs in a thread of its own and asks its pool for work. Equal tasks of several searches
are joined and done in one call, so that the beads of a hundred strings train as one batch, and no
method knows of it.

Where results do not depend on who shares a call, each worker takes a call of its own as soon as
what waits is worth one, and computes while other searches go on. Elsewhere one call is made of all
that is asked for, once all searches wait for an answer. It ends with its slowest item, so that the
searches go at the pace of the slowest in each round. But a search that keeps the others waiting
without asking, because it is paused or writes to a slow disk, is left out until it asks again.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from threading import Thread
from typing import Any, TypeVar

from engine.breaks import BrokenOff
from engine.workers.pool import Item, Pool, Result, Task
from engine.workers.questions import Call, Questions, Skippable

log = logging.getLogger("engine")

Outcome = TypeVar("Outcome")
Clock = Callable[[], float]
"""Returns a time in seconds that only ever grows."""

#: The seconds without a question after which searches that have not asked are left out.
PATIENCE_S = 1.0

_Answer = list[Any] | BaseException


class SharedPool:
    """A pool that joins the tasks of all searches that run in `run_all`.

    Between two questions the searches run by turns, one at a time. Threads that all run at once
    would hand the interpreter to each other at every operation, which costs more than their work.
    """

    def __init__(
        self,
        pool: Pool,
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
        self._patience_s, self._clock = patience_s, clock
        self._gate = threading.Lock()
        self._due = threading.Condition(self._gate)
        """Wakes a server once there may be a call for it, or no search is left."""
        self._questions = Questions(pool)
        self._searches: dict[Thread, threading.Event] = {}
        """The threads of the searches, each with the event that gives it its turn."""
        self._left_out: set[Thread] = set()
        self._served: set[Thread] = set()
        """The searches whose answers are being computed."""
        self._answers: dict[Thread, _Answer] = {}
        self._waiting: deque[Thread] = deque()
        """The searches that wait for their turn."""
        self._running: Thread | None = None
        """The search whose turn it is."""
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
            self._questions.ask(me, task, items)
            self._left_out.discard(me)
            self._end_turn(me)
        self._wait_for_turn(me)
        with self._gate:
            answer = self._answers.pop(me)
        if isinstance(answer, BaseException):
            raise answer
        return answer

    # ------------------------------------------------------------ turns

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
        """Wakes a server where a call is due, and gives the turn to the next that waits."""
        if self._questions.due(all_asked=self._all_have_asked()):
            self._due.notify()
        if self._running is None and self._waiting:
            self._running = self._waiting.popleft()
            self._quiet_since = self._clock()
            self._searches[self._running].set()

    def _all_have_asked(self) -> bool:
        """Returns whether every search that is not left out waits for an answer."""
        waits_for = self._searches.keys() - self._left_out
        return waits_for <= self._questions.who | self._served

    def _leave_out(self) -> None:
        """Leaves out the searches that have not asked, where nothing has happened for a while."""
        quiet_s = self._clock() - self._quiet_since
        if self._served or quiet_s < self._patience_s:
            return
        self._left_out |= self._searches.keys() - self._questions.who - set(self._waiting)
        if self._running in self._left_out:
            self._running = None

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

    # ------------------------------------------------------------ answers

    def _serve(self) -> None:
        """Computes one call after another, until no search is left.

        The gate is open to others meanwhile.
        """
        with self._gate:
            while self._searches:
                call = self._questions.next_call(all_asked=self._all_have_asked())
                if call is None:
                    self._due.wait()
                    continue
                self._served |= call.asked.keys()
                self._go_on()
                self._gate.release()
                try:
                    answers = self._answered(call)
                finally:
                    self._gate.acquire()
                self._questions.ended(call)
                self._served -= call.asked.keys()
                self._answers |= answers
                self._waiting.extend(call.asked)
                self._quiet_since = self._clock()
                self._go_on()
            self._due.notify_all()

    def _answered(self, call: Call) -> dict[Thread, _Answer]:
        """Returns each search's results of a call, or its exception.

        Where the joined call fails, each search's items are tried alone, because the items of one
        search may have spoiled the call for all.
        """
        try:
            results = self._computed(call)
        except BaseException as error:
            if len(call.asked) == 1 or isinstance(error, BrokenOff):
                return dict.fromkeys(call.asked, error)
            log.warning("%r on what %d searches asked for: each alone", error, len(call.asked))
            alone: dict[Thread, _Answer] = {}
            for part in call.each():
                alone |= self._answered(part)
            return alone
        answers: dict[Thread, _Answer] = {}
        for who, items in call.asked.items():
            answers[who], results = results[: len(items)], results[len(items) :]
        return answers

    def _computed(self, call: Call) -> list[Any]:
        """Returns the results of a call, or skips what can be skipped where there is no time."""
        if isinstance(call.task, Skippable) and self._hurried():
            return list(call.task.skip(call.items))
        began = self._clock()
        results = call.workers.run(call.task, call.items)
        self._questions.learn(call, self._clock() - began)
        return results

    # ------------------------------------------------------------ searches

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
        servers = self._servers()
        for number, thread in enumerate(threads):
            try:
                thread.start()
            except RuntimeError as error:
                results[number] = error
                self._leave(thread)
        for thread in servers:
            thread.join()
        for result in results:
            if isinstance(result, BaseException):
                raise result
        return results

    def _servers(self) -> list[Thread]:
        """Starts threads that serve, as many as calls can be made at a time, and returns them.

        Fewer do where memory is short. Raises RuntimeError where there is no room for one.
        """
        servers: list[Thread] = []
        try:
            for _ in self._questions.lanes:
                thread = Thread(target=self._serve, name=f"server-{len(servers)}")
                thread.start()
                servers.append(thread)
        except RuntimeError:
            if not servers:
                self._searches = {}
                raise
        return servers

    def _leave(self, thread: Thread) -> None:
        """Takes out a search that has ended, or has not begun, and passes on its turn."""
        with self._gate:
            del self._searches[thread]
            self._left_out.discard(thread)
            if thread in self._waiting:
                self._waiting.remove(thread)
            self._end_turn(thread)
            if not self._searches:
                self._due.notify_all()

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
