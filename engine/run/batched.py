"""A crew of threads of this process, whose searches share their batches.

With `search.batching: fused` a bead's bits do not depend on its batch, so a cell's string is that
of its run alone. With vmap or loop the same holds up to rounding, which depends on the batch, and
so on the cells that are under way. Where a bead starts on a pass, rounding can choose the side to
which it falls. A cell's running time includes its waits for others, and `limits.seconds` counts
them.
"""

from __future__ import annotations

from dataclasses import dataclass

from engine.backends.backend import Backend
from engine.run.crew import Work
from engine.run.folder_of_runs import AnyCell
from engine.run.grid import AT_ONCE
from engine.run.sharing import Sharing
from engine.spec.keys import Spec


@dataclass(frozen=True)
class Batched:
    """The crew of this process."""

    backend: Backend
    """The backend that computes the problem of the cells."""
    spec: Spec
    """The resolved spec of any cell, whose devices are those of all."""
    at_once: int = AT_ONCE
    """The number of cells that are under way at a time; when one ends the next begins."""

    def run(self, work: Work[AnyCell]) -> str | None:
        """Does what `Crew.run` says."""
        session = Sharing(work.signals, work.logs, work.desk, work.spec_of, work.ended)
        session.run(work.cells, self.backend, self.spec, self.at_once)
        return session.failure
