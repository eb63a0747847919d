"""The help of a screen: its keys first, then what the glyphs and the words mean."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from rich.table import Table
from rich.text import Text
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import Screen
from textual.widgets import Static

from dss_tui.tui.screens.dialog import Dialog
from dss_tui.viewing.glossary import GLYPHS, WORDS, Glyph


@dataclass(frozen=True)
class Key:
    """What the keys of one binding do on a screen."""

    keys: str
    """The keys as they are shown, separated by spaces."""
    about: str
    """What they do."""
    everywhere: bool
    """Whether they do it on every screen."""


def keys_of(screen: Screen[Any]) -> tuple[Key, ...]:
    """Returns the keys of a screen in the order of its bindings, and those of all screens last.

    Bindings of ours have ids; those of Textual, which move a cursor or the focus, have none.
    """
    shown: dict[str, list[str]] = {}
    about: dict[str, tuple[str, bool]] = {}
    for node, binding, enabled, _ in screen.active_bindings.values():
        if not (enabled and binding.id and binding.description):
            continue
        key = binding.key_display or screen.app.get_key_display(binding)
        shown.setdefault(binding.id, []).append(key)
        about[binding.id] = (binding.description, isinstance(node, App))
    found = [Key(" ".join(shown[name]), *about[name]) for name in shown]
    return tuple(sorted(found, key=lambda key: key.everywhere))


def legend_of(screen: Screen[Any]) -> Sequence[Glyph]:
    """Returns the glyphs of a screen with their meanings: its `LEGEND`, or those of a run."""
    legend: Sequence[Glyph] = getattr(screen, "LEGEND", GLYPHS)
    return legend


def keys_table(keys: Sequence[Key]) -> Table:
    """Returns a table of keys and what they do, with a rule before those of all screens."""
    table = _pairs()
    for key in keys:
        if not key.everywhere:
            table.add_row(key.keys, key.about)
    table.add_section()
    for key in keys:
        if key.everywhere:
            table.add_row(key.keys, f"{key.about} (on every screen)")
    return table


def meanings(pairs: Sequence[tuple[str, str]]) -> Table:
    """Returns a table of words or glyphs and what they mean."""
    table = _pairs()
    for what, meaning in pairs:
        table.add_row(what, meaning)
    return table


def _pairs() -> Table:
    """Returns an empty table of two columns without lines around it."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True, min_width=8)
    table.add_column()
    return table


class HelpScreen(Dialog[None]):
    """A page over a screen that tells its keys, the glyphs and the words."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,question_mark,enter", "dismiss", "close the help"),
        Binding("j,down", "scroll('down')", show=False),
        Binding("k,up", "scroll('up')", show=False),
        Binding("pagedown,space", "scroll('page_down')", show=False),
        Binding("pageup", "scroll('page_up')", show=False),
        Binding("g,home", "scroll('home')", show=False),
        Binding("G,end", "scroll('end')", show=False),
    ]

    def __init__(self, keys: Sequence[Key], glyphs: Sequence[Glyph] = GLYPHS) -> None:
        """Makes the page with the keys and the glyphs of the screen below it."""
        super().__init__()
        self._keys, self._glyphs = keys, glyphs

    def compose(self) -> ComposeResult:
        """Lays out the keys, the glyphs and the words, each under its title."""
        with VerticalScroll(classes="dialog", id="help"):
            yield Static("Keys of this screen", classes="title")
            yield Static(keys_table(self._keys))
            yield Static("Glyphs", classes="title")
            yield Static(meanings([(each.glyph, each.about) for each in self._glyphs]))
            yield Static("Words", classes="title")
            yield Static(meanings(WORDS))
            yield Static(
                Text("↑ ↓ scroll · esc closes · ctrl+p searches all commands by name", "dim"),
                classes="title",
            )

    def action_scroll(self, where: str) -> None:
        """Scrolls the page, such as `down` or `page_up`."""
        getattr(self.query_one("#help"), f"scroll_{where}")(animate=False)
