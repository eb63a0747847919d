"""What the screens make of a folder: all that a run's screen says of it, and the screens."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from dss_tui.cli import main
from dss_tui.tui import curves
from dss_tui.tui.app import DssApp, Opening
from dss_tui.tui.palette import Palette
from dss_tui.tui.widgets.arc import Shown, picture
from dss_tui.tui.widgets.card import card
from dss_tui.tui.widgets.head import Frame, head
from dss_tui.tui.widgets.selection import about
from dss_tui.viewing import counters, diagnosis
from dss_tui.viewing.follow import Follower, Snapshot
from dss_tui.viewing.replay import Replay
from dss_tui.viewing.scene import scene_of
from dss_tui.viewing.view_state import sentence
from engine.record.rundir import RunDir

#: The keys that are pressed on the screen of a run, of a sweep and in the menu.
OF_A_RUN = (*"1234567", "1", "enter", "escape", "right", "s", "L", "e", "escape")
OF_A_SWEEP = ("right", "down", "enter", "escape", "1", "2")
OF_THE_MENU = ("2", "down", "enter", "escape", "3", "1")

#: Steps that are taken from a damaged checkpoint, and seconds in which they are.
STEPS, SECONDS = 300, 1.0


def go_on(folder: Path, counted: Path) -> int:
    """Resumes a run for some steps or a second, whatever its limits are.

    `counted` is its progress before it was damaged.
    """
    progress = json.loads(counted.read_text())
    steps, seconds = progress["counters"]["bead_steps"] + STEPS, progress["time"] + SECONDS
    limits = ["limits.beads=null", f"limits.steps={steps}", f"limits.seconds={seconds}"]
    options = [part for limit in limits for part in ("--set", limit)]
    return main(["resume", str(folder), "--headless", *options])


def words(folder: Path) -> int:
    """All that the screen of a run puts into words and curves."""
    run = RunDir(folder)
    follower = Follower(run)
    for _ in range(2):
        now = follower.look()
    for record in now.new:
        sentence(record)
    level = now.level
    if now.progress is not None:
        curves.depths(now.progress.counters.beads_per_depth, now.view.depth_times, 80, 20)
    curves.projection(run, now.progress, None, curves.FRONT)
    replay = Replay(follower.records, now)
    for past in (now, *(replay.at(place) for place in (0.1, 0.9, 0.5, 1.0))):
        _draw_along(run, past)
    if now.progress is not None:
        progress = now.progress
        counters.words(progress, now.steps_per_s)
        counters.training(progress)
        curves.history(now.view, progress, level, True)
        curves.path(progress.segments, progress.level_on, None, level, True)
        for segment in progress.segments:
            curves.profile(segment, progress, level, True)
    return 0


def _draw_along(run: RunDir, now: Snapshot) -> None:
    """Draws the head, the string along its axis, and the line about a selection."""
    palette = Palette.dark()
    head(now, Frame(run.name, now.view.time_s, 80, 4), palette)
    scene = scene_of(now.progress, now.view, whole=now.whole)
    if scene is not None:
        for turned in (False, True):
            cursor = scene.cursor(1, 0.3)
            picture(Shown(scene, "loss", 1, cursor, turned, True, palette), 80, 20)
        about(scene, "loss", 1, 0.3, 80)
    if now.view.finished is not None:
        card(now.view.finished, [], 80, 24, palette)
        diagnosis.words(now.view.finished)


def screen(folder: Path | None, keys: tuple[str, ...]) -> int:
    """Opens the screen of a run or a sweep, or the menu, and presses keys there."""

    async def look() -> None:
        app = DssApp(Opening(None if folder is None else RunDir(folder), fps=20))
        async with app.run_test(size=(100, 30)) as pilot:
            await pilot.pause(0.05)
            for key in keys:
                await pilot.press(key)
                await pilot.pause(0.02)
            assert app.is_running or app.return_code is not None

    asyncio.run(look())
    return 0
