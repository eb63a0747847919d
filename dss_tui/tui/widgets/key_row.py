"""The row of keys at the foot of a screen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.cells import cell_len
from textual.app import ComposeResult
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Footer
from textual.widgets._footer import FooterKey


class KeyRow(Footer):
    """A row of the keys of a screen, as many as fit whole, which ends with that of the help."""

    HELP = "question_mark"

    def __init__(self) -> None:
        """Makes the row, in which the help takes the place that Textual gives to its palette."""
        super().__init__(show_command_palette=False)
        self._width = 0
        """The width for which the row was made."""
        self._made_of: list[tuple[str, ...]] | None = None
        """What the keys were of which the row was made."""

    def compose(self) -> ComposeResult:
        """Lays out the keys that fit, and that of the help at the right end."""
        self._width, self._made_of = self.size.width, self._keys()
        help_ = self._help()
        room = self._width - (0 if help_ is None else _columns(help_) + 1)  # a line sets it off
        for key in super().compose():
            room -= _columns(key)
            if room < 0:
                break
            if isinstance(key, FooterKey):  # a later change would look its style up once more
                key.set_reactive(FooterKey.compact, False)
            yield key
        if help_ is not None:
            yield help_

    def _help(self) -> FooterKey | None:
        """Returns the key of the help, or None where the screen has none."""
        bound = self.screen.active_bindings.get(self.HELP)
        if not self._bindings_ready or bound is None:
            return None
        binding, display = bound.binding, self.app.get_key_display(bound.binding)
        words, action = binding.description, binding.action
        return FooterKey(binding.key, display, words, action, classes="-command-palette -compact")

    def _keys(self) -> list[tuple[str, ...]] | None:
        """Returns all that the row shows of its screen's keys, or None where there are none yet."""
        if not self._bindings_ready:
            return None
        return [
            (
                bound.binding.key,
                self.app.get_key_display(bound.binding),
                bound.binding.description,
                bound.binding.action,
                f"{bound.binding.show} {bound.enabled} {bound.tooltip}",
            )
            for bound in self.screen.active_bindings.values()
            if bound.binding.show or bound.binding.key == self.HELP
        ]

    def bindings_changed(self, screen: Screen[Any]) -> None:
        """Lays out the keys of the screen where they are others than those that are shown."""
        self._bindings_ready = True
        if screen.app.app_focus and self.is_attached and screen is self.screen:
            self.call_after_refresh(self._follow)

    async def _follow(self) -> None:
        """Lays out the keys anew unless the row was made of the same ones, for the same width."""
        if self.is_attached and (self._made_of, self._width) != (self._keys(), self.size.width):
            await self.recompose()

    def on_resize(self) -> None:
        """Lays out the keys that fit into another width."""
        if self.size.width != self._width and self._bindings_ready:
            self.call_after_refresh(self._follow)


def _columns(key: Widget) -> int:
    """Returns the columns that a key takes: the glyphs of it and its words, and blanks around."""
    if not isinstance(key, FooterKey):
        return 0
    return cell_len(key.key_display) + cell_len(key.description) + 3


def keys_shown(screen: Screen[Any], ids: Sequence[str]) -> list[str]:
    """Returns the keys of bindings as they are shown, by the ids of those that a screen has now."""
    bound = {
        each.binding.id: each.binding.key_display or screen.app.get_key_display(each.binding)
        for each in screen.active_bindings.values()
    }
    return [bound[name] for name in ids if name in bound]
