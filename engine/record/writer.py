"""The writer through which an engine holds and fills a run directory. No torch here."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from engine.errors import SaveError
from engine.record.commands import Command, CommandTail
from engine.record.events import Event, Record, RunStarted
from engine.record.heartbeat import Heartbeat
from engine.record.lines import LONGEST_LINE
from engine.record.lock import take_lock
from engine.record.meta import Meta
from engine.record.progress import Progress
from engine.record.reading import open_regular
from engine.record.records import read_all_records
from engine.record.rundir import RunDir
from engine.record.writing import is_folder, is_leftover, open_to_append, replace


class RunWriter:
    """The writer of a run directory, for one process at a time and within a `with` block."""

    def __init__(self, run: RunDir) -> None:
        """Locks the run and reads where it stands.

        Raises InputError where another process holds the run or its events cannot be read, and
        SaveError where the folder cannot be written.
        """
        self.run = run
        self._lock = take_lock(run)
        try:
            self._take()
        except OSError as error:  # the folder may have gone meanwhile
            self._lock.close()
            raise SaveError(f"{run.path}: cannot be written: {error.strerror}") from error
        except BaseException:
            self._lock.close()
            raise
        self._heartbeat = Heartbeat(self._lock)

    def _take(self) -> None:
        """Cleans up after a lost process, and opens the files of events and commands."""
        inner = [path for folder in (self.run.planes, self.run.beads) for path in _within(folder)]
        for leftover in filter(is_leftover, [*self.run.path.iterdir(), *inner]):
            leftover.unlink(missing_ok=True)
        _drop_half_line(self.run)
        records = read_all_records(self.run)
        self.seq = records[-1].seq if records else 0
        """The number of the newest event."""
        self.last: Event | None = None
        """The newest event of this session; None before its first one."""
        self.started_seq = next((r.seq for r in records if isinstance(r.event, RunStarted)), None)
        """The number of the event `run_started`, or None where no session came that far."""
        self._events = open_to_append(self.run.events)
        # Commands for earlier sessions are skipped, but not those given while the first one starts.
        self._commands = CommandTail(self.run, skip_old=bool(records))

    def __enter__(self) -> RunWriter:
        """Returns the writer itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Closes the files and frees the run."""
        self._events.close()
        self._heartbeat.stop()
        self._lock.close()

    def record(self, event: Event, time_s: float) -> Record:
        """Appends an event at a running time in seconds, and returns its record.

        Raises SaveError where it cannot be written; the file then holds nothing of the event.
        """
        record = Record(self.seq + 1, time_s, event)
        try:
            self._append((record.to_line() + "\n").encode())
        except OSError as error:
            raise SaveError(f"{self.run.events}: cannot be written: {error.strerror}") from error
        self.seq, self.last = record.seq, event
        return record

    def _append(self, line: bytes) -> None:
        """Appends a line to the events: all of it or, whatever ends the attempt, nothing."""
        whole = os.fstat(self._events.fileno()).st_size
        try:
            while line:
                line = line[self._events.write(line) :]
        except BaseException:  # memory may run out between the parts of a line
            with contextlib.suppress(OSError):
                self._events.truncate(whole)
            raise

    def sync_events(self) -> None:
        """Makes the events so far survive a loss of power. Raises SaveError."""
        try:
            os.fsync(self._events.fileno())
        except OSError as error:
            raise SaveError(f"{self.run.events}: cannot be written: {error.strerror}") from error

    def progress(self, progress: Progress) -> None:
        """Replaces `progress.json`. Raises SaveError."""
        replace(self.run.progress, progress.to_json(), durable=False)

    def meta(self, meta: Meta) -> None:
        """Replaces `meta.json`. Raises SaveError."""
        replace(self.run.meta, meta.to_json())

    def new_commands(self) -> list[Command]:
        """Returns the commands that were given since the last call."""
        return self._commands.new_commands()


def _within(folder: Path) -> list[Path]:
    """Returns the files in a folder within a run's; none where that is no folder."""
    try:
        return list(folder.iterdir()) if is_folder(folder) else []
    except OSError:
        return []


def _drop_half_line(run: RunDir) -> None:
    """Cuts a last line of the events that a dying process left without its end."""
    try:
        descriptor = open_regular(run.events, os.O_RDWR)
    except FileNotFoundError:
        return
    except OSError as error:
        raise SaveError(f"{run.events}: cannot be written: {error.strerror}") from error
    try:
        size = os.fstat(descriptor).st_size
        start = max(0, size - LONGEST_LINE)
        half = os.pread(descriptor, LONGEST_LINE, start).rpartition(b"\n")[2]
        if len(half) < LONGEST_LINE:
            os.ftruncate(descriptor, size - len(half))
    finally:
        os.close(descriptor)
