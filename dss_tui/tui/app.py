"""The terminal application: a menu, and a screen for each run that is watched."""

from __future__ import annotations

import asyncio
import os
import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from textual.app import App
from textual.binding import Binding, BindingType

from dss_tui.tui.keymap import keymap
from dss_tui.tui.palette import Palette
from dss_tui.tui.screens.menu import MenuScreen
from engine.errors import InputError
from engine.record.rundir import RunDir

if TYPE_CHECKING:
    from dss_tui.tui.screens.run import RunScreen

#: Signals that end the viewer; the engines go on.
HANG_UPS = (signal.SIGHUP, signal.SIGTERM)


@dataclass(frozen=True)
class Opening:
    """What the application starts with: the menu, or a run."""

    run: RunDir | None = None
    launched: bool = False
    """Whether the run's engine has just been launched."""
    fps: float | None = None
    """Looks at a run a second; by default 2, and 1 over SSH."""


class DssApp(App[None]):
    """`exit_status` is what the process should end with."""

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
        super().__init__()
        self.opening = opening
        self.exit_status = 0
        over_ssh = "SSH_CONNECTION" in os.environ
        self.every_s = 1 / (opening.fps or (1.0 if over_ssh else 2.0))
        if over_ssh:
            self.animation_level = "none"

    async def on_mount(self) -> None:
        loop = asyncio.get_running_loop()
        for number in HANG_UPS:
            loop.add_signal_handler(number, self._hang_up, number)
        if os.environ.get("COLORTERM") not in ("truecolor", "24bit") and _few_colours():
            self.theme = "ansi-dark"
        self._remap_keys()
        if self.opening.run is None:
            await self.push_screen(MenuScreen())
        else:
            self.watch_run(self.opening.run, launched=self.opening.launched)

    def _remap_keys(self) -> None:
        try:
            self.set_keymap(keymap())
        except InputError as error:
            self.notify(str(error), severity="warning", timeout=10)

    def handle_bindings_clash(self, clashed: set[Binding], node: object) -> None:
        """Keys given twice in the user's keymap: the later of the two is without its key."""
        names = ", ".join(sorted(binding.id or binding.action for binding in clashed))
        self.notify(f"the keymap takes the keys of {names}", severity="warning")

    def _hang_up(self, number: signal.Signals) -> None:
        self.exit_status = 128 + number
        self.exit()

    @property
    def palette(self) -> Palette:
        """Colours for what is drawn by hand, to go with the theme."""
        if "NO_COLOR" in os.environ:
            return Palette.plain()
        if self.theme.startswith("ansi"):
            return Palette.ansi()
        return Palette.dark() if self.current_theme.dark else Palette.light()

    def watch_run(self, run: RunDir, *, launched: bool = False) -> None:
        """Opens the screen of a run."""
        from dss_tui.tui.screens.run import RunScreen  # with numpy: not before the menu is there

        self.push_screen(RunScreen(run, launched=launched))

    def leave_run(self, screen: RunScreen) -> None:
        """Back to the menu, or out where the run is what the application was started for."""
        if screen.run == self.opening.run:
            self.exit_status = screen.snapshot.exit_status
            self.exit()
        else:
            self.pop_screen()

    def action_toggle_help(self) -> None:
        if self.screen.query("HelpPanel"):
            self.action_hide_help_panel()
        else:
            self.action_show_help_panel()

    def action_next_theme(self) -> None:
        at = self.THEMES.index(self.theme) if self.theme in self.THEMES else -1
        self.theme = self.THEMES[(at + 1) % len(self.THEMES)]
        self.notify(f"theme: {self.theme}")

    def action_screenshot_file(self) -> None:
        self.notify(f"screenshot written to {self.save_screenshot()}")


def _few_colours() -> bool:
    term = os.environ.get("TERM", "")
    return "256" not in term and "NO_COLOR" not in os.environ
