"""A run whose folder is spoiled by others while somebody watches it."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from textual.pilot import Pilot

from dss_tui.cli import main
from dss_tui.tui.app import DssApp, Opening
from engine.record.rundir import RunDir
from tests.support.more import always

#: All keys of a run's screen that read its folder, and some that open something.
KEYS = ("1", "2", "3", "4", "5", "6", "1", "enter", "right", "s", "L", "e")


async def press_all(app: DssApp, pilot: Pilot[None]) -> None:
    """Presses all keys, and closes what they open over the run's screen."""
    own = len(app.screen_stack)
    for key in KEYS:
        await pilot.press(key)
        await pilot.pause()
        if len(app.screen_stack) > own:
            await pilot.press("escape")


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> RunDir:
    """A finished run with several segments."""
    out = tmp_path_factory.mktemp("ended") / "quick"
    quick = ["--set", "problem.data.points=32", "--set", "search.level=1e-2", "--headless"]
    assert main(["run", "quadratic", "--out", str(out), "--seed", "2", *quick]) == 0
    return RunDir(out)


def folder(path: Path) -> None:
    """Puts a folder in the place of a file."""
    path.unlink()
    path.mkdir()


def pipe(path: Path) -> None:
    """Puts a pipe that nobody writes to in the place of a file."""
    path.unlink()
    os.mkfifo(path)


def a_file(run: RunDir) -> None:
    """Puts a file in the place of the run's folder."""
    shutil.rmtree(run.path)
    run.path.write_text("not a folder")


SPOILED: dict[str, Callable[[RunDir], object]] = {
    "progress without a time": lambda run: run.progress.write_text("{}"),
    "progress cut": lambda run: run.progress.write_text(run.progress.read_text()[:200]),
    "progress a folder": lambda run: folder(run.progress),
    "progress a pipe": lambda run: pipe(run.progress),
    "events a folder": lambda run: folder(run.events),
    "events a pipe": lambda run: pipe(run.events),
    "events shorter than before": lambda run: run.events.write_text("\n"),
    "log a folder": lambda run: folder(run.log),
    "nothing may be read": lambda run: run.path.chmod(0),
    "the run a file": a_file,
    "the run removed": lambda run: shutil.rmtree(run.path),
}


#: Those that every change is held against.
FEW = ("progress a pipe", "events a folder", "nothing may be read", "the run removed")


@pytest.mark.parametrize("name", always(FEW, SPOILED))
def test_the_screen_goes_on(name: str, ended: RunDir, tmp_path: Path) -> None:
    run = RunDir(tmp_path / "watched")
    shutil.copytree(ended.path, run.path)

    async def body() -> None:
        app = DssApp(Opening(run, fps=20))
        async with app.run_test(size=(100, 30)) as pilot:
            await pilot.pause()
            SPOILED[name](run)
            await pilot.pause(0.2)
            await press_all(app, pilot)
            await pilot.pause(0.2)
            assert app.is_running

    try:
        asyncio.run(body())  # an exception of the application is raised here
    finally:
        if run.path.is_dir():
            run.path.chmod(0o700)


@pytest.mark.parametrize("name", always(FEW, SPOILED))
def test_it_opens_on_what_is_left(name: str, ended: RunDir, tmp_path: Path) -> None:
    run = RunDir(tmp_path / "watched")
    shutil.copytree(ended.path, run.path)
    SPOILED[name](run)

    async def body() -> None:
        app = DssApp(Opening(run, fps=20))
        async with app.run_test(size=(100, 30)) as pilot:
            await pilot.pause(0.2)
            await press_all(app, pilot)
            assert app.is_running

    try:
        asyncio.run(body())
    finally:
        if run.path.is_dir():
            run.path.chmod(0o700)
