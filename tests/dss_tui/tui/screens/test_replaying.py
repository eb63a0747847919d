"""Replays as a user plays them: keys, the clock in the head, and the way back."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.pilot import Pilot

from dss_tui.tui.app import DssApp
from dss_tui.tui.screens.run import RunScreen
from engine.record.rundir import RunDir
from engine.record.writer import RunWriter
from tests.support.pilots import drive, said, seen, until, watching
from tests.support.told_runs import GREEDY, greedy_run


@pytest.fixture
def connected(tmp_path: Path) -> RunDir:
    return greedy_run(tmp_path)


def screen_of(app: DssApp) -> RunScreen:
    assert isinstance(app.screen, RunScreen)
    return app.screen


def head(app: DssApp) -> str:
    return said(app.screen, "#head")


async def held(app: DssApp, pilot: Pilot[None]) -> RunScreen:
    """Begins a replay and holds it at its start."""
    await until(pilot, lambda: "θ₁" in seen(app))
    await pilot.press("space", "home")
    await until(pilot, lambda: "replay 0:00 of 0:33 held" in head(app))
    return screen_of(app)


def test_space_plays_the_run_and_escape_ends_it(connected: RunDir) -> None:
    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        await until(pilot, lambda: "connected" in head(app))
        await pilot.press("space")
        screen = screen_of(app)
        await until(pilot, lambda: "replay 0:" in head(app) and " of 0:33" in head(app))
        await pilot.press("plus", "plus", "plus")
        await until(pilot, lambda: "×8" in head(app))
        await until(pilot, lambda: screen.player is not None and screen.player.place == 1.0)
        await pilot.press("escape")
        await until(pilot, lambda: "connected" in head(app) and "replay" not in head(app))
        assert app.is_running
        await pilot.press("space")
        await until(pilot, lambda: "replay" in head(app))
        await pilot.press("space")
        await until(pilot, lambda: "replay" not in head(app))

    drive(steps, watching(connected))


def test_scrubbing_shows_the_moments_of_the_events(connected: RunDir) -> None:
    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        screen = await held(app, pilot)
        assert "before the start" in head(app)
        for number, event in enumerate(GREEDY[:-1], 1):
            await pilot.press("greater_than_sign")
            await until(pilot, lambda number=number: screen.snapshot.view.seq == number)  # type: ignore[misc]
            assert screen.snapshot.view.newest is not None
            assert screen.snapshot.view.newest.event == event
        assert screen.snapshot.progress is not None
        assert screen.snapshot.progress.order == (1, 5, 2)
        await pilot.press("less_than_sign")
        await until(pilot, lambda: screen.snapshot.view.seq == len(GREEDY) - 2)
        await pilot.press("end")
        await until(pilot, lambda: "replay 0:33 of 0:33" in head(app))
        await pilot.press("comma")
        await until(pilot, lambda: screen.player is not None and screen.player.place < 1)
        place = screen.player.place if screen.player else 0.0
        await pilot.press("full_stop")
        await until(pilot, lambda: screen.player is not None and screen.player.place > place)

    drive(steps, watching(connected))


def test_a_replay_says_what_it_does_not_know(connected: RunDir) -> None:
    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        await held(app, pilot)
        await pilot.press(*["greater_than_sign"] * 5)
        await until(pilot, lambda: "as far as events tell it" in seen(app))
        assert "straight lines between beads and peaks" in seen(app)
        assert "◌" in next(line for line in seen(app).split("\n") if "θ₁" in line)
        assert "steps" not in head(app)  # events tell them only of beads that are done

    drive(steps, watching(connected))


def test_p_holds_a_replay_and_lets_it_go_on(connected: RunDir) -> None:
    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        screen = await held(app, pilot)
        await pilot.press("p")
        await until(pilot, lambda: screen.player is not None and screen.player.place > 0.005)
        await pilot.press("p")
        await until(pilot, lambda: "held" in head(app))
        assert not connected.commands.exists()

    drive(steps, watching(connected))


def test_every_view_can_be_seen_in_a_replay(connected: RunDir) -> None:
    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        await held(app, pilot)
        for number in range(1, 8):
            await pilot.press(str(number), "greater_than_sign", "right")
            await pilot.pause()
            assert "replay" in seen(app)

    drive(steps, watching(connected), (80, 24))


def test_a_run_that_goes_on_is_not_replayed(tmp_path: Path) -> None:
    run = greedy_run(tmp_path)
    lines = run.events.read_text().splitlines(keepends=True)
    run.events.write_text("".join(lines[:-1]))

    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        with RunWriter(run):
            await until(pilot, lambda: "running" in head(app))
            await pilot.press("space", "comma", "plus")
            await pilot.pause()
            assert screen_of(app).player is None and "replay" not in head(app)

    drive(steps, watching(run))


def test_a_run_that_ended_before_its_first_frame_can_be_replayed(tmp_path: Path) -> None:
    run = greedy_run(tmp_path)
    run.progress.unlink()

    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        await pilot.press("space", "home")
        await until(pilot, lambda: "replay 0:00 of 0:33" in head(app))
        await pilot.press(*["greater_than_sign"] * 4)
        await until(pilot, lambda: "θ₁" in seen(app))

    drive(steps, watching(run))
