"""The screen of quantities along a string: read from the folder, or measured by a process."""

from __future__ import annotations

from pathlib import Path
from typing import IO

import pytest
from textual.pilot import Pilot

from dss_tui.tui.app import DssApp
from dss_tui.tui.screens.along import AlongScreen, pages, plot
from engine.record.events import dump_json
from engine.record.quantity import (
    Quantity,
    Row,
    Series,
    Table,
    path_of,
    write_quantity,
)
from engine.record.rundir import RunDir
from engine.record.writer import RunWriter
from tests.support.pilots import over_menu, seen, until, words

NAN = float("nan")
FOUND = Quantity(
    name="classes",
    title="the accuracy of each class",
    time=75.0,
    precision="float64",
    beads=(1, None, 7, 2),
    arc=(0.0, 0.25, 0.5, 1.0),
    series=tuple(
        Series(f"train_{k}", f"class {k}", "accuracy", (0.5, NAN, 0.25, k / 8)) for k in range(7)
    ),
    table=Table(("training loss",), (Row("average", (0.25,)),)),
    notes=("A note.",),
)


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    """A run's folder, of which the screen reads nothing but what was measured."""
    return RunDir(tmp_path)


def test_plots_have_four_series_at_most() -> None:
    assert [[each.words for each in series] for _, series in pages(FOUND)] == [
        ["class 0", "class 1", "class 2", "class 3"],
        ["class 4", "class 5", "class 6"],
    ]
    shown = plot(FOUND, 1, log_y=True)
    assert shown.title == "classes: accuracy (2 of 2)" and shown.log_y
    assert shown.curves[0].x == (0.0, 0.5, 1.0) and shown.curves[0].y == (0.5, 0.25, 0.5)


@pytest.mark.parametrize("size", [(60, 16), (80, 24), (140, 40)])
def test_what_was_measured_before_is_shown(run: RunDir, size: tuple[int, int]) -> None:
    write_quantity(run, FOUND)

    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        await until(pilot, lambda: "classes: accuracy (1 of 2)" in seen(app))
        assert "● classes" in seen(app) and "○ swa" in seen(app)
        assert ("A note." in seen(app)) == (size[1] >= 24)
        assert ("as it was 1:15 into the run" in words(app)) == (size[1] >= 24)
        await pilot.press("right")
        await until(pilot, lambda: "classes: accuracy (2 of 2)" in seen(app))
        await pilot.press("left", "left")
        await until(pilot, lambda: "(2 of 2)" in seen(app))
        await pilot.press("j")
        await until(pilot, lambda: "It is not measured yet; press r." in words(app))
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(app.screen, AlongScreen))

    over_menu(AlongScreen(run), steps, size)


def test_of_a_live_run_nothing_is_written(run: RunDir, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command line, which is acted, writes what it finds to a file elsewhere."""

    async def acted(command: list[str], output: IO[bytes]) -> int:
        *asked, out = command[command.index("measure") :]
        assert asked == ["measure", str(run.path), "--what", "classes", "--out"]
        Path(out).write_text(dump_json({"classes": FOUND}))
        return 0

    monkeypatch.setattr("dss_tui.tui.screens.along.finished", acted)

    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        await until(pilot, lambda: "ensemble" in seen(app))
        await pilot.press("k", "k", "k", "r")
        await until(pilot, lambda: "classes: accuracy (1 of 2)" in seen(app))

    with RunWriter(run):
        over_menu(AlongScreen(run), steps)
    assert not run.measures.exists()


@pytest.mark.parametrize("way", ["escape", "quit"])
def test_what_cannot_be_measured_is_said_by_a_process_that_ends(run: RunDir, way: str) -> None:
    """A real one, of a folder that is no run."""

    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        await until(pilot, lambda: "ensemble" in seen(app))
        await pilot.press("r")
        if way == "quit":
            return
        await until(pilot, lambda: "it has no run.yaml" in words(app))
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(app.screen, AlongScreen))

    over_menu(AlongScreen(run), steps)


def test_a_damaged_file_is_said(run: RunDir) -> None:
    write_quantity(run, FOUND)
    path_of(run, "classes").write_text("{}")

    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        await until(pilot, lambda: "ensemble" in seen(app))
        await pilot.press("k", "k", "k")
        await until(pilot, lambda: "damaged: classes.json" in words(app))

    over_menu(AlongScreen(run), steps)


def test_functions_of_a_users_own_run_only_after_a_key(
    run: RunDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command line is acted: it refuses, and with the option it measures."""
    asked: list[list[str]] = []

    async def acted(command: list[str], output: IO[bytes]) -> int:
        asked.append(command[command.index("measure") :])
        if "--run-factories" in command:
            write_quantity(run, FOUND)
            return 0
        output.write(
            b"to measure it, mine.py:f would be imported and run; if you trust this file, "
        )
        output.write(b"give --run-factories")
        return 2

    monkeypatch.setattr("dss_tui.tui.screens.along.finished", acted)

    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        await until(pilot, lambda: "ensemble" in seen(app))
        await pilot.press("R")
        await until(pilot, lambda: "if you trust this file, press y" in words(app))
        await until(pilot, lambda: "y run its functions" in words(app))
        await pilot.press("y")
        await until(pilot, lambda: "This network does not allow it" in seen(app))
        await pilot.press("down", "down", "down", "down", "down")
        await until(pilot, lambda: "classes: accuracy (1 of 2)" in seen(app))
        assert "run its functions" not in seen(app)

    over_menu(AlongScreen(run), steps, (120, 30))
    path = str(run.path)
    assert asked == [
        ["measure", path, "--what", "all"],
        ["measure", path, "--what", "all", "--run-factories"],
    ]
