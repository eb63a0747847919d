"""One search, from its resolved spec to the loop, wherever its events go.

A session in a run directory (`session`) and a search without any folder (`search`) are the same
job; they differ in the store and the control that they give to the loop.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

from engine.breaks import Attend, BrokenOff
from engine.errors import InputError
from engine.methods import build_method
from engine.methods.base import Verdict
from engine.methods.method import KeptString, StagedMethod
from engine.problem.problem import Problem
from engine.record.events import Continued, Event, Outcome, RunStarted
from engine.record.loss_plane import Answer, NoPlane, Triple
from engine.record.string_file import Header, StringFile
from engine.run import mirror
from engine.run.attention import Attention
from engine.run.loop import Pace, search
from engine.run.loss_plane import plane_through
from engine.run.outside import Control, Store
from engine.run.stopwatch import Stopwatch
from engine.spec.keys import Spec
from engine.workers.pool import Pool, Workers

log = logging.getLogger("engine")


@dataclass(frozen=True)
class Job:
    """A search on a pool: its resolved spec, its problem, and the method at work on it."""

    spec: Spec
    problem: Problem
    method: StagedMethod

    @classmethod
    def on(cls, pool: Workers, spec: Spec) -> Job:
        """Returns the job of a resolved spec at its beginning, computed by the workers of `pool`.

        Raises InputError where files that the spec names cannot be read.
        """
        return cls(spec, pool.backend.problem, build_method(spec, pool))

    def events(
        self,
        store: Store,
        control: Control,
        elapsed: Stopwatch,
        pace: Pace,
        first: RunStarted | Continued | None = None,
    ) -> Iterator[Event]:
        """Yields the events of the search to its end, `first` or RunStarted before all others.

        Raises BrokenOff where it is to end in the midst of a long computation.
        """
        first = self.started() if first is None else first
        limits = self.spec.limits
        attention = Attention(store, control, elapsed)
        with self._attended(attention):
            yield from search(
                self.method, limits, store, control, elapsed, first, pace, self._confirmed
            )

    def _attended(self, attend: Attend) -> AbstractContextManager[None]:
        """Lets somebody look at what the workers take long for, where no other search uses them."""
        pool = self.method.chain.pool.unmetered
        return pool.attended(attend) if isinstance(pool, Pool) else nullcontext()

    def started(self) -> RunStarted:
        """Returns the event that tells what is searched for, and on what."""
        search = self.spec.search
        return RunStarted(
            method=search.method,
            level=self.method.chain.level,
            alpha=search.alpha,
            seed=self.spec.seed,
            parameters=self.problem.parameter_count,
            samples=len(self.problem.train),
            devices=tuple(self.spec.device.split(",")),
            level_on=search.level_on.words,
            tolerance=search.tolerance,
            level_asked="" if search.number is not None else search.level_words,
        )

    def string(self, outcome: str, elapsed_s: float) -> StringFile:
        """Returns the string as it is now, with the header that its file has.

        `outcome` is an `Outcome`, or "running", and `elapsed_s` the running time so far in seconds.
        Segments that are not measured yet are measured for it.
        """
        return self.file_of(self.method.kept_string(), outcome, elapsed_s)

    def file_of(self, kept: KeptString, outcome: str, elapsed_s: float) -> StringFile:
        """Returns a string of the search with the header that its file has, as in `string`."""
        search = self.spec.search
        descent = self.method.descent
        header = Header(
            outcome=outcome,
            level=kept.level,
            alpha=search.alpha,
            method=search.method,
            seed=self.spec.seed,
            problem=self.spec.problem,
            parameters=tuple((p.name, p.shape) for p in self.problem.parameters),
            data_sha256=self.problem.checksum,
            bead_ids=kept.order,
            elapsed_s=elapsed_s,
            audit=self.method.describe_audit(),
            level_on=search.level_on,
            tolerance=search.tolerance,
            bracket=None if descent is None else descent.now,
            relabelled=self.problem.relabelled,
        )
        fixed = {name: each.numpy() for name, each in self.problem.fixed.items()}
        ends = self.problem.carried
        buffers = {} if ends is None else ends.buffers
        carried = {name: each.numpy() for name, each in buffers.items()}
        return StringFile(header, kept.string, fixed=fixed, carried=carried)

    def plane(self, beads: Triple, elapsed_s: float) -> Answer:
        """Returns the loss plane through three beads as they are now, or why there is none.

        `elapsed_s` is the running time so far in seconds. The search is not changed by it, and goes
        on where it fails, as a user's own loss may far away from trained models.
        """
        method, search = self.method, self.spec.search
        try:
            return plane_through(
                method.chain.pool.unmetered,
                beads,
                method.weights(),
                method.chain.order,
                level=(method.chain.level, search.tolerance),
                elapsed_s=elapsed_s,
            )
        except BrokenOff:
            raise
        except InputError as error:
            return NoPlane(beads=beads, time=elapsed_s, reason=str(error))
        except Exception as error:
            log.exception("a loss plane failed")
            reason = f"measuring it failed with {type(error).__name__}: {error}"
            return NoPlane(beads=beads, time=elapsed_s, reason=reason)

    def _confirmed(self, ending: Verdict) -> Verdict:
        """Returns the ending, failed where plain torch does not find what was measured.

        Only audited strings of a user's own code are compared.
        """
        audited = ending.outcome in (Outcome.CONNECTED, Outcome.NOT_CONNECTED)
        if not audited or not mirror.is_own(self.spec.problem):
            return ending
        found = mirror.of_string(self.spec.problem, self.problem, self.method.string())
        log.info("mirror: plain torch looked at %d losses", len(found.comparisons))
        return ending if found.agrees else Verdict(Outcome.FAILED, f"Failed: {found.words}.")
