"""The next steps from a run that has ended, by their keys."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import Input, RichLog

from dss_tui.tui.app import DssApp
from dss_tui.tui.screens import said as dialog
from dss_tui.tui.screens.again import NewRun
from dss_tui.tui.screens.run import RunScreen
from dss_tui.tui.screens.said import Said
from dss_tui.viewing import session
from engine.record.rundir import RunDir
from engine.spec.keys import Spec
from tests.support.pilots import drive, said, seen, until, watching
from tests.support.told_runs import CONSTRAINED_SENTENCE, constrained_run, greedy_run


@pytest.fixture
def connected(tmp_path: Path) -> RunDir:
    run = greedy_run(tmp_path)
    run.string.write_bytes(b"held only by its name here")
    return run


Started = list[tuple[Spec, str]]


@pytest.fixture
def started(connected: RunDir, monkeypatch: pytest.MonkeyPatch) -> Started:
    """What would have been started; the run that is watched instead has ended."""
    asked: Started = []

    def start(spec: Spec, name: str, out: Path | None = None) -> RunDir:
        asked.append((spec, name))
        return connected

    monkeypatch.setattr(session, "start", start)
    return asked


def test_the_card_names_what_can_be_done(connected: RunDir) -> None:
    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        card = said(app.screen, "#card")
        for words in ("d diagnosis", "v verify", "t tighten", "e export", "n run again", "space"):
            assert words in card
        assert "by samples, not proven" in card

    drive(steps, watching(connected))


def test_a_run_that_did_not_connect_cannot_be_tightened(tmp_path: Path) -> None:
    run = constrained_run(tmp_path)

    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        card = said(app.screen, "#card")
        assert "t tighten" not in card and "v verify" not in card  # it has no string file
        await pilot.press("t", "v")
        await pilot.pause()
        assert isinstance(app.screen, RunScreen)

    drive(steps, watching(run))


def test_d_shows_the_diagnosis(tmp_path: Path) -> None:
    run = constrained_run(tmp_path)

    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        await pilot.press("d")
        await until(pilot, lambda: isinstance(app.screen, Said))
        await until(pilot, lambda: "✕ NOT CONNECTED" in seen(app))
        assert CONSTRAINED_SENTENCE in said(app.screen, "#words")
        await pilot.press("y")
        assert CONSTRAINED_SENTENCE in app.clipboard
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, RunScreen))

    drive(steps, watching(run), (60, 16))


def test_v_shows_the_answer_of_the_command_line(connected: RunDir) -> None:
    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        await pilot.press("v")
        await until(pilot, lambda: isinstance(app.screen, Said))
        await until(pilot, lambda: "string.safetensors" in said(app.screen, "#words"))
        assert "measuring" not in said(app.screen, "#words")

    drive(steps, watching(connected))


def test_a_check_that_runs_ends_with_its_dialog(
    connected: RunDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended: list[str] = []

    async def endless(*arguments: str) -> tuple[int, str]:
        try:
            await asyncio.sleep(600)
        finally:
            ended.append(arguments[0])
        return 0, ""

    monkeypatch.setattr(dialog, "answer", endless)

    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        await pilot.press("v")
        await until(pilot, lambda: isinstance(app.screen, Said))
        await pilot.pause()
        await pilot.press("escape")
        await until(pilot, lambda: ended == ["verify"])

    drive(steps, watching(connected))


def test_t_starts_from_the_string_at_a_lower_level(connected: RunDir, started: Started) -> None:
    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        await pilot.press("t")
        await until(pilot, lambda: isinstance(app.screen, NewRun))
        assert app.screen.query_one("#level", Input).value == "0.01"
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, RunScreen))

    drive(steps, watching(connected))
    ((spec, name),) = started
    assert (spec.search.level, spec.search.string) == (0.01, str(connected.string))
    assert name == "greedy-tight"
    assert spec.seed == connected.load_spec().seed


def test_n_runs_again_with_changes(connected: RunDir, started: Started) -> None:
    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        await pilot.press("n")
        await until(pilot, lambda: isinstance(app.screen, NewRun))
        screen = app.screen
        screen.query_one("#seed", Input).value = "23"
        screen.query_one("#other", Input).value = "limits.beads=77"
        screen.query_one("#other", Input).focus()
        await pilot.press("enter")
        await until(pilot, lambda: "limits.beads=77" in said(screen, "#overrides"))
        screen.query_one("#other", Input).value = "search.alpha=0.6"
        await pilot.press("ctrl+s")
        await until(pilot, lambda: isinstance(app.screen, RunScreen))

    drive(steps, watching(connected))
    ((spec, name),) = started
    assert (spec.seed, spec.limits.beads, spec.search.alpha) == (23, 77, 0.6)
    assert (spec.search.string, name) == (None, "greedy-again")
    assert spec.problem == connected.load_spec().problem


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("#level", "-1", "search.level"),
        ("#other", "limits.baeds=7", "beads"),
        ("#seed", "x", "seed"),
        ("#other", "[/b]", "[/b]"),
    ],
)
def test_what_cannot_be_is_said_in_place(
    connected: RunDir, started: Started, field: str, value: str, words: str
) -> None:
    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        await pilot.press("n")
        await until(pilot, lambda: isinstance(app.screen, NewRun))
        app.screen.query_one(field, Input).value = value
        await until(pilot, lambda: words in said(app.screen, "#problem"))
        await pilot.press("ctrl+s")
        await pilot.pause()
        assert isinstance(app.screen, NewRun)
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, RunScreen))

    drive(steps, watching(connected))
    assert started == []


def test_the_verdict_is_whole_on_the_smallest_screen_and_in_its_diagnosis(tmp_path: Path) -> None:
    run = constrained_run(tmp_path)

    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        await until(pilot, lambda: "✕ NOT CONNECTED · none is ruled out" in seen(app))
        await pilot.press("d")
        await until(pilot, lambda: "esc close" in seen(app))
        shown = " ".join(seen(app).replace("│", " ").split())
        assert "NOT CONNECTED · no path was found, and none is ruled out" in shown

    drive(steps, watching(run), size=(60, 16))


def test_the_log_is_as_wide_as_the_smallest_screen(tmp_path: Path) -> None:
    run = constrained_run(tmp_path)

    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        await pilot.press("7")
        log = app.screen.query_one(RichLog)
        await until(pilot, lambda: len(log.lines) > 3)
        assert log.virtual_size.width <= log.size.width
        assert not log.show_horizontal_scrollbar

    drive(steps, watching(run), size=(60, 16))
