"""A hostile text, values that hold it at every place, and what may not come of it."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from typing import Any

from rich.console import Console

from dss_tui.tui.app import DssApp

#: Sequences that move the cursor, set title and clipboard, and turn the order of letters; and
#: markup of rich and of textual, with an action behind it.
EVIL = (
    "A\x1b[31mB\x1b]52;c;aGk=\x07C\x9b2JD\x90E\u202eF\u2066G\u2028H\rI\x7fJ[bold red]K[/bold red]"
    "[@click=app.quit]L[/][link=https://x.y]M[/link]:smile:\x08"
)
#: What may not come out of any command. Screens have sequences of their own.
OBEYED = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]"
)
#: Keys whose texts are free, though some look like words of the format.
FREE = ("host", "phase", "backend", "backend_why", "sentence", "reason", "note", "name", "version")


def spoiled(value: Any) -> Any:
    """A plain value of JSON with the hostile text in place of every text that names nothing."""
    if isinstance(value, dict):
        return {key: _spoiled(key, each) for key, each in value.items()}
    if isinstance(value, list):
        return [spoiled(each) for each in value]
    return value


def _spoiled(key: str, value: Any) -> Any:
    """The value of a key; those that the format knows only some words for stay."""
    if not isinstance(value, str):
        return spoiled(value)
    words = ("event", "state", "outcome", "kind", "precision", "status", "what", "aim", "metric")
    known = key in words or re.fullmatch(r"[a-z_]{1,20}", value)
    return value if known and key not in FREE else f"{EVIL}{value}"


def drawn(app: DssApp) -> Iterator[str]:
    """What the terminal gets for each line of the screen, without sequences that set a style."""
    console = Console(file=io.StringIO(), force_terminal=True, color_system="truecolor")
    for strip in app.screen._compositor.render_strips():
        yield re.sub(r"\x1b\[[0-9;]*m", "", strip.render(console))


def loaded(app: DssApp) -> bool:
    """Whether the run's name, or another hostile text, is on the screen."""
    return any("x1b" in line for line in drawn(app))
