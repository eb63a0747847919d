"""The dialog that starts a new run from the preset of another one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.widgets import Button, Input, Label, Static

from dss_tui.tui.messages import WatchRun
from dss_tui.tui.screens.agreeing import agreed
from dss_tui.tui.screens.dialog import Dialog
from dss_tui.viewing import session
from engine.errors import InputError, SaveError
from engine.record.rundir import RunDir
from engine.spec.keys import Spec
from engine.spec.trust import check_run


@dataclass(frozen=True)
class Plan:
    """A new run that is made of another one."""

    run: RunDir
    """The run whose preset is taken."""
    name: str
    """The name of the new run."""
    words: str
    """What it does, in words."""
    level: str
    """The level that is proposed, as `search.level` takes it."""
    fixed: tuple[str, ...] = ()
    """Overrides that come before the user's own."""


class NewRun(Dialog[None]):
    """A dialog with the level, the seed and any other key of a new run, which it starts."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss", "close"),
        Binding("ctrl+s", "start", "start", id="again.start"),
    ]

    def __init__(self, plan: Plan) -> None:
        """Makes the dialog of a plan."""
        super().__init__()
        self._plan = plan
        self._others: list[str] = []

    def compose(self) -> ComposeResult:
        """Lays out the fields over what is wrong with them."""
        with Vertical(classes="dialog"):
            yield Label(self._plan.words, markup=False)
            for label, name, value in (
                ("level", "level", self._plan.level),
                ("seed", "seed", ""),
                ("other", "other", ""),
            ):
                with Horizontal(classes="field"):
                    yield Label(label)
                    yield Input(value=value, placeholder=_HINTS[name], id=name, compact=True)
            yield Static(id="overrides", markup=False)
            yield Static(id="problem", markup=False)
            with Horizontal(classes="buttons"):
                yield Button("start \\[ctrl+s]", id="start", variant="primary")
                yield Button("close \\[esc]", id="close")

    def on_mount(self) -> None:
        """Puts the cursor into the level."""
        self.query_one("#level", Input).focus()

    @on(Input.Changed)
    def _changed(self) -> None:
        """Says what is wrong with the fields, if anything is."""
        self._spec()

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        """Adds another key, or starts the run."""
        if event.input.id == "other" and event.value.strip():
            self._add(event.input)
        else:
            self.action_start()

    def _add(self, field: Input) -> bool:
        """Adds the override in a field, if the run can have it, and returns whether."""
        fits = self._spec() is not None
        if fits:
            self._others.append(field.value.strip())
            self.query_one("#overrides", Static).update("\n".join(self._others))
            field.value = ""
        return fits

    @on(Button.Pressed)
    def _pressed(self, event: Button.Pressed) -> None:
        """Starts the run or closes the dialog."""
        if event.button.id == "start":
            self.action_start()
        else:
            self.dismiss()

    def _spec(self) -> Spec | None:
        """Returns the preset of the new run, or None where something is wrong, which is said."""
        level, seed, other = (
            self.query_one(f"#{name}", Input).value.strip() for name in ("level", "seed", "other")
        )
        overrides = [*self._plan.fixed, f"search.level={level}", *self._others]
        overrides += [f"seed={seed}"] * bool(seed) + [other] * bool(other)
        problem = self.query_one("#problem", Static)
        try:
            spec = session.again(self._plan.run, overrides)
        except InputError as error:
            problem.update(str(error))
            return None
        problem.update("")
        return spec

    @work
    async def action_start(self) -> None:
        """Starts the run and asks for its screen, or says what is wrong.

        An override that still stands in its field counts.
        """
        spec = self._spec()
        if spec is None:
            self.app.bell()
            return
        try:
            run = await agreed(self.app, lambda trusted: self._started(spec, trusted))
        except (InputError, SaveError) as error:
            self.query_one("#problem", Static).update(str(error))
            return
        if run is None:
            return
        self.dismiss()
        self.app.post_message(WatchRun(run, launched=True))

    def _started(self, spec: Spec, agreed: bool) -> RunDir:
        """Starts the run and returns it.

        Raises InputError where it cannot run, Asked where the user is to agree first, and
        SaveError.
        """
        check_run(spec, self._plan.run.spec, run_factories=agreed, overrides=self._others)
        return session.start(spec, self._plan.name)


_HINTS = {"level": "", "seed": "as before", "other": "limits.seconds=60"}
