"""The tab of the menu with the presets: a table, and the fields that can be changed."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import ClassVar, get_args

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.events import Resize
from textual.widgets import DataTable, Input, Label, Select, Static

from dss_tui.tui.editor import edit
from dss_tui.tui.messages import WatchRun
from dss_tui.tui.screens.agreeing import agreed
from dss_tui.tui.widgets.field import Field
from dss_tui.tui.widgets.preset_table import PresetTable
from engine.errors import InputError, SaveError
from engine.record.rundir import RunDir
from engine.spec.catalogue import Listed, catalogue, copied
from engine.spec.keys import Spec
from engine.spec.methods import METHODS
from engine.spec.search import Greedy
from engine.spec.shipped import load_preset
from engine.spec.trust import check_file
from engine.spec.yaml_file import faults_in

#: The fields: label, key of the preset, and the values to choose from, none where it is typed.
FIELDS = (
    ("level", "search.level", ()),
    ("alpha", "search.alpha", ()),
    ("method", "search.method", tuple(METHODS)),
    ("seed", "seed", ()),
    ("device", "device", ("auto", "cpu", "cuda")),
    ("t*", "search.greedy.t_star", get_args(Greedy.model_fields["t_star"].annotation)),
)

#: The seconds after which a preset is checked: after the first frame, because it reads data.
CHECK_S = 0.05


class PresetsTab(Vertical):
    """The presets, shipped and the user's own, and what can be changed before the start."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "filter", "filter", id="presets.filter", key_display="/"),
        Binding("ctrl+s,f5", "start", "start", id="presets.start"),
        Binding("E", "edit", "edit a copy", id="presets.edit"),
    ]

    def compose(self) -> ComposeResult:
        """Lays out the filter and the table over the fields and the description."""
        yield Input(placeholder="filter", id="filter", compact=True)
        yield PresetTable(id="list")
        yield Static(id="problem", markup=False)
        with Horizontal(id="below"):
            with VerticalScroll(id="form", can_focus=False):
                with Horizontal(classes="field"):
                    yield Label("other")
                    yield Input(placeholder="limits.beads=500", id="other", compact=True)
                yield Static(id="overrides", markup=False)
            with VerticalScroll(id="facts", can_focus=False):
                yield Static(id="about", markup=False)

    def on_mount(self) -> None:
        """Fills the list, so that it is there in the first frame."""
        self.others: list[str] = []
        self._entries = _ordered(catalogue())
        self._shown: Listed | None = None
        self._fields: list[Field] = []
        self._filled: list[str] = []
        self._due = False
        self.query_one("#filter").display = False
        self._tell([])
        self._list()
        self.call_after_refresh(self._make_fields)

    async def _make_fields(self) -> None:
        """Makes the fields, after the first frame, which they would delay."""
        fields = [Field(label, key, choices) for label, key, choices in FIELDS]
        await self.query_one("#form").mount(*fields, before=0)
        self._fields = fields
        self._fill()

    @property
    def _table(self) -> PresetTable:
        """The table of presets."""
        return self.query_one(PresetTable)

    @on(Resize)
    def _resized(self) -> None:
        """Lists the presets in their new width."""
        self._list()

    # ------------------------------------------------------------ the list

    def read(self, chosen: Path | None = None) -> None:
        """Reads the list of presets again, with the cursor on the one at the path `chosen`."""
        self._entries = _ordered(catalogue())
        self._list(None if chosen is None else str(chosen))

    def _list(self, chosen: str | None = None) -> None:
        """Lists the presets whose name, description or task has the text of the filter in it."""
        wanted = self.query_one("#filter", Input).value.lower()
        found = [each for each in self._entries if wanted in _words(each).lower()]
        now = self._table.entry
        self._table.show(found, chosen or (now.reference if now else None))
        if not found:
            self._shown = None
            self.query_one("#about", Static).update(Content(f"no preset has {wanted!r} in it"))

    @on(DataTable.RowHighlighted)
    def _highlighted(self) -> None:
        """Fills the fields from the highlighted preset, unless they are its already."""
        entry = self._table.entry
        if entry is None or entry == self._shown:
            return
        self._shown, self.others = entry, []
        if self._fields:
            self._fill()

    def _fill(self) -> None:
        """Fills the fields from the preset that is shown, and checks it soon."""
        spec = self._shown.spec if self._shown is not None else None
        self.query_one("#form").disabled = spec is None
        if spec is not None:
            tree = spec.model_dump(mode="json")
            for field in self._fields:
                value = tree
                for step in field.key.split("."):
                    value = value[step]
                field.value = str(value)
        self._filled = self._changes()
        self._due = True
        self.set_timer(CHECK_S, self._check_if_due)

    def _check_if_due(self) -> None:
        """Checks the preset, unless that was done meanwhile: what was said since would be lost."""
        if self._due:
            self._check()

    @on(DataTable.RowSelected)
    def _chosen(self) -> None:
        """Starts a run of the chosen preset."""
        self.action_start()

    def focus_list(self) -> None:
        """Puts the cursor into the table."""
        self._table.focus()

    def action_filter(self) -> None:
        """Puts the cursor into the filter."""
        field = self.query_one("#filter", Input)
        field.display = True
        field.focus()

    def leave(self) -> bool:
        """Goes from a field to the list, or shows all presets, and returns whether it did."""
        field, focused = self.query_one("#filter", Input), self.screen.focused
        if isinstance(focused, Input | Select) and focused is not field:
            self._table.focus()
        elif field.display:
            field.value, field.display = "", False
            self._table.focus()
        else:
            return False
        return True

    def action_edit(self) -> None:
        """Opens an own preset, or a copy of a shipped one, in the user's editor."""
        entry = self._table.entry
        if entry is None:
            return
        try:
            path = entry.path if entry.own else copied(entry.path)
        except (InputError, SaveError) as error:
            self.notify(str(error), severity="error", markup=False)
            return
        problem = edit(self.app, path)
        if problem is not None:
            self.notify(problem, severity="warning", markup=False)
        self.query_one("#filter", Input).value = ""
        self.read(path)

    # ------------------------------------------------------------ the fields

    @on(Field.Edited)
    def _edited(self) -> None:
        """Checks the fields, unless they have the values that the preset itself gave them."""
        if self._fields and self._changes() != self._filled:
            self._filled = []
            self._check()

    @on(Input.Changed, "#filter")
    def _filtered(self) -> None:
        """Lists the presets that the filter leaves."""
        self._list()

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        """Leaves the filter, adds an override, or starts the run."""
        if event.input.id == "filter":
            self._table.focus()
        elif event.input.id == "other" and event.value.strip():
            self._add_other(event.input)
        else:
            self.action_start()

    def _add_other(self, field: Input) -> bool:
        """Adds the override in a field, if the preset can run with it, and returns whether."""
        self.others.append(field.value.strip())
        fits = self._check()
        if fits:
            field.value = ""
        else:
            self.others.pop()
            self.query_one("#overrides", Static).update("\n".join(self.others))
        return fits

    def _changes(self) -> list[str]:
        """Returns all that the fields set, as `a.b=value` texts."""
        return [f"{field.key}={field.value}" for field in self._fields] + self.others

    def _check(self) -> bool:
        """Shows what the run would be and all that is wrong with it. Returns whether it can run."""
        from dss_tui.viewing import describe, session  # only now, after the first frame

        self._due = False
        entry = self._table.entry
        self.query_one("#overrides", Static).update("\n".join(self.others))
        if entry is None:
            return False
        if entry.spec is None:
            self.query_one("#about", Static).update(describe.broken(entry))
            self._tell([InputError(entry.fault)])
            return False
        faults = faults_in(entry.path, self._changes())
        if not faults:
            spec = self._spec(entry)
            self.query_one("#about", Static).update(describe.preset(entry.name, spec))
            try:
                session.check(spec)
            except InputError as error:
                faults = [error]
        self._tell(faults)
        return not faults

    def _spec(self, entry: Listed) -> Spec:
        """Returns the spec of a preset with the fields' values. Raises InputError."""
        return load_preset(entry.reference, self._changes())

    def _tell(self, faults: Iterable[InputError]) -> None:
        """Says each fault at the field of its key, and those of other keys in a place of theirs."""
        left = {error.key: error for error in reversed(list(faults))}
        for field in self._fields:
            error = left.pop(field.key, None)
            field.fault = "" if error is None else error.what
        said = [f"{key}: {error.what}" if key else str(error) for key, error in left.items()]
        problem = self.query_one("#problem", Static)
        problem.update("\n".join(reversed(said)))
        problem.display = bool(said)

    @work
    async def action_start(self) -> None:
        """Starts a run of the chosen preset, or says what is wrong with it.

        An override that still stands in its field counts.
        """
        other, entry = self.query_one("#other", Input), self._table.entry
        fits = self._add_other(other) if other.value.strip() else self._check()
        if not fits or entry is None:
            self.app.bell()
            return
        try:
            spec = self._spec(entry)
            run = await agreed(self.app, lambda trusted: self._started(entry, spec, trusted))
        except InputError as error:
            self._tell([error])
            return
        if run is not None:
            self.post_message(WatchRun(run, launched=True))

    def _started(self, entry: Listed, spec: Spec, agreed: bool) -> RunDir:
        """Starts a run of a preset and returns it.

        Raises InputError where it cannot run, and Asked where the user is to agree first.
        """
        from dss_tui.viewing import session

        check_file(spec, entry.path, run_factories=agreed, overrides=self._changes())
        return session.start(spec, entry.name)


def _words(entry: Listed) -> str:
    """Returns the words of a preset that the filter looks at."""
    spec = entry.spec
    about = entry.fault if spec is None else f"{spec.description} {spec.task}"
    return f"{entry.name} {about}" + " own" * entry.own


def _ordered(entries: Iterable[Listed]) -> list[Listed]:
    """Returns the user's own presets first, then the others by task, first those that run here."""
    every = list(entries)
    fetched: dict[str, bool] = {}
    for each in every:
        task = each.spec.task if each.spec is not None else ""
        fetched[task] = fetched.get(task, True) and _fetched(each)

    def rank(entry: Listed) -> tuple[object, ...]:
        task = entry.spec.task if entry.spec is not None else ""
        mine = (not entry.own, entry.own and entry.spec is None)
        return (*mine, False) if entry.own else (*mine, fetched[task], task, _fetched(entry))

    return sorted(every, key=rank)


def _fetched(entry: Listed) -> bool:
    """Returns whether the data of a preset do not come with dss-tui."""
    return entry.spec is not None and entry.spec.problem.data.fetched
