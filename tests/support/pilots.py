"""The application driven by a test: keys in, what the screen shows out."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from textual.app import App
from textual.pilot import Pilot
from textual.screen import Screen
from textual.widgets import Input, Static

from dss_tui.tui.app import DssApp, Opening
from dss_tui.tui.widgets.preset_table import PresetTable
from dss_tui.tui.widgets.run_table import RunTable
from engine.record.rundir import RunDir

Drive = Callable[[DssApp, Pilot[None]], Awaitable[None]]

WIDE, SMALL = (140, 40), (80, 24)

#: The names that Textual gives the keys of some letters.
KEYS = {".": "full_stop", "=": "equals_sign", "-": "minus", "[": "left_square_bracket"}
KEYS |= {"/": "slash", "]": "right_square_bracket", "_": "underscore", ",": "comma"}
KEYS |= {" ": "space", "!": "exclamation_mark"}


def drive(steps: Drive, opening: Opening | None = None, size: tuple[int, int] = WIDE) -> DssApp:
    """The application after the steps, with the menu or the run it was opened on."""
    app = DssApp(opening or Opening(fps=20))

    async def body() -> None:
        async with app.run_test(size=size, notifications=True) as pilot:
            await pilot.pause()
            await steps(app, pilot)

    asyncio.run(body())
    return app


drive_small = partial(drive, size=SMALL)


def watching(run: RunDir, *, launched: bool = False) -> Opening:
    """The opening on a run, which is looked at often."""
    return Opening(run, launched=launched, fps=20)


def over_menu(screen: Screen[Any], steps: Drive, size: tuple[int, int] = (100, 30)) -> None:
    """Opens a screen over the menu and does the steps."""

    async def opened(app: DssApp, pilot: Pilot[None]) -> None:
        await app.push_screen(screen)
        await steps(app, pilot)

    drive(opened, size=size)


async def until(pilot: Pilot[None], condition: Callable[[], bool], looks: int = 3000) -> None:
    """Until the condition holds; one that never does fails the test."""
    for _ in range(looks):
        if condition():
            return
        await pilot.pause(0.02)
    raise AssertionError(f"it did not come about:\n{seen(pilot.app)}")


def seen(app: App[None]) -> str:
    """The characters on the screen."""
    strips = app.screen._compositor.render_strips(app.size)
    return "\n".join("".join(segment.text for segment in strip) for strip in strips)


def words(app: App[None]) -> str:
    """What is on the screen, with its lines joined."""
    return " ".join(seen(app).split())


def said(screen: Screen[Any], selector: str) -> str:
    """What a Static holds."""
    return str(screen.query_one(selector, Static).content)


def told(app: DssApp) -> list[str]:
    """The notifications so far."""
    return [notification.message for notification in app._notifications]


async def write(pilot: Pilot[None], text: str) -> None:
    """Types a text, letter by letter."""
    await pilot.press(*[KEYS.get(letter, letter) for letter in text])


async def fill(app: DssApp, pilot: Pilot[None], field: str, value: str) -> None:
    """Types a value over what a field holds."""
    app.screen.query_one(field, Input).focus()
    await pilot.press("home", "ctrl+k")
    await write(pilot, value)
    await pilot.pause()


async def to_presets(app: DssApp, pilot: Pilot[None]) -> PresetTable:
    """The table of presets, once it is filled."""
    table = app.screen.query_one(PresetTable)
    await until(pilot, lambda: table.row_count > 0)
    return table


async def to_preset(app: DssApp, pilot: Pilot[None], name: str) -> PresetTable:
    """The table of presets with the cursor on one, whose fields are filled."""
    table = await to_presets(app, pilot)
    table.move_cursor(row=table.names.index(name))
    await until(pilot, lambda: name in said(app.screen, "#about"))
    return table


async def to_runs(app: DssApp, pilot: Pilot[None], count: int) -> RunTable:
    """The table of runs, once it has that many."""
    await pilot.press("2")
    table = app.screen.query_one(RunTable)
    await until(pilot, lambda: table.row_count == count and app.focused is table)
    return table


def column(table: RunTable, key: str) -> list[str]:
    """What a column of the table of runs shows, from top to bottom."""
    return [str(cell).strip() for cell in table.get_column(key)]
