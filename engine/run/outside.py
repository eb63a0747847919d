"""What a search deals with outside itself: where it keeps its results, and what it obeys."""

from __future__ import annotations

from typing import Protocol

from engine.path.snapshot import MethodProgress
from engine.record.commands import Command
from engine.record.events import Outcome
from engine.record.loss_plane import Triple
from engine.record.progress import ProgressState
from engine.told import Told


class Store(Protocol):
    """The place where a search leaves what must outlive it.

    Every call raises SaveError where it fails.
    """

    @property
    def resumable(self) -> bool:
        """Whether checkpoints are kept, so that the search can go on another time."""

    @property
    def seq(self) -> int:
        """The number of the newest event written."""

    @property
    def busy(self) -> bool:
        """Whether there is too much to write for another periodic checkpoint."""

    def checkpoint(self, elapsed_s: float) -> None:
        """Begins to keep all that a resume needs; where that is little, it ends with it too."""

    def settle(self) -> None:
        """Waits until the newest checkpoint is kept."""

    def string(self, elapsed_s: float) -> None:
        """Keeps the string as it is now, where checkpoints do not."""

    def final_string(self, outcome: Outcome, elapsed_s: float, told: Told) -> None:
        """Keeps the string with which the session ends with this outcome.

        `told` is called with the share of it that is kept.
        """

    def progress(self, now: MethodProgress, elapsed_s: float, state: ProgressState) -> None:
        """Shows viewers where the method stands."""

    def within(self, share: float, left_s: float | None, elapsed_s: float) -> None:
        """Shows viewers what share of a long computation is done; all else is as it was shown.

        `left_s` is about the time in seconds that the rest takes; None where that is not known.
        """

    def plane(self, beads: Triple, elapsed_s: float) -> None:
        """Shows viewers the loss plane through three beads, or why there is none."""


class Nowhere:
    """The store of a search that leaves nothing behind but its events."""

    resumable = False
    busy = False
    seq = 0

    def checkpoint(self, elapsed_s: float) -> None:
        """Keeps nothing."""

    def settle(self) -> None:
        """Waits for nothing."""

    def string(self, elapsed_s: float) -> None:
        """Keeps nothing."""

    def final_string(self, outcome: Outcome, elapsed_s: float, told: Told) -> None:
        """Keeps nothing."""

    def progress(self, now: MethodProgress, elapsed_s: float, state: ProgressState) -> None:
        """Shows nothing."""

    def within(self, share: float, left_s: float | None, elapsed_s: float) -> None:
        """Shows nothing."""

    def plane(self, beads: Triple, elapsed_s: float) -> None:
        """Shows nothing."""


class Control(Protocol):
    """The commands and the signals for a running search."""

    def commands(self) -> list[Command]:
        """Returns the commands that came since the last call."""

    def signal(self) -> str | None:
        """Returns the name of the signal that asked this process to end, or None."""

    def is_to_end(self) -> bool:
        """Returns whether a command or a signal asks the search to end."""

    def sleep(self, seconds: float) -> None:
        """Waits a number of seconds while the search is paused."""


class Undisturbed:
    """The control of a search without commands and signals, which only closing its events stops."""

    def commands(self) -> list[Command]:
        """Returns no commands."""
        return []

    def signal(self) -> None:
        """Returns None."""

    def is_to_end(self) -> bool:
        """Returns False."""
        return False

    def sleep(self, seconds: float) -> None:
        """Does nothing, because nothing pauses the search."""
