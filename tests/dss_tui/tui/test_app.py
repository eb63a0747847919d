"""The application as a user drives it: keys in, what the screen shows out."""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Button, Input, RichLog, TabbedContent

import presets
from dss_tui.cli import main
from dss_tui.tui import remembered
from dss_tui.tui.app import DssApp
from dss_tui.tui.messages import WatchRun
from dss_tui.tui.screens.confirm import Confirm
from dss_tui.tui.screens.export import ExportDialog
from dss_tui.tui.screens.run import RunScreen
from dss_tui.tui.screens.views import VIEWS
from dss_tui.tui.screens.zoom import Zoom
from dss_tui.tui.widgets.plot_view import PlotView
from dss_tui.tui.widgets.segment_table import SegmentTable
from dss_tui.viewing import session
from dss_tui.viewing.replaced import SENTENCE
from engine.record import finding
from engine.record.events import Paused
from engine.record.progress import SegmentProgress
from engine.record.rundir import RunDir
from engine.record.string_file import read
from engine.record.writer import RunWriter
from engine.spec.level import multiple
from tests.support.more import always
from tests.support.pilots import WIDE, drive, said, seen, to_runs, until, watching
from tests.support.run_folders import progress_of

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


def run_screen(app: DssApp) -> RunScreen:
    assert isinstance(app.screen, RunScreen)
    return app.screen


# ---------------------------------------------------------------- a run that has ended


def test_the_run_screen_shows_the_counters_the_rail_and_the_verdict(connected: RunDir) -> None:
    counters = progress_of(connected).counters

    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        head = said(run_screen(app), "#head")
        for words in ("quick", "connected", f"beads {counters.beads}", "open 0 of"):
            assert words in head and words in seen(app)
        card = said(app.screen, "#card")
        assert "proven for every t" in card and "Connected, proven:" in card
        assert f"depth {counters.depth}" in head
        await pilot.press("2")
        await until(pilot, lambda: said(app.screen, "#rail").count("●") == counters.beads)

    drive(steps, watching(connected))


def test_each_segment_has_a_row(connected: RunDir) -> None:
    segments = progress_of(connected).segments

    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        await pilot.press("2")
        table = app.screen.query_one(SegmentTable)
        await until(pilot, lambda: table.row_count == len(segments))
        rows = [[str(cell) for cell in table.get_row_at(n)] for n in range(table.row_count)]
        assert [row[0] for row in rows] == [f"{s.left}–{s.right}" for s in segments]
        assert [row[2] for row in rows] == [multiple(s.peak / 1e-2, 3) for s in segments]
        assert {row[-1] for row in rows} == {"✓ proven"}

    assert len(segments) > 3
    drive(steps, watching(connected))


def test_every_tab_opens_by_its_number_and_shows_something(connected: RunDir) -> None:
    words = (
        "depth 1 ",
        "pair",
        "distance from",
        "depth   0",
        "seconds",
        "first component",
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
        await pilot.press("2")
        screen = run_screen(app)
        await pilot.press("j", "j")
        await pilot.pause()
        assert pair(2) in said(screen, "#selection")
        await pilot.press("k")
        await pilot.pause()
        assert pair(1) in said(screen, "#selection")
        await pilot.press("right")
        bead = segments[2].left
        assert f"bead {bead}  training loss" in said(screen, "#selection")
        await pilot.press("right")
        assert pair(2) in said(screen, "#selection")
        assert screen.query_one(SegmentTable).cursor_row == 2
        await pilot.press("left", "h", "left", "left", "left", "left", "left")
        first = progress_of(connected).order[0]
        assert f"bead {first}  training loss" in said(screen, "#selection")
        await pilot.press("G")
        await pilot.pause()
        assert pair(len(segments) - 1) in said(screen, "#selection")
        await pilot.press(*["right"] * 5)
        last = progress_of(connected).order[-1]
        assert f"bead {last}  training loss" in said(screen, "#selection")

    drive(steps, watching(connected))


def test_s_sorts_the_segments(connected: RunDir) -> None:
    segments = progress_of(connected).segments

    def column(app: DssApp, number: int) -> list[str]:
        table = app.screen.query_one(SegmentTable)
        return [str(table.get_row_at(row)[number]) for row in range(table.row_count)]

    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        await pilot.press("2")
        along = column(app, 0)
        await pilot.press("s")
        peaks = sorted((s.peak for s in segments), reverse=True)
        assert column(app, 2) == [multiple(peak / 1e-2, 3) for peak in peaks]
        assert column(app, 0) != along
        await pilot.press("g", "j")
        await pilot.pause()
        second = sorted(segments, key=lambda s: -s.peak)[1]
        assert f"segment {second.left}–{second.right}  " in said(app.screen, "#selection")
        await pilot.press("s")
        assert column(app, 5) == sorted(column(app, 5), key=int, reverse=True)
        await pilot.press("s")
        assert column(app, 0) == along

    drive(steps, watching(connected))


def test_shift_l_changes_the_scale_of_the_plot(connected: RunDir) -> None:
    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        await pilot.press("5")
        await until(pilot, lambda: "seconds" in seen(app))
        linear = seen(app)
        await pilot.press("L")
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
        await pilot.press("2")
        screen = run_screen(app)
        with RunWriter(orphan) as writer:
            writer.progress(replace(known, segments=tuple(segments)))
            await until(pilot, lambda: about(3) in said(screen, "#selection"))
            await pilot.press("k")
            await until(pilot, lambda: about(2) in said(screen, "#selection"))
            await pilot.pause(0.2)
            assert about(2) in said(screen, "#selection")
            await pilot.press("a")
            await until(pilot, lambda: about(3) in said(screen, "#selection"))

    drive(steps, watching(orphan))


def test_enter_zooms_and_escape_closes(connected: RunDir) -> None:
    segments = progress_of(connected).segments

    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        await pilot.press("2")
        await pilot.press("j", "enter")
        await until(pilot, lambda: isinstance(app.screen, Zoom))
        await until(pilot, lambda: f"segment {segments[1].left}–" in seen(app))
        assert app.screen.query_one(PlotView).size.height > 30
        await pilot.press("right")
        await until(pilot, lambda: f"segment {segments[2].left}–" in seen(app))
        await pilot.press("L")
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is not None and isinstance(app.screen, RunScreen))

    drive(steps, watching(connected))


def test_enter_zooms_the_segment_to_which_a_page_key_or_a_click_went(connected: RunDir) -> None:
    segments = progress_of(connected).segments

    async def zoomed(app: DssApp, pilot: Pilot[None], segment: SegmentProgress) -> None:
        pair = f"segment {segment.left}–{segment.right}"
        await until(pilot, lambda: pair in said(app.screen, "#selection"))
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, Zoom))
        await until(pilot, lambda: pair in seen(app))
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, RunScreen))

    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        await pilot.press("2")
        await pilot.press("pagedown")
        await zoomed(app, pilot, segments[-1])
        await pilot.click(SegmentTable, offset=(3, 3))  # a line of titles is above the rows
        await zoomed(app, pilot, segments[2])

    drive(steps, watching(connected))


def test_rows_take_the_colours_of_another_theme(connected: RunDir) -> None:
    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        await pilot.press("2")
        table = app.screen.query_one(SegmentTable)
        await until(pilot, lambda: table.row_count > 0)

        def colours() -> tuple[object, object]:
            *_, ratio, _, _, _, state = table.get_row_at(0)
            return ratio.style, state.style

        screen = run_screen(app)
        before = screen.palette
        assert colours() == (before.below, before.closed)
        app.theme = "textual-light"
        await until(pilot, lambda: screen.palette != before)
        now = screen.palette
        await until(pilot, lambda: colours() == (now.below, now.closed))

    drive(steps, watching(connected))


def test_leaving_a_run_that_ended_ends_what_was_opened_on_it(connected: RunDir) -> None:
    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        await pilot.press("q")
        await until(pilot, lambda: not app.is_running)

    assert drive(steps, watching(connected)).return_code == 0


def test_an_application_that_was_installed_anew_ends_in_a_sentence(
    connected: RunDir, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its screens are imported when they are opened, and by then they may be gone."""
    monkeypatch.setitem(sys.modules, "dss_tui.tui.screens.run", None)

    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        app.post_message(WatchRun(connected))
        while app.return_code is None:  # the pilot would wait for a screen
            await asyncio.sleep(0.02)

    app = drive(steps)
    assert app.return_code == 1 and app._exception is None
    assert " ".join(capsys.readouterr().err.split()) == f"dss-tui: {SENTENCE}"


def test_the_exit_status_is_that_of_the_outcome(connected: RunDir, tmp_path: Path) -> None:
    failed = copy(connected, tmp_path / "stopped")
    *lines, last = failed.events.read_text().splitlines()
    ending = json.dumps(json.loads(last) | {"outcome": "not_connected"})
    failed.events.write_text("\n".join([*lines, ending, ""]))

    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        assert "not connected" in said(app.screen, "#head")
        await pilot.press("q")
        await until(pilot, lambda: not app.is_running)

    assert drive(steps, watching(failed)).return_code == 3


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
        assert "tick “replace a file that exists”" in " ".join(said(app.screen, "#said").split())
        assert app.screen.query_one("#copy", Button).disabled

    drive(steps, watching(connected))
    assert (tmp_path / "quick.safetensors").read_text() == "mine"


@pytest.mark.parametrize("size", [(60, 16), (80, 24)])
def test_the_export_dialog_fits_a_small_screen(
    connected: RunDir, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: tuple[int, int]
) -> None:
    monkeypatch.chdir(tmp_path)

    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        await pilot.press("e")
        await until(pilot, lambda: isinstance(app.screen, ExportDialog))
        await pilot.press("enter")
        await until(pilot, lambda: "dss-tui verify" in said(app.screen, "#said"))
        await pilot.pause()
        for selector in ("#path", "#said", "#write", "#close"):
            region = app.screen.query_one(selector).region
            assert region.height > 0 and region.bottom <= size[1] and region.right <= size[0]

    drive(steps, watching(connected), size=size)


def test_an_export_ends_with_its_dialog(
    connected: RunDir, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    begun: list[subprocess.Popen[bytes]] = []
    begin = subprocess.Popen

    def recorded(_command: Any, **keys: Any) -> subprocess.Popen[bytes]:
        """Begins a command that takes longer than the test, whatever was to be begun."""
        begun.append(begin([sys.executable, "-c", "import time; time.sleep(600)"], **keys))
        return begun[-1]

    monkeypatch.setattr(subprocess, "Popen", recorded)

    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        await pilot.press("e")
        await until(pilot, lambda: isinstance(app.screen, ExportDialog))
        await pilot.press("enter")
        await until(pilot, lambda: bool(begun))
        await pilot.press("escape")
        await until(pilot, lambda: begun[0].returncode is not None)

    drive(steps, watching(connected))
    assert begun[0].returncode == -signal.SIGKILL
    assert not (tmp_path / "quick.safetensors").exists()


def test_the_ending_of_the_file_is_chosen(connected: RunDir, tmp_path: Path) -> None:
    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        await pilot.press("e")
        await until(pilot, lambda: isinstance(app.screen, ExportDialog))
        app.screen.query_one("#endings").focus()
        await pilot.press("down", "enter")
        await pilot.pause()
        assert app.screen.query_one("#path", Input).value.endswith("/quick.npz")

    drive(steps, watching(connected))


def test_a_figure_is_drawn_from_the_export_dialog(
    connected: RunDir, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        await pilot.press("e")
        await until(pilot, lambda: isinstance(app.screen, ExportDialog))
        app.screen.query_one("#endings").focus()
        await pilot.press("down", "down", "down", "enter")
        await until(
            pilot, lambda: app.screen.query_one("#path", Input).value.endswith("/quick.svg")
        )
        await pilot.press("ctrl+s")
        await until(pilot, lambda: "quick.svg" in said(app.screen, "#said"))
        assert app.screen.query_one("#copy", Button).disabled  # there is nothing to verify

    drive(steps, watching(connected))
    assert (tmp_path / "quick.svg").read_text().startswith("<?xml")
    assert (tmp_path / "quick.csv").exists()


# ---------------------------------------------------------------- a run that goes on


def test_an_interrupted_run_is_resumed_by_r(
    orphan: RunDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    launched: list[RunDir] = []
    monkeypatch.setattr(session, "launch", lambda run, **_: launched.append(run))

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


def test_p_lets_a_paused_run_go_on(orphan: RunDir) -> None:
    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        with RunWriter(orphan) as writer:
            await until(pilot, lambda: "running" in said(app.screen, "#head"))
            writer.record(Paused(), 99.0)
            writer.progress(replace(progress_of(orphan), state="paused"))
            await until(pilot, lambda: "paused" in said(app.screen, "#head"))
            await until(pilot, lambda: "p pause/go on" in seen(app))
            assert "/s" not in said(app.screen, "#head")
            await pilot.press("p")
            assert commands(orphan) == ["continue"]

    drive(steps, watching(orphan))


def test_the_palette_has_the_commands_of_the_screen(connected: RunDir) -> None:
    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        found = {each.title: each for each in app.get_system_commands(app.screen)}
        assert {"Export", "Log", "Sort the segments", "Next theme"} <= set(found)
        assert found["Export"].help == "key e"
        assert "Pause/go on" not in found  # the run has ended
        assert not {"Cursor down", "Focus next"} & set(found)
        await pilot.press("ctrl+p")
        await pilot.press(*"linear or", "enter")
        await until(pilot, lambda: run_screen(app).log_scale)

    drive(steps, watching(connected))


def test_the_log_takes_the_arrow_keys(connected: RunDir) -> None:
    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        await pilot.press("7")
        await pilot.pause()
        log = app.screen.query_one(RichLog)
        assert app.focused is log
        lowest = log.scroll_offset.y
        await pilot.press("up", "up")
        await until(pilot, lambda: log.scroll_offset.y < lowest)

    drive(steps, watching(connected), size=(60, 16))


def test_the_theme_is_remembered(connected: RunDir) -> None:
    async def choose_another(app: DssApp, pilot: Pilot[None]) -> None:
        await pilot.press("T")
        await pilot.pause()
        assert app.theme == "textual-light"

    async def look(app: DssApp, pilot: Pilot[None]) -> None:
        assert app.theme == "textual-light"

    kept = remembered.path(remembered.THEME)
    kept.unlink(missing_ok=True)
    try:
        drive(look_dark, watching(connected))
        assert not kept.exists()
        drive(choose_another, watching(connected))
        drive(look, watching(connected))
        kept.write_bytes(b"no-such-theme\xff")
        drive(look_dark, watching(connected))
    finally:
        kept.unlink(missing_ok=True)


async def look_dark(app: DssApp, pilot: Pilot[None]) -> None:
    await pilot.pause()
    assert app.theme == "textual-dark"


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
        await pilot.press("right", "j", "s", "L", "f", "a", "f")
        for number in range(1, len(VIEWS) + 1):
            await pilot.press(str(number))
            await pilot.pause()
        assert "starting" in said(app.screen, "#head")

    drive(steps, watching(made, launched=True))


# ---------------------------------------------------------------- terminals


@pytest.mark.parametrize(
    "size", always(SIZES[:2], SIZES), ids=lambda size: "x".join(map(str, size))
)
def test_every_size_shows_the_essentials(
    connected: RunDir, orphan: RunDir, size: tuple[int, int]
) -> None:
    async def on_run(app: DssApp, pilot: Pilot[None]) -> None:
        for number in range(1, len(VIEWS) + 1):
            await pilot.press(str(number), "right")
            await pilot.pause()
            assert "connected" in seen(app) and "beads 1" in seen(app) and "●" in seen(app)
        await pilot.press("1", "enter", "escape", "e", "escape", "question_mark")
        await pilot.pause()

    async def on_menu(app: DssApp, pilot: Pilot[None]) -> None:
        await until(pilot, lambda: "digits" in seen(app))
        await to_runs(app, pilot, 1)
        await until(pilot, lambda: "orphan" in seen(app))
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


@pytest.mark.parametrize("theme", always(["textual-light", "ansi-dark"], DssApp.THEMES))
def test_every_theme_draws_every_tab(connected: RunDir, theme: str) -> None:
    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        for _ in DssApp.THEMES:
            if app.theme != theme:
                await pilot.press("T")
        assert app.theme == theme
        for number in range(1, len(VIEWS) + 1):
            await pilot.press(str(number))
            await pilot.pause()
            assert "connected" in seen(app)

    drive(steps, watching(connected))


def test_without_colour_nothing_drawn_by_hand_has_one(
    connected: RunDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")

    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        for number in range(1, len(VIEWS) + 1):
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
from dss_tui.tui.widgets.preset_table import PresetTable

launched = []
session.launch = lambda run, *_, **__: launched.append(run)

async def body():
    app = DssApp(Opening(fps=20))
    async with app.run_test(size=(120, 40)) as pilot:
        while not app.screen.query_one(PresetTable).row_count:
            await pilot.pause(0.05)
        await pilot.press("down", "enter")
        while not isinstance(app.screen, RunScreen):
            await pilot.pause(0.05)
        assert len(launched) == 1
        await pilot.press("q", "l")
        await pilot.press("2", "tab", "j", "j", "enter")
        await pilot.pause()
    app = DssApp(Opening(session.RunDir(session.Path(sys.argv[1])), fps=20))
    async with app.run_test(size=(120, 40)) as pilot:
        for number in "1234567":
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
