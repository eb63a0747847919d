"""Puts text onto the clipboard of the terminal that somebody sits at."""

from __future__ import annotations

from typing import Any

from textual.app import App

#: The seconds for which a copied text is shown.
SHOWN_S = 10.0


def copy(app: App[Any], text: str) -> None:
    """Copies a text by the terminal, and shows it too.

    The text goes through OSC 52, which reaches the user's own machine over SSH. A terminal that
    does not know it, or does not allow it, says nothing, so the text stays to be selected by hand.
    """
    app.copy_to_clipboard(text)
    app.notify(f"copied, if the terminal allows it:\n{text}", timeout=SHOWN_S, markup=False)
