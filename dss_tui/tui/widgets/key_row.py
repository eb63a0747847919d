"""The row of keys at the foot of a screen."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.widgets import Footer
from textual.widgets._footer import FooterKey


class KeyRow(Footer):
    """A row of the keys of a screen, which ends with that of the help however narrow it is."""

    HELP = "question_mark"

    def __init__(self) -> None:
        """Makes the row, in which the help takes the place that Textual gives to its palette."""
        super().__init__(show_command_palette=False)

    def compose(self) -> ComposeResult:
        """Lays out the keys, and that of the help at the right end."""
        yield from super().compose()
        bound = self.screen.active_bindings.get(self.HELP)
        if self._bindings_ready and bound is not None:
            binding, display = bound.binding, self.app.get_key_display(bound.binding)
            words, action = binding.description, binding.action
            yield FooterKey(binding.key, display, words, action, classes="-command-palette")
