"""The list of runs as a user drives it, at 80×24."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from threading import Event

import pytest
from rich.cells import cell_len
from textual.pilot import Pilot
from textual.widgets import Input

import presets
from dss_tui.tui import remembered
from dss_tui.tui.app import DssApp
from dss_tui.tui.screens.ask_text import AskText
from dss_tui.tui.screens.columns import ColumnChooser
from dss_tui.tui.screens.compare import CompareScreen
from dss_tui.tui.screens.confirm import Confirm
from dss_tui.tui.screens.export import ExportDialog
from dss_tui.tui.screens.menu import MenuScreen
from dss_tui.tui.screens.run import RunScreen
from dss_tui.tui.screens.sweep import SweepScreen
from dss_tui.tui.widgets import runs_tab
from dss_tui.tui.widgets.run_table import MARKED, UNMARKED, RunTable
from dss_tui.viewing import session, sweeps
from dss_tui.viewing.run_columns import BY_KEY
from engine.record import finding
from engine.record.events import Outcome, RunStarted
from engine.record.notes import Notes, read_notes
from engine.record.renaming import rename
from engine.record.rundir import RunDir
from engine.record.scan import Look, RunScan
from engine.record.writer import RunWriter
from tests.support.pilots import column, drive_small, said, seen, to_runs, told, until, write
from tests.support.run_folders import CONNECTED, STOPPED, progress
from tests.support.run_folders import write as record
from tests.support.sweep_folders import begin, cell, ended, sweep_of


@pytest.fixture(autouse=True)
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal with all colours, and no columns chosen before."""
    monkeypatch.setenv("COLORTERM", "truecolor")
    for name in ("NO_COLOR", "SSH_CONNECTION"):
        monkeypatch.delenv(name, raising=False)


def made(runs: Path, name: str, age_s: float, level: float = 0.02, steps: int = 700) -> RunDir:
    """A run of that name and age that ended connected."""
    run = finding.create(presets.load_preset("cubic"), "cubic", runs / name)
    record(run, RunStarted("greedy", level, 0.7, 5, 61, 40, ("cpu",)), CONNECTED)
    run.progress.write_bytes(progress(steps=steps).to_json())
    os.utime(run.spec, (2e9 - age_s, 2e9 - age_s))
    return run


@pytest.fixture
def three(runs: Path) -> list[RunDir]:
    """Three runs, the newest first."""
    return [
        made(runs, name, age_s, level)
        for name, age_s, level in (("monday", 1, 0.5), ("friday", 2, 0.007), ("sunday", 3, 0.02))
    ]


def names(table: RunTable) -> list[str]:
    return [str(cell).strip().removeprefix(MARKED) for cell in table.get_column("name")]


def marked(table: RunTable) -> list[str]:
    cells = [str(cell) for cell in table.get_column("name")]
    return [cell.removeprefix(MARKED) for cell in cells if cell.startswith(MARKED)]


def heads(table: RunTable) -> list[str]:
    return [str(each.label).strip() for each in table.ordered_columns]


def asks(app: DssApp) -> bool:
    """Whether the dialog for a text is there, with the cursor in its field."""
    return isinstance(app.screen, AskText) and isinstance(app.focused, Input)


# ---------------------------------------------------------------- the list


def test_without_runs_the_list_says_where_they_would_be(runs: Path) -> None:
    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        await to_runs(app, pilot, 0)
        await until(pilot, lambda: f"no runs yet in {runs}" in said(app.screen, "#runs-said"))

    drive_small(steps)


def test_the_runs_are_listed_newest_first_and_watched(three: list[RunDir]) -> None:
    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        table = await to_runs(app, pilot, 3)
        assert names(table) == ["monday", "friday", "sunday"]
        assert column(table, "state") == ["connected"] * 3
        await pilot.press("j", "enter")
        await until(pilot, lambda: isinstance(app.screen, RunScreen))
        assert isinstance(app.screen, RunScreen) and app.screen.run.name == "friday"
        await pilot.press("q")
        await until(pilot, lambda: isinstance(app.screen, MenuScreen))
        assert app.is_running and table.run_name == "friday"

    drive_small(steps)


def test_a_new_run_appears_and_the_cursor_stays_on_its_own(
    three: list[RunDir], runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dss_tui.tui.widgets.runs_tab.EVERY_S", 0.1)

    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        table = await to_runs(app, pilot, 3)
        await pilot.press("j")
        made(runs, "today", 0)
        await until(pilot, lambda: names(table)[0] == "today")
        await until(pilot, lambda: table.run_name == "friday")

    drive_small(steps)


@pytest.mark.parametrize(
    ("size", "gone", "there"),
    [
        ((60, 16), {"size", "preset", "seed", "length"}, {"name", "state", "peak/level"}),
        ((80, 24), {"size", "preset"}, {"name", "state", "peak/level", "beads", "age"}),
        ((160, 40), set(), set(BY_KEY)),
    ],
)
def test_columns_that_do_not_fit_are_left_out(
    size: tuple[int, int], gone: set[str], there: set[str], runs: Path
) -> None:
    made(runs, "quadratic-20261129-172432", 5)

    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        table = await to_runs(app, pilot, 1)
        assert not gone & set(table.shown) and there <= set(table.shown)
        assert sum(each.get_render_width(table) for each in table.ordered_columns) <= size[0]
        assert table.max_scroll_x == 0
        assert all(cell_len(line) <= size[0] for line in seen(app).splitlines())
        if size[0] == 160:
            assert column(table, "preset") == ["quadratic"]

    drive_small(steps, size=size)


def test_sorting_by_key_and_by_clicks_on_heads(three: list[RunDir]) -> None:
    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        table = await to_runs(app, pilot, 3)
        assert "age↑" in heads(table)
        await pilot.press("o")
        await until(pilot, lambda: names(table) == ["sunday", "friday", "monday"])
        assert "age↓" in heads(table)
        x = seen(app).splitlines()[table.region.y].index("  level") + 3
        await pilot.click(offset=(x, table.region.y))
        await until(pilot, lambda: names(table) == ["friday", "sunday", "monday"])
        assert "level↑" in heads(table)
        await pilot.click(offset=(x, table.region.y))
        await until(pilot, lambda: names(table) == ["monday", "sunday", "friday"])
        assert "level↓" in heads(table) and "age" in heads(table)
        for _ in range(len(table.shown)):  # s comes to the name once in a round
            await pilot.press("s")
            await pilot.pause()
            if "name↑" in heads(table):
                break
        assert names(table) == ["friday", "monday", "sunday"]
        await pilot.press("1", "2")  # remembered while the application runs
        await until(pilot, lambda: app.focused is table)
        assert "name↑" in heads(table)

    drive_small(steps)


def test_keys_and_clicks_move_in_the_list(runs: Path) -> None:
    for number in range(30):
        made(runs, f"r{number:02}", number)

    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        table = await to_runs(app, pilot, 30)
        for key, row in (("j", 1), ("k", 0), ("G", 29), ("g", 0), ("l", 0), ("h", 0), ("down", 1)):
            await pilot.press(key)
            await until(pilot, lambda row=row: table.cursor_row == row)  # type: ignore[misc]
        await pilot.press("pagedown")
        await until(pilot, lambda: table.cursor_row > 10)
        await pilot.press("home")
        await until(pilot, lambda: table.cursor_row == 0 and table.scroll_offset.y == 0)
        await pilot.click(RunTable, offset=(5, 4))
        await until(pilot, lambda: table.run_name == "r03")
        assert isinstance(app.screen, MenuScreen)
        await pilot.click(RunTable, offset=(5, 4))  # the second click opens it
        await until(pilot, lambda: isinstance(app.screen, RunScreen))

    drive_small(steps)


def test_slash_filters_by_any_cell_and_escape_clears(three: list[RunDir]) -> None:
    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        table = await to_runs(app, pilot, 3)
        await pilot.press("slash")
        await write(pilot, "0.007")
        await until(pilot, lambda: names(table) == ["friday"])
        assert "1 of 3 runs have '0.007' in them" in said(app.screen, "#runs-said")
        await pilot.press("enter")
        await until(pilot, lambda: app.focused is table)
        await pilot.press("escape")
        await until(pilot, lambda: len(names(table)) == 3)
        await pilot.press("slash", *"zzz", "enter")
        await until(pilot, lambda: table.row_count == 0)
        await pilot.press("enter", "space", "d", "r", "e", "R", "N", "escape")
        await until(pilot, lambda: len(names(table)) == 3)
        assert app.is_running and isinstance(app.screen, MenuScreen)
        await pilot.press("escape")
        await until(pilot, lambda: not app.is_running)

    drive_small(steps)


def test_columns_are_chosen_and_remembered(three: list[RunDir]) -> None:
    kept = remembered.path(remembered.COLUMNS)

    async def choose(app: DssApp, pilot: Pilot[None]) -> None:
        table = await to_runs(app, pilot, 3)
        await pilot.press("C")
        await until(pilot, lambda: isinstance(app.screen, ColumnChooser))
        await until(pilot, lambda: "[x] state" in seen(app))
        await pilot.press("space")
        await until(pilot, lambda: "[ ] state" in seen(app))
        await pilot.press("escape")
        await until(pilot, lambda: "state" not in table.shown)

    async def look(app: DssApp, pilot: Pilot[None]) -> None:
        table = await to_runs(app, pilot, 3)
        assert "state" not in table.shown and "level" in table.shown

    async def look_whole(app: DssApp, pilot: Pilot[None]) -> None:
        table = await to_runs(app, pilot, 3)
        assert "state" in table.shown

    kept.unlink(missing_ok=True)
    drive_small(choose)
    assert set(kept.read_text().split()) == set(BY_KEY) - {"state"}
    drive_small(look)
    kept.write_bytes(b"\xff no such columns")
    drive_small(look_whole)
    kept.unlink()


def test_a_name_with_brackets_is_shown_as_it_is(runs: Path) -> None:
    made(runs, "[b]odd[i]", 1)

    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        await to_runs(app, pilot, 1)
        await until(pilot, lambda: "[b]odd[i]" in seen(app))
        await pilot.press("d")
        await until(pilot, lambda: "Delete [b]odd[i] and" in seen(app))

    drive_small(steps)


# ---------------------------------------------------------------- one run


def test_shift_r_renames_and_says_what_cannot_be(three: list[RunDir], runs: Path) -> None:
    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        table = await to_runs(app, pilot, 3)
        await pilot.press("space", "k", "R")
        await until(pilot, lambda: asks(app))
        assert app.screen.query_one(Input).value == "monday"
        for wrong, why in (
            ("../x", "without a slash"),
            ("friday", "exists already"),
            ("", "empty"),
        ):
            app.screen.query_one(Input).value = wrong
            await pilot.press("enter")
            await until(pilot, lambda why=why: why in said(app.screen, "#problem"))  # type: ignore[misc]
        app.screen.query_one(Input).value = "best one"
        await pilot.press("enter")
        await until(pilot, lambda: "best one" in names(table))
        await until(pilot, lambda: marked(table) == ["best one"])  # its mark goes with it

    drive_small(steps)
    assert {path.name for path in runs.iterdir()} == {"best one", "friday", "sunday"}


def test_a_look_from_before_the_renaming_leaves_the_mark(
    three: list[RunDir], runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A look lists the folder, the run gets its name, and the look finds it gone."""
    begun, renamed, look = Event(), Event(), RunScan.look

    def late(scan: RunScan, within_s: float) -> Look:
        found = look(scan, within_s)
        if renamed.is_set():
            return found
        begun.set()
        assert renamed.wait(60)
        return replace(found, runs=tuple(run for run in found.runs if run.name != "monday"))

    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        table = await to_runs(app, pilot, 3)
        await pilot.press("space", "k")
        monkeypatch.setattr(RunScan, "look", late)
        await until(pilot, begun.is_set)
        await pilot.press("R")
        await until(pilot, lambda: asks(app))
        app.screen.query_one(Input).value = "best one"
        await pilot.press("enter")
        await until(pilot, (runs / "best one").is_dir)
        await until(pilot, lambda: not asks(app))
        renamed.set()
        await until(pilot, lambda: marked(table) == ["best one"])

    drive_small(steps)


def test_a_look_between_the_renaming_and_its_end_leaves_the_mark(
    three: list[RunDir], runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder has its new name, a look lists it, and only then the renaming returns."""
    listed = Event()

    def slow(run: RunDir, name: str) -> None:
        rename(run, name)
        assert listed.wait(60)

    monkeypatch.setattr(runs_tab, "rename", slow)

    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        table = await to_runs(app, pilot, 3)
        await pilot.press("space", "k", "R")
        await until(pilot, lambda: asks(app))
        app.screen.query_one(Input).value = "best one"
        await pilot.press("enter")
        await until(pilot, lambda: "best one" in names(table))
        listed.set()
        await until(pilot, lambda: marked(table) == ["best one"])

    drive_small(steps)


def test_a_running_run_is_not_renamed(runs: Path) -> None:
    run = made(runs, "live", 5)

    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        with RunWriter(run):
            await to_runs(app, pilot, 1)
            await pilot.press("R")
            await until(pilot, lambda: asks(app))
            await write(pilot, "x")
            await pilot.press("enter")
            await until(pilot, lambda: "stop it first" in seen(app))

    drive_small(steps)
    assert run.path.is_dir()


def test_shift_n_keeps_a_note_that_is_listed(three: list[RunDir]) -> None:
    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        table = await to_runs(app, pilot, 3)
        await pilot.press("N")
        await until(pilot, lambda: asks(app))
        await write(pilot, "good")
        await pilot.press("enter")
        await until(pilot, lambda: column(table, "note") == ["good", "", ""])
        await pilot.press("N")
        await until(pilot, lambda: asks(app))
        assert app.screen.query_one(Input).value == "good"
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, MenuScreen))

    drive_small(steps)
    assert read_notes(three[0]) == Notes("good")


def test_damaged_notes_leave_the_list_whole(three: list[RunDir]) -> None:
    three[1].notes.write_text("[")

    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        table = await to_runs(app, pilot, 3)
        assert column(table, "state") == ["connected"] * 3

    drive_small(steps)


def test_e_exports_and_r_resumes(three: list[RunDir], monkeypatch: pytest.MonkeyPatch) -> None:
    resumed: list[str] = []

    def resume(run: RunDir, *, agreed: bool = False) -> str:
        resumed.append(run.name)
        return "it has [ended]" if len(resumed) == 1 else ""

    monkeypatch.setattr(session, "resume", resume)

    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        await to_runs(app, pilot, 3)
        await pilot.press("e")
        await until(pilot, lambda: isinstance(app.screen, ExportDialog))
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, MenuScreen))
        await pilot.press("r")
        await until(pilot, lambda: "it has [ended]" in seen(app))
        await pilot.press("r")
        await until(pilot, lambda: isinstance(app.screen, RunScreen))

    drive_small(steps)
    assert resumed == ["monday", "monday"]


@pytest.mark.parametrize("key", ["enter", "r", "e", "R", "N", "d"])
def test_a_run_that_somebody_just_deleted_is_told(
    key: str, three: list[RunDir], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dss_tui.tui.widgets.runs_tab.EVERY_S", 1000.0)

    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        table = await to_runs(app, pilot, 3)
        session.delete(three[0])
        await pilot.press(key)
        if key == "d":
            await until(pilot, lambda: isinstance(app.screen, Confirm))
            await pilot.press("y")
        else:
            await until(pilot, lambda: "monday is not there any more" in seen(app))
        await until(pilot, lambda: names(table) == ["friday", "sunday"])
        assert isinstance(app.screen, MenuScreen)

    drive_small(steps)


# ---------------------------------------------------------------- several runs


def test_space_marks_and_d_deletes_all_marked_after_yes(three: list[RunDir]) -> None:
    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        table = await to_runs(app, pilot, 3)
        await pilot.press("space", "space", "space", "k", "space")
        await until(pilot, lambda: marked(table) == ["monday", "sunday"])
        assert "2 marked" in said(app.screen, "#runs-said")
        for answer in ("n", "escape", "enter"):
            await pilot.press("d")
            await until(pilot, lambda: isinstance(app.screen, Confirm))
            assert "Delete 2 runs, " in seen(app) and "KiB in all?" in seen(app)
            assert "monday, sunday" in seen(app)
            await pilot.press(answer)
            await until(pilot, lambda: isinstance(app.screen, MenuScreen))
            assert all(run.path.exists() for run in three)
        await pilot.press("d")
        await until(pilot, lambda: isinstance(app.screen, Confirm))
        await pilot.press("y")
        await until(pilot, lambda: names(table) == ["friday"])
        assert "marked" not in said(app.screen, "#runs-said")

    drive_small(steps)
    assert [run.path.exists() for run in three] == [False, True, False]


def test_escape_takes_all_marks_away_before_it_ends(three: list[RunDir]) -> None:
    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        table = await to_runs(app, pilot, 3)
        await pilot.press("space", "escape")
        await until(pilot, lambda: marked(table) == [])
        assert app.is_running

    drive_small(steps)


def test_running_ones_are_kept_in_words(three: list[RunDir]) -> None:
    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        with RunWriter(three[0]):
            table = await to_runs(app, pilot, 3)
            await until(pilot, lambda: column(table, "state")[0] == "running")
            await pilot.press("d")
            await until(pilot, lambda: "monday: running; stop it first" in seen(app))
            assert isinstance(app.screen, MenuScreen)
            await pilot.press("space", "space", "d")
            await until(pilot, lambda: isinstance(app.screen, Confirm))
            assert "Delete friday and everything in it?" in seen(app)
            assert "Kept is what runs: monday" in seen(app)
            await pilot.press("y")
            await until(pilot, lambda: names(table) == ["monday", "sunday"])

    drive_small(steps)
    assert three[0].events.exists()


def test_what_cannot_be_removed_is_told(
    three: list[RunDir], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("dss_tui.viewing.session.shutil.rmtree", refuse)

    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        await to_runs(app, pilot, 3)
        await pilot.press("d")
        await until(pilot, lambda: isinstance(app.screen, Confirm))
        await pilot.press("y")
        words = "cannot be removed: Permission"
        await until(pilot, lambda: any(words in each for each in told(app)))

    drive_small(steps)
    assert three[0].path.exists()


def test_two_marked_runs_are_compared(three: list[RunDir]) -> None:
    record(three[2], STOPPED)

    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        await to_runs(app, pilot, 3)
        await pilot.press("c")
        await until(pilot, lambda: any("them; 0 marked" in each for each in told(app)))
        await pilot.press("space", "c")
        await until(pilot, lambda: any("them; 1 marked" in each for each in told(app)))
        await pilot.press("j", "space", "c")
        await until(pilot, lambda: isinstance(app.screen, CompareScreen))
        await until(pilot, lambda: "A ⠒⠒ monday" in seen(app) and "B ·· sunday" in seen(app))
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, MenuScreen))

    drive_small(steps)


# ---------------------------------------------------------------- sweeps


def test_a_sweep_is_a_row_that_opens_its_dashboard(
    three: list[RunDir], runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = runs / "wide"
    sweep_of(folder, (0.05,), 4)
    begin(cell(folder, 0.05, 0), ended(Outcome.CONNECTED))
    launched: list[RunDir] = []

    def resume(run: RunDir, *, agreed: bool = False) -> str:
        launched.append(run)
        return "not here"

    monkeypatch.setattr(sweeps, "resume", resume)
    monkeypatch.setattr(session, "resume", lambda run, **_: "that is no run")

    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        table = await to_runs(app, pilot, 4)
        row = column(table, "name").index(f"{UNMARKED}wide".strip())
        assert column(table, "state")[row] == "unfinished 1/4"
        table.move_cursor(row=row)
        await pilot.press("e")
        await until(pilot, lambda: any("wide is a sweep; open it" in words for words in told(app)))
        await pilot.press("r")
        await until(pilot, lambda: "not here" in told(app))
        assert launched == [RunDir(folder)]
        await pilot.press("space", "home", "space", "c")
        await until(pilot, lambda: any("can be compared" in words for words in told(app)))
        table.move_cursor(row=row)
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, SweepScreen))

    drive_small(steps)
