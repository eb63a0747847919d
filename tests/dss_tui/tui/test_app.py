"""The application as a user drives it: keys in, what the screen shows out."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import sys
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from textual.app import App
from textual.pilot import Pilot
from textual.screen import Screen
from textual.widgets import Button, Input, OptionList, RichLog, Static, TabbedContent

import presets
from dss_tui.cli import main
from dss_tui.tui.app import DssApp, Opening
from dss_tui.tui.screens.confirm import Confirm
from dss_tui.tui.screens.export import ExportDialog
from dss_tui.tui.screens.menu import MenuScreen, RunTable
from dss_tui.tui.screens.run import VIEWS, RunScreen
from dss_tui.tui.screens.zoom import Zoom
from dss_tui.tui.widgets.plot_view import PlotView
from dss_tui.tui.widgets.segment_table import SegmentTable
from dss_tui.viewing import describe, session
from engine.data.images import Images
from engine.data.text import TextData
from engine.errors import InputError
from engine.record import finding
from engine.record.rundir import RunDir
from engine.record.string_file import read
from engine.record.writer import RunWriter
from engine.spec.keys import Spec
from tests.support.run_folders import progress_of

Drive = Callable[[DssApp, Pilot[None]], Awaitable[None]]

WIDE = (140, 40)
SIZES = [(40, 12), (60, 16), (80, 24), WIDE]


@pytest.fixture(autouse=True)
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal with all colours, on this machine."""
    monkeypatch.setenv("COLORTERM", "truecolor")
    for name in ("NO_COLOR", "SSH_CONNECTION"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def connected(tmp_path_factory: pytest.TempPathFactory) -> RunDir:
    """A finished run of `quadratic` with several segments."""
    out = tmp_path_factory.mktemp("connected") / "quick"
    quick = ["--set", "problem.data.points=64", "--set", "search.level=1e-2", "--headless"]
    assert main(["run", "quadratic", "--out", str(out), "--seed", "2", *quick]) == 0
    return RunDir(out)


@pytest.fixture
def orphan(connected: RunDir, runs: Path) -> RunDir:
    """A run in the runs folder whose process is gone without an ending."""
    copied = copy(connected, runs / "orphan")
    lines = copied.events.read_text().splitlines(keepends=True)
    copied.events.write_text("".join(lines[:-1]))
    return copied


def copy(run: RunDir, to: Path) -> RunDir:
    shutil.copytree(run.path, to)
    return RunDir(to)


def drive(steps: Drive, opening: Opening | None = None, size: tuple[int, int] = WIDE) -> DssApp:
    """The application after the steps, with the menu or the run it was opened on."""
    app = DssApp(opening or Opening(fps=20))

    async def body() -> None:
        async with app.run_test(size=size, notifications=True) as pilot:
            await pilot.pause()
            await steps(app, pilot)

    asyncio.run(body())
    return app


def watching(run: RunDir, *, launched: bool = False) -> Opening:
    return Opening(run, launched=launched, fps=20)


async def until(pilot: Pilot[None], condition: Callable[[], bool]) -> None:
    """Until the condition holds; one that never does fails the test."""
    for _ in range(400):
        if condition():
            return
        await pilot.pause(0.02)
    raise AssertionError(f"it did not come about:\n{seen(pilot.app)}")


async def choose(app: DssApp, pilot: Pilot[None], preset: str) -> None:
    """Moves down the list of presets to one."""
    listed = app.screen.query_one(OptionList)
    for _ in range(listed.option_count):
        highlighted = listed.highlighted
        if highlighted is not None and listed.get_option_at_index(highlighted).id == preset:
            return
        await pilot.press("down")
    raise AssertionError(f"{preset} is not in the list")


async def fill(app: DssApp, pilot: Pilot[None], field: str, value: str) -> None:
    """Types a value over what a field holds."""
    app.screen.query_one(field, Input).focus()
    await pilot.press("home", "ctrl+k", *[KEYS.get(letter, letter) for letter in value])
    await pilot.pause()


KEYS = {".": "full_stop", "=": "equals_sign", "-": "minus", "[": "left_square_bracket"}
KEYS |= {"/": "slash", "]": "right_square_bracket", "_": "underscore", ",": "comma"}


def said(screen: Screen[Any], selector: str) -> str:
    """What a Static holds."""
    return str(screen.query_one(selector, Static).content)


def seen(app: App[None]) -> str:
    """The characters on the screen."""
    strips = app.screen._compositor.render_strips(app.size)
    return "\n".join("".join(segment.text for segment in strip) for strip in strips)


def run_screen(app: DssApp) -> RunScreen:
    assert isinstance(app.screen, RunScreen)
    return app.screen


def problem(app: DssApp) -> str:
    return said(app.screen, "#problem")


# ---------------------------------------------------------------- the menu


def test_every_preset_is_listed_under_its_task() -> None:
    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        options = app.screen.query_one(OptionList).options
        groups: dict[str, set[str]] = {}
        for option in options:
            if option.id is None:
                group = groups.setdefault(str(option.prompt), set())
            else:
                group.add(option.id)
        expected: dict[str, set[str]] = {}
        for name in presets.names():
            expected.setdefault(f"[b]{presets.load_preset(name).task}[/b]", set()).add(name)
        assert groups == expected
        first = next(option.id for option in options if option.id is not None)
        assert first in seen(app)
        assert problem(app) == ""  # the one chosen at first needs no data that are not shipped

    drive(steps)


def test_the_chosen_preset_is_described() -> None:
    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        for name in presets.names():
            await choose(app, pilot, name)
            await pilot.pause()
            shown, spec = said(app.screen, "#about"), presets.load_preset(name)
            assert name in shown and spec.description in shown
            assert describe.loss(spec.problem.loss) in shown
            assert spec.problem.network.words in shown
            level = app.screen.query_one("#field-search-level", Input).value
            assert float(level) == spec.search.level
            missing = isinstance(spec.problem.data, Images | TextData)
            assert ("DSS_TUI_DATA" in problem(app)) if missing else problem(app) == ""

    drive(steps)


def test_slash_filters_and_escape_shows_all_again() -> None:
    def listed(app: DssApp) -> set[str]:
        return {option.id for option in app.screen.query_one(OptionList).options if option.id}

    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        await pilot.press("slash", *"QUAD")
        assert listed(app) == {name for name in presets.names() if "quad" in name}
        await pilot.press("enter")
        assert isinstance(app.focused, OptionList)
        await pilot.press("slash", *"rat", "escape")
        await pilot.pause()
        assert listed(app) == set(presets.names())

    drive(steps)


@pytest.mark.parametrize("wanted", ["zzz", "[/b]", "[b"])
def test_a_filter_that_nothing_fits_says_so(wanted: str) -> None:
    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        await pilot.press("slash", *[KEYS.get(letter, letter) for letter in wanted])
        await pilot.pause()
        assert app.screen.query_one(OptionList).option_count == 0
        assert f"no preset has '{wanted}' in it" in seen(app)
        await pilot.press("enter", "enter")
        assert isinstance(app.screen, MenuScreen)

    drive(steps)


def test_a_value_that_cannot_be_is_said_in_place_and_not_started(
    started: list[tuple[Spec, str]],
) -> None:
    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        await choose(app, pilot, "quadratic")
        await fill(app, pilot, "#field-search-level", "-1")
        assert "search.level" in problem(app) and "search.level" in seen(app)
        for key in ("enter", "ctrl+s"):
            await pilot.press(key)
            assert isinstance(app.screen, MenuScreen)
        await fill(app, pilot, "#field-search-level", "0.25")
        assert problem(app) == ""

    drive(steps)
    assert started == []


@pytest.fixture
def started(connected: RunDir, monkeypatch: pytest.MonkeyPatch) -> list[tuple[Spec, str]]:
    """What would have been started; the run that is watched instead has ended."""
    asked: list[tuple[Spec, str]] = []

    def start(spec: Spec, name: str, out: Path | None = None) -> RunDir:
        asked.append((spec, name))
        return connected

    monkeypatch.setattr(session, "start", start)
    return asked


def test_another_key_is_added_and_a_misspelt_one_shows_the_nearest(
    started: list[tuple[Spec, str]],
) -> None:
    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        await choose(app, pilot, "quadratic")
        await fill(app, pilot, "#other", "limits.beads=77")
        await pilot.press("enter")
        assert "limits.beads=77" in said(app.screen, "#overrides")
        assert "77 beads" in said(app.screen, "#about")
        await fill(app, pilot, "#other", "limits.baeds=78")
        await pilot.press("enter")
        assert "beads" in problem(app) and "baeds" in problem(app)
        assert app.screen.query_one("#other", Input).value == "limits.baeds=78"
        app.screen.query_one(OptionList).focus()
        await pilot.press("enter")

    drive(steps)
    ((spec, name),) = started
    assert (spec.limits.beads, name) == (77, "quadratic")


@pytest.mark.parametrize("line", ["problem.network.sizes=[1,6,1]", "description=[/b] x"])
def test_another_key_may_hold_brackets(started: list[tuple[Spec, str]], line: str) -> None:
    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        await choose(app, pilot, "quadratic")
        app.screen.query_one("#other", Input).value = line
        app.screen.query_one("#other", Input).focus()
        await pilot.press("enter")
        await pilot.pause()
        assert line in seen(app)

    drive(steps)


@pytest.mark.parametrize("line", ["problem.network.sizes=[/b]", "[b]=[/i]", "limits.beads=[a", "x"])
def test_a_broken_line_is_answered_in_words(line: str) -> None:
    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        app.screen.query_one("#other", Input).value = line
        app.screen.query_one("#other", Input).focus()
        await pilot.press("enter")
        await pilot.pause()
        assert problem(app) != "" and isinstance(app.screen, MenuScreen)
        assert " ".join(problem(app).split())[:30] in seen(app)

    drive(steps)


def test_what_is_changed_is_what_is_started(started: list[tuple[Spec, str]]) -> None:
    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        await choose(app, pilot, "cubic")
        await fill(app, pilot, "#field-seed", "23")
        await fill(app, pilot, "#field-search-greedy-t-star", "half")
        await pilot.press("enter")
        await pilot.pause()
        assert isinstance(app.screen, RunScreen)
        await pilot.press("q")
        await pilot.pause()
        await pilot.press("l")  # leave it running
        await pilot.pause()
        assert isinstance(app.screen, MenuScreen)

    drive(steps)
    ((spec, name),) = started
    assert spec == presets.load_preset("cubic", ["seed=23", "search.greedy.t_star=half"])
    assert name == "cubic"


def test_a_start_that_is_refused_is_said_in_place(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(spec: Spec, name: str) -> RunDir:
        raise InputError("cannot be written: No space left on device", file="/[full]/runs")

    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        monkeypatch.setattr(session, "start", refuse)
        await pilot.press("enter")
        await pilot.pause()
        assert "/[full]/runs: cannot be written: No space left" in seen(app)

    drive(steps)


def test_q_ends_the_menu() -> None:
    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        await pilot.press("q")
        await until(pilot, lambda: not app.is_running)

    assert drive(steps).return_code == 0


# ---------------------------------------------------------------- a run that has ended


def test_the_run_screen_shows_the_counters_the_chain_and_the_ending(connected: RunDir) -> None:
    counters = progress_of(connected).counters

    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        head = said(run_screen(app), "#head")
        for words in ("quick", "connected", f"beads {counters.beads}", "open 0 of", "Connected"):
            assert words in head and words in seen(app)
        assert f"depth {counters.depth}" in head
        assert said(app.screen, "#chain").count("●") == counters.beads

    drive(steps, watching(connected))


def test_each_segment_has_a_row(connected: RunDir) -> None:
    segments = progress_of(connected).segments

    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        table = app.screen.query_one(SegmentTable)
        rows = [[str(cell) for cell in table.get_row_at(n)] for n in range(table.row_count)]
        assert [row[0] for row in rows] == [f"{s.left}–{s.right}" for s in segments]
        assert [row[2] for row in rows] == [f"{s.peak / 1e-2:.3f}" for s in segments]
        assert {row[-1] for row in rows} == {"✓ proven"}

    assert len(segments) > 3
    drive(steps, watching(connected))


def test_every_tab_opens_by_its_number_and_shows_something(connected: RunDir) -> None:
    words = (
        "pair",
        "distance from",
        "depth   0",
        "seconds",
        "principal components",
        "closed, peak",
    )

    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        shown: list[str] = []
        for number, (view, word) in enumerate(zip(VIEWS, words, strict=True), 1):
            await pilot.press(str(number))
            await until(pilot, lambda word=word: word in seen(app))  # type: ignore[misc]
            assert app.screen.query_one("#views", TabbedContent).active == view
            shown.append(seen(app))
        assert len(set(shown)) == len(VIEWS)
        lines = [line.text for line in app.screen.query_one(RichLog).lines]
        assert any("started:" in line for line in lines)
        assert any("Connected" in line for line in lines)

    drive(steps, watching(connected))


def test_rows_and_beads_are_selected_by_keys(connected: RunDir) -> None:
    segments = progress_of(connected).segments

    def pair(number: int) -> str:
        return f"segment {segments[number].left}–{segments[number].right}  "

    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        screen = run_screen(app)
        await pilot.press("j", "j")
        await pilot.pause()
        assert pair(2) in said(screen, "#chain")
        await pilot.press("k")
        await pilot.pause()
        assert pair(1) in said(screen, "#chain")
        await pilot.press("right")
        bead = segments[2].left
        assert f"bead {bead}  training loss" in said(screen, "#chain")
        await pilot.press("right")
        assert pair(2) in said(screen, "#chain")
        assert screen.query_one(SegmentTable).cursor_row == 2
        await pilot.press("left", "h", "left", "left", "left", "left", "left")
        first = progress_of(connected).order[0]
        assert f"bead {first}  training loss" in said(screen, "#chain")
        await pilot.press("G")
        await pilot.pause()
        assert pair(len(segments) - 1) in said(screen, "#chain")
        await pilot.press(*["right"] * 5)
        last = progress_of(connected).order[-1]
        assert f"bead {last}  training loss" in said(screen, "#chain")

    drive(steps, watching(connected))


def test_s_sorts_the_segments(connected: RunDir) -> None:
    segments = progress_of(connected).segments

    def column(app: DssApp, number: int) -> list[str]:
        table = app.screen.query_one(SegmentTable)
        return [str(table.get_row_at(row)[number]) for row in range(table.row_count)]

    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        along = column(app, 0)
        await pilot.press("s")
        peaks = sorted((s.peak for s in segments), reverse=True)
        assert column(app, 2) == [f"{peak / 1e-2:.3f}" for peak in peaks]
        assert column(app, 0) != along
        await pilot.press("g", "j")
        await pilot.pause()
        second = sorted(segments, key=lambda s: -s.peak)[1]
        assert f"segment {second.left}–{second.right}  " in said(app.screen, "#chain")
        await pilot.press("s")
        assert column(app, 5) == sorted(column(app, 5), key=int, reverse=True)
        await pilot.press("s")
        assert column(app, 0) == along

    drive(steps, watching(connected))


def test_l_changes_the_scale_of_the_plot(connected: RunDir) -> None:
    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        await pilot.press("4")
        await until(pilot, lambda: "seconds" in seen(app))
        linear = seen(app)
        await pilot.press("l")
        await until(pilot, lambda: seen(app) != linear)

    drive(steps, watching(connected))


def test_f_freezes_the_view_and_not_the_run(orphan: RunDir) -> None:
    known = progress_of(orphan)
    later = replace(
        known, time=known.time + 2.5, counters=replace(known.counters, bead_steps=7_654_321)
    )

    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        with RunWriter(orphan) as writer:
            await until(pilot, lambda: "running" in said(app.screen, "#head"))
            await pilot.press("f")
            assert "frozen" in said(app.screen, "#head")
            writer.progress(later)
            await pilot.pause(0.2)
            assert "7 654 321 steps" not in said(app.screen, "#head")
            await pilot.press("f")
            await until(pilot, lambda: "7 654 321 steps" in said(app.screen, "#head"))
            assert "frozen" not in said(app.screen, "#head")

    drive(steps, watching(orphan))


def test_a_follows_the_highest_open_segment(orphan: RunDir) -> None:
    known = progress_of(orphan)
    segments = list(known.segments)
    segments[3] = replace(segments[3], state="open", peak=0.07)
    segments[1] = replace(segments[1], state="training", peak=0.04, bead=99)

    def about(number: int) -> str:
        return f"segment {segments[number].left}–{segments[number].right}  "

    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        screen = run_screen(app)
        with RunWriter(orphan) as writer:
            writer.progress(replace(known, segments=tuple(segments)))
            await until(pilot, lambda: about(3) in said(screen, "#chain"))
            await pilot.press("k")
            await pilot.pause(0.2)
            assert about(2) in said(screen, "#chain")
            await pilot.press("a")
            await until(pilot, lambda: about(3) in said(screen, "#chain"))

    drive(steps, watching(orphan))


def test_enter_zooms_and_escape_closes(connected: RunDir) -> None:
    segments = progress_of(connected).segments

    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        await pilot.press("j", "enter")
        await until(pilot, lambda: isinstance(app.screen, Zoom))
        await until(pilot, lambda: f"segment {segments[1].left}–" in seen(app))
        assert app.screen.query_one(PlotView).size.height > 30
        await pilot.press("right")
        await until(pilot, lambda: f"segment {segments[2].left}–" in seen(app))
        await pilot.press("l")
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is not None and isinstance(app.screen, RunScreen))

    drive(steps, watching(connected))


def test_leaving_a_run_that_ended_ends_what_was_opened_on_it(connected: RunDir) -> None:
    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        await pilot.press("q")
        await until(pilot, lambda: not app.is_running)

    assert drive(steps, watching(connected)).return_code == 0


def test_the_exit_status_is_that_of_the_outcome(connected: RunDir, tmp_path: Path) -> None:
    failed = copy(connected, tmp_path / "stopped")
    *lines, last = failed.events.read_text().splitlines()
    ending = json.dumps(json.loads(last) | {"outcome": "not_connected"})
    failed.events.write_text("\n".join([*lines, ending, ""]))

    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        assert "not_connected" in said(app.screen, "#head")
        await pilot.press("q")
        await until(pilot, lambda: not app.is_running)

    assert drive(steps, watching(failed)).return_code == 3


def test_help_opens_and_closes(connected: RunDir) -> None:
    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        await pilot.press("question_mark")
        await until(pilot, lambda: "sort the segments" in seen(app))
        await pilot.press("question_mark")
        await until(pilot, lambda: "sort the segments" not in seen(app))

    drive(steps, watching(connected))


# ---------------------------------------------------------------- export


def test_e_exports_and_shows_how_to_verify(
    connected: RunDir, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where another project's `engine` is."""
    here = tmp_path / "here"
    (here / "engine").mkdir(parents=True)
    (here / "engine" / "__init__.py").write_text("raise SystemExit('another engine')\n")
    monkeypatch.chdir(here)
    target = here / "quick.safetensors"

    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        await pilot.press("e")
        await until(pilot, lambda: isinstance(app.screen, ExportDialog))
        assert app.screen.query_one("#path", Input).value == str(target)
        await pilot.press("enter")
        await until(pilot, lambda: said(app.screen, "#said") not in ("", "writing …"))
        assert f"dss-tui verify {target}" in said(app.screen, "#said")
        await pilot.press("y")
        assert app.clipboard == f"dss-tui verify {target}"
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, RunScreen))

    drive(steps, watching(connected))
    exported, ours = read(target).string, read(connected.string).string
    assert exported.beads.tobytes() == ours.beads.tobytes()


def test_an_export_that_fails_says_why(
    connected: RunDir, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "quick.safetensors").write_text("mine")

    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        await pilot.press("e")
        await until(pilot, lambda: isinstance(app.screen, ExportDialog))
        await pilot.press("enter")
        await until(pilot, lambda: "exists" in said(app.screen, "#said"))
        assert app.screen.query_one("#copy", Button).disabled

    drive(steps, watching(connected))
    assert (tmp_path / "quick.safetensors").read_text() == "mine"


def test_the_ending_of_the_file_is_chosen(connected: RunDir, tmp_path: Path) -> None:
    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        await pilot.press("e")
        await until(pilot, lambda: isinstance(app.screen, ExportDialog))
        app.screen.query_one("#endings").focus()
        await pilot.press("down", "enter")
        await pilot.pause()
        assert app.screen.query_one("#path", Input).value.endswith("/quick.npz")

    drive(steps, watching(connected))


# ---------------------------------------------------------------- the list of runs


async def to_runs(app: DssApp, pilot: Pilot[None]) -> RunTable:
    await pilot.press("2")
    table = app.screen.query_one(RunTable)
    table.focus()
    await pilot.pause()
    return table


def test_the_runs_are_listed_newest_first(connected: RunDir, orphan: RunDir, runs: Path) -> None:
    import os

    copied = copy(connected, runs / "done")
    os.utime(copied.spec, (10_000, 10_000))

    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        table = await to_runs(app, pilot)
        rows = [table.get_row_at(number)[:2] for number in range(table.row_count)]
        assert rows == [["orphan", "interrupted"], ["done", "connected"]]
        await pilot.press("j", "enter")
        await until(pilot, lambda: isinstance(app.screen, RunScreen))
        assert run_screen(app).run.name == "done"
        await pilot.press("q")
        await until(pilot, lambda: isinstance(app.screen, MenuScreen))
        assert app.is_running

    drive(steps)


def test_without_runs_the_list_says_where_they_would_be(runs: Path) -> None:
    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        await to_runs(app, pilot)
        assert f"no runs yet in {runs}" in said(app.screen, "#no-runs")

    drive(steps)


def test_d_deletes_only_after_yes(connected: RunDir, runs: Path) -> None:
    kept, gone = copy(connected, runs / "kept"), copy(connected, runs / "gone")

    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        table = await to_runs(app, pilot)
        names = [table.get_row_at(number)[0] for number in range(table.row_count)]
        table.move_cursor(row=names.index("gone"))
        for answer in ("n", "escape", "enter"):
            await pilot.press("d")
            await until(pilot, lambda: isinstance(app.screen, Confirm))
            assert "gone" in seen(app)
            await pilot.press(answer)
            await until(pilot, lambda: isinstance(app.screen, MenuScreen))
            assert gone.path.exists()
        await pilot.press("d")
        await until(pilot, lambda: isinstance(app.screen, Confirm))
        await pilot.press("y")
        await until(pilot, lambda: table.row_count == 1)

    drive(steps)
    assert kept.path.exists() and not gone.path.exists()


def test_a_live_run_is_not_deleted(orphan: RunDir) -> None:
    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        with RunWriter(orphan):
            table = await to_runs(app, pilot)
            await until(pilot, lambda: table.get_row_at(0)[1] == "running")
            await pilot.press("d")
            await until(pilot, lambda: isinstance(app.screen, Confirm))
            await pilot.press("y")
            await until(pilot, lambda: isinstance(app.screen, MenuScreen))
            await until(pilot, lambda: "stop it first" in seen(app))

    drive(steps)
    assert orphan.events.exists()


# ---------------------------------------------------------------- a run that goes on


def test_an_interrupted_run_is_resumed_by_r(
    orphan: RunDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    launched: list[RunDir] = []
    monkeypatch.setattr(session, "launch", launched.append)

    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        head = said(app.screen, "#head")
        assert "interrupted" in head and "r resumes it" in head
        await pilot.press("r")
        await until(pilot, lambda: "starting" in said(app.screen, "#head"))
        assert launched == [orphan]
        await pilot.press("r")  # it is on its way
        with RunWriter(orphan):
            await until(pilot, lambda: "running" in said(app.screen, "#head"))
        await until(pilot, lambda: "interrupted" in said(app.screen, "#head"))

    drive(steps, watching(orphan))
    assert launched == [orphan]


def commands(run: RunDir) -> list[str]:
    lines = run.commands.read_text().splitlines() if run.commands.exists() else []
    return [json.loads(line)["command"] for line in lines]


def test_p_pauses_and_x_stops_after_yes(orphan: RunDir) -> None:
    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        with RunWriter(orphan):
            await until(pilot, lambda: "running" in said(app.screen, "#head"))
            await pilot.press("p")
            assert commands(orphan) == ["pause"]
            for answer in ("n", "enter", "y"):
                await pilot.press("x")
                await until(pilot, lambda: isinstance(app.screen, Confirm))
                assert commands(orphan) == ["pause"]
                await pilot.press(answer)
                await until(pilot, lambda: isinstance(app.screen, RunScreen))
            await until(pilot, lambda: commands(orphan) == ["pause", "stop"])

    drive(steps, watching(orphan))


@pytest.mark.parametrize("answer, asked", [("l", []), ("enter", []), ("x", ["stop"])])
def test_leaving_a_running_search_asks(orphan: RunDir, answer: str, asked: list[str]) -> None:
    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        with RunWriter(orphan):
            await until(pilot, lambda: "running" in said(app.screen, "#head"))
            await pilot.press("q")
            await until(pilot, lambda: isinstance(app.screen, Confirm))
            await pilot.press("escape")
            await until(pilot, lambda: isinstance(app.screen, RunScreen))
            await pilot.press("q")
            await until(pilot, lambda: isinstance(app.screen, Confirm))
            await pilot.press(answer)
            await until(pilot, lambda: not app.is_running)

    assert drive(steps, watching(orphan)).return_code == 0
    assert commands(orphan) == asked


def test_a_run_that_has_only_been_made_can_be_watched(tmp_path: Path) -> None:
    made = finding.create(presets.load_preset("cubic"), "cubic", tmp_path / "made")

    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        assert "waiting for the engine" in said(app.screen, "#head")
        await pilot.press("right", "j", "s", "l", "f", "a", "f")
        for number in range(1, 7):
            await pilot.press(str(number))
            await pilot.pause()
        assert "starting" in said(app.screen, "#head")

    drive(steps, watching(made, launched=True))


# ---------------------------------------------------------------- terminals


@pytest.mark.parametrize("size", SIZES, ids=lambda size: "x".join(map(str, size)))
def test_every_size_shows_the_essentials(
    connected: RunDir, orphan: RunDir, size: tuple[int, int]
) -> None:
    async def on_run(app: DssApp, pilot: Pilot[None]) -> None:
        for number in range(1, 7):
            await pilot.press(str(number), "right")
            await pilot.pause()
            assert "connected" in seen(app) and "beads 1" in seen(app) and "●" in seen(app)
        await pilot.press("1", "enter", "escape", "e", "escape", "question_mark")
        await pilot.pause()

    async def on_menu(app: DssApp, pilot: Pilot[None]) -> None:
        assert "digits" in seen(app)
        await to_runs(app, pilot)
        await pilot.pause()
        assert "orphan" in seen(app)
        await pilot.press("d")
        await until(pilot, lambda: isinstance(app.screen, Confirm))
        assert "keep" in seen(app) and "delete" in seen(app)

    drive(on_run, watching(connected), size)
    drive(on_menu, size=size)


def has_size(app: DssApp, size: tuple[int, int]) -> bool:
    return app.screen.size == size


def test_a_terminal_that_changes_its_size_is_followed(connected: RunDir) -> None:
    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        for size in [*SIZES, *reversed(SIZES)]:
            await pilot.resize_terminal(*size)
            await until(pilot, partial(has_size, app, size))
            await until(pilot, lambda: "connected" in seen(app))
        table = app.screen.query_one(SegmentTable)
        # The last size has room for the counters alone.
        await until(pilot, lambda: not table.is_on_screen)

    drive(steps, watching(connected))


@pytest.mark.parametrize("theme", DssApp.THEMES)
def test_every_theme_draws_every_tab(connected: RunDir, theme: str) -> None:
    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        for _ in DssApp.THEMES:
            if app.theme != theme:
                await pilot.press("T")
        assert app.theme == theme
        for number in range(1, 7):
            await pilot.press(str(number))
            await pilot.pause()
            assert "connected" in seen(app)

    drive(steps, watching(connected))


def test_without_colour_nothing_drawn_by_hand_has_one(
    connected: RunDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")

    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        for number in range(1, 7):
            await pilot.press(str(number))
            await pilot.pause()
        strips = app.screen._compositor.render_strips(app.size)
        assert "connected" in seen(app)
        colours = {
            colour.name
            for strip in strips
            for segment in strip
            if segment.style is not None
            for colour in (segment.style.color, segment.style.bgcolor)
            if colour is not None and colour.triplet is not None and len({*colour.triplet}) > 1
        }
        assert colours == set()

    drive(steps, watching(connected))


@pytest.mark.parametrize(
    "term, theme", [("xterm-256color", "textual-dark"), ("linux", "ansi-dark")]
)
def test_a_terminal_of_few_colours_gets_the_theme_for_it(
    monkeypatch: pytest.MonkeyPatch, term: str, theme: str
) -> None:
    monkeypatch.delenv("COLORTERM")
    monkeypatch.setenv("TERM", term)

    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        assert app.theme == theme

    drive(steps)


# ---------------------------------------------------------------- weight

WITHOUT_TORCH = """
import asyncio, sys
from dss_tui.viewing import describe, session
from dss_tui.tui.app import DssApp, Opening
from dss_tui.tui.screens.run import RunScreen

launched = []
session.launch = launched.append

async def body():
    app = DssApp(Opening(fps=20))
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.press("down", "enter")
        await pilot.pause()
        assert isinstance(app.screen, RunScreen) and len(launched) == 1
        await pilot.press("q", "l")
        await pilot.press("2", "tab", "j", "j", "enter")
        await pilot.pause()
    app = DssApp(Opening(session.RunDir(session.Path(sys.argv[1])), fps=20))
    async with app.run_test(size=(120, 40)) as pilot:
        for number in "123456":
            await pilot.press(number)
            await pilot.pause(0.1)
        assert app.screen.snapshot.state == "connected"

asyncio.run(body())
assert "dss_tui.tui.plots" in sys.modules
assert "torch" not in sys.modules
"""


def test_the_application_never_loads_torch(connected: RunDir) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH, str(connected.path)], capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stderr
