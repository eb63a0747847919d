"""The dashboard of components as a user drives it, over folders in which nothing is computed."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.pilot import Pilot

from dss_tui.tui.app import DssApp
from dss_tui.tui.screens.components import ComponentsScreen
from dss_tui.tui.screens.run import RunScreen
from dss_tui.tui.widgets.matrix import Matrix
from engine.record.events import Outcome
from engine.record.rundir import RunDir
from tests.support.components_folders import components_of, searched, tell_models
from tests.support.pilots import drive, seen, until, watching


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four models, of which two are joined at the lower level, and a search that found nothing."""
    out = tmp_path / "models"
    plan = components_of(out)
    tell_models(plan, out)
    searched(out, 0.02, (0, 1), Outcome.CONNECTED, 0.018, proven=True)
    searched(out, 0.02, (0, 2), Outcome.NOT_CONNECTED, 0.07)
    return out


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
def test_pairs_levels_and_the_tree_are_shown(folder: Path, size: tuple[int, int]) -> None:
    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        await until(pilot, lambda: isinstance(app.screen, ComponentsScreen))
        await until(pilot, lambda: "✓ ╳" in seen(app) and "0 0.01 " in seen(app))
        text = seen(app)
        assert "2 of 4 searches ended" in text and "1 found (1 proven)" in text
        assert "= ◦ ◦ · · ·" in text and "≤ 3" in text  # at the higher level
        assert "4 models are in at most 3 components so far" in text
        assert "models 0 and 1: distance 1, joined, barrier ≤ 0.018 over 1 path" in text
        assert "each is an upper bound" in text and "╳ not found" in text
        assert all(len(line) == size[0] for line in text.splitlines())
        await pilot.press("2")
        await until(pilot, lambda: "┄ not joined: no path was found so far" in seen(app))
        await pilot.press("t")
        await until(pilot, lambda: "models join, at levels" in seen(app))

    drive(steps, watching(RunDir(folder)), size)


def test_a_pair_opens_and_what_was_not_searched_says_so(folder: Path) -> None:
    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        await until(pilot, lambda: "0 0.01 " in seen(app))
        await pilot.press("enter")
        await until(pilot, lambda: "joined by other paths" in seen(app))
        await pilot.press("down", "right", "right", "right", "enter")
        await until(pilot, lambda: "models 1 and 2: not searched; there is no run" in seen(app))
        await pilot.press("slash", *"not", "space", *"found", "enter", "escape")
        await until(pilot, lambda: isinstance(app.screen, ComponentsScreen))
        await until(pilot, lambda: app.screen.query_one(Matrix).cursor.column == 1)
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, RunScreen))
        await pilot.press("q")
        await until(pilot, lambda: isinstance(app.screen, ComponentsScreen))

    drive(steps, watching(RunDir(folder)))


def test_the_tree_grows_with_what_ends(folder: Path) -> None:
    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        await until(pilot, lambda: "0 0.01 " in seen(app))
        for pair in ((0, 2), (0, 3)):
            searched(folder, 0.05, pair, Outcome.CONNECTED, 0.045)
        await until(pilot, lambda: "4 of 4 searches ended" in seen(app))
        await until(pilot, lambda: "┄ not joined" not in seen(app) and "ended" in seen(app))
        assert "At level 0.05, 4 models are in one component" in seen(app)

    drive(steps, watching(RunDir(folder)))
