"""The screen of a loss plane: asked of an engine, or measured by a process of its own."""

from __future__ import annotations

import signal
import subprocess
import threading
from dataclasses import replace
from typing import Any

import pytest
from textual.pilot import Pilot

from dss_tui.cli import main
from dss_tui.tui.app import DssApp
from dss_tui.tui.screens.plane import PlaneScreen, three_around
from engine.record.commands import CommandTail, PlaneThrough
from engine.record.loss_plane import LossPlane, NoPlane, Triple, read_plane_file, write_answer
from engine.record.progress import SegmentProgress
from engine.record.rundir import RunDir
from engine.record.string_file import read
from engine.record.writer import RunWriter
from tests.support.pilots import over_menu, seen, until, words
from tests.support.run_folders import progress

QUICK = ["--set", "problem.data.points=64", "--set", "search.level=1e-2", "--headless"]


@pytest.fixture(autouse=True)
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLORTERM", "truecolor")
    for name in ("NO_COLOR", "SSH_CONNECTION"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunDir:
    out = tmp_path_factory.mktemp("connected") / "quick"
    assert main(["run", "quadratic", "--out", str(out), "--seed", "2", *QUICK]) == 0
    return RunDir(out)


@pytest.fixture(scope="module")
def plane(run: RunDir) -> LossPlane:
    """What the engine would answer."""
    out = run.path.parent / "plane.json"
    text = ",".join(map(str, beads(run)))
    assert main(["measure", str(run.path), "--plane", text, "--out", str(out)]) == 0
    found = read_plane_file(out)
    assert isinstance(found, LossPlane)
    return found


@pytest.fixture(autouse=True)
def untouched(run: RunDir) -> None:
    for path in (*run.planes.glob("*"), run.commands):
        path.unlink(missing_ok=True)


def beads(run: RunDir) -> Triple:
    first, second, *_, last = read(run.string).header.bead_ids
    return first, last, second


def test_the_plane_of_an_ended_run_is_measured_and_shown_at_any_size(run: RunDir) -> None:
    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        if not list(run.planes.glob("*")):
            await until(pilot, lambda: "measuring the plane" in seen(app))
        await until(pilot, lambda: "▀" in seen(app) and "esc close" in seen(app))
        shown = seen(app)
        assert "× level" in shown and "● bead" in shown
        assert all(str(bead) in shown for bead in beads(run))
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(app.screen, PlaneScreen))

    for size in ((60, 16), (140, 40)):  # measured at the first, and then kept
        over_menu(PlaneScreen(run, beads(run)), steps, size)


def test_an_engine_is_asked_and_its_answer_shown(run: RunDir, plane: LossPlane) -> None:
    """First with a refusal in words, and asked again with the plane."""
    asked = CommandTail(run, skip_old=False)
    refusal = NoPlane(beads=plane.beads, time=1.0, reason="there is no bead 3; choose from 1, 2")
    write_answer(run, plane)  # of an earlier request, which is no answer to this one

    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        await until(pilot, lambda: asked.new_commands() == [PlaneThrough(plane.beads)])
        assert "asked the engine" in seen(app) and "▀" not in seen(app)
        write_answer(run, refusal)
        await until(pilot, lambda: f"No plane: {refusal.reason}." in words(app))
        await pilot.press("r")
        await until(pilot, lambda: asked.new_commands() == [PlaneThrough(plane.beads)])
        write_answer(run, plane)
        await until(pilot, lambda: "▀▀▀" in seen(app))

    with RunWriter(run):
        over_menu(PlaneScreen(run, plane.beads), steps)


def test_an_engine_that_ends_without_an_answer_is_not_waited_for(run: RunDir) -> None:
    ended = threading.Event()

    def engine() -> None:
        with RunWriter(run):
            at_work.set()
            ended.wait()

    at_work = threading.Event()
    thread = threading.Thread(target=engine)
    thread.start()
    at_work.wait()

    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        await until(pilot, lambda: "asked the engine" in seen(app))
        ended.set()
        await until(pilot, lambda: "▀▀▀" in seen(app))

    try:
        over_menu(PlaneScreen(run, beads(run)), steps)
    finally:
        ended.set()
        thread.join()


def test_what_cannot_be_measured_is_said(run: RunDir) -> None:
    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        await until(pilot, lambda: "there is no bead 777" in words(app))
        assert "run its functions" not in words(app)

    over_menu(PlaneScreen(run, (1, 2, 777)), steps)


def test_a_damaged_answer_is_said(run: RunDir, plane: LossPlane) -> None:
    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        await until(pilot, lambda: "asked the engine" in seen(app))
        path = write_answer(run, plane)
        path.write_text('{"kind": "plane"}')
        await until(pilot, lambda: "damaged: " in words(app))
        assert "beads is missing" in words(app)

    with RunWriter(run):
        over_menu(PlaneScreen(run, plane.beads), steps)


def test_functions_of_a_users_own_run_only_after_a_key(tmp_path: Any) -> None:
    run = RunDir(tmp_path / "custom")
    sets = ["--set", "search.level=0.6", "--set", "search.min_inner_beads=1"]
    assert main(["run", "custom-example", "--headless", "--out", str(run.path), *sets]) == 0
    first, middle, last = read(run.string).header.bead_ids
    run.string.chmod(0o646)  # so that anybody may have written it

    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        await until(pilot, lambda: "if you trust this file, press y" in words(app))
        assert "would be imported and run" in words(app)
        await until(pilot, lambda: "y run its functions" in words(app))
        await pilot.press("y")
        await until(pilot, lambda: "▀▀▀" in seen(app) and "run its functions" not in seen(app))

    over_menu(PlaneScreen(run, (first, last, middle)), steps)


@pytest.mark.parametrize("way", ["escape", "quit"])
def test_its_process_ends_with_the_screen(
    run: RunDir, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[subprocess.Popen[bytes]] = []
    begin = subprocess.Popen

    def recorded(*command: Any, **keys: Any) -> subprocess.Popen[bytes]:
        begun.append(begin(*command, **keys))
        return begun[-1]

    monkeypatch.setattr(subprocess, "Popen", recorded)

    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        await until(pilot, lambda: bool(begun))
        if way == "quit":
            app.exit()
            return
        await pilot.press("escape")
        await until(pilot, lambda: begun[0].returncode is not None)

    over_menu(PlaneScreen(run, beads(run)), steps)
    assert [process.returncode for process in begun] == [-signal.SIGKILL]


def segment(left: int, right: int, bead: int | None = None) -> SegmentProgress:
    return SegmentProgress(left, right, 1, "open", 0.5, 0.2, 0.5, (0.1, 0.2), (), bead)


def test_the_plane_around_a_segment() -> None:
    now = progress(
        order=(1, 7, 5, 2),
        losses=(0.1,) * 4,
        segments=(segment(1, 7), segment(7, 5, 9), segment(5, 2)),
    )
    assert three_around(now, (1, 7)) == (1, 7, 5)
    assert three_around(now, (7, 5)) == (7, 5, 9)
    assert three_around(now, (5, 2)) == (5, 2, 7)
    assert three_around(now, (1, 2)) is None
    alone = replace(now, order=(1, 2), losses=(0.1, 0.1), segments=(segment(1, 2),))
    assert three_around(alone, (1, 2)) is None
    assert three_around(replace(alone, segments=(segment(1, 2, 3),)), (1, 2)) == (1, 2, 3)


def test_a_terminal_that_shows_pictures_gets_one(
    run: RunDir, plane: LossPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_answer(run, plane)
    widget = pytest.importorskip("textual_image.widget")
    monkeypatch.setattr("dss_tui.tui.pictures._found", widget.SixelImage)

    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        await until(pilot, lambda: "white bead" in seen(app))
        shown = app.screen.query_one(widget.SixelImage)
        assert shown.image is not None and "▀" not in seen(app)
        across, up = shown.image.size
        assert shown.size.width / (2 * shown.size.height) == pytest.approx(across / up, rel=0.1)
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(app.screen, PlaneScreen))

    over_menu(PlaneScreen(run, beads(run)), steps, (100, 40))


def test_without_colours_there_is_no_picture(
    run: RunDir, plane: LossPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_answer(run, plane)
    widget = pytest.importorskip("textual_image.widget")
    monkeypatch.setattr("dss_tui.tui.pictures._found", widget.SixelImage)
    monkeypatch.setenv("NO_COLOR", "1")

    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        await until(pilot, lambda: "● bead" in seen(app))
        assert app.screen.query_one(widget.SixelImage).image is None

    over_menu(PlaneScreen(run, beads(run)), steps)
