"""The help of each screen: its keys, the glyphs and the words."""

from __future__ import annotations

import asyncio
import io
import math
from typing import Literal, get_args

import pytest
from rich.console import Console
from textual.widgets import Static

from dss_tui.tui.app import DssApp, Opening
from dss_tui.tui.palette import Palette
from dss_tui.tui.screens.help import HelpScreen, Key, keys_of, keys_table
from dss_tui.tui.screens.menu import MenuScreen
from dss_tui.tui.widgets.rail import rail
from dss_tui.viewing.glossary import GLYPHS, WORDS
from tests.support.scenes import scene, segment

State = Literal["closed", "open", "training", "failed"]
SIZES = [(60, 16), (80, 24), (140, 40)]


def printed(table: object, width: int = 76) -> str:
    out = io.StringIO()
    Console(width=width, file=out).print(table)
    return out.getvalue()


def test_keys_of_all_screens_come_last() -> None:
    text = printed(keys_table([Key("a b", "act", False), Key("?", "help", True)]))
    assert [line.split() for line in text.splitlines() if line.strip()] == [
        ["a", "b", "act"],
        ["?", "help", "(on", "every", "screen)"],
    ]


@pytest.mark.parametrize("size", SIZES)
def test_it_opens_scrolls_and_closes(size: tuple[int, int]) -> None:
    async def body() -> None:
        app = DssApp(Opening(None, fps=20))
        async with app.run_test(size=size) as pilot:
            await pilot.pause()
            keys = keys_of(app.screen)
            assert {"start", "filter", "quit"} <= {key.about for key in keys if not key.everywhere}
            assert {"help", "next theme"} <= {key.about for key in keys if key.everywhere}
            await pilot.press("question_mark")
            await pilot.pause()
            assert isinstance(app.screen, HelpScreen)
            page = app.screen.query_one("#help")
            text = [str(part.visual) for part in page.query(Static)]
            assert text.index("Keys of this screen") < text.index("Glyphs") < text.index("Words")
            await pilot.press("G")
            await pilot.pause()
            assert page.scroll_y == page.max_scroll_y
            await pilot.press("question_mark")
            await pilot.pause()
            assert isinstance(app.screen, MenuScreen)

    asyncio.run(body())


def test_the_legend_has_every_glyph_of_the_rail() -> None:
    states: tuple[State, ...] = get_args(State)
    closed = [segment(k, k + 1, state=state) for k, state in enumerate(states)]
    proven = segment(len(states), len(states) + 1, bound=0.015)
    losses = [0.01, 0.03, math.nan] + [0.01] * (len(states) - 1)
    drawn = rail(scene(*closed, proven, losses=losses), 80, None, Palette.dark()).plain
    assert set(drawn) - {" "} == {each.glyph for each in GLYPHS} - {"┄", "╌"}


def test_words_are_told_in_sentences() -> None:
    for word, meaning in WORDS:
        assert meaning.endswith(".") and len(meaning) > len(word)
