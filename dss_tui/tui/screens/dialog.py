"""Screens that are closed once, however many keys that close them are on their way."""

from __future__ import annotations

from typing import TypeVar

from textual.await_complete import AwaitComplete
from textual.screen import ModalScreen, Screen

Result = TypeVar("Result")


class ClosedOnce(Screen[Result]):
    """A screen that closes itself alone.

    Textual's `dismiss` takes away whichever screen is on top. A second key that closes a screen,
    pressed before the first one was handled to its end, would take away the screen below.
    """

    def dismiss(self, result: Result | None = None) -> AwaitComplete:
        """Closes the screen with a result, unless it is closed already or covered by another."""
        if self.app.screen_stack[-1:] == [self]:
            return super().dismiss(result)
        return AwaitComplete()


class Dialog(ClosedOnce[Result], ModalScreen[Result]):
    """A screen over another one, which can be seen around it."""
