"""The title of the terminal's window."""

from __future__ import annotations

from typing import Any

from textual.app import App

#: The largest number of characters of a title.
LONGEST = 80


def title_sequence(words: str) -> str:
    """Returns the control sequence that keeps the title so far and sets another one.

    Control characters are left out of it, so that a name cannot hold commands for the terminal.
    """
    clean = "".join(letter for letter in words if letter.isprintable())[:LONGEST]
    return f"\x1b[22;2t\x1b]2;{clean}\x07"


#: The control sequence that brings the title back that was kept last.
RESTORED = "\x1b[23;2t"


def set_title(app: App[Any], words: str) -> None:
    """Sets the title of the window of an application that is on a terminal."""
    _write(app, title_sequence(words))


def restore_title(app: App[Any]) -> None:
    """Brings the title back that the window had before `set_title`."""
    _write(app, RESTORED)


def _write(app: App[Any], sequence: str) -> None:
    """Writes a sequence by the application's driver, which writes frames too."""
    driver = app._driver
    if driver is not None and not app.is_headless:
        driver.write(sequence)
