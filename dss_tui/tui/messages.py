"""The messages that screens post to the application, of which they know nothing else."""

from __future__ import annotations

from textual.message import Message
from textual.screen import Screen

from engine.record.rundir import RunDir


class WatchRun(Message):
    """Asks for the screen of a run or a sweep."""

    def __init__(self, run: RunDir, *, launched: bool = False, cell: bool = False) -> None:
        """Makes the message. `launched` says that an engine has just been launched on the run.

        `cell` says that the run is one of many of a screen to which the user comes back.
        """
        super().__init__()
        self.run = run
        self.launched = launched
        self.cell = cell


class CompareRuns(Message):
    """Asks for the screen that compares two runs."""

    def __init__(self, first: RunDir, second: RunDir) -> None:
        """Makes the message."""
        super().__init__()
        self.runs = first, second


class LeaveRun(Message):
    """Tells that the user is done with the screen of a run or a sweep."""

    def __init__(self, screen: Screen[None], run: RunDir, exit_status: int) -> None:
        """Makes the message. `exit_status` is for a process that only watched the run."""
        super().__init__()
        self.screen = screen
        self.run = run
        self.exit_status = exit_status
