"""The tab of the menu with the runs: a table to sort, filter, mark, compare, rename and delete."""

from __future__ import annotations

import asyncio
import time
from functools import partial
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.events import Resize
from textual.message import Message
from textual.widgets import DataTable, Input, Static
from textual.worker import get_current_worker

from dss_tui.tui import remembered
from dss_tui.tui.copying import copy
from dss_tui.tui.messages import CompareRuns, WatchRun
from dss_tui.tui.screens.agreeing import agreed
from dss_tui.tui.screens.ask_text import AskText
from dss_tui.tui.screens.columns import ColumnChooser
from dss_tui.tui.screens.confirm import Confirm
from dss_tui.tui.widgets.run_table import RunTable, Sorting
from dss_tui.viewing.handling import HELD, check_note, check_other_name, delete, question, resume
from dss_tui.viewing.run_columns import BY_KEY, matching, ordered
from engine.errors import InputError, SaveError
from engine.record.finding import kind_of, placed, runs_folder
from engine.record.notes import write_note
from engine.record.renaming import rename
from engine.record.rundir import RunDir
from engine.record.runs import Summary
from engine.record.scan import Look, RunScan

#: The seconds after which the runs folder is looked at again, and those that a look may take.
EVERY_S, WITHIN_S = 2.0, 0.2

#: The seconds between two drawings of a list that is still being read.
TELL_S = 1.0

#: The seconds after which ages are drawn anew where nothing else has changed.
AGES_S = 10.0


class RunsTab(Vertical):
    """The runs in the runs folder, which are looked at only while the tab is seen."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "mark", "mark", id="runs.mark"),
        Binding("slash", "filter", "filter", id="runs.filter", key_display="/"),
        Binding("s", "sort", "sort", id="runs.sort"),
        Binding("o", "turn", "other order", id="runs.turn", show=False),
        Binding("c", "compare", "compare", id="runs.compare"),
        Binding("d,delete", "delete", "delete", id="runs.delete"),
        Binding("r", "resume", "resume", id="runs.resume"),
        Binding("e", "export", "export", id="runs.export"),
        Binding("R", "rename", "rename", id="runs.rename"),
        Binding("N", "note", "note", id="runs.note"),
        Binding("C", "columns", "columns", id="runs.columns"),
        Binding("y", "copy", "copy the path", id="runs.copy", show=False),
    ]

    class Looked(Message):
        """Tells what a look at the runs folder has found."""

        def __init__(self, look: Look) -> None:
            """Makes the message."""
            super().__init__()
            self.look = look

    def __init__(self, *, id: str) -> None:
        """Makes the tab with an id."""
        super().__init__(id=id)
        self._scan = RunScan()
        self._looking = False
        self._runs: tuple[Summary, ...] = ()
        self._complete = False
        self._shown_s = 0.0
        self._marked: dict[str, None] = {}
        self._renaming: set[str] = set()
        self._sorting = Sorting()
        self._chosen = _kept_columns()

    def compose(self) -> ComposeResult:
        """Lays out the filter over the table and a line about them."""
        yield Input(placeholder="filter", id="runs-filter", compact=True)
        yield RunTable(id="table")
        yield Static(id="runs-said", markup=False)

    def on_mount(self) -> None:
        """Hides the filter and looks at the runs from time to time."""
        self._filter.display = False
        self._say()
        self.set_interval(EVERY_S, self.look)

    @property
    def _filter(self) -> Input:
        """The field of the filter."""
        return self.query_one("#runs-filter", Input)

    @property
    def _table(self) -> RunTable:
        """The table."""
        return self.query_one(RunTable)

    # ------------------------------------------------------------ looking

    def look(self) -> None:
        """Looks at the runs folder in a thread, unless the tab is hidden or a look is under way."""
        seen = self.app.screen is self.screen and self.is_on_screen
        if seen and not self._looking:
            self._looking = True
            self._look()

    @work(thread=True, group="runs")
    def _look(self) -> None:
        """Reads what has changed, and tells of it piece by piece."""
        worker, told_s = get_current_worker(), 0.0
        while not worker.is_cancelled:
            look = self._scan.look(WITHIN_S)
            if look.complete or time.monotonic() - told_s >= TELL_S:
                self.post_message(self.Looked(look))
                told_s = time.monotonic()
            if look.complete:
                break

    @on(Looked)
    def _looked(self, told: Looked) -> None:
        """Shows what a look has found."""
        before, look = (self._runs, self._complete), told.look
        listed = {run.name for run in self._runs}
        self._runs, self._complete = look.runs, look.complete
        self._looking = not look.complete
        now = time.monotonic()
        if before == (look.runs, look.complete) and now - self._shown_s < AGES_S:
            return  # only ages have changed
        self._shown_s = now
        if self._complete:
            # A look that began before a run was given its name does not know that run yet, and
            # the mark of a run that is just being renamed waits for the new name.
            gone = listed - {run.name for run in self._runs} - self._renaming
            self._marked = {name: None for name in self._marked if name not in gone}
        self.show()

    def show(self) -> None:
        """Shows the runs that the filter leaves, in their order."""
        found = matching(self._runs, self._filter.value)
        listed = ordered(found, self._sorting.key, falls=self._sorting.falls)
        self._table.show(listed, self._marked, self._chosen, self._sorting)
        self._say(len(found))

    def _say(self, found: int = 0) -> None:
        """Tells what the table does not show by itself."""
        said = []
        if not self._complete:
            said.append(f"reading {runs_folder()} …")
        elif not self._runs:
            said.append(f"no runs yet in {runs_folder()}; start one on the first tab")
        elif self._filter.value:
            said.append(f"{found} of {len(self._runs)} runs have {self._filter.value!r} in them")
        if self._marked:
            said.append(f"{len(self._marked)} marked")
        line = self.query_one("#runs-said", Static)
        line.update(" · ".join(said))
        line.display = bool(said)

    @on(Resize)
    def _resized(self) -> None:
        """Chooses the columns anew."""
        self.call_after_refresh(self.show)

    # ------------------------------------------------------------ the list

    def focus_list(self) -> None:
        """Puts the cursor into the table."""
        self._table.focus()
        self.call_after_refresh(self.look)

    def action_filter(self) -> None:
        """Puts the cursor into the filter."""
        self._filter.display = True
        self._filter.focus()

    @on(Input.Changed)
    def _filtered(self) -> None:
        """Shows the runs that the filter leaves."""
        self.show()

    @on(Input.Submitted)
    def _submitted(self) -> None:
        """Leaves the filter as it is and goes to the table."""
        self._table.focus()

    def leave(self) -> bool:
        """Clears the filter, or else all marks, and returns whether there was either."""
        if self._filter.display:
            self._filter.value, self._filter.display = "", False
            self._table.focus()
        elif self._marked:
            self._marked = {}
            self.show()
        else:
            return False
        return True

    def action_sort(self) -> None:
        """Sorts by the next of the columns that are shown."""
        shown = self._table.shown or tuple(BY_KEY)
        at = shown.index(self._sorting.key) if self._sorting.key in shown else -1
        self._sort(Sorting("").by(shown[(at + 1) % len(shown)]))

    def action_turn(self) -> None:
        """Sorts in the other direction."""
        self._sort(self._sorting.by(self._sorting.key))

    @on(DataTable.HeaderSelected)
    def _head_clicked(self, event: DataTable.HeaderSelected) -> None:
        """Sorts by the column whose head was clicked, and the other way at the next click."""
        self._sort(self._sorting.by(str(event.column_key.value)))

    def _sort(self, sorting: Sorting) -> None:
        """Sorts the table."""
        self._sorting = sorting
        self.show()

    def action_mark(self) -> None:
        """Marks the run under the cursor, or takes its mark away, and goes a row down."""
        name = self._table.run_name
        if name is None:
            return
        if name in self._marked:
            del self._marked[name]
        else:
            self._marked[name] = None
        self.show()
        self._table.action_cursor_down()

    @work
    async def action_columns(self) -> None:
        """Asks which columns are to be shown, and remembers that."""
        self._chosen = await self.app.push_screen_wait(ColumnChooser(self._chosen))
        remembered.keep(remembered.COLUMNS, " ".join(["name", *sorted(self._chosen - {"name"})]))
        self.show()

    # ------------------------------------------------------------ one run

    def _run(self) -> RunDir | None:
        """Returns the run under the cursor, or None where there is none, which is told."""
        name = self._table.run_name
        if name is None:
            return None
        run = placed(runs_folder() / name)
        if not run.path.is_dir():
            self.notify(f"{name} is not there any more", severity="warning")
            self.look()
            return None
        return run

    @on(DataTable.RowSelected)
    def _watch(self) -> None:
        """Asks for the screen of the run under the cursor."""
        run = self._run()
        if run is not None:
            self.post_message(WatchRun(run))

    @work
    async def action_resume(self) -> None:
        """Goes on with the run under the cursor, or says why it cannot."""
        run = self._run()
        if run is None:
            return
        problem = await agreed(self.app, lambda trusted: resume(run, agreed=trusted))
        if problem:
            self.notify(problem, severity="warning", markup=False)
        elif problem is not None:
            self.post_message(WatchRun(run, launched=True))

    def action_copy(self) -> None:
        """Copies the path of the run under the cursor."""
        run = self._run()
        if run is not None:
            copy(self.app, str(run.path))

    def action_export(self) -> None:
        """Opens the export dialog for the run under the cursor."""
        run = self._run()
        kind = None if run is None else kind_of(run.path)
        if run is not None and kind is not None:
            self.notify(f"{run.name} is a {kind}; open it, and export the run of a pair from there")
        elif run is not None:
            from dss_tui.tui.screens.export import ExportDialog

            self.app.push_screen(ExportDialog(run))

    @work
    async def action_rename(self) -> None:
        """Asks for another name of the run under the cursor, and gives it."""
        run = self._run()
        if run is None:
            return
        ask = AskText(f"Rename {run.name} to", run.name, partial(check_other_name, run))
        name = await self.app.push_screen_wait(ask)
        if name is None or name == run.name:
            return
        self._renaming.add(run.name)
        try:
            await asyncio.to_thread(rename, run, name)
            self._marked = {name if each == run.name else each: None for each in self._marked}
        except (InputError, SaveError) as error:
            self.notify(str(error), severity="error", markup=False)
        finally:
            self._renaming.discard(run.name)
        self.show()
        self.look()

    @work
    async def action_note(self) -> None:
        """Asks for a note on the run under the cursor, and keeps it."""
        run = self._run()
        if run is None:
            return
        known = next((each.note for each in self._runs if each.name == run.name), "")
        note = await self.app.push_screen_wait(AskText(f"Note on {run.name}", known, check_note))
        if note is None:
            return
        try:
            write_note(run, note)
        except (InputError, SaveError) as error:
            self.notify(str(error), severity="error", markup=False)
        self.look()

    # ------------------------------------------------------------ several runs

    def action_compare(self) -> None:
        """Asks for the screen that compares the two marked runs."""
        if len(self._marked) != 2:
            self.notify(f"mark two runs with space to compare them; {len(self._marked)} marked")
            return
        first, second = (placed(runs_folder() / name) for name in self._marked)
        for run in (first, second):
            kind = kind_of(run.path)
            if kind is not None:
                self.notify(f"{run.name} is a {kind}; only runs can be compared")
                return
        self.post_message(CompareRuns(first, second))

    def _meant(self) -> list[Summary]:
        """Returns the marked runs, or else the one under the cursor."""
        names = self._marked or (self._table.run_name,)
        return [run for run in self._runs if run.name in names]

    @work
    async def action_delete(self) -> None:
        """Deletes the marked runs, or else the one under the cursor, after a question."""
        asked = self._meant()
        free = [run for run in asked if run.state not in HELD]
        held = [run.name for run in asked if run.state in HELD]
        if not free:
            if held:
                self.notify(f"{', '.join(held)}: running; stop it first", markup=False)
            return
        confirm = Confirm(question(free, held), {"n": "keep", "y": "delete"})
        answer = await self.app.push_screen_wait(confirm)
        if answer == "y":
            problems = await asyncio.to_thread(delete, [run.name for run in free])
            if problems:
                self.notify("\n".join(problems), severity="error", markup=False)
            self.look()


def _kept_columns() -> frozenset[str]:
    """Returns the columns that were chosen last, all of them where none is known."""
    known = frozenset((remembered.kept(remembered.COLUMNS) or "").split()) & frozenset(BY_KEY)
    return known or frozenset(BY_KEY)
