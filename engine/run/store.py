"""What a running search leaves in its run directory: checkpoints, strings, progress."""

from __future__ import annotations

from engine.methods import Method
from engine.path.snapshot import MethodProgress
from engine.problem.problem import Problem
from engine.record import string_file
from engine.record.events import Outcome
from engine.record.progress import Counters, Progress, ProgressState
from engine.record.writer import RunWriter
from engine.record.writing import replace
from engine.run import checkpoint
from engine.spec.keys import Spec

#: Multiplications that a string may cost at a checkpoint, which is not to stall training, and
#: where a run is stopped, which is not to take minutes. The file then stays as it was before.
AT_A_CHECKPOINT, AT_A_STOP = 10**9, 10**11


class DirectoryStore:
    """The `search.Store` of a run directory."""

    def __init__(self, writer: RunWriter, spec: Spec, problem: Problem, method: Method) -> None:
        self._writer, self._spec = writer, spec
        self._problem, self._method = problem, method
        self.saved_s: float | None = None
        """Running time at the newest checkpoint of this session."""

    @property
    def seq(self) -> int:
        return self._writer.seq

    def checkpoint(self, elapsed_s: float) -> None:
        self._writer.sync_events()
        kept = checkpoint.Checkpoint(
            self._method.save(), self.seq, elapsed_s, self._spec.fingerprint()
        )
        checkpoint.write(self._writer.run, kept)
        self.saved_s = elapsed_s
        if self._method.string_products <= AT_A_CHECKPOINT:
            self._string("running", elapsed_s)

    def final_string(self, outcome: Outcome, elapsed_s: float) -> None:
        if self._method.verdict is not None or self._method.string_products <= AT_A_STOP:
            self._string(str(outcome), elapsed_s)

    def progress(self, now: MethodProgress, elapsed_s: float, state: ProgressState) -> None:
        self._writer.progress(self._progress(now, elapsed_s, state))

    def _string(self, outcome: str, elapsed_s: float) -> None:
        header = string_file.Header(
            outcome=outcome,
            level=self._spec.search.level,
            alpha=self._spec.search.alpha,
            method=self._spec.search.method,
            seed=self._spec.seed,
            problem=self._spec.problem,
            parameters=tuple((p.name, p.shape) for p in self._problem.parameters),
            data_sha256=self._problem.checksum,
            bead_ids=self._method.progress().order,
            elapsed_s=elapsed_s,
            audit=self._method.describe_audit(),
            level_on=self._spec.search.level_on,
            tolerance=self._spec.search.tolerance,
        )
        held = string_file.StringFile(header, self._method.string())
        replace(self._writer.run.string, string_file.encode(held, ".safetensors"))

    def _secondary_samples(self) -> int | None:
        """Null where it is all of them."""
        problem = self._problem
        whole = problem.secondary_samples == len(problem.samples(problem.secondary.split))
        return None if whole else problem.secondary_samples

    def _progress(self, now: MethodProgress, elapsed_s: float, state: ProgressState) -> Progress:
        return Progress(
            seq=self.seq,
            time=elapsed_s,
            state=state,
            phase=now.phase,
            level=self._spec.search.level,
            tolerance=self._spec.search.tolerance,
            level_on=self._problem.objective,
            secondary=self._problem.secondary,
            secondary_samples=self._secondary_samples(),
            alpha=self._spec.search.alpha,
            endpoints_alpha=self._spec.endpoints.alpha,
            aim=now.aim,
            counters=_counters(now),
            limits=self._spec.limits,
            checkpoint_time=self.saved_s,
            order=now.order,
            losses=now.losses,
            training=now.training,
            segments=now.segments,
        )


def _counters(now: MethodProgress) -> Counters:
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
    )
