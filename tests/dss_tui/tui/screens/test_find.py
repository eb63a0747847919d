"""The key `/`: one line that finds entries of the log, segments, and the cells of a sweep."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from textual.pilot import Pilot

from dss_tui.tui.app import DssApp, Opening
from dss_tui.tui.screens.find import Find
from dss_tui.tui.screens.run import RunScreen
from dss_tui.tui.widgets.log_view import LogView
from dss_tui.tui.widgets.matrix import Matrix
from dss_tui.tui.widgets.segment_table import SegmentTable
from engine.record.events import CheckpointSaved, Outcome
from engine.record.rundir import RunDir
from engine.record.writer import RunWriter
from tests.support.pilots import drive, said, seen, until, watching, write
from tests.support.sweep_folders import begin, cell, ended, sweep_of
from tests.support.told_runs import greedy_run


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    return greedy_run(tmp_path)


async def sought(app: DssApp, pilot: Pilot[None], text: str, words: str) -> None:
    """The line is open, and has found what it was asked for."""
    await pilot.press("slash")
    await until(pilot, lambda: isinstance(app.screen, Find))
    await write(pilot, text)
    await pilot.press("enter")
    await until(pilot, lambda: said(app.screen, "#found").startswith(words))


def came_to(log: LogView) -> str:
    """The entry to which the search in the log came, as far as it is on the screen."""
    strips = [log.render_line(y) for y in range(log.size.height)]
    marked = [strip for strip in strips if any(s.style and s.style.reverse for s in strip)]
    return " ".join(" ".join(strip.text.split()) for strip in marked)


@pytest.mark.parametrize("size", [(60, 20), (80, 24), (140, 40)])
def test_the_log_goes_from_match_to_match(run: RunDir, size: tuple[int, int]) -> None:
    """What is found in a long log is on the screen, and stays there when more is written."""
    events = run.events.read_text().splitlines(keepends=True)
    run.events.write_text("".join(events[:-1]))

    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        with RunWriter(run) as writer:
            for number in range(60):
                writer.record(CheckpointSaved(f"because of reason {number}"), 40.0 + number)
            screen = app.screen
            await pilot.press("7")
            log = screen.query_one(LogView)
            await until(pilot, lambda: "reason 59" in seen(app) and log.is_vertical_scroll_end)
            await sought(app, pilot, "BEAD 5", "1 of 2")
            await until(pilot, lambda: "bead 5 put between 1 and 2" in came_to(log))
            await pilot.press("down")
            await until(pilot, lambda: "bead 5 trained to" in came_to(log))
            await pilot.press("enter")
            await until(pilot, lambda: "bead 5 put between" in came_to(log))
            await pilot.press("up")
            await until(pilot, lambda: "bead 5 trained to" in came_to(log))
            assert said(app.screen, "#found").startswith("2 of 2")
            top = log.scroll_offset.y
            writer.record(CheckpointSaved("because of the last reason"), 120.0)
            await until(pilot, lambda: "the last reason" in log.lines[-1].text)
            assert log.scroll_offset.y == top
            await pilot.press("escape")
            await until(pilot, lambda: app.screen is screen)
            await sought(app, pilot, "", "1 of 2")  # the text was kept

    drive(steps, watching(run), size)


@pytest.mark.parametrize("size", [(60, 20), (80, 24)])
def test_the_log_is_wrapped_and_stays_at_its_end_or_where_it_was(
    run: RunDir, size: tuple[int, int]
) -> None:
    """At its end in any size while that is seen; elsewhere if not, also where nothing is found."""
    events = run.events.read_text().splitlines(keepends=True)
    run.events.write_text("".join(events[:-1]))

    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        screen = app.screen
        with RunWriter(run) as writer:
            for number in range(40):
                writer.record(CheckpointSaved(f"because of reason {number} {'word ' * 9}"), 40.0)
            await pilot.press("7")
            log = screen.query_one(LogView)
            await until(pilot, lambda: bool(log.lines) and log.is_vertical_scroll_end)
            assert max(line.cell_length for line in log.lines) <= log.size.width
            assert len(log.lines) > 80
            for width, height in ((size[0], size[1] + 6), (200, 30), (100, 24), (140, 40)):
                await pilot.resize_terminal(width, height)
                await until(pilot, lambda wide=width: abs(log.size.width - wide) < 6)  # type: ignore[misc]
                await until(pilot, lambda: log.is_vertical_scroll_end and "reason 39" in seen(app))
                await until(
                    pilot,
                    lambda wide=width: (len(log.lines) == len(log._entries)) == (wide >= 140),  # type: ignore[misc]
                )
                assert max(len(line.text.rstrip()) for line in log.lines) <= log.size.width
            log.scroll_to(y=7, animate=False)
            await until(pilot, lambda: log.scroll_offset.y == 7)
            writer.record(CheckpointSaved("because it ends"), 41.0)
            await until(pilot, lambda: "because it ends" in log.lines[-1].text)
            await sought(app, pilot, "no such words", "nothing has it")
            await pilot.pause(0.2)
            assert log.scroll_offset.y == 7

    drive(steps, watching(run), size)


def test_letters_that_are_keys_of_the_screen_are_typed(run: RunDir) -> None:
    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        screen = app.screen
        await pilot.press("7")
        await sought(app, pilot, "hlqx1", "nothing has it")
        await pilot.press("backspace")
        await until(pilot, lambda: "enter ↓ next" in said(app.screen, "#found"))
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is screen)

    drive(steps, watching(run))


@pytest.mark.parametrize("view", ["1", "2"])
def test_segments_are_found_by_their_beads_and_states(run: RunDir, view: str) -> None:
    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        screen = app.screen
        assert isinstance(screen, RunScreen)
        await pilot.press(view)
        await until(pilot, lambda: "θ₁" in seen(app))
        await sought(app, pilot, "2", "1 of 1")
        await until(pilot, lambda: "segment 5–2" in said(screen, "#selection"))
        if view == "2":
            table = screen.query_one(SegmentTable)
            await until(pilot, lambda: table.key_at_cursor() == "5-2")
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is screen)
        await pilot.press("slash")
        await until(pilot, lambda: isinstance(app.screen, Find))
        await pilot.press("backspace")
        await write(pilot, "closed")
        for words, place in (("1 of 2", "1–5"), ("2 of 2", "5–2"), ("1 of 2", "1–5")):
            await pilot.press("enter")
            await until(pilot, lambda words=words: words in said(app.screen, "#found"))  # type: ignore[misc]
            assert f"segment {place}" in said(screen, "#selection")

    drive(steps, watching(run))


def test_the_table_is_searched_in_its_own_order(run: RunDir) -> None:
    """By peak, the second segment stands first where it is the higher one."""
    held = json.loads(run.progress.read_text())
    held["segments"][1]["peak"] = 0.0195
    run.progress.write_text(json.dumps(held))

    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        screen = app.screen
        await pilot.press("2", "s")
        table = screen.query_one(SegmentTable)
        await until(pilot, lambda: table.row_count == 2)
        await until(pilot, lambda: str(table.get_row_at(0)[0]) == "5–2")
        await sought(app, pilot, "closed", "1 of 2")
        await until(pilot, lambda: "segment 5–2" in said(screen, "#selection"))

    drive(steps, watching(run))


def test_cells_of_a_sweep_are_found_by_pair_and_state(tmp_path: Path) -> None:
    folder = tmp_path / "sweep"
    sweep_of(folder, (0.05, 0.02), 30)
    begin(cell(folder, 0.05, 2), ended(Outcome.NOT_CONNECTED))
    begin(cell(folder, 0.02, 7), ended(Outcome.NOT_CONNECTED))

    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        matrix = app.screen.query_one(Matrix)
        await sought(app, pilot, "not con", "1 of 2")
        assert (matrix.cursor.row, matrix.cursor.column) == (0, 2)
        await pilot.press("down")
        await until(pilot, lambda: (matrix.cursor.row, matrix.cursor.column) == (1, 7))
        await pilot.press("escape", "slash")
        await until(pilot, lambda: isinstance(app.screen, Find))
        await pilot.press("ctrl+u")
        await write(pilot, "29")
        await pilot.press("enter")
        await until(pilot, lambda: (matrix.cursor.row, matrix.cursor.column) == (1, 29))

    drive(steps, Opening(RunDir(folder), fps=20))
