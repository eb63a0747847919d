"""The desk of a sweep's engine: it holds the sweep, hears commands and tells where it stands.

No torch here. Viewers give commands to a sweep as they do to a run: a line in the `commands.jsonl`
of its folder. They read the answers in `session.json` (`sweep_state`).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from engine.errors import InputError, SaveError
from engine.record.commands import Command, CommandTail
from engine.record.finding import kind_of
from engine.record.heartbeat import Heartbeat
from engine.record.lock import take_lock
from engine.record.rundir import RunDir
from engine.record.sweep_state import Journal

#: The seconds between two readings of the commands, whichever cell asks.
BETWEEN_LOOKS_S = 0.1


@dataclass(frozen=True)
class End:
    """The end of a session of a sweep."""

    sentence: str
    """What became of it, in a sentence for a person."""
    exit_status: int
    """The process exit status: 0 where every cell has ended, 3 where some have not, 1 after a
    failure, 2 where the sweep cannot run, 128 + N where signal N ended it."""

    @property
    def failed(self) -> bool:
        """Whether the engine failed in a cell, or a file could not be written."""
        return self.exit_status == 1


class Desk:
    """The commands and the journal of a sweep that this process holds."""

    def __init__(self, folder: Path) -> None:
        """Begins a session; only commands from now on are heard. Raises SaveError."""
        self.folder = folder
        self.stop = threading.Event()
        """The event that is set once all cells are to stop."""
        self._commands = CommandTail(RunDir(folder), skip_old=True)
        self._journal = Journal(folder)
        self._lock = threading.Lock()
        self._looked_s = float("-inf")

    @property
    def paused(self) -> bool:
        """Whether all cells are to pause."""
        return self._journal.paused

    def begin(self) -> None:
        """Tells that the preparation is over. Raises SaveError."""
        self._journal.enter("running")

    def look(self) -> None:
        """Reads the commands, unless they were read a moment ago. Threads may call it.

        Raises SaveError where it cannot be told what follows from them.
        """
        with self._lock:
            now = time.monotonic()
            if now - self._looked_s >= BETWEEN_LOOKS_S:
                self._looked_s = now
                for command in self._commands.new_commands():
                    self._obey(command)

    def _obey(self, command: Command) -> None:
        """Does what a command asks for. A checkpoint is asked of a cell, not of a sweep."""
        if command == "stop":
            self.stop.set()
        elif command == "pause" and not self.paused:
            self._journal.enter("paused")
        elif command == "continue" and self.paused:
            self._journal.enter("running")

    def close(self, end: End) -> None:
        """Tells how the session has ended, where that can be written."""
        with suppress(SaveError):
            self._journal.enter("ended", end.sentence, end.exit_status)


def exit_status_of(error: InputError | SaveError) -> int:
    """Returns the exit status of a command that an error ends."""
    return 2 if isinstance(error, InputError) else 1


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Keeps other processes from running the sweep within the block.

    Raises InputError where one runs it already, and SaveError where the lock cannot be opened.
    """
    try:
        lock = take_lock(RunDir(folder))
    except InputError:
        raise InputError(
            f"another process is running this {kind_of(folder) or 'folder'}; stop it first, or let "
            "it end",
            file=folder,
        ) from None
    with lock:
        heartbeat = Heartbeat(lock)
        try:
            yield
        finally:
            heartbeat.stop()
