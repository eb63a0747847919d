"""The terminal application: a menu, and a screen for each run that is watched."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from textual import on
from textual.app import App
from textual.binding import Binding, BindingType
from textual.events import Resize
from textual.timer import Timer

from dss_tui.tui.keymap import keymap
from dss_tui.tui.messages import LeaveRun, WatchRun
from dss_tui.tui.screens.menu import MenuScreen
from dss_tui.tui.terminal import driver_class
from engine.errors import InputError
from engine.record.rundir import RunDir

#: The seconds without another change of size after which the screen is drawn anew.
RESIZE_S = 0.15


@dataclass(frozen=True)
class Opening:
    """The first screen of the application: the menu, or a run."""

    run: RunDir | None = None
    """The run to show, or None for the menu."""
    launched: bool = False
    """Whether the run's engine has just been launched."""
    fps: float | None = None
    """The number of times per second that a run is read and shown; None means 2, or 1 over SSH."""


class DssApp(App[None]):
    """The application. Its `return_code` is the exit status for the process."""

    TITLE = "dss-tui"
    CSS_PATH = "app.tcss"
    ENABLE_COMMAND_PALETTE = True
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (60, "-normal"), (110, "-wide")]  # noqa: RUF012
    VERTICAL_BREAKPOINTS = [(0, "-low"), (16, "-medium"), (30, "-high")]  # noqa: RUF012
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+q,ctrl+c", "quit", "quit", id="app.quit", show=False, priority=True),
        Binding("question_mark", "toggle_help", "help", id="app.help", key_display="?"),
        Binding("S", "screenshot_file", "write a screenshot", id="app.screenshot", show=False),
        Binding("T", "next_theme", "next theme", id="app.theme", show=False),
    ]
    THEMES = ("textual-dark", "textual-light", "ansi-dark", "nord", "gruvbox", "solarized-light")

    def __init__(self, opening: Opening) -> None:
        """Makes the application, which begins with `opening`."""
        super().__init__(driver_class=driver_class())
        self.opening = opening
        self._mounted = False
        self._settling: Timer | None = None
        self._settled: Resize | None = None
        over_ssh = "SSH_CONNECTION" in os.environ
        self.every_s = 1 / (opening.fps or (1.0 if over_ssh else 2.0))
        if over_ssh:
            self.animation_level = "none"

    async def on_mount(self) -> None:
        """Chooses colours and keys, and shows the menu or the run that was asked for."""
        self._mounted = True
        if os.environ.get("COLORTERM") not in ("truecolor", "24bit") and _few_colours():
            self.theme = "ansi-dark"
        self._remap_keys()
        if self.opening.run is None:
            await self.push_screen(MenuScreen())
        else:
            self._open(self.opening.run, self.opening.launched)

    def on_resize(self, event: Resize) -> None:
        """Passes on only the last of changes of size that follow each other within `RESIZE_S`."""
        if not self._mounted or event is self._settled:
            return  # the handler of Textual's application comes next
        event.prevent_default()
        if self._settling is not None:
            self._settling.stop()
        again = Resize(event.size, event.virtual_size, event.container_size, event.pixel_size)
        self._settling = self.set_timer(RESIZE_S, partial(self._settle, again))

    def _settle(self, event: Resize) -> None:
        """Passes a change of size on to Textual's own handler."""
        self._settled = event
        self.post_message(event)

    def _remap_keys(self) -> None:
        """Sets the user's own keys, or warns where their file is bad."""
        try:
            self.set_keymap(keymap())
        except InputError as error:
            self.notify(str(error), severity="warning", timeout=10)

    def handle_bindings_clash(self, clashed: set[Binding], node: object) -> None:
        """Names the bindings that lose their key because the user's keymap gives it to another."""
        names = ", ".join(sorted(binding.id or binding.action for binding in clashed))
        self.notify(f"the keymap takes the keys of {names}", severity="warning")

    @on(WatchRun)
    def _watch_run(self, asked: WatchRun) -> None:
        """Shows the screen of a run."""
        self._open(asked.run, asked.launched)

    def _open(self, run: RunDir, launched: bool) -> None:
        """Pushes the screen of a run."""
        # It imports numpy, which would delay the menu.
        from dss_tui.tui.screens.run import RunScreen

        self.push_screen(RunScreen(run, launched=launched, every_s=self.every_s))

    @on(LeaveRun)
    def _leave_run(self, asked: LeaveRun) -> None:
        """Goes back to the menu, or exits where the application was started for that run."""
        if asked.run == self.opening.run:
            self.exit(return_code=asked.exit_status)
        elif asked.screen is self.screen:
            self.pop_screen()

    def action_toggle_help(self) -> None:
        """Shows the panel of keys, or hides it."""
        if self.screen.query("HelpPanel"):
            self.action_hide_help_panel()
        else:
            self.action_show_help_panel()

    def action_next_theme(self) -> None:
        """Takes the next of `THEMES`."""
        at = self.THEMES.index(self.theme) if self.theme in self.THEMES else -1
        self.theme = self.THEMES[(at + 1) % len(self.THEMES)]
        self.notify(f"theme: {self.theme}")

    def action_screenshot_file(self) -> None:
        """Writes a picture of the screen to a file and names it."""
        self.notify(f"screenshot written to {self.save_screenshot()}")


def _few_colours() -> bool:
    """Returns whether the terminal has only 16 colours."""
    term = os.environ.get("TERM", "")
    return "256" not in term and "NO_COLOR" not in os.environ
