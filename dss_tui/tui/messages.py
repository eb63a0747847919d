"""What screens ask of the application. Screens post these; they know nothing of the application."""

from __future__ import annotations

from textual.message import Message
from textual.screen import Screen

from engine.record.rundir import RunDir


class WatchRun(Message):
    """Asks for the screen of a run."""

    def __init__(self, run: RunDir, *, launched: bool = False) -> None:
        """`launched` says whether an engine has just been launched on the run."""
        super().__init__()
        self.run = run
        self.launched = launched


class LeaveRun(Message):
    """Tells that the user is done with the screen of a run."""

    def __init__(self, screen: Screen[None], run: RunDir, exit_status: int) -> None:
        """`exit_status` is that of a command that watched the run and nothing else."""
        super().__init__()
        self.screen = screen
        self.run = run
        self.exit_status = exit_status
