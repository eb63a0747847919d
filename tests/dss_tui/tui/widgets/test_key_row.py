"""The row of keys on screens that are too narrow for it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from textual.pilot import Pilot

from dss_tui.tui.app import DssApp, Opening
from dss_tui.tui.widgets.key_row import KeyRow
from tests.support.more import always
from tests.support.pilots import drive, seen, until, watching
from tests.support.told_runs import greedy_run


def last_line(app: DssApp) -> str:
    return seen(app).rstrip("\n").split("\n")[-1].rstrip()


@pytest.mark.parametrize("size", always([(80, 24)], [(60, 16), (80, 24), (200, 60)]))
@pytest.mark.parametrize("screen", ["menu", "run"])
def test_the_key_of_the_help_is_always_there(
    screen: str, size: tuple[int, int], tmp_path: Path
) -> None:
    opening = watching(greedy_run(tmp_path)) if screen == "run" else Opening(fps=20)

    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        await until(pilot, lambda: last_line(app).endswith("? help"))
        assert last_line(app).count("help") == 1

    drive(steps, opening, size=size)


def test_the_help_names_the_key_of_the_palette() -> None:
    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        await pilot.press("question_mark")
        await until(pilot, lambda: "commands by name" in seen(app))
        await pilot.press("escape", "ctrl+p")
        await until(pilot, lambda: "Search for commands" in seen(app))
        assert "Commands by name" not in seen(app)

    drive(steps)


def parts(app: DssApp) -> set[str]:
    """The keys with their words, as they are told apart by blanks and the line before the help."""
    return {part.strip() for part in re.split(r"  +|▏", last_line(app).strip())} - {""}


@pytest.mark.parametrize("width", [60, 74, 80, 200])
def test_keys_are_shown_whole_or_not_at_all(width: int, tmp_path: Path) -> None:
    """Also after the screen has become as narrow or wide as that."""
    whole = {"q leave", "d diagnosis", "v verify", "t tighten", "n run again", "e export"}
    whole |= {"space replay", "? help"}

    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        await until(pilot, lambda: last_line(app).endswith("? help"))
        await pilot.resize_terminal(width, 24)
        await until(
            pilot,
            lambda: len(last_line(app)) <= width and {"q leave", "? help"} <= parts(app) <= whole,
        )
        # Of the keys that a run at its end has, none but the last ones is left out.
        assert ("space replay" in parts(app)) == (width >= 74)

    drive(steps, watching(greedy_run(tmp_path)), size=(100, 24))


def test_the_row_is_laid_out_anew_only_for_other_keys(tmp_path: Path) -> None:
    """Whoever asks for the keys again, as each change of the focus does, gets the same widgets."""

    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        await until(pilot, lambda: last_line(app).endswith("? help"))
        await pilot.pause()
        row = app.screen.query_one(KeyRow)
        shown = list(row.children)
        app.screen.refresh_bindings()
        await pilot.pause()
        assert list(row.children) == shown != []
        await pilot.resize_terminal(60, 24)
        await until(pilot, lambda: list(row.children) != shown)

    drive(steps, watching(greedy_run(tmp_path)), size=(100, 24))
