"""The terminal application: a menu, and a screen for each run that is watched."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

from textual import on
from textual.app import App, ScreenStackError, SystemCommand
from textual.binding import Binding, BindingType
from textual.driver import Driver
from textual.events import Event, InputEvent, Resize
from textual.filter import LineFilter
from textual.screen import Screen
from textual.theme import Theme
from textual.timer import Timer
from textual.worker import WorkerFailed

from dss_tui.tui import remembered
from dss_tui.tui.inert_lines import INERT
from dss_tui.tui.keymap import keymap
from dss_tui.tui.messages import CompareRuns, LeaveRun, WatchRun
from dss_tui.tui.screens.commands import Commands
from dss_tui.tui.screens.help import HelpScreen, keys_of, legend_of
from dss_tui.tui.screens.menu import MenuScreen
from dss_tui.tui.terminal import driver_class
from dss_tui.viewing.replaced import SENTENCE, replaced
from engine.errors import InputError
from engine.record.finding import is_components, is_sweep
from engine.record.rundir import RunDir

#: The seconds without another change of size after which the screen is drawn anew.
RESIZE_S = 0.15


@dataclass(frozen=True)
class Opening:
    """The first screen of the application: the menu, a run or a sweep."""

    run: RunDir | None = None
    """The folder of the run or the sweep to show, or None for the menu."""
    launched: bool = False
    """Whether the folder's engine has just been launched."""
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
        Binding("question_mark", "help", "help", id="app.help", key_display="?", show=False),
        Binding("ctrl+p", "command_palette", "commands by name", id="app.palette", show=False),
        Binding("S", "screenshot_file", "write a screenshot", id="app.screenshot", show=False),
        Binding("T", "next_theme", "next theme", id="app.theme", show=False),
    ]
    THEMES = ("textual-dark", "textual-light", "ansi-dark", "nord", "gruvbox", "solarized-light")

    def __init__(self, opening: Opening, driver: type[Driver] | None = None) -> None:
        """Makes the application, which begins with `opening`.

        `driver` is that of a terminal unless another is given.
        """
        super().__init__(driver_class=driver or driver_class())
        self.opening = opening
        self._mounted = False
        self._settling: Timer | None = None
        self._settled: Resize | None = None
        over_ssh = "SSH_CONNECTION" in os.environ
        self.every_s = 1 / (opening.fps or (1.0 if over_ssh else 2.0))
        self.animation_level = "none"  # a line that glides to the next tab delays what it shows

    async def on_mount(self) -> None:
        """Chooses colours and keys, and shows the menu or the run that was asked for."""
        self._mounted = True
        if os.environ.get("COLORTERM") not in ("truecolor", "24bit") and _few_colours():
            self.theme = "ansi-dark"
        elif (name := remembered.kept(remembered.THEME)) in self.available_themes:
            self.theme = str(name)
        self._theme_at_start = self.theme
        self.theme_changed_signal.subscribe(self, self._keep_theme)
        self._remap_keys()
        if self.opening.run is None:
            await self.push_screen(MenuScreen())
        else:
            self._open(self.opening.run, self.opening.launched)
        if not self.is_headless:
            # What is there now stays; a search for garbage in all of it would delay keys by 0.1 s.
            self.call_after_refresh(gc.freeze)

    def _keep_theme(self, chosen: Theme) -> None:
        """Keeps a theme for the next time, unless the application chose it by itself."""
        if chosen.name != self._theme_at_start:
            self._theme_at_start = ""
            remembered.keep(remembered.THEME, chosen.name)

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
        """Shows the screen of a run or a sweep."""
        self._open(asked.run, asked.launched, asked.cell)

    def _open(self, run: RunDir, launched: bool, cell: bool = False) -> None:
        """Pushes the screen of a run, or of a sweep where the folder is that of one."""
        # They import much that the menu does without.
        from dss_tui.tui.screens.run import RunScreen
        from dss_tui.tui.screens.sweep import CellScreen, SweepScreen

        kind: type[RunScreen | SweepScreen] = CellScreen if cell else RunScreen
        if is_components(run.path):
            from dss_tui.tui.screens.components import ComponentsScreen

            kind = ComponentsScreen
        elif is_sweep(run.path):
            kind = SweepScreen
        self.push_screen(kind(run, launched=launched, every_s=self.every_s))

    @on(CompareRuns)
    def _compare_runs(self, asked: CompareRuns) -> None:
        """Shows the screen that compares two runs."""
        from dss_tui.tui.screens.compare import CompareScreen  # only now, like the run screen

        self.push_screen(CompareScreen(asked.runs))

    @on(LeaveRun)
    def _leave_run(self, asked: LeaveRun) -> None:
        """Goes back to the menu, or exits where the application was started for that run."""
        if asked.run == self.opening.run:
            self.exit(return_code=asked.exit_status)
        elif asked.screen is self.screen:
            self.pop_screen()

    def _handle_exception(self, error: Exception) -> None:
        """Ends with an error's traceback, or in a sentence where dss-tui was installed anew."""
        cause = error.error if isinstance(error, WorkerFailed) else error
        if not replaced(cause):
            super()._handle_exception(error)
        elif self.return_code is None:  # more of them may follow the first one
            self.exit(return_code=1, message=f"dss-tui: {SENTENCE}")

    def get_line_filters(self) -> Sequence[LineFilter]:
        """Returns what each line of a screen passes before it is drawn; nothing in it is obeyed."""
        return [*super().get_line_filters(), INERT]

    def notify(self, message: str, **options: Any) -> None:
        """Shows a message, in which square brackets are no markup, for some seconds."""
        super().notify(message, **(options | {"markup": False}))

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """Yields the palette's commands: Textual's own, and all that our keys do on this screen.

        Our bindings have ids; Textual's, which move a cursor or the focus, have none.
        """
        for command in super().get_system_commands(screen):
            if command.title != "Keys":  # it would open Textual's panel beside our own help
                yield command
        for key, (node, binding, enabled, _) in screen.active_bindings.items():
            told = binding.id and binding.description and binding.action != "command_palette"
            if enabled and told:
                about = f"key {binding.key_display or key}"
                run = partial(self.run_action, binding.action, node)
                yield SystemCommand(binding.description.capitalize(), about, run)

    def action_command_palette(self) -> None:
        """Opens the palette."""
        if not isinstance(self.screen, Commands):
            self.push_screen(Commands(id="--command-palette"))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Refuses what keys ask for that were still on their way when the application ended."""
        return self.return_code is None

    def action_help(self) -> None:
        """Opens the help of the screen that is shown. A dialog has none."""
        if not self.screen.is_modal:
            self.push_screen(HelpScreen(keys_of(self.screen), legend_of(self.screen)))

    async def on_event(self, event: Event) -> None:
        """Handles an event, unless it is of keys or the mouse and the last screen has gone."""
        try:
            await super().on_event(event)
        except ScreenStackError:
            if not isinstance(event, InputEvent):
                raise

    async def _check_bindings(self, key: str, priority: bool = False) -> bool:
        """Handles a key, unless it comes after the last screen has gone. Returns whether it did."""
        try:
            return await super()._check_bindings(key, priority)
        except ScreenStackError:
            return True

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
