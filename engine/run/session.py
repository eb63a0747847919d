"""One session of a run: its directory, problem and devices brought to the search loop.

Used in the foreground by `dss-tui run --headless` and, in a process of its own, by
`python -m engine RUN_DIR`. There is no other way to run a search.
"""

from __future__ import annotations

import logging
import os
import platform
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from io import TextIOWrapper
from pathlib import Path

import numpy as np
import torch

from engine import __version__
from engine.backends.backend import Backend
from engine.backends.vmapped import FEW_TOGETHER
from engine.errors import InputError, SaveError
from engine.methods import Method, build_method
from engine.methods.base import Verdict
from engine.methods.given import check_given
from engine.problem.problem import Problem, build_problem
from engine.record.commands import Command
from engine.record.events import (
    Continued,
    Diagnosis,
    Event,
    Outcome,
    Record,
    RunFinished,
    RunStarted,
    Totals,
)
from engine.record.finding import resume_command
from engine.record.meta import Meta, read_meta
from engine.record.reading import Damaged
from engine.record.rundir import RunDir
from engine.record.signals import Signals
from engine.record.writer import RunWriter
from engine.record.writing import open_log, replace
from engine.run import checkpoint, mirror
from engine.run.choose_backend import choose_backend
from engine.run.loop import Pace, Stopwatch, search, totals
from engine.run.plain_torch import plainly
from engine.run.store import DirectoryStore
from engine.shapes import Beads, PerBead
from engine.spec.checks import check_level_on, check_method
from engine.spec.keys import Spec
from engine.spec.level import LevelOn
from engine.spec.stages import stages_of
from engine.spec.yaml_file import dump
from engine.workers.pool import Workers, open_pool, resolve_devices, set_precision

Observer = Callable[[Record], None]

log = logging.getLogger("engine")

#: Seconds between readings of the commands.
BETWEEN_LOOKS_S = 0.02


@dataclass(frozen=True)
class Ended:
    """How a session ended; `signal` where one asked for it."""

    outcome: Outcome
    sentence: str
    diagnosis: Diagnosis | None = None
    signal: int | None = None


@dataclass
class SessionControl:
    """Commands from the run directory, signals from the system: the `search.Control` of a run."""

    writer: RunWriter
    signals: Signals
    looked_s: float = float("-inf")
    """When commands were read last: a round may take less time than to read a file."""

    def commands(self) -> list[Command]:
        now = time.monotonic()
        if now - self.looked_s < BETWEEN_LOOKS_S:
            return []
        self.looked_s = now
        return self.writer.new_commands()

    def signal(self) -> str | None:
        return self.signals.received.name if self.signals.received else None

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


def exit_status(ended: Ended) -> int:
    """That of the outcome, or 128+N for a session ended by signal N."""
    if ended.signal is not None:
        return 128 + ended.signal
    return ended.outcome.exit_status


def prepare(spec: Spec) -> tuple[Spec, Backend]:
    """Returns the spec with all decided that is left open, and what computes its problem.

    Raises InputError for what cannot run.
    """
    spec = resolve_devices(spec)
    check_method(spec)
    problem = build_problem(spec.problem, objective=spec.search.level_on)
    check_level_on(spec, problem.classes, len(problem.held_out))
    check_given(spec, problem)
    try:
        spec, backend = choose_backend(spec, problem)
    except InputError:
        raise
    except Exception as error:
        if not mirror.is_own(spec.problem):
            raise
        raise mirror.refusal(spec.problem, mirror.Report((), plainly(error))) from error
    _check_batches(spec, backend)
    _check_mirrored(spec, backend)
    return spec, backend


def _check_mirrored(spec: Spec, backend: Backend) -> None:
    """Raises InputError where random models of a user's own code are not what torch makes of them.

    They are measured on the run's first device, as many at once as it computes in one call.
    """
    if not mirror.is_own(spec.problem):
        return
    set_precision(spec)
    device = torch.device(spec.device.split(",")[0])

    def values(theta: Beads, measure: LevelOn) -> PerBead:
        return backend.replica(device).values(theta, measure)

    models = 2 if backend.name == "loop" else FEW_TOGETHER
    problem = backend.problem.to(device)
    found = mirror.of_random_models(spec.problem, problem, values, models)
    if not found.agrees:
        raise mirror.refusal(spec.problem, found)


def _check_batches(spec: Spec, backend: Backend) -> None:
    """Raises InputError where batches are too small for the network to normalize by them."""
    trainings = stages_of(spec).trainings
    if 1 in {training.batch_size for training in trainings} and backend.problem.normalizes:
        theta = backend.problem.initial(0)[None]
        backend.loss_and_grad_on(theta, torch.zeros(1, 1, dtype=torch.int64))


def run(
    directory: RunDir,
    signals: Signals,
    observe: Observer = lambda record: None,
) -> Ended:
    """Runs a run directory, or goes on with it, until the search ends or is asked to.

    Raises InputError where the directory does not allow it. A failure of the engine itself is
    written to its log and its events, and returned as the outcome `failed`.
    """
    with RunWriter(directory) as writer, logging_to(directory.log):
        asked = directory.load_spec()
        spec, backend = prepare(asked)
        if spec != asked and not directory.checkpoint.exists():  # which belongs to that file
            replace(directory.spec, dump(spec).encode())
        with open_pool(backend, spec) as pool:
            return run_session(writer, spec, pool, signals, observe)


def run_session(
    writer: RunWriter,
    spec: Spec,
    pool: Workers,
    signals: Signals,
    observe: Observer = lambda record: None,
    pace: Pace | None = None,
) -> Ended:
    """A session of a run whose spec is resolved, on devices that others may share.

    Raises InputError where the run's checkpoint belongs to another spec.
    """
    kept = checkpoint.read(writer.run, spec)
    writer.meta(_meta(writer.run, spec))
    method = build_method(spec, pool)
    if kept is not None:
        method.restore(kept.method)
    session = _Session(writer, spec, pool.backend.problem, method, observe)
    return session.run(kept, signals, pace or Pace(checkpoint_s=spec.checkpoint_seconds))


def refuse(directory: RunDir, error: InputError | SaveError) -> None:
    """Tells viewers that a run could not start; not where another process is running it."""
    empty = Totals(0, 0, 0, 0, 0, (), 0, float("nan"), float("nan"), 0.0)
    with suppress(InputError, SaveError, OSError), RunWriter(directory) as writer:
        writer.record(RunFinished(Outcome.FAILED, f"It cannot run: {error}.", empty), 0.0)


@dataclass(frozen=True)
class _Session:
    writer: RunWriter
    spec: Spec
    problem: Problem
    method: Method
    observe: Observer

    def run(self, kept: checkpoint.Checkpoint | None, signals: Signals, pace: Pace) -> Ended:
        elapsed = Stopwatch(time.monotonic, kept.elapsed_s if kept else 0.0)
        store = DirectoryStore(self.writer, self.spec, self.problem, self.method)
        control = SessionControl(self.writer, signals)
        started_seq = self.writer.started_seq
        first = (
            self._started()
            if started_seq is None
            else Continued(kept.seq if kept is not None else started_seq)
        )
        events = search(
            self.method, self.spec.limits, store, control, elapsed, first, pace, self._confirmed
        )
        event: Event = first
        try:
            for event in events:
                self._tell(event, elapsed())
        except Exception as error:
            if not isinstance(error, SaveError):
                log.exception("the engine failed")
            event = self._failure(error, kept, store)
            with suppress(SaveError):  # where the disk is full, the log and the caller know
                self._tell(event, elapsed())
        assert isinstance(event, RunFinished)
        log.info(event.sentence)
        stopped = event.outcome is Outcome.STOPPED and signals.received
        return Ended(event.outcome, event.sentence, event.diagnosis, stopped or None)

    def _confirmed(self, ending: Verdict) -> Verdict:
        """Returns the ending, failed where plain torch does not find what was measured.

        Only audited strings of a user's own code are looked at.
        """
        audited = ending.outcome in (Outcome.CONNECTED, Outcome.NOT_CONNECTED)
        if not audited or not mirror.is_own(self.spec.problem):
            return ending
        found = mirror.of_string(self.spec.problem, self.problem, self.method.string())
        log.info("mirror: plain torch looked at %d losses", len(found.comparisons))
        return ending if found.agrees else Verdict(Outcome.FAILED, f"Failed: {found.words}.")

    def _tell(self, event: Event, elapsed_s: float) -> None:
        self.observe(self.writer.record(event, elapsed_s))

    def _started(self) -> RunStarted:
        return RunStarted(
            method=self.spec.search.method,
            level=self.spec.search.level,
            alpha=self.spec.search.alpha,
            seed=self.spec.seed,
            parameters=self.problem.parameter_count,
            samples=len(self.problem.train),
            devices=tuple(self.spec.device.split(",")),
            level_on=self.spec.search.level_on.words,
            tolerance=self.spec.search.tolerance,
        )

    def _failure(
        self, error: Exception, kept: checkpoint.Checkpoint | None, store: DirectoryStore
    ) -> RunFinished:
        saved_s = store.saved_s if store.saved_s is not None else kept and kept.elapsed_s
        safe = (
            "No checkpoint was written yet"
            if saved_s is None
            else f"The checkpoint of {saved_s:.1f} s is still good"
        )
        if isinstance(error, SaveError):
            sentence = f"{error}. {safe}: make room, then `{resume_command(self.writer.run)}`."
        else:
            sentence = (
                f"The engine failed: {type(error).__name__}: {error}. {safe}; the details are in "
                f"{self.writer.run.log}."
            )
        return RunFinished(Outcome.FAILED, sentence, totals(self.method.progress(), 0.0))


def _meta(directory: RunDir, spec: Spec) -> Meta:
    now = datetime.now(UTC).isoformat(timespec="seconds")
    names = [torch.cuda.get_device_name(d) for d in spec.device.split(",") if d != "cpu"]
    return Meta(
        version=__version__,
        host=socket.gethostname(),
        pid=os.getpid(),
        devices=tuple(names) or (f"cpu, {spec.workers} threads",),
        torch=torch.__version__,
        numpy=np.__version__,
        python=platform.python_version(),
        started=_started_before(directory) or now,
        session_started=now,
    )


def _started_before(directory: RunDir) -> str | None:
    """Returns when the run's first session began, None where that is not known."""
    with suppress(Damaged):
        before = read_meta(directory)
        return before.started if before is not None else None
    return None


class _LogFile(logging.FileHandler):
    """A log that cannot be written, as on a full disk, must not hide what is to be said."""

    def _open(self) -> TextIOWrapper:
        return open_log(Path(self.baseFilename))

    def handleError(self, record: logging.LogRecord) -> None:
        pass

    def close(self) -> None:
        with suppress(OSError):
            super().close()


@contextmanager
def logging_to(path: Path) -> Iterator[None]:
    """Sends the engine's log and Python's warnings to a file."""
    handler = _LogFile(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    loggers = (log, logging.getLogger("py.warnings"))
    log.setLevel(logging.INFO)
    for logger in loggers:
        logger.addHandler(handler)
        logger.propagate = False
    logging.captureWarnings(True)
    try:
        yield
    finally:
        logging.captureWarnings(False)
        for logger in loggers:
            logger.removeHandler(handler)
        handler.close()
