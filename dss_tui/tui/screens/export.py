"""The export dialog. The command line does the work, in a process of its own."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.suggester import Suggester
from textual.widgets import Button, Checkbox, Input, Label, RadioButton, RadioSet, Static

from dss_tui.tui.copying import copy
from dss_tui.tui.screens.confirm import Confirm
from dss_tui.tui.screens.dialog import Dialog
from dss_tui.viewing.process import answer
from engine.record.rundir import RunDir
from engine.spec.trust import RUN_FACTORIES

#: The endings of string files, that of a figure which the dialog offers, and all that it draws.
STRINGS, FIGURE, DRAWN = (".safetensors", ".npz", ".pt"), ".svg", (".svg", ".pdf", ".png", ".csv")
ENDINGS = (*STRINGS, FIGURE)
#: The words beside the box that stands for --force.
REPLACE = "replace a file that exists"


class PathSuggester(Suggester):
    """Completes the last part of a path."""

    async def get_suggestion(self, value: str) -> str | None:
        """Returns the path completed to the first name that fits, or None where none does."""
        folder, _, start = value.rpartition("/")
        base = Path(folder or ("/" if value.startswith("/") else ".")).expanduser()
        try:
            names = sorted(path.name + "/" * path.is_dir() for path in base.iterdir())
        except OSError:
            return None
        found = next((name for name in names if start and name.startswith(start)), None)
        return None if found is None else value + found[len(start) :]


class Tick(Checkbox):
    """A checkbox whose state shows without colour."""

    def render(self) -> Content:
        """Draws a cross where the box is ticked."""
        self.BUTTON_INNER = "X" if self.value else " "
        return super().render()


class Choice(RadioButton):
    """A radio button whose state shows without colour."""

    def render(self) -> Content:
        """Draws a dot where the button is chosen."""
        self.BUTTON_INNER = "●" if self.value else " "
        return super().render()


class ExportDialog(Dialog[None]):
    """A dialog that asks where to and how to export a run's string or draw it, and does so."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss", "close"),
        Binding("ctrl+s", "write", "write", id="export.write"),
        Binding("y", "copy", "copy the verify command", id="export.copy"),
    ]

    def __init__(self, run: RunDir) -> None:
        """Makes the dialog for a run."""
        super().__init__()
        self._run = run
        self._verify = ""

    def compose(self) -> ComposeResult:
        """Lays out the choices over the path and the answer of the command line."""
        with Vertical(classes="dialog", id="export"):
            yield Label(
                f"Export the string of {self._run.name}, or draw it ({FIGURE})", markup=False
            )
            with RadioSet(id="endings", compact=True):
                for number, ending in enumerate(ENDINGS):
                    yield Choice(ending, value=number == 0, compact=True)
            yield Tick("with the training data", id="with-data", compact=True)
            yield Tick(REPLACE, id="force", compact=True)
            yield Input(
                value=str(Path.cwd() / f"{self._run.name}.safetensors"),
                suggester=PathSuggester(use_cache=False, case_sensitive=True),
                id="path",
                compact=True,
            )
            yield Static(id="said", markup=False)
            with Horizontal(classes="buttons"):
                yield Button("write", id="write", variant="primary")
                yield Button("copy its check \\[y]", id="copy", disabled=True)
                yield Button("close \\[esc]", id="close")

    def on_mount(self) -> None:
        """Puts the cursor into the path."""
        self.query_one("#path", Input).focus()

    @on(RadioSet.Changed)
    def _ending_changed(self, event: RadioSet.Changed) -> None:
        """Gives the path the chosen ending."""
        field = self.query_one("#path", Input)
        path = Path(field.value)
        if path.suffix in (*ENDINGS, *DRAWN):
            field.value = str(path.with_suffix(str(event.pressed.label)))

    @on(Button.Pressed)
    def _pressed(self, event: Button.Pressed) -> None:
        """Does what the pressed button says."""
        match event.button.id:
            case "write":
                self.action_write()
            case "copy":
                self.action_copy()
            case _:
                self.dismiss()

    @on(Input.Submitted)
    def action_write(self) -> None:
        """Makes the command line write the file."""
        self._write()

    @work(exclusive=True)
    async def _write(self) -> None:
        """Runs the command line in a process of its own and shows its answer."""
        path = str(Path(self.query_one("#path", Input).value).expanduser())
        drawn = Path(path).suffix in DRAWN
        said = self.query_one("#said", Static)
        said.update("drawing …" if drawn else "writing …")
        command = ["figure"] if drawn else ["export", *self._flags()]
        asked = (*command, str(self._run.path), "--out", path)
        status, words = await answer(*asked)
        if RUN_FACTORIES in words:
            question = words.removeprefix("dss-tui: ").partition("; if you trust")[0]
            answers = {"n": "leave it", "y": "run them"}
            if await self.app.push_screen_wait(Confirm(f"{question}.", answers)) == "y":
                status, words = await answer(*asked, RUN_FACTORIES)
        said.update(words.replace("give --force", f"tick “{REPLACE}”"))
        if status == 0 and not drawn:
            self._verify = f"dss-tui verify {shlex.quote(path)}"
            button = self.query_one("#copy", Button)
            button.disabled = False
            button.focus()  # not the path, which would take the key y

    def _flags(self) -> list[str]:
        """Returns the options of `export` whose boxes are ticked."""
        options = ("with-data", "force")
        return [f"--{each}" for each in options if self.query_one(f"#{each}", Checkbox).value]

    def action_copy(self) -> None:
        """Puts the command that verifies the file onto the clipboard."""
        if self._verify:
            copy(self.app, self._verify)
