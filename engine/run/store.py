"""Writes checkpoints, strings and progress of a running search into its run directory.

Small checkpoints are written at once, and the string with them. A thread writes large ones, those
whose beads have files of their own, while the search goes on.
"""

from __future__ import annotations

import dataclasses
import logging
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from engine.errors import SaveError
from engine.methods.endpoints import steps_by_recipe
from engine.path.snapshot import MethodProgress
from engine.record import loss_plane, string_file
from engine.record.events import Outcome
from engine.record.loss_plane import Triple
from engine.record.progress import (
    Counters,
    Epochs,
    Progress,
    ProgressState,
    SegmentProgress,
    Within,
)
from engine.record.writer import RunWriter
from engine.run import checkpoint
from engine.run.bead_files import BeadFiles
from engine.run.checkpoint import Draft
from engine.run.job import Job
from engine.steps.epochs import epochs_after
from engine.told import Told, untold

log = logging.getLogger("engine")

#: The multiplications that measuring a string may cost at a checkpoint, so that it does not stall
#: training, and at a stop, so that it does not take minutes. A string that costs more is not
#: written, and the file of an earlier one stays.
AT_A_CHECKPOINT, AT_A_STOP = 10**9, 10**11


#: After a checkpoint was written by a thread, the next one waits for so many times as long.
PAUSE = 20


class DirectoryStore:
    """The `loop.Store` of a run directory, to be used within a `with` block."""

    resumable = True

    def __init__(
        self,
        writer: RunWriter,
        job: Job,
        hurried: Callable[[], bool] = lambda: False,
        files: BeadFiles | None = None,
    ) -> None:
        """Keeps what comes of a job in the run directory of a writer.

        Where `hurried` returns True, strings are not measured for a checkpoint or a stop. The file
        of an earlier one then stays. `files` are those that a checkpoint was resumed from.
        """
        self._writer, self._job, self._hurried = writer, job, hurried
        self._files = files or BeadFiles(writer.run)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="checkpoints")
        self._writing: Future[None] | None = None
        """The checkpoint that the thread writes."""
        self._large = False
        """Whether the newest checkpoint was left to the thread, and the string not written."""
        self._ready_s = float("-inf")
        """The time from which on the thread may write another one."""
        self.saved_s: float | None = None
        """Running time at the newest checkpoint of this session."""
        self._told: Progress | None = None
        """What `progress.json` held last but for shares of computations."""
        self.shown: MethodProgress | None = None
        """Where the method stood when viewers were shown it last."""

    def __enter__(self) -> DirectoryStore:
        """Returns the store itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Waits until the thread has written what it writes."""
        self._thread.shutdown()

    @property
    def seq(self) -> int:
        """The number of the newest event written."""
        return self._writer.seq

    @property
    def busy(self) -> bool:
        """Whether another periodic checkpoint waits. Raises SaveError where the last one failed."""
        if self._writing is not None and self._writing.done():
            self.settle()
        return self._writing is not None or time.monotonic() < self._ready_s

    def checkpoint(self, elapsed_s: float) -> None:
        """Writes all that a resume needs, and the string where that costs little.

        Where that is much, a thread writes it, and the string waits for `string`. Raises SaveError.
        """
        self.settle()
        method = self._job.method
        kept = checkpoint.Checkpoint(
            method.state,
            self.seq,
            elapsed_s,
            self._job.spec.fingerprint(),
            self._job.problem.fixed,
        )
        draft = checkpoint.draft(kept, self._files)
        self._large = draft.large
        if draft.large:
            self._writing = self._thread.submit(self._write, draft, elapsed_s)
            return
        self._write(draft, elapsed_s)
        self._ready_s = float("-inf")
        self._cheap_string(elapsed_s)

    def _write(self, draft: Draft, elapsed_s: float) -> None:
        """Writes a checkpoint, which is safe once this returns. Raises SaveError."""
        began = time.monotonic()
        self._writer.sync_events()
        draft.write()
        self.saved_s = elapsed_s
        now = time.monotonic()
        self._ready_s = now + PAUSE * (now - began)

    def settle(self) -> None:
        """Waits until the newest checkpoint is written. Raises SaveError."""
        if self._writing is None:
            return
        writing, self._writing = self._writing, None
        writing.result()
        self._files.make_room()

    def string(self, elapsed_s: float) -> None:
        """Writes the string where that costs little, and no checkpoint does. Raises SaveError."""
        if self._large:
            self._cheap_string(elapsed_s)

    def _cheap_string(self, elapsed_s: float) -> None:
        if self._job.method.string_products <= AT_A_CHECKPOINT and not self._hurried():
            self._string("running", elapsed_s)

    def final_string(self, outcome: Outcome, elapsed_s: float, told: Told) -> None:
        """Writes the string, except where a search is stopped and there is no time to measure it.

        `told` is as in `Store`. Raises SaveError.
        """
        method = self._job.method
        quick = method.string_products <= AT_A_STOP and not self._hurried()
        if method.verdict is not None or quick:
            self._string(str(outcome), elapsed_s, told)

    def progress(self, now: MethodProgress, elapsed_s: float, state: ProgressState) -> None:
        """Replaces `progress.json`. Raises SaveError."""
        self.shown = now
        self._told = self._progress(now, elapsed_s, state)
        self._writer.progress(self._told)

    def within(self, share: float, left_s: float | None, elapsed_s: float) -> None:
        """Replaces `progress.json` by what it held, with the share that is done. Raises SaveError.

        It is called in the midst of a step, when nobody can say more. `left_s` is as in `Store`.
        """
        if self._told is not None:
            within = Within(share, since=self._told.time, left=left_s)
            now = dataclasses.replace(self._told, time=elapsed_s, seq=self.seq, within=within)
            self._writer.progress(now)

    def plane(self, beads: Triple, elapsed_s: float) -> None:
        """Writes the loss plane through three beads, or why there is none.

        A search goes on where neither can be written; its log says so.
        """
        answer = self._job.plane(beads, elapsed_s)
        try:
            loss_plane.write_answer(self._writer.run, answer)
        except SaveError as error:
            log.warning("no loss plane: %s", error)

    def _string(self, outcome: str, elapsed_s: float, told: Told = untold) -> None:
        """Measures and writes the newest string. Raises SaveError."""
        string_file.write(self._job.string(outcome, elapsed_s), self._writer.run.string, told)

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
            epochs=self._epochs(),
        )

    def _epochs(self) -> Epochs | None:
        """Returns how long the ends are trained by their recipe, or None where they are not."""
        ends, samples = self._job.spec.endpoints, len(self._job.problem.train)
        if ends.until != "epochs":
            return None
        steps = steps_by_recipe(ends, samples)
        return Epochs(epochs_after(ends, steps, samples), steps, ends.check_every)


def _with_secondary(segment: SegmentProgress, values: NDArray[np.float64]) -> SegmentProgress:
    """Returns a segment with the secondary metric (point,) along it."""
    return dataclasses.replace(segment, secondary=tuple(values.tolist()))


def _counters(now: MethodProgress) -> Counters:
    """Returns the counters of a method's progress."""
    costs = now.costs
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
        sample_gradients=None if costs is None else costs.sample_gradients,
        forward_samples=None if costs is None else costs.forward_samples,
    )
