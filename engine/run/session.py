"""One session of a run: its directory, problem and devices brought to the search loop.

Used in the foreground by `dss-tui run --headless` and, in a process of its own, by
`python -m engine RUN_DIR`. A search without a directory is the same job (`search`).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from io import TextIOWrapper
from pathlib import Path
from typing import Any

from engine.breaks import BrokenOff
from engine.errors import InputError, SaveError
from engine.record.commands import Command
from engine.record.events import Continued, Event, Outcome, Record, RunFinished, RunStarted
from engine.record.finding import resume_command
from engine.record.findings import Diagnosis, Totals
from engine.record.reading import LARGEST_PRESET, Damaged, read_text
from engine.record.rundir import RunDir
from engine.record.signals import Signals
from engine.record.writer import RunWriter
from engine.record.writing import open_log, replace
from engine.run import checkpoint
from engine.run.bead_files import BeadFiles
from engine.run.facts import facts
from engine.run.job import Job
from engine.run.loop import Pace, totals
from engine.run.moved import models_of_cell
from engine.run.prepare import Prepared, prepare
from engine.run.stopwatch import Stopwatch
from engine.run.store import DirectoryStore
from engine.spec.keys import Spec
from engine.spec.trust import check_run, functions_of
from engine.spec.yaml_file import dump
from engine.workers.memory import out_of_memory
from engine.workers.pool import Workers, open_pool

Observer = Callable[[Record], None]
"""A function that is called with each event's record as soon as it is written."""

log = logging.getLogger("engine")

#: How the comment of run.yaml begins that tells how the level came about.
LEVEL_NOTE = "# search.level:"

#: The counters of a run of which nothing is known.
NOTHING = Totals(0, 0, 0, 0, 0, (), 0, float("nan"), float("nan"), 0.0)

#: The seconds between two readings of the commands.
BETWEEN_LOOKS_S = 0.02


@dataclass(frozen=True)
class Ended:
    """The end of a session of a run."""

    outcome: Outcome
    sentence: str
    """The outcome in a sentence for a person."""
    diagnosis: Diagnosis | None = None
    """The findings, where there is no connection."""
    signal: int | None = None
    """The number of the signal that asked the session to end, if one did."""
    totals: Totals | None = None
    """The counters of the run; None where they are not known."""


@dataclass
class SessionControl:
    """Commands from the run directory, signals from the system: the `loop.Control` of a run."""

    writer: RunWriter
    """The writer of the run directory, which reads the commands."""
    signals: Signals
    """The signals that this process has received."""
    wait: Callable[[float], None] = time.sleep
    """Waits a number of seconds."""
    looked_s: float = float("-inf")
    """The time when commands were last read. A round may take less time than reading a file."""
    waiting: list[Command] = field(default_factory=list)
    """The commands that were read and not returned yet."""

    def commands(self) -> list[Command]:
        """Returns the commands that came since they were read last; none for a moment after."""
        self._read()
        commands, self.waiting = self.waiting, []
        return commands

    def is_to_end(self) -> bool:
        """Returns whether a command that waits, or a signal, asks the search to end."""
        self._read()
        return self.signals.received is not None or "stop" in self.waiting

    def _read(self) -> None:
        """Reads the commands, unless that was done a moment ago."""
        now = time.monotonic()
        if now - self.looked_s >= BETWEEN_LOOKS_S:
            self.looked_s = now
            self.waiting += self.writer.new_commands()

    def signal(self) -> str | None:
        """Returns the name of the signal that asked this process to end, or None."""
        return self.signals.received.name if self.signals.received else None

    def sleep(self, seconds: float) -> None:
        """Waits a number of seconds."""
        self.wait(seconds)


def exit_status(ended: Ended) -> int:
    """Returns the process exit status for the end of a session.

    It is 0, 1 or 3 by the outcome, or 128 + N where signal N ended the session.
    """
    if ended.signal is not None:
        return 128 + ended.signal
    return ended.outcome.exit_status


def run(
    directory: RunDir,
    signals: Signals,
    observe: Observer = lambda record: None,
    prepared: Prepared | None = None,
    *,
    run_factories: bool = False,
) -> Ended:
    """Runs a run directory, or goes on with it, until the search ends or is asked to.

    A new run whose preset was `prepared` before its directory was made is not prepared again.
    Functions of a user's own, which the preset names, are run where the folder is this user's own,
    or with `run_factories`.

    Raises InputError where the directory does not allow it. A failure of the engine itself is
    written to its log and its events, and returned as the outcome `failed`, whenever it comes.
    """
    with RunWriter(directory) as writer, logging_to(directory.log):
        try:
            return run_written(writer, signals, observe, prepared, run_factories=run_factories)
        except (InputError, SaveError):
            raise
        except Exception as error:
            if isinstance(writer.last, RunFinished):  # it is told, and the observer is gone
                raise
            log.exception("the engine failed")
            sentence = f"{_what_failed(error)}. The details are in {directory.log}."
            observe(writer.record(RunFinished(Outcome.FAILED, sentence, NOTHING), 0.0))
            return Ended(Outcome.FAILED, sentence)


def run_written(
    writer: RunWriter,
    signals: Signals,
    observe: Observer = lambda record: None,
    prepared: Prepared | None = None,
    *,
    run_factories: bool = False,
    **others: Any,
) -> Ended:
    """Prepares a run directory where it is not prepared, and runs a session of it with its writer.

    `others` are further arguments of `run_session`. Raises InputError where it cannot run.
    """
    directory = writer.run
    asked = directory.load_spec()
    with models_of_cell(asked, directory.path):
        if prepared is None:
            check_run(asked, directory.spec, run_factories=run_factories)
            prepared = prepare(asked)
        spec = prepared.spec
        if spec != asked and not directory.checkpoint.exists():  # which belongs to that file
            replace(directory.spec, dump(spec).encode())
        if named := functions_of(spec):
            log.info("functions of the user's own are run: %s", ", ".join(dict.fromkeys(named)))
        if prepared.unseen:
            log.warning("no GPU is used: %s", prepared.unseen)
        with open_pool(prepared.backend, spec) as pool:
            return run_session(
                writer,
                spec,
                pool,
                signals,
                observe,
                why=prepared.why,
                graphs=prepared.graphs,
                **others,
            )


def run_session(
    writer: RunWriter,
    spec: Spec,
    pool: Workers,
    signals: Signals,
    observe: Observer = lambda record: None,
    pace: Pace | None = None,
    wait: Callable[[float], None] = time.sleep,
    hurried: Callable[[], bool] = lambda: False,
    why: str = "",
    graphs: str = "",
) -> Ended:
    """Runs a session of a run whose spec is resolved, on devices that others may share.

    `wait` waits a number of seconds while the run pauses. Once `hurried` returns True, a stop does
    no more than to write the checkpoint. `why` says in words why its backend was chosen, and
    `graphs` whether its rounds are recorded as CUDA graphs.

    Raises InputError where the run's checkpoint belongs to another spec, or is damaged.
    """
    job = Job.on(pool, spec)
    files = BeadFiles(writer.run)
    kept = checkpoint.resume(writer.run, spec, job.method, files)
    meta = facts(writer.run, spec, why, graphs)
    writer.meta(meta)
    log.info(meta.words)
    if kept is not None and kept.damaged is not None:
        log.warning(_instead(kept.damaged))
    control = SessionControl(writer, signals, wait)
    with DirectoryStore(writer, job, hurried, files) as store:
        return _Session(writer, job, observe, store, control).run(
            kept, pace or Pace(checkpoint_s=spec.checkpoint_seconds)
        )


def _instead(damaged: Damaged) -> str:
    """Returns the sentence that tells that a search goes on from the checkpoint before."""
    return f"{damaged.short}. The search goes on from the checkpoint before it."


def _what_failed(error: Exception) -> str:
    """Returns the clause that tells an error of the engine, or that memory ran out."""
    if not out_of_memory(error):
        return f"The engine failed: {type(error).__name__}: {error}"
    said = str(error).partition("\n")[0]
    return f"Memory ran out: {said}" if said else "Memory ran out"


def refuse(directory: RunDir, error: InputError | SaveError) -> None:
    """Tells viewers that a run could not start, except where another process is running it."""
    with suppress(InputError, SaveError, OSError), RunWriter(directory) as writer:
        writer.record(RunFinished(Outcome.FAILED, f"It cannot run: {error}.", NOTHING), 0.0)


@dataclass(frozen=True)
class _Session:
    """A session at work: its writer, its job, its observer, its store and its control."""

    writer: RunWriter
    job: Job
    observe: Observer
    store: DirectoryStore
    control: SessionControl

    def run(self, kept: checkpoint.Checkpoint | None, pace: Pace) -> Ended:
        """Runs the search from a checkpoint, if there is one, and returns how it ended."""
        elapsed = Stopwatch(time.monotonic, kept.elapsed_s if kept else 0.0)
        first = self._first(kept)
        event: Event = first
        try:
            for event in self.job.events(self.store, self.control, elapsed, pace, first):
                self._tell(event, elapsed())
        except BrokenOff:
            event = self._broken_off(kept, elapsed())
            with suppress(SaveError):
                self._tell(event, elapsed())
        except Exception as error:
            if not isinstance(error, SaveError):
                log.exception("the engine failed")
            event = self._failure(error, kept, elapsed())
            with suppress(SaveError):  # where the disk is full, the log and the caller know
                self._tell(event, elapsed())
        assert isinstance(event, RunFinished)
        log.info(event.sentence)
        if event.bracket is not None and event.level is not None:
            with suppress(SaveError, Damaged):  # the string and the events tell it too
                self._note_level(event.bracket.told(event.level))
        stopped = event.outcome is Outcome.STOPPED and self.control.signals.received
        return Ended(event.outcome, event.sentence, event.diagnosis, stopped or None, event.totals)

    def _note_level(self, told: str) -> None:
        """Writes how the level came about into run.yaml, as a comment at its end.

        The key `search.level` stays as it is, so that feeding the file back repeats the run.
        """
        path = self.writer.run.spec
        lines = read_text(path, LARGEST_PRESET).splitlines()
        kept = [line for line in lines if not line.startswith(LEVEL_NOTE)]
        replace(path, "\n".join([*kept, f"{LEVEL_NOTE} {told}", ""]).encode())

    def _first(self, kept: checkpoint.Checkpoint | None) -> RunStarted | Continued:
        """Returns the first event of this session: the run starts, or goes on from somewhere."""
        started_seq = self.writer.started_seq
        if started_seq is None:
            return self.job.started()
        if kept is None:
            return Continued(started_seq)
        return Continued(kept.seq, "" if kept.damaged is None else _instead(kept.damaged))

    def _tell(self, event: Event, elapsed_s: float) -> None:
        """Writes an event and shows it to the observer. Raises SaveError."""
        self.observe(self.writer.record(event, elapsed_s))

    def _failure(
        self, error: Exception, kept: checkpoint.Checkpoint | None, elapsed_s: float
    ) -> RunFinished:
        """Returns the last event of a session that an error ended."""
        saved_s = self._saved_s(kept)
        safe = (
            "No checkpoint was written yet"
            if saved_s is None
            else f"The checkpoint of {saved_s:.1f} s is still good"
        )
        again = f"then `{resume_command(self.writer.run)}`"
        if isinstance(error, SaveError):
            sentence = f"{error}. {safe}: make room, {again}."
        elif out_of_memory(error):
            sentence = f"{_what_failed(error)}. {safe}: free some, {again}."
        else:
            sentence = f"{_what_failed(error)}. {safe}; the details are in {self.writer.run.log}."
        return RunFinished(Outcome.FAILED, sentence, self._totals(elapsed_s))

    def _broken_off(self, kept: checkpoint.Checkpoint | None, elapsed_s: float) -> RunFinished:
        """Returns the end of a session that was broken off in the midst of a computation.

        The method is between two states then, so that neither is it kept nor its string.
        """
        saved_s, signal = self._saved_s(kept), self.control.signal()
        how = "as asked" if signal is None else f"by {signal}"
        again = (
            "there is no checkpoint yet, so that the run begins anew when it is resumed"
            if saved_s is None
            else f"the run can be resumed from its checkpoint of {saved_s:.1f} s"
        )
        shown = self.store.shown
        return RunFinished(
            Outcome.STOPPED,
            f"Stopped {how} in the midst of a long computation; {again}.",
            NOTHING if shown is None else totals(shown, elapsed_s),
        )

    def _saved_s(self, kept: checkpoint.Checkpoint | None) -> float | None:
        """Returns the running time at the newest checkpoint, or None where there is none."""
        with suppress(SaveError):  # then the checkpoint before is still good
            self.store.settle()
        before_s = kept.elapsed_s if kept is not None else None
        return before_s if self.store.saved_s is None else self.store.saved_s

    def _totals(self, elapsed_s: float) -> Totals:
        """Returns the counters of a session that failed, at that running time.

        They are those that were shown last where the method itself cannot tell any more, as after
        a failure that leaves its tensors out of reach.
        """
        try:
            return totals(self.job.method.progress(), elapsed_s)
        except Exception:
            log.exception("where the search stood cannot be told")
        shown = self.store.shown
        return NOTHING if shown is None else totals(shown, elapsed_s)


class _LogFile(logging.FileHandler):
    """A handler that drops what cannot be written, so that a full disk does not hide a failure."""

    def _open(self) -> TextIOWrapper:
        """Opens the file, but no link and no pipe."""
        return open_log(Path(self.baseFilename))

    def handleError(self, record: logging.LogRecord) -> None:
        """Does nothing about a record that cannot be written."""

    def close(self) -> None:
        """Closes the file, also where its rest cannot be written."""
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
