"""The keys that pause, stop and resume an engine, of a run or of a sweep."""

from __future__ import annotations

from textual import work
from textual.screen import Screen

from dss_tui.tui.screens.agreeing import agreed
from dss_tui.tui.screens.confirm import Confirm
from engine.errors import InputError, SaveError
from engine.record.commands import Command, send
from engine.record.rundir import RunDir


class Steering(Screen[None]):
    """The part of a screen that gives commands to an engine by its folder."""

    @property
    def stop_question(self) -> str:
        """What is asked before the engine is stopped."""
        raise NotImplementedError

    @property
    def steered(self) -> RunDir:
        """The folder whose engine gets the commands."""
        raise NotImplementedError

    @property
    def is_paused(self) -> bool:
        """Whether the engine pauses now."""
        raise NotImplementedError

    def launch_again(self, agreed: bool) -> str:
        """Launches an engine that goes on and returns "", or returns why it cannot go on.

        Raises Asked where the user is to agree first and has not `agreed`.
        """
        raise NotImplementedError

    def launched(self) -> None:
        """Shows that an engine has just been launched."""
        raise NotImplementedError

    def ask(self, command: Command) -> None:
        """Gives a command to the engine."""
        try:
            send(self.steered, command)
        except (InputError, SaveError) as error:
            self.notify(str(error), severity="error", markup=False)

    def action_pause(self) -> None:
        """Asks the engine to pause, or to go on where it pauses."""
        paused = self.is_paused
        self.ask("continue" if paused else "pause")
        self.notify("asked to go on" if paused else "asked to pause")

    @work
    async def action_stop(self) -> None:
        """Asks the engine to stop, after a question."""
        answers = {"n": "go on", "y": "stop it"}
        if await self.app.push_screen_wait(Confirm(self.stop_question, answers)) == "y":
            self.ask("stop")
            self.notify("asked to stop")

    @work
    async def action_resume(self) -> None:
        """Launches an engine that goes on, or says why it cannot go on."""
        problem = await agreed(self.app, self.launch_again)
        if problem:
            self.notify(problem, severity="warning", markup=False)
        elif problem is not None:
            self.launched()
