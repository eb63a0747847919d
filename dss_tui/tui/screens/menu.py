"""The menu: presets to start, and runs to watch, resume, compare, export or delete."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import Screen
from textual.widgets import TabbedContent, TabPane

from dss_tui.tui.widgets.key_row import KeyRow
from dss_tui.tui.widgets.presets_tab import PresetsTab
from dss_tui.tui.widgets.runs_tab import RunsTab


class MenuScreen(Screen[None]):
    """The menu, with a tab of presets and a tab of runs."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q,escape", "leave", "quit", id="menu.quit"),
        Binding("1", "tab('presets')", "to presets", id="menu.presets"),
        Binding("2", "tab('runs')", "to runs", id="menu.runs"),
    ]

    def compose(self) -> ComposeResult:
        """Lays out both tabs over a row of keys."""
        with TabbedContent(id="tabs"):
            with TabPane("Presets", id="presets"):
                yield PresetsTab(id="presets-tab")
            with TabPane("Runs", id="runs"):
                yield RunsTab(id="runs-tab")
        yield KeyRow()

    def on_mount(self) -> None:
        """Puts the cursor into the list of presets."""
        self._tab.focus_list()

    def on_screen_resume(self) -> None:
        """Reads again what may have changed while another screen was there."""
        if isinstance(self._tab, RunsTab):
            self._tab.look()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Hides the key of the tab that is shown."""
        if action == "tab" and self.query(TabbedContent):
            return parameters[0] != self._active
        return True

    @property
    def _active(self) -> str:
        """The name of the active tab."""
        return self.query_one(TabbedContent).active or "presets"

    @property
    def _tab(self) -> PresetsTab | RunsTab:
        """The content of the active tab."""
        if self._active == "runs":
            return self.query_one(RunsTab)
        return self.query_one(PresetsTab)

    def action_tab(self, name: str) -> None:
        """Shows a tab and puts the cursor into its list."""
        self.query_one(TabbedContent).active = name
        tab = self._tab
        if isinstance(tab, PresetsTab):
            tab.read()  # files of the user's own may have come or changed
        tab.focus_list()

    @on(TabbedContent.TabActivated)
    def _tab_changed(self) -> None:
        """Shows the keys of the new tab."""
        self.refresh_bindings()
        if isinstance(self._tab, RunsTab):
            self._tab.look()

    def action_leave(self) -> None:
        """Goes back one step in the tab, or ends the application where there is none."""
        if not self._tab.leave():
            self.app.exit()
