"""A dialog that gets more keys than the one that closes it."""

from __future__ import annotations

from typing import ClassVar

import pytest
from textual.binding import Binding, BindingType
from textual.pilot import Pilot
from textual.screen import Screen

from dss_tui.tui.app import DssApp
from dss_tui.tui.screens.confirm import Confirm
from dss_tui.tui.screens.menu import MenuScreen
from tests.support.pilots import drive, until


def test_a_second_answer_does_not_close_the_screen_below() -> None:
    answers: list[str | None] = []

    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        await app.push_screen(Confirm("Stop?", {"n": "no", "y": "yes"}), answers.append)
        for key in "yyyn":
            app.simulate_key(key)
        await until(pilot, lambda: isinstance(app.screen, MenuScreen))
        await pilot.pause()
        assert isinstance(app.screen, MenuScreen)

    drive(steps)
    assert answers == ["y"]


def test_a_covered_dialog_stays() -> None:
    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        below, above = (Confirm(question, {"y": "yes"}) for question in ("One?", "Two?"))
        await app.push_screen(below)
        await app.push_screen(above)
        below.dismiss("y")
        assert app.screen is above
        above.dismiss("y")
        await until(pilot, lambda: app.screen is below)
        below.dismiss("y")
        below.dismiss("y")
        await until(pilot, lambda: isinstance(app.screen, MenuScreen))

    drive(steps)


@pytest.mark.parametrize("key", ["y", "c"])
def test_an_answer_is_no_key_of_the_screen_below(key: str) -> None:
    heard: list[str] = []

    class Below(Screen[None]):
        BINDINGS: ClassVar[list[BindingType]] = [
            Binding(each, f"hear('{each}')", each) for each in "yc"
        ]

        def action_hear(self, each: str) -> None:
            heard.append(each)

    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        below = Below()
        await app.push_screen(below)
        await app.push_screen(Confirm("Stop?", {"n": "no", "y": "yes", "c": "copy"}))
        await pilot.press(key)
        await until(pilot, lambda: app.screen is below)
        await pilot.pause(0.1)
        assert heard == []
        await pilot.press(key)
        await until(pilot, lambda: heard == [key])

    drive(steps)
