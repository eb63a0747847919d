"""A field of a form: its name, its value, and what is wrong with that."""

from __future__ import annotations

from collections.abc import Sequence

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.message import Message
from textual.widgets import Input, Label, Select, Static


class Field(Vertical):
    """A key of a preset that can be typed, or chosen from a list, with its fault below it."""

    class Edited(Message):
        """Tells that the user has changed the value."""

    def __init__(self, label: str, key: str, choices: Sequence[str] = ()) -> None:
        """Makes the field of a key. With `choices` its value is one of them."""
        super().__init__(classes="field")
        self._label, self.key = label, key
        self._choices = tuple(choices)
        self._control_id = "field-" + key.replace(".", "-").replace("_", "-")

    def compose(self) -> ComposeResult:
        """Lays out the label before the value, and the fault below them."""
        with Horizontal():
            yield Label(self._label, markup=False)
            if self._choices:
                options = [(choice, choice) for choice in self._choices]
                yield Select(options, allow_blank=False, compact=True, id=self._control_id)
            else:
                yield Input(id=self._control_id, compact=True)
        yield Static(classes="fault", markup=False)

    @property
    def value(self) -> str:
        """The value as text."""
        return str(self._control.value)

    @value.setter
    def value(self, value: str) -> None:
        """Sets the value without telling of it; a list takes one that it does not have."""
        control = self._control
        with self.prevent(Input.Changed, Select.Changed):
            if isinstance(control, Select):
                known = dict.fromkeys((*self._choices, value))
                control.set_options((choice, choice) for choice in known)
            control.value = value

    @property
    def _control(self) -> Input | Select[str]:
        """The widget that holds the value."""
        if self._choices:
            return self.query_one(f"#{self._control_id}", Select)
        return self.query_one(f"#{self._control_id}", Input)

    @property
    def fault(self) -> str:
        """What is wrong with the value, or ""."""
        return str(self.query_one(".fault", Static).content)

    @fault.setter
    def fault(self, fault: str) -> None:
        """Says what is wrong with the value, or with "" nothing."""
        said = self.query_one(".fault", Static)
        said.update(fault)
        said.display = bool(fault)

    def on_input_changed(self, event: Input.Changed) -> None:
        """Tells of a typed value."""
        event.stop()
        self.post_message(self.Edited())

    def on_select_changed(self, event: Select.Changed) -> None:
        """Tells of a chosen value."""
        event.stop()
        self.post_message(self.Edited())
