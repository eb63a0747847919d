"""The palette of commands."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from textual import work
from textual.command import CommandPalette
from textual.css.query import NoMatches

#: Textual's own search for commands, without its decorator.
_gather: Any = getattr(CommandPalette._gather_commands, "__wrapped__", None)
#: The group of its workers, which Textual cancels where the palette is closed.
GROUP = CommandPalette._GATHER_COMMANDS_GROUP


class Commands(CommandPalette):
    """Textual's palette, which survives keys before its list is drawn, and being closed early."""

    def _action_command_list(self, action: str) -> None:
        """Passes a key on to the list."""
        with suppress(KeyError):  # the line of an option that has none yet
            super()._action_command_list(action)

    if _gather is not None:

        @work(exclusive=True, group=GROUP)
        async def _gather_commands(self, search_value: str) -> None:
            """Fills the list with the commands that a text fits, as long as there is a list."""
            with suppress(NoMatches):
                await _gather(self, search_value)
