"""A crew of threads of this process, whose searches share their batches.

With `search.batching: fused` a bead's bits do not depend on its batch, so a cell's string is that
of its run alone. With vmap or loop the same holds up to rounding, which depends on the batch, and
so on the cells that are under way. Where a bead starts on a pass, rounding can choose the side to
which it falls. A cell's running time includes its waits for others, and `limits.seconds` counts
them.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Generic

from engine.problem.problem import Problem
from engine.run.backends import Backends, kind_of
from engine.run.crew import AnyItem, Work
from engine.run.grid import AT_ONCE
from engine.run.prepare import Prepared
from engine.run.tasks import Means, giving_up
from engine.spec.keys import Spec
from engine.workers.pool import Pool, Workers, cores, open_pool
from engine.workers.shared import SharedPool


@dataclass(frozen=True)
class Batched:
    """The crew of this process."""

    at_once: int = AT_ONCE
    """The number of tasks that are under way at a time; when one ends the next begins."""
    backends: Backends = field(default_factory=Backends)
    """The backends that compute the tasks."""

    def decide(self, spec: Spec, others: Iterable[Spec]) -> Spec:
        """Does what `Crew.decide` says."""
        return self.backends.decide(spec, others)

    def problem(self, spec: Spec) -> Problem:
        """Does what `Crew.problem` says."""
        return self.backends.of(spec).backend.problem

    def run(self, work: Work[AnyItem]) -> str | None:
        """Does what `Crew.run` says. Tasks that do not share a problem wait for each other."""
        session = work.session
        for items, prepared in self._bundles(work):
            with (
                open_pool(prepared.backend, prepared.spec) as pool,
                pool.attended(giving_up(session.desk, session.hurried)),
            ):
                failure = self._done(work, items, prepared, pool)
            if failure is not None:
                return failure
        return None

    def _done(
        self, work: Work[AnyItem], items: Sequence[AnyItem], prepared: Prepared, pool: Pool
    ) -> str | None:
        """Does tasks that share a problem, and returns the sentence of a failure.

        One that is alone has the pool to itself. Raises InputError and SaveError.
        """
        session = work.session
        if self.at_once == 1:
            alone = _Bundle(work, prepared, pool, time.sleep)
            for item in items:
                alone.do(item)
            return alone.failure
        shared = SharedPool(pool, hurried=session.hurried)
        together = _Bundle(work, prepared, shared, shared.step_aside)
        shared.run_each(items, together.do, self.at_once, session.desk.stop)
        return together.failure

    def _bundles(self, work: Work[AnyItem]) -> Iterator[tuple[tuple[AnyItem, ...], Prepared]]:
        """Yields items that follow each other and share a problem, with what is prepared for it."""
        left = deque(work.items)
        while left and not work.session.hurried():
            spec = work.task_of(left[0]).spec
            prepared = self.backends.of(spec)
            kind, items = kind_of(spec, prepared), [left.popleft()]
            while left and kind_of(work.task_of(left[0]).spec, prepared) == kind:
                items.append(left.popleft())
            yield tuple(items), prepared


@dataclass
class _Bundle(Generic[AnyItem]):
    """Tasks that share a problem, which one or more threads do one after another."""

    work: Work[AnyItem]
    prepared: Prepared
    pool: Workers
    wait: Callable[[float], None]
    """Waits a number of seconds."""
    failure: str | None = None
    """The sentence of the first task in which the engine has failed, or None."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def do(self, item: AnyItem) -> None:
        """Does the task of an item, unless everything is to stop."""
        session = self.work.session
        if session.hurried():
            return
        task = self.work.task_of(item)
        failure = task(
            Means(
                session.folder,
                self.prepared,
                self.pool,
                session.desk,
                session.signals,
                session.logs,
                self.wait,
                cores(),
            )
        )
        self.work.ended(item)
        if failure is not None:
            self._fail(f"{session.folder / task.writes[0]}: {failure}")

    def _fail(self, sentence: str) -> None:
        """Keeps the sentence of the first failure, and stops all tasks."""
        with self.lock:
            self.failure = self.failure or sentence
        self.work.session.desk.stop.set()
