"""The tab of presets as a user drives it, at 80×24."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import Input, Select

import presets
from dss_tui.tui.app import DssApp
from dss_tui.tui.screens.menu import MenuScreen
from dss_tui.tui.screens.run import RunScreen
from dss_tui.tui.widgets.field import Field
from dss_tui.tui.widgets.preset_table import PresetTable
from dss_tui.tui.widgets.presets_tab import CHECK_S, PresetsTab
from dss_tui.viewing import describe, session
from engine.data.images import Images
from engine.data.text import TextData
from engine.errors import InputError
from engine.record import finding
from engine.record.rundir import RunDir
from engine.spec import own
from engine.spec.keys import Spec
from tests.support.pilots import (
    drive,
    drive_small,
    fill,
    said,
    seen,
    to_preset,
    to_presets,
    until,
    write,
)
from tests.support.run_folders import CONNECTED
from tests.support.run_folders import write as record


@pytest.fixture(autouse=True)
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A current folder without presets, and a terminal with all colours."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("COLORTERM", "truecolor")
    for name in ("NO_COLOR", "SSH_CONNECTION", "VISUAL", "EDITOR"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[tuple[Spec, str]]:
    """What would have been started; the run that is watched instead has ended."""
    asked: list[tuple[Spec, str]] = []
    ended = finding.create(presets.load_preset("cubic"), "cubic", tmp_path / "ended")
    record(ended, CONNECTED)

    def start(spec: Spec, name: str, out: Path | None = None) -> RunDir:
        asked.append((spec, name))
        return ended

    monkeypatch.setattr(session, "start", start)
    return asked


def fault(app: DssApp, key: str) -> str:
    """What the form says below the field of a key."""
    return next(field.fault for field in app.screen.query(Field) if field.key == key)


def own_file(name: str, text: str) -> Path:
    """A file in the user's folder of presets."""
    own.folder().mkdir(parents=True, exist_ok=True)
    path = own.folder() / name
    path.write_text(text)
    return path


# ---------------------------------------------------------------- the list


def test_each_preset_has_a_row() -> None:
    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        table = await to_presets(app, pilot)
        assert sorted(table.names) == sorted(presets.names())
        assert table.names[0] == "digits"  # needs no data that are not shipped
        rows = [[str(cell) for cell in table.get_row_at(n)] for n in range(table.row_count)]
        for name, task, description in rows:
            spec = presets.load_preset(name)
            assert task == spec.task
            assert spec.description.startswith(description.rstrip("…"))
        await until(pilot, lambda: "image classification" in seen(app))
        await until(pilot, lambda: "64-32-10" in said(app.screen, "#about"))
        assert not app.screen.query_one("#problem").display

    drive_small(steps)


@pytest.mark.parametrize("name", ["cubic", "linear", "mnist-small", "text-lstm", "digits-cnn"])
def test_the_chosen_preset_is_described(name: str) -> None:
    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        await to_preset(app, pilot, name)
        shown, spec = said(app.screen, "#about"), presets.load_preset(name)
        assert spec.description in shown
        assert describe.loss(spec.problem.loss) in shown
        assert spec.problem.network.words in shown
        level = app.screen.query_one("#field-search-level", Input).value
        assert float(level) == spec.search.level
        assert app.screen.query_one("#field-search-method", Select).value == spec.search.method
        told = said(app.screen, "#problem")
        if isinstance(spec.problem.data, Images | TextData):
            assert "DSS_TUI_DATA" in told and "DSS_TUI_DATA" not in shown  # told once
        else:
            assert told == ""

    drive_small(steps)


def test_the_keys_that_start_a_preset_are_told_on_the_smallest_screen() -> None:
    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        await until(pilot, lambda: "⏎ start" in seen(app))
        assert "^s start" in seen(app) and "? help" in seen(app)

    drive(steps, size=(60, 16))


def test_slash_filters_and_escape_shows_all_again() -> None:
    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        table = await to_presets(app, pilot)
        await pilot.press("slash", *"QUAD")
        quads = {name for name in presets.names() if "quad" in name}
        await until(pilot, lambda: set(table.names) == quads)
        await pilot.press("enter")
        await until(pilot, lambda: app.focused is table)
        await pilot.press("slash", *"rat", "escape")
        await until(pilot, lambda: set(table.names) == set(presets.names()))
        await pilot.press("escape")
        await until(pilot, lambda: not app.is_running)

    drive_small(steps)


@pytest.mark.parametrize("wanted", ["zzz", "[/b]", "[b"])
def test_a_filter_that_nothing_fits_says_so(wanted: str) -> None:
    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        table = await to_presets(app, pilot)
        await pilot.press("slash")
        await write(pilot, wanted)
        await until(pilot, lambda: table.row_count == 0)
        await until(pilot, lambda: f"no preset has '{wanted}' in it" in seen(app))
        await pilot.press("enter", "enter")
        assert isinstance(app.screen, MenuScreen)
        await pilot.press("escape")
        await until(pilot, lambda: table.row_count == len(presets.names()))
        assert app.is_running

    drive_small(steps)


def test_keys_and_clicks_move_in_the_list() -> None:
    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        table = await to_presets(app, pilot)
        last = table.row_count - 1
        for key, row in (("j", 1), ("k", 0), ("G", last), ("g", 0), ("down", 1), ("up", 0)):
            await pilot.press(key)
            await until(pilot, lambda row=row: table.cursor_row == row)  # type: ignore[misc]
        await pilot.press("pagedown")
        await until(pilot, lambda: table.cursor_row > 4)
        await pilot.press("home")
        await until(pilot, lambda: table.cursor_row == 0)
        await pilot.click(PresetTable, offset=(3, 3))  # a line of titles is above the rows
        await until(pilot, lambda: table.cursor_row == 2)
        name = table.names[2]
        await until(pilot, lambda: said(app.screen, "#about").startswith(name))

    drive_small(steps)


# ---------------------------------------------------------------- the fields


def test_all_that_is_wrong_is_said_at_once_at_its_field(started: list[tuple[Spec, str]]) -> None:
    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        await to_preset(app, pilot, "quadratic")
        await fill(app, pilot, "#field-search-level", "low")
        await fill(app, pilot, "#field-search-alpha", "7")
        await fill(app, pilot, "#field-seed", "-1")
        await until(pilot, lambda: "greater than or equal to 0" in fault(app, "seed"))
        assert "give a number above 0" in fault(app, "search.level")
        assert "less than 1" in fault(app, "search.alpha")
        assert fault(app, "device") == "" and said(app.screen, "#problem") == ""
        await until(pilot, lambda: "is -1, but must be greater" in seen(app))
        await pilot.press("enter", "ctrl+s")
        assert isinstance(app.screen, MenuScreen)
        await fill(app, pilot, "#field-search-level", "0.25")
        await until(pilot, lambda: fault(app, "search.level") == "")
        assert fault(app, "seed") != ""

    drive_small(steps)
    assert started == []


def test_method_and_device_are_chosen_from_lists(started: list[tuple[Spec, str]]) -> None:
    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        await to_preset(app, pilot, "quadratic")
        app.screen.query_one("#field-search-method", Select).focus()
        await pilot.press("enter", "down", "down", "enter")
        await until(pilot, lambda: "auto: greedy" in said(app.screen, "#about"))
        app.screen.query_one("#field-device", Select).focus()
        await pilot.press("enter", "down", "enter")
        select = app.screen.query_one("#field-device", Select)
        await until(pilot, lambda: select.value == "cpu")
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.focused, PresetTable))
        await pilot.press("ctrl+s")
        await until(pilot, lambda: isinstance(app.screen, RunScreen))

    drive_small(steps)
    ((spec, _),) = started
    assert (spec.search.method, spec.device) == ("auto", "cpu")


def test_a_device_that_no_list_has_is_kept() -> None:
    text = presets.source("quadratic") + "\ndevice: cuda:0,cuda:1\n"
    text = text.replace("\ndevice: auto", "\n#", 1)
    own_file("two.yaml", text)

    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        await to_preset(app, pilot, "two")
        select = app.screen.query_one("#field-device", Select)
        await until(pilot, lambda: select.value == "cuda:0,cuda:1")
        await to_preset(app, pilot, "digits")
        await until(pilot, lambda: select.value == "auto")

    drive_small(steps)


def test_what_is_changed_is_what_is_started(started: list[tuple[Spec, str]]) -> None:
    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        await to_preset(app, pilot, "cubic")
        await fill(app, pilot, "#field-seed", "23")
        app.screen.query_one("#field-search-greedy-t-star", Select).focus()
        await pilot.press("enter", "down", "enter")
        await until(pilot, lambda: isinstance(app.focused, Select))
        app.screen.query_one(PresetTable).focus()
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, RunScreen))

    drive_small(steps)
    ((spec, name),) = started
    assert spec == presets.load_preset("cubic", ["seed=23", "search.greedy.t_star=half"])
    assert name == "cubic"


def test_another_key_is_added_and_a_misspelt_one_shows_the_nearest(
    started: list[tuple[Spec, str]],
) -> None:
    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        table = await to_preset(app, pilot, "quadratic")
        await fill(app, pilot, "#other", "limits.beads=77")
        await pilot.press("enter")
        await until(pilot, lambda: "limits.beads=77" in said(app.screen, "#overrides"))
        assert "77 beads" in said(app.screen, "#about")
        await fill(app, pilot, "#other", "limits.baeds=78")
        await pilot.press("enter")
        await until(pilot, lambda: "did you mean 'beads'" in said(app.screen, "#problem"))
        assert "limits.baeds" in said(app.screen, "#problem")
        assert app.screen.query_one("#other", Input).value == "limits.baeds=78"
        table.focus()
        await pilot.press("enter")
        await pilot.pause()
        assert isinstance(app.screen, MenuScreen)  # it is not dropped without a word
        await fill(app, pilot, "#other", "limits.seconds=20")
        await pilot.press("ctrl+s")  # what still stands in the field counts
        await until(pilot, lambda: isinstance(app.screen, RunScreen))

    drive_small(steps)
    ((spec, name),) = started
    assert (spec.limits.beads, spec.limits.seconds, name) == (77, 20, "quadratic")


def test_another_key_that_is_refused_because_of_a_field_is_not_listed() -> None:
    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        await to_preset(app, pilot, "quadratic")
        await fill(app, pilot, "#field-search-level", "low")
        await fill(app, pilot, "#other", "limits.beads=77")
        await pilot.press("enter")
        await until(pilot, lambda: fault(app, "search.level") != "")
        assert said(app.screen, "#overrides").strip() == ""
        assert app.screen.query_one("#other", Input).value == "limits.beads=77"

    drive_small(steps)


@pytest.mark.parametrize("line", ["problem.network.sizes=[1,6,1]", "description='[/b] x'"])
def test_another_key_may_hold_brackets(line: str) -> None:
    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        await to_preset(app, pilot, "quadratic")
        app.screen.query_one("#other", Input).value = line
        app.screen.query_one("#other", Input).focus()
        await pilot.press("enter")
        await until(pilot, lambda: line in said(app.screen, "#overrides"))

    drive_small(steps)


@pytest.mark.parametrize("line", ["problem.network.sizes=[/b]", "[b]=[/i]", "limits.beads=[a", "x"])
def test_a_broken_line_is_answered_in_words(line: str) -> None:
    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        await to_preset(app, pilot, "quadratic")
        app.screen.query_one("#other", Input).value = line
        app.screen.query_one("#other", Input).focus()
        await pilot.press("enter")
        await until(pilot, lambda: said(app.screen, "#problem") != "")
        assert isinstance(app.screen, MenuScreen)
        await until(pilot, lambda: said(app.screen, "#problem")[:20] in seen(app))

    drive_small(steps)


def test_a_start_that_is_refused_is_said_in_place(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(spec: Spec, name: str) -> RunDir:
        raise InputError("cannot be written: No space left on device", file="/[full]/runs")

    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        await to_preset(app, pilot, "quadratic")
        monkeypatch.setattr(session, "start", refuse)
        await pilot.press("enter")
        await until(pilot, lambda: "/[full]/runs: cannot be written: No space" in seen(app))

    drive_small(steps)


def test_what_a_refused_start_says_stays_where_the_preset_was_just_highlighted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(spec: Spec, name: str) -> RunDir:
        raise InputError("cannot be written: No space left on device", file="/full/runs")

    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        tab = app.screen.query_one(PresetsTab)
        await to_preset(app, pilot, "quadratic")
        monkeypatch.setattr(session, "start", refuse)
        tab._fill()  # as a highlighted row does, whose check is to come
        await pilot.press("enter")
        await until(pilot, lambda: "No space" in seen(app))
        await pilot.pause(4 * CHECK_S)
        assert "No space" in seen(app)

    drive_small(steps)


def test_q_ends_the_menu() -> None:
    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        await pilot.press("q")
        await until(pilot, lambda: not app.is_running)

    assert drive_small(steps).return_code == 0


# ---------------------------------------------------------------- own presets


def test_own_presets_are_listed_first_and_marked(started: list[tuple[Spec, str]]) -> None:
    own_file("mine.yaml", presets.source("cubic"))
    Path("beside.yaml").write_text(presets.source("quadratic"))
    Path("compose.yaml").write_text("services: {}\n")  # another program's

    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        table = await to_presets(app, pilot)
        assert table.names[:2] == ["mine", "beside"]
        assert "compose" not in table.names
        own_marks = [str(cell) for cell in table.get_column("own")]
        assert own_marks == ["own", "own", *[""] * len(presets.names())]
        await to_preset(app, pilot, "beside")
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, RunScreen))

    drive_small(steps)
    ((spec, name),) = started
    assert (spec, name) == (presets.load_preset("quadratic"), "beside")


def test_a_broken_own_preset_is_told_and_not_started(started: list[tuple[Spec, str]]) -> None:
    own_file("broken.yaml", "problem: {data: {kind: [digitz}}\n")
    own_file("[b]odd.yaml", "problem: {data: {kind: digitz}}\nsearch: {level: 1}\n")

    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        table = await to_presets(app, pilot)
        table.move_cursor(row=table.names.index("broken"))
        await until(pilot, lambda: "YAML: " in said(app.screen, "#problem"))
        await until(pilot, lambda: "broken.yaml" in said(app.screen, "#about"))
        await pilot.press("enter", "ctrl+s")
        await pilot.pause()
        assert isinstance(app.screen, MenuScreen)
        table.move_cursor(row=table.names.index("[b]odd"))
        await until(pilot, lambda: "did you mean 'digits'?" in said(app.screen, "#problem"))
        await until(pilot, lambda: "[b]odd" in seen(app))

    drive_small(steps)
    assert started == []


def test_shift_e_copies_and_opens_the_editor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The driver of tests has no terminal to hand over, so the editor is called in place of it."""
    opened: list[Path] = []

    def edited(app: object, path: Path) -> str | None:
        opened.append(path)
        path.write_text(path.read_text().replace("level: 1e-3", "level: 0.125"))
        return None

    monkeypatch.setattr("dss_tui.tui.widgets.presets_tab.edit", edited)

    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        table = await to_preset(app, pilot, "quadratic")
        await pilot.press("E")
        await until(pilot, lambda: "quadratic-own" in table.names)
        await until(pilot, lambda: table.entry is not None and table.entry.name == "quadratic-own")
        level = app.screen.query_one("#field-search-level", Input)
        await until(pilot, lambda: level.value == "0.125")
        await pilot.press("E")  # its own file is opened itself
        await until(pilot, lambda: len(opened) == 2)

    drive_small(steps)
    assert opened == [own.folder() / "quadratic-own.yaml"] * 2
    assert presets.load_preset("quadratic-own").search.level == 0.125
    assert os.listdir(own.folder()) == ["quadratic-own.yaml"]


def test_without_a_terminal_to_hand_over_the_file_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("EDITOR", "true")

    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        await to_preset(app, pilot, "cubic")
        await pilot.press("E")
        await until(pilot, lambda: "cannot be handed" in seen(app))
        assert (own.folder() / "cubic-own.yaml").read_text() == presets.source("cubic")

    drive_small(steps)
