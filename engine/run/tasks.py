"""What is to be done in a folder of many runs, by whichever process, and what it is done with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from engine.breaks import Attend, Patience
from engine.record.signals import Signals
from engine.run.cells import CellLogs, Wishes
from engine.run.prepare import Prepared
from engine.spec.keys import Spec
from engine.workers.pool import Workers

#: The seconds between two looks of a paused task at what is asked for.
PAUSED_S = 0.1


@dataclass(frozen=True)
class Means:
    """What a process does a task with."""

    folder: Path
    """The folder of all runs, or one in its place, where this process does not see it."""
    prepared: Prepared
    """What was prepared for tasks of this problem."""
    pool: Workers
    """The workers that compute that problem, which others may share."""
    wishes: Wishes
    """What all tasks together are asked for."""
    signals: Signals
    logs: CellLogs
    wait: Callable[[float], None]
    """Waits a number of seconds, and gives others their turns meanwhile."""
    cores: int
    """The number of cores of this machine that may measure what a search has left."""

    def hurried(self) -> bool:
        """Returns whether the task is to end."""
        return self.signals.received is not None or self.wishes.stop.is_set()

    def stopped(self) -> bool:
        """Returns whether the task is to end, after a pause if there is one."""
        self.wishes.look()
        while self.wishes.paused and not self.hurried():
            self.wait(PAUSED_S)
            self.wishes.look()
        return self.hurried()


def giving_up(wishes: Wishes, hurried: Callable[[], bool]) -> Attend:
    """Returns what breaks off a long computation some seconds after everything is to stop.

    `hurried` returns whether it is.
    """

    def asked() -> bool:
        wishes.look()
        return hurried()

    patience = Patience(asked)
    return lambda share, seconds: patience.check()


class Task(Protocol):
    """One thing to do in a folder of many runs. It is frozen, and can be sent to other machines.

    *Places* are paths below the folder of all runs, with slashes: those of files, and those of
    folders with all that they hold.
    """

    @property
    def spec(self) -> Spec:
        """The spec of which the problem and the devices compute it."""

    @property
    def writes(self) -> tuple[str, ...]:
        """The places that it writes. The first names it, and the last tells that all are there."""

    def reads(self, folder: Path) -> tuple[str, ...]:
        """Returns the places that it reads, as the folder of all runs is now."""

    def __call__(self, means: Means) -> str | None:
        """Does it, and returns the sentence of a failure of the engine, or None.

        Where it is to stop, what is missing is done by the same task another time. Raises
        InputError and SaveError.
        """
