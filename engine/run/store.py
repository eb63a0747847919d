"""Writes checkpoints, strings and progress of a running search into its run directory."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from engine.errors import SaveError
from engine.path.snapshot import MethodProgress
from engine.record import loss_plane, string_file
from engine.record.events import Outcome
from engine.record.loss_plane import Triple
from engine.record.progress import Counters, Progress, ProgressState, SegmentProgress
from engine.record.writer import RunWriter
from engine.record.writing import replace
from engine.run import checkpoint
from engine.run.job import Job

log = logging.getLogger("engine")

#: The multiplications that measuring a string may cost at a checkpoint, so that it does not stall
#: training, and at a stop, so that it does not take minutes. A string that costs more is not
#: written, and the file of an earlier one stays.
AT_A_CHECKPOINT, AT_A_STOP = 10**9, 10**11


class DirectoryStore:
    """The `loop.Store` of a run directory."""

    resumable = True

    def __init__(
        self, writer: RunWriter, job: Job, hurried: Callable[[], bool] = lambda: False
    ) -> None:
        """Keeps what comes of a job in the run directory of a writer.

        Where `hurried` returns True, strings are not measured for a checkpoint or a stop. The file
        of an earlier one then stays.
        """
        self._writer, self._job, self._hurried = writer, job, hurried
        self.saved_s: float | None = None
        """Running time at the newest checkpoint of this session."""
        self.shown: MethodProgress | None = None
        """Where the method stood when viewers were shown it last."""

    @property
    def seq(self) -> int:
        """The number of the newest event written."""
        return self._writer.seq

    def checkpoint(self, elapsed_s: float) -> None:
        """Writes all that a resume needs, and the string where that costs little.

        Raises SaveError.
        """
        self._writer.sync_events()
        method = self._job.method
        kept = checkpoint.Checkpoint(
            method.state,
            self.seq,
            elapsed_s,
            self._job.spec.fingerprint(),
            self._job.problem.fixed,
        )
        checkpoint.write(self._writer.run, kept)
        self.saved_s = elapsed_s
        if method.string_products <= AT_A_CHECKPOINT and not self._hurried():
            self._string("running", elapsed_s)

    def final_string(self, outcome: Outcome, elapsed_s: float) -> None:
        """Writes the string, except where a search is stopped and there is no time to measure it.

        Raises SaveError.
        """
        method = self._job.method
        quick = method.string_products <= AT_A_STOP and not self._hurried()
        if method.verdict is not None or quick:
            self._string(str(outcome), elapsed_s)

    def progress(self, now: MethodProgress, elapsed_s: float, state: ProgressState) -> None:
        """Replaces `progress.json`. Raises SaveError."""
        self.shown = now
        self._writer.progress(self._progress(now, elapsed_s, state))

    def plane(self, beads: Triple, elapsed_s: float) -> None:
        """Writes the loss plane through three beads, or why there is none.

        A search goes on where neither can be written; its log says so.
        """
        answer = self._job.plane(beads, elapsed_s)
        try:
            loss_plane.write_answer(self._writer.run, answer)
        except SaveError as error:
            log.warning("no loss plane: %s", error)

    def _string(self, outcome: str, elapsed_s: float) -> None:
        """Measures and writes the newest string. Raises SaveError."""
        held = self._job.string(outcome, elapsed_s)
        replace(self._writer.run.string, string_file.encode(held, ".safetensors"))

    def _secondary_samples(self) -> int | None:
        """Returns the number of samples of the secondary metric, or None for the whole split."""
        problem = self._job.problem
        whole = problem.secondary_samples == len(problem.samples(problem.secondary.split))
        return None if whole else problem.secondary_samples

    def _progress(self, now: MethodProgress, elapsed_s: float, state: ProgressState) -> Progress:
        """Returns the content of `progress.json`."""
        return Progress(
            seq=self.seq,
            time=elapsed_s,
            state=state,
            phase=now.phase,
            level=self._job.method.chain.level,
            tolerance=self._job.spec.search.tolerance,
            level_on=self._job.problem.objective,
            secondary=self._job.problem.secondary,
            secondary_samples=self._secondary_samples(),
            alpha=self._job.spec.search.alpha,
            endpoints_alpha=self._job.spec.endpoints.alpha,
            aim=now.aim,
            counters=_counters(now),
            limits=self._job.spec.limits,
            checkpoint_time=self.saved_s,
            order=now.order,
            losses=now.losses,
            training=now.training,
            segments=tuple(
                _with_secondary(segment, values)
                for segment, values in zip(now.segments, self._job.method.secondary(), strict=True)
            ),
            certified=now.certified,
            bracket=now.bracket,
            target=None if now.bracket is None else self._job.method.chain.goal.target,
            ends_by_recipe=self._job.spec.endpoints.until == "epochs",
        )


def _with_secondary(segment: SegmentProgress, values: NDArray[np.float64]) -> SegmentProgress:
    """Returns a segment with the secondary metric (point,) along it."""
    return dataclasses.replace(segment, secondary=tuple(values.tolist()))


def _counters(now: MethodProgress) -> Counters:
    """Returns the counters of a method's progress."""
    return Counters(
        depth=now.depth,
        beads=now.beads,
        beads_per_depth=now.beads_per_depth,
        open=now.count("open") + now.count("training"),
        closed=now.count("closed"),
        failed=now.count("failed"),
        in_training=len(now.training),
        bead_steps=now.bead_steps,
        max_peak=now.max_peak,
        normalized_length=now.normalized_length,
        turn_mean=now.turn_mean,
        turn_max=now.turn_max,
    )
