"""The search in one cell, and the measurement of what it leaves, wherever that is done."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.record.events import Outcome, RunFinished, dump_json
from engine.record.reading import check_regular
from engine.record.rundir import RunDir
from engine.record.sweep_folder import measurement_path
from engine.record.writing import replace
from engine.run.cells import ended_for_good, session_of_cell, writer_of, written_spec
from engine.run.moved import models_of_moved
from engine.run.tasks import Means
from engine.spec.keys import Spec

Measure = Callable[[RunDir, RunFinished, int], Any]
"""Returns what the evaluator finds of a run that has ended so, by so many cores, or None."""


@dataclass(frozen=True)
class Search:
    """The task to search in a cell until its session ends, and to measure what it has left."""

    spec: Spec
    """The spec of the cell, as it is planned, where its run has not begun."""
    place: str
    """The place of the cell's run directory."""
    ends: tuple[str, ...] = ()
    """The places of the two models that the spec names, where they lie in the folder."""
    measure: Measure | None = None
    """Measures what it has left, if that is done: a module's function, or a partial of one."""

    @property
    def writes(self) -> tuple[str, ...]:
        """See `Task`."""
        return (self.place,)

    def reads(self, folder: Path) -> tuple[str, ...]:
        """See `Task`: the models, and the cell's own files unless it can only begin anew."""
        run = RunDir(folder / self.place)
        begun = run.checkpoint.exists() or ended_for_good(run) is not None
        return (*self.ends, self.place) if begun else self.ends

    def __call__(self, means: Means) -> str | None:
        """See `Task`."""
        run = RunDir(means.folder / self.place)
        if ended_for_good(run) is None:
            failure = self._searched(run, means)
            if failure is not None:
                return failure
        end = ended_for_good(run)
        if end is not None and self.measure is not None:
            self._measure(run, self.measure, end, means.cores)
        return None

    def _searched(self, run: RunDir, means: Means) -> str | None:
        """Runs the cell to the end of its session, and returns the sentence of a failure."""
        spec = written_spec(run, self.spec, means.folder)
        with (
            models_of_moved(spec, means.folder),
            writer_of(run, means.wishes) as writer,
            means.logs.of(run),
        ):
            ended = session_of_cell(
                writer, spec, means.pool, means.signals, means.wait, means.hurried
            )
        return ended.sentence if ended.outcome is Outcome.FAILED else None

    @staticmethod
    def _measure(run: RunDir, measure: Measure, end: RunFinished, cores: int) -> None:
        """Writes the measurement of a search that has ended, where there is none."""
        path = measurement_path(run)
        found = None if check_regular(path) else measure(run, end, cores)
        if found is not None:
            replace(path, (dump_json(found) + "\n").encode())
