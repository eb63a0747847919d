"""A dialog that gets more keys than the one that closes it."""

from __future__ import annotations

from textual.pilot import Pilot

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
