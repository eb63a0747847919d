"""The dashboard of a sweep as a user drives it: keys in, what the screen shows out."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import Static

from dss_tui.tui.app import DssApp, Opening
from dss_tui.tui.screens.confirm import Confirm
from dss_tui.tui.screens.run import RunScreen
from dss_tui.tui.screens.sweep import SweepScreen
from dss_tui.tui.widgets.matrix import Matrix
from dss_tui.viewing import session
from engine.record.events import Outcome, Record
from engine.record.lock import take_lock
from engine.record.rundir import RunDir
from engine.record.sweep_desk import Desk
from engine.record.writer import RunWriter
from engine.record.writing import replace
from tests.support.more import always
from tests.support.run_folders import append, progress
from tests.support.sweep_folders import begin, cell, ended, sweep_of

Drive = Callable[[DssApp, Pilot[None]], Awaitable[None]]

SIZES = [(40, 12), (60, 16), (80, 24), (140, 40)]


@pytest.fixture(autouse=True)
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal with all colours, on this machine."""
    monkeypatch.setenv("COLORTERM", "truecolor")
    for name in ("NO_COLOR", "SSH_CONNECTION"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two levels of thirty pairs, of which six have begun."""
    out = tmp_path / "sweep"
    sweep_of(out, (0.05, 0.02), 30)
    begin(cell(out, 0.05, 0), ended(Outcome.CONNECTED, beads=5, length=1.5))
    begin(cell(out, 0.05, 1), ended(Outcome.CONNECTED, beads=8, length=1.75))
    begin(cell(out, 0.05, 2), ended(Outcome.NOT_CONNECTED))
    append(begin(cell(out, 0.02, 0)).events, b"noise\n")
    begin(cell(out, 0.02, 1), ended(Outcome.STOPPED))
    begin(cell(out, 0.02, 2))
    return out


@pytest.fixture
def desk(folder: Path) -> Iterator[Desk]:
    """The desk of an engine that is at work on the sweep."""
    with take_lock(RunDir(folder)):
        held = Desk(folder)
        held.begin()
        yield held


def drive(folder: Path, steps: Drive, size: tuple[int, int] = (140, 40)) -> DssApp:
    """The application after the steps, opened on a sweep."""
    app = DssApp(Opening(RunDir(folder), fps=20))

    async def body() -> None:
        async with app.run_test(size=size, notifications=True) as pilot:
            await until(pilot, lambda: isinstance(app.screen, SweepScreen))
            await steps(app, pilot)

    asyncio.run(body())
    return app


async def until(pilot: Pilot[None], condition: Callable[[], bool]) -> None:
    """Until the condition holds; one that never does fails the test."""
    for _ in range(400):
        if condition():
            return
        await pilot.pause(0.02)
    raise AssertionError(f"it did not come about:\n{seen(pilot.app)}")


def seen(app: object) -> str:
    """The text on the screen."""
    assert isinstance(app, DssApp)
    strips = app.screen._compositor.render_strips()
    return "\n".join("".join(segment.text for segment in strip) for strip in strips)


def marks(app: DssApp) -> str:
    """The text on the screen without its spaces."""
    return seen(app).replace(" ", "")


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    "theme", always(["textual-dark"], ["textual-dark", "textual-light", "ansi-dark"])
)
def test_the_dashboard_at_every_size(folder: Path, size: tuple[int, int], theme: str) -> None:
    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        app.theme = theme
        await until(pilot, lambda: "✓●╳··" in marks(app) and "#◦◦··" in marks(app))
        text = seen(app)
        assert "3 of 60 ended" in text
        assert all(len(line) == size[0] for line in text.splitlines())
        if size[0] >= 60:
            assert "level 0.05: 2 of 3 connected" in text and "pair 0, seed 3: proven" in text
        plots = size[1] >= 24
        await until(pilot, lambda: ("beads, the ends" in seen(app)) is plots)
        await pilot.press("2")
        words = "beads, the ends" if size[0] >= 60 else "too small to plot"
        await until(pilot, lambda: words in seen(app) and "#◦◦" not in marks(app))
        await pilot.press("1")
        await until(pilot, lambda: "#◦◦··" in marks(app))

    drive(folder, steps, size)


def test_without_colours_the_glyphs_are_there(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")

    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        await until(pilot, lambda: "✓●╳··" in marks(app))

    drive(folder, steps)


def test_a_cell_opens_and_escape_comes_back(folder: Path) -> None:
    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        await pilot.press("l", "l")
        await until(pilot, lambda: "pair 2, seed 5: not connected" in seen(app))
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, RunScreen))
        assert isinstance(app.screen, RunScreen) and app.screen.run == cell(folder, 0.05, 2)
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, SweepScreen))
        assert app.screen.query_one(Matrix).cursor.column == 2
        await pilot.press("q")

    assert drive(folder, steps).return_code == 0


def test_a_cell_at_work_is_left_without_a_question(folder: Path, desk: Desk) -> None:
    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        with RunWriter(cell(folder, 0.02, 2)):
            await pilot.press("j", "l", "l")
            await until(pilot, lambda: "pair 2, seed 5: under way" in seen(app))
            await pilot.press("enter")
            await until(pilot, lambda: isinstance(app.screen, RunScreen))
            await pilot.press("escape")
            await until(pilot, lambda: isinstance(app.screen, SweepScreen))

    drive(folder, steps)


def test_a_damaged_cell_and_one_that_waits(folder: Path) -> None:
    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        await pilot.press("down")
        await until(pilot, lambda: "pair 0, seed 3: damaged" in seen(app))
        assert "damaged: events.jsonl: its last line is no event" in seen(app)
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, RunScreen))
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, SweepScreen))
        await pilot.press("end", "enter")
        await until(pilot, lambda: "pair 29 waits; its run has not begun" in seen(app))
        assert isinstance(app.screen, SweepScreen)

    drive(folder, steps)


def test_keys_reach_the_engine(folder: Path, desk: Desk) -> None:
    def obeyed() -> bool:
        desk._looked_s = float("-inf")
        desk.look()
        return True

    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        assert isinstance(app.screen, SweepScreen)
        await until(pilot, lambda: "running" in seen(app))
        await pilot.press("p")
        await until(pilot, lambda: obeyed() and desk.paused)
        await until(pilot, lambda: "paused" in seen(app).splitlines()[0])
        await pilot.press("p")
        await until(pilot, lambda: obeyed() and not desk.paused)
        await until(pilot, lambda: "running" in seen(app).splitlines()[0])
        await pilot.press("x")
        await until(pilot, lambda: isinstance(app.screen, Confirm))
        await pilot.press("n")
        await until(pilot, lambda: isinstance(app.screen, SweepScreen))
        assert obeyed() and not desk.stop.is_set()
        await pilot.press("x")
        await until(pilot, lambda: isinstance(app.screen, Confirm))
        await pilot.press("y")
        await until(pilot, lambda: obeyed() and desk.stop.is_set())

    drive(folder, steps)


def test_leaving_a_sweep_at_work_asks_and_leaves_it_running(folder: Path, desk: Desk) -> None:
    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        await until(pilot, lambda: "running" in seen(app))
        await pilot.press("q")
        await until(pilot, lambda: isinstance(app.screen, Confirm))
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, SweepScreen))
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, Confirm))
        await pilot.press("l")
        await until(pilot, lambda: app.return_code is not None)

    assert drive(folder, steps).return_code == 0
    desk.look()
    assert not desk.stop.is_set()


def test_leaving_a_sweep_whose_searches_have_ended_asks_nothing(tmp_path: Path) -> None:
    """Its engine writes the tables, which it does in any case."""
    out = tmp_path / "sweep"
    sweep_of(out, (0.05,), 1)
    begin(cell(out, 0.05, 0), ended(Outcome.CONNECTED, beads=5, length=1.5))

    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        await until(pilot, lambda: "running" in seen(app))
        await pilot.press("q")
        await until(pilot, lambda: app.return_code is not None)

    with take_lock(RunDir(out)):
        Desk(out).begin()
        drive(out, steps)


def test_an_interrupted_sweep_goes_on(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    launched: list[RunDir] = []
    monkeypatch.setattr(session, "launch", lambda run, *_, **__: launched.append(run))

    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        await until(pilot, lambda: "r goes on from the checkpoints" in seen(app))
        await pilot.press("r")
        await until(pilot, lambda: "starting" in seen(app))
        with take_lock(RunDir(folder)):
            Desk(folder).begin()
            await until(pilot, lambda: "running" in seen(app))
        await until(pilot, lambda: "unfinished" in seen(app))

    drive(folder, steps)
    assert launched == [RunDir(folder)]


def test_what_happens_is_shown(folder: Path, desk: Desk) -> None:
    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        await until(pilot, lambda: "3 of 60 ended" in seen(app))
        run = cell(folder, 0.02, 2)
        await pilot.press("j", "l", "l")
        replace(run.progress, progress(steps=4800).to_json())
        await until(pilot, lambda: "splitting, 5 beads, 4 800 steps" in seen(app))
        line = Record(2, 3.5, ended(Outcome.CONNECTED, beads=7)).to_line()
        append(run.events, line.encode() + b"\n")
        await until(pilot, lambda: "4 of 60 ended" in seen(app))
        assert "pair 2, seed 5: proven" in seen(app)

    drive(folder, steps)


def test_two_viewers_see_the_same(folder: Path, desk: Desk) -> None:
    """One pauses the sweep, and the other shows it."""
    screens = [SweepScreen(RunDir(folder)) for _ in range(2)]

    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        screens[0].ask("pause")
        desk._looked_s = float("-inf")
        desk.look()
        assert screens[1].follower.look().state == "paused"
        await until(pilot, lambda: "paused" in seen(app).splitlines()[0])

    drive(folder, steps)


def test_nothing_is_drawn_where_nothing_happens(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        await until(pilot, lambda: "level (log) →" in seen(app))
        looks = 0
        look = app.screen.follower.look  # type: ignore[attr-defined]

        def counted() -> object:
            nonlocal looks
            looks += 1
            return look()

        monkeypatch.setattr(app.screen.follower, "look", counted)  # type: ignore[attr-defined]
        await until(pilot, lambda: looks > 5)
        drawn: list[object] = []
        update = Static.update

        def noted(held: Static, *arguments: object, **more: object) -> None:
            drawn.append(held.id)
            update(held, *arguments, **more)  # type: ignore[arg-type]

        monkeypatch.setattr(Static, "update", noted)
        await until(pilot, lambda: looks > 10)
        assert drawn == []

    drive(folder, steps)


def test_a_folder_that_is_damaged_or_gone_is_one_line(folder: Path) -> None:
    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        await until(pilot, lambda: "3 of 60 ended" in seen(app))
        folder.rename(folder.with_name("moved"))
        await until(pilot, lambda: "damaged: sweep.yaml: it is missing" in seen(app))
        await pilot.press("enter", "down", "2", "1", "p", "x", "r", "L")
        await pilot.pause()
        folder.with_name("moved").rename(folder)
        await until(pilot, lambda: "3 of 60 ended" in seen(app))

    drive(folder, steps)
