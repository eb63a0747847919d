"""The question that comes before functions are run, or a folder written to, that are another's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from textual.app import App

from dss_tui.tui.screens.confirm import Confirm
from engine.spec.trust import RUN_FACTORIES, Asked

T = TypeVar("T")


async def agreed(app: App[Any], action: Callable[[bool], T]) -> T | None:
    """Returns what an action returns, or None where the user does not agree to it.

    The action takes whether the user has agreed, and raises Asked where that is to be known first.
    """
    try:
        return action(False)
    except Asked as asked:
        runs = asked.option == RUN_FACTORIES
        answers = {"n": "leave it", "y": "run them" if runs else "go on"}
        question = f"{asked.file}: {asked.what_comes}."
        if await app.push_screen_wait(Confirm(question, answers)) != "y":
            return None
        return action(True)
