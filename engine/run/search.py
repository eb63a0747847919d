"""A search as an iterator of events, without a run directory: the library's `engine.search`."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from contextlib import nullcontext
from dataclasses import replace
from math import inf
from types import TracebackType

import numpy as np

from engine.record.events import Event, Outcome, RunFinished
from engine.record.string_file import StringFile
from engine.run.job import Job
from engine.run.loop import Pace
from engine.run.outside import Nowhere, Undisturbed
from engine.run.prepare import Prepared, prepare
from engine.run.stopwatch import Clock, Stopwatch
from engine.spec.keys import Spec
from engine.workers.pool import Workers, open_pool

#: Nothing is kept or shown, so it is never time to.
NEVER = Pace(checkpoint_s=inf, progress_s=inf)


class Search(Iterator[Event]):
    """A search that is taken event by event, and works between one event and the next.

    It takes the same steps as `dss-tui run` does for the same spec, with the same bits, but keeps
    no folder. Its threads begin with the first event and end with the last one, or with `close`:
    a search that is left early is closed by hand or by a `with` block.
    """

    def __init__(
        self, prepared: Prepared, *, pool: Workers | None = None, clock: Clock = time.monotonic
    ) -> None:
        """Makes the search of a preset that is prepared, on a pool of its own if none is given."""
        self.spec = prepared.spec
        """The preset with all decided that it left open. The same spec repeats the search."""
        self.finished: RunFinished | None = None
        """The last event, with the outcome, a sentence about it and the totals; None before it."""
        self._backend = prepared.backend
        self._pool = pool
        self._clock = clock
        self._at_work: tuple[Job, Stopwatch] | None = None
        self._string: StringFile | None = None
        self._events = self._search()

    def __next__(self) -> Event:
        """Works until there is something to tell, and returns that.

        Raises StopIteration after the last event, and whatever fails: a failure of the engine, or
        of a user's own code, ends the search as an exception.
        """
        return next(self._events)

    def __enter__(self) -> Search:
        """Returns the search, which is closed at the end of the block."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Closes the search."""
        self.close()

    def run(self) -> RunFinished:
        """Searches to the end, lets all events pass, and returns the last one.

        Raises RuntimeError where the search was closed before its end.
        """
        for _ in self:
            pass
        if self.finished is None:
            raise RuntimeError("the search was closed before it ended; begin another one")
        return self.finished

    @property
    def outcome(self) -> Outcome | None:
        """The outcome of the search; None before its last event."""
        return None if self.finished is None else self.finished.outcome

    def string(self) -> StringFile:
        """Returns the string as it is now, or as it was at the end, as its file holds it.

        While the search is at work, segments that are not measured yet are measured for it.
        Raises RuntimeError before the first event, and where the search was closed before its end.
        """
        if self._at_work is not None:
            job, elapsed = self._at_work
            return _whole(job.string("running", elapsed()))
        if self._string is None:
            raise RuntimeError("there is no string before the first event, nor after a close")
        return self._string

    def close(self) -> None:
        """Stops the search where it is, and ends its threads. What has ended stays as it is."""
        self._events.close()

    def _search(self) -> Generator[Event, None, None]:
        """Yields the events; a pool of its own is closed whatever becomes of the search."""
        with nullcontext(self._pool) if self._pool else open_pool(self._backend, self.spec) as pool:
            job, elapsed = Job.on(pool, self.spec), Stopwatch(self._clock)
            self._at_work = job, elapsed
            try:
                for event in job.events(Nowhere(), Undisturbed(), elapsed, NEVER):
                    if isinstance(event, RunFinished):
                        self._string = _whole(
                            job.string(str(event.outcome), event.totals.elapsed_s)
                        )
                        self.finished = event
                        self._at_work = None
                    yield event
            finally:
                self._at_work = None


def _whole(file: StringFile) -> StringFile:
    """Returns a string whose beads are one array."""
    return replace(file, string=replace(file.string, beads=np.asarray(file.string.beads)))


def search(spec: Spec) -> Search:
    """Returns a search for a path, which begins when its first event is asked for.

    The outcome, the string and every event but for its times are those of `dss-tui run` for the
    same preset, seed and machine. The keys `limits` hold as they do there; a search that comes to
    one ends with the outcome `limit_reached`. Nothing is written, and the process's signals are
    left alone.

    Args:
        spec: What `load_preset` returns, or a changed copy of it.

    Raises:
        InputError: The search cannot run: the parts of the preset do not fit each other, files are
            missing, or a user's own code is not measured as plain torch measures it. The sentence
            names the key, the value and the remedy.
    """
    return Search(prepare(spec.of_a_new_run()))
