"""What is copied, on each screen that copies."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest

from dss_tui.cli import main
from dss_tui.tui.app import DssApp, Opening
from dss_tui.tui.widgets.run_table import RunTable
from engine.record.rundir import RunDir
from tests.support.pilots import until


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> RunDir:
    """A finished run, with brackets in its name as markup has them."""
    out = tmp_path_factory.mktemp("ended") / "quick [b]"
    quick = ["--set", "problem.data.points=32", "--set", "search.level=1e-2", "--headless"]
    assert main(["run", "quadratic", "--out", str(out), "--seed", "2", *quick]) == 0
    return RunDir(out)


def test_a_run_copies_its_selection_and_its_path(ended: RunDir) -> None:
    async def body() -> None:
        app = DssApp(Opening(ended, fps=20))
        async with app.run_test(size=(100, 30)) as pilot:
            await pilot.press("right", "y")
            await until(pilot, lambda: app.clipboard.startswith("bead 1"))
            assert "× level" in app.clipboard
            await pilot.press("Y")
            await until(pilot, lambda: app.clipboard == str(ended.path))

    asyncio.run(body())


def test_the_list_copies_the_path_of_a_run(ended: RunDir, runs: Path) -> None:
    shutil.copytree(ended.path, runs / "mine")

    async def body() -> None:
        app = DssApp(Opening(None, fps=20))
        async with app.run_test(size=(100, 30)) as pilot:
            await pilot.pause()
            await pilot.press("2")
            await until(pilot, lambda: app.screen.query_one(RunTable).row_count == 1)
            await pilot.press("y")
            await until(pilot, lambda: app.clipboard == str(runs / "mine"))

    asyncio.run(body())
