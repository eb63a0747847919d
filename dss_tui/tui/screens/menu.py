"""The menu: presets to start, and runs to watch, resume, export or delete."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.screen import Screen
from textual.widgets import (
    DataTable,
    Footer,
    Input,
    Label,
    OptionList,
    Static,
    TabbedContent,
    TabPane,
)
from textual.widgets.option_list import Option

import presets
from dss_tui.tui.keymap import moving
from dss_tui.tui.messages import WatchRun
from dss_tui.tui.screens.confirm import Confirm
from dss_tui.viewing.words import age, bytes_of, multiple
from engine.errors import InputError
from engine.record.finding import runs, runs_folder
from engine.record.rundir import RunDir
from engine.record.runs import summarize
from engine.spec.keys import Spec

#: The fields that can be changed before the start: label, and key of the preset.
FIELDS = (
    ("level", "search.level"),
    ("alpha", "search.alpha"),
    ("method", "search.method"),
    ("seed", "seed"),
    ("device", "device"),
    ("t*", "search.greedy.t_star"),
)

#: The seconds after which the list of runs is read again.
READ_S = 2.0


class MenuScreen(Screen[None]):
    """The menu, with a tab of presets and a tab of runs.

    The first shows the keys of a preset that can be changed before the start.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q,escape", "leave", "quit", id="menu.quit"),
        Binding("slash", "filter", "filter", id="menu.filter", key_display="/"),
        Binding("ctrl+s,f5", "start", "start", id="menu.start"),
        Binding("1", "tab('presets')", "presets", id="menu.presets", show=False),
        Binding("2", "tab('runs')", "runs", id="menu.runs"),
        Binding("r", "resume", "resume", id="menu.resume"),
        Binding("e", "export", "export", id="menu.export"),
        Binding("d,delete", "delete", "delete", id="menu.delete"),
    ]

    def compose(self) -> ComposeResult:
        """Lays out both tabs over a row of keys."""
        with TabbedContent(id="tabs"):
            with TabPane("Presets", id="presets"), Horizontal():
                with VerticalScroll(id="left", can_focus=False):
                    yield Input(placeholder="filter", id="filter", compact=True)
                    yield PresetList(id="list")
                with VerticalScroll(id="right", can_focus=False):
                    yield Static(id="about")
                    yield Static(id="problem", markup=False)
                    for label, key in FIELDS:
                        with Horizontal(classes="field"):
                            yield Label(label)
                            yield Input(id=_id(key), compact=True)
                    with Horizontal(classes="field"):
                        yield Label("other")
                        yield Input(placeholder="limits.beads=500", id="other", compact=True)
                    yield Static(id="overrides", markup=False)
            with TabPane("Runs", id="runs"):
                yield RunTable(id="table")
                empty = f"no runs yet in {runs_folder()}; start one on the first tab"
                yield Static(empty, id="no-runs", markup=False)
        yield Footer()

    def on_mount(self) -> None:
        """Fills the lists and reads the list of runs from time to time."""
        self.others: list[str] = []
        self._filled = False
        self._fill_presets("")
        self.query_one("#filter").display = False
        self.query_one(PresetList).focus()
        table = self.query_one(RunTable)
        table.cursor_type = "row"
        for title in ("run", "state", "beads", "peak/level", "age", "size"):
            table.add_column(title, key=title)
        self._fill_runs()
        self.set_interval(READ_S, self._fill_runs)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Shows the keys of each tab on that tab alone."""
        if action in ("resume", "export", "delete"):
            return self._tab == "runs"
        if action in ("filter", "start"):
            return self._tab == "presets"
        if action == "tab":
            return parameters[0] != self._tab or None
        return True

    @property
    def _tab(self) -> str:
        """The name of the active tab."""
        found = self.query(TabbedContent)
        return found.first().active if found else "presets"

    def action_tab(self, name: str) -> None:
        """Shows a tab and puts the cursor into its list."""
        self.query_one(TabbedContent).active = name
        self.query_one(RunTable if name == "runs" else PresetList).focus()

    @on(TabbedContent.TabActivated)
    def _tab_changed(self) -> None:
        """Shows the keys of the new tab."""
        self.refresh_bindings()

    # ------------------------------------------------------------ presets

    def _fill_presets(self, wanted: str) -> None:
        """Lists the presets whose name, description or task contains a text."""
        listed = self.query_one(PresetList)
        listed.clear_options()
        by_task: dict[str, list[tuple[str, Spec]]] = {}
        for name in presets.names():
            spec = presets.load_preset(name)
            if wanted.lower() in f"{name} {spec.description} {spec.task}".lower():
                by_task.setdefault(spec.task or "other", []).append((name, spec))
        for task, members in sorted(by_task.items(), key=lambda group: _rank(group[1])):
            listed.add_option(Option(f"[b]{task}[/b]", disabled=True))
            for name, spec in sorted(members, key=lambda member: _needs_data(member[1])):
                listed.add_option(Option(f"{name}\n[dim]  {spec.description}[/dim]", id=name))
        if by_task:
            listed.action_first()
        else:
            self.query_one("#about", Static).update(Content(f"no preset has {wanted!r} in it"))

    @on(OptionList.OptionHighlighted)
    def _show(self, event: OptionList.OptionHighlighted) -> None:
        """Fills the fields from the highlighted preset."""
        if event.option_id is None:
            return
        self.others = []
        spec = presets.load_preset(event.option_id)
        tree = spec.model_dump(mode="json")
        with self.prevent(Input.Changed):
            for _, key in FIELDS:
                value = tree
                for step in key.split("."):
                    value = value[step]
                self.query_one(f"#{_id(key)}", Input).value = str(value)
        self.set_timer(0.05, self._check)  # after the first frame, because it loads numpy

    def _preset(self) -> str | None:
        """Returns the name of the highlighted preset, or None."""
        listed = self.query_one(PresetList)
        if listed.highlighted is None:
            return None
        return listed.get_option_at_index(listed.highlighted).id

    def _spec(self) -> Spec:
        """Returns the spec of the chosen preset with the fields' values.

        Raises InputError where no preset is chosen, or a value does not fit.
        """
        name = self._preset()
        if name is None:
            raise InputError("choose a preset")
        changed = [f"{key}={self.query_one(f'#{_id(key)}', Input).value}" for _, key in FIELDS]
        return presets.load_preset(name, [*changed, *self.others])

    @on(Input.Changed)
    def _changed(self, event: Input.Changed) -> None:
        """Filters the presets, or checks the changed field."""
        if event.input.id == "filter":
            self._fill_presets(event.value)
        elif event.input.id != "other":
            self._check()

    def _check(self) -> bool:
        """Shows what the run would be, or what is wrong with it. Returns whether it can run."""
        from dss_tui.viewing import describe, session  # only now, because they load numpy

        problem = self.query_one("#problem", Static)
        self.query_one("#overrides", Static).update("\n".join(self.others))
        try:
            spec = self._spec()
            self.query_one("#about", Static).update(describe.preset(self._preset() or "", spec))
            session.check(spec)
        except InputError as error:
            problem.update(_short(error))
            return False
        problem.update("")
        return True

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        """Leaves the filter, adds an override, or starts the run."""
        if event.input.id == "filter":
            self.query_one(PresetList).focus()
        elif event.input.id == "other" and event.value.strip():
            self._add_other(event.input)
        else:
            self.action_start()

    def _add_other(self, field: Input) -> None:
        """Adds the override in a field, if the preset can run with it."""
        self.others.append(field.value.strip())
        if self._check():
            field.value = ""
        else:
            self.others.pop()

    @on(OptionList.OptionSelected)
    def _chosen(self) -> None:
        """Starts a run of the chosen preset."""
        self.action_start()

    def action_start(self) -> None:
        """Starts a run of the chosen preset, or says what is wrong with it."""
        from dss_tui.viewing import session

        if not self._check():
            self.app.bell()
            return
        try:
            run = session.start(self._spec(), self._preset() or "run")
        except InputError as error:
            self.query_one("#problem", Static).update(_short(error))
            return
        self.post_message(WatchRun(run, launched=True))

    def action_filter(self) -> None:
        """Puts the cursor into the filter."""
        field = self.query_one("#filter", Input)
        field.display = True
        field.focus()

    def action_leave(self) -> None:
        """Goes from a field back to the list of presets. From the list it ends the application."""
        field = self.query_one("#filter", Input)
        if isinstance(self.focused, Input):
            if self.focused is field:
                field.value, field.display = "", False
            self.query_one(PresetList).focus()
        else:
            self.app.exit()

    # ------------------------------------------------------------ runs

    def _fill_runs(self) -> None:
        """Reads the list of runs and updates the rows that have changed."""
        if self.app.screen is not self and self._filled:
            return
        self._filled = True
        table = self.query_one(RunTable)
        found = [summarize(run) for run in reversed(runs())]
        names = [str(key.value) for key in table.rows]
        if names != [run.name for run in found]:
            at = table.cursor_row
            table.clear()
            for run in found:
                table.add_row(*[""] * 6, key=run.name)
            table.move_cursor(row=min(at, max(0, len(found) - 1)))
        for run in found:
            peak = multiple(run.peak_over_level, run.tolerance)
            beads = "–" if run.beads is None else str(run.beads)
            row = (run.name, run.state, beads, peak, age(run.age_s), bytes_of(run.size_bytes))
            for column, value in zip(table.columns, row, strict=True):
                if table.get_cell(run.name, column) != value:
                    table.update_cell(run.name, column, value, update_width=True)
        self.query_one("#no-runs").display = not found

    def _run(self) -> RunDir | None:
        """Returns the run under the cursor, or None."""
        table = self.query_one(RunTable)
        if not table.row_count:
            return None
        key = table.coordinate_to_cell_key(table.cursor_coordinate).row_key
        return RunDir(runs_folder() / str(key.value))

    @on(DataTable.RowSelected)
    def _watch(self) -> None:
        """Asks for the screen of the run under the cursor."""
        run = self._run()
        if run is not None:
            self.post_message(WatchRun(run))

    def action_resume(self) -> None:
        """Goes on with the run under the cursor, or says why it cannot."""
        run = self._run()
        if run is None:
            return
        from dss_tui.viewing import session

        problem = session.resume(run)
        if problem:
            self.notify(problem, severity="warning")
        else:
            self.post_message(WatchRun(run, launched=True))

    def action_export(self) -> None:
        """Opens the export dialog for the run under the cursor."""
        run = self._run()
        if run is not None:
            from dss_tui.tui.screens.export import ExportDialog

            self.app.push_screen(ExportDialog(run))

    @work
    async def action_delete(self) -> None:
        """Deletes the run under the cursor after a question."""
        run = self._run()
        if run is None:
            return
        answer = await self.app.push_screen_wait(
            Confirm(f"Delete {run.name} and everything in it?", {"n": "keep", "y": "delete"})
        )
        if answer == "y":
            from dss_tui.viewing import session

            try:
                session.delete(run)
            except InputError as error:
                self.notify(str(error), severity="error")
            self._fill_runs()


class PresetList(OptionList):
    """The list of presets, grouped by their tasks."""

    BINDINGS: ClassVar[list[BindingType]] = [*moving("first", "last")]


class RunTable(DataTable[str]):
    """The table of the runs in the runs folder, with a row for each."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "select_cursor", "watch", id="runs.watch"),
        *moving("scroll_top", "scroll_bottom"),
    ]


def _needs_data(spec: Spec) -> bool:
    """Returns whether the data of a preset do not come with dss-tui."""
    return spec.problem.data.fetched


def _rank(members: list[tuple[str, Spec]]) -> tuple[bool, str]:
    """Returns the key by which tasks are sorted. Tasks that need data from elsewhere come last."""
    return all(_needs_data(spec) for _, spec in members), members[0][1].task


def _id(key: str) -> str:
    """Returns the id of the field for a key."""
    return "field-" + key.replace(".", "-").replace("_", "-")


def _short(error: InputError) -> str:
    """Returns the sentence of an error without the path of a shipped preset."""
    text = str(error)
    folder = f"{Path(presets.FOLDER)}/"
    return text.replace(folder, "")
