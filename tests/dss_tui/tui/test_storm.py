"""Whatever keys come, in whatever order and however fast, no screen falls over."""

from __future__ import annotations

import asyncio
import random
import shutil
from pathlib import Path

import pytest
from textual.binding import Binding
from textual.events import Key, MouseMove
from textual.widget import Widget

from dss_tui.cli import main
from dss_tui.tui.app import DssApp, Opening
from dss_tui.tui.screens.compare import CompareScreen
from dss_tui.tui.screens.menu import MenuScreen
from dss_tui.tui.screens.run import RunScreen
from dss_tui.tui.screens.sweep import SweepScreen
from dss_tui.tui.screens.zoom import Zoom
from dss_tui.tui.widgets.matrix import Matrix
from dss_tui.tui.widgets.presets_tab import PresetsTab
from dss_tui.tui.widgets.runs_tab import RunsTab
from dss_tui.viewing import session
from engine.record.rundir import RunDir
from tests.support.more import always

#: Keys that screens know, and some that they do not. ctrl+z would stop the tests.
KEYS = (
    *"1234567qprxeflLsadvthjkgGTnyYocCPRNE/?,.<>+-=",
    *("up", "down", "left", "right", "pageup", "pagedown", "home", "end", "tab", "shift+tab"),
    *("enter", "escape", "space", "backspace", "delete", "ctrl+s", "f5", "ctrl+p", "f9", "ctrl+l"),
)
#: The number of keys in one go.
COUNT = 80


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> RunDir:
    """A finished run with several segments."""
    out = tmp_path_factory.mktemp("ended") / "quick"
    quick = ["--set", "problem.data.points=32", "--set", "search.level=1e-2", "--headless"]
    assert main(["run", "quadratic", "--out", str(out), "--seed", "2", *quick]) == 0
    return RunDir(out)


@pytest.mark.parametrize("seed", always([0], range(3)))
@pytest.mark.parametrize("place", ["menu", "ended run", "interrupted run"])
def test_random_keys(
    place: str,
    seed: int,
    ended: RunDir,
    runs: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No engine is launched; runs are deleted and files exported in earnest."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLORTERM", "truecolor")
    monkeypatch.setattr(session, "start", lambda spec, name, out=None: ended)
    monkeypatch.setattr(session, "resume", lambda run, agreed=False: "it cannot go on")
    for name in ("one", "two"):
        shutil.copytree(ended.path, runs / name)
    if place == "interrupted run":
        events = runs / "one" / "events.jsonl"
        events.write_text("".join(events.read_text().splitlines(keepends=True)[:-1]))
    opening = Opening(None if place == "menu" else RunDir(runs / "one"), fps=20)
    draw = random.Random(seed)

    async def body() -> None:
        async with DssApp(opening).run_test(size=(80, 24)) as pilot:
            await pilot.pause()
            for number in range(COUNT):
                pilot.app.simulate_key(draw.choice(KEYS))
                if number % draw.randint(1, 12) == 0:
                    await pilot.pause()
                if not pilot.app.is_running:
                    break

    asyncio.run(body())  # an exception of the application is raised here


@pytest.mark.parametrize("keys", [("q", "question_mark"), ("q", "e"), ("q", "enter"), ("q", "x")])
@pytest.mark.parametrize("menu", [True, False])
def test_keys_after_the_last_one(menu: bool, keys: tuple[str, ...], ended: RunDir) -> None:
    """Some keys are on their way when the application ends."""

    async def body() -> None:
        opening = Opening(None if menu else ended, fps=20)
        async with DssApp(opening).run_test(size=(80, 24)) as pilot:
            await pilot.pause()
            for key in keys:
                pilot.app.simulate_key(key)
            await pilot.pause()

    asyncio.run(body())


def test_keys_and_the_mouse_after_the_last_screen_has_gone(ended: RunDir) -> None:
    async def body() -> None:
        async with DssApp(Opening(ended, fps=20)).run_test(size=(80, 24)) as pilot:
            await pilot.pause()
            stack, pilot.app._screen_stacks["_default"] = pilot.app._screen_stack, []
            await pilot.app.on_event(Key("3", "3"))
            await pilot.app.on_event(MouseMove(None, 1, 1, 0, 0, 0, False, False, False))
            pilot.app._screen_stacks["_default"] = stack

    asyncio.run(body())


def test_no_key_has_two_meanings_on_a_screen(ended: RunDir) -> None:
    """Of the keys of a screen and the application; h and l are left and right, as j and k move."""
    parts: tuple[tuple[type[Widget], ...], ...] = (
        (MenuScreen, PresetsTab),
        (MenuScreen, RunsTab),
        (CompareScreen,),
        (RunScreen,),
        (SweepScreen, Matrix),
        (Zoom,),
    )
    for screen in parts:
        meanings: dict[str, set[str]] = {}
        for binding in (*(b for part in screen for b in part.BINDINGS), *DssApp.BINDINGS):
            assert isinstance(binding, Binding)
            for key in binding.key.split(","):
                meanings.setdefault(key, set()).add(binding.action)
        twice = {key: actions for key, actions in meanings.items() if len(actions) > 1}
        assert twice == {}
        if screen[0] in (RunScreen, Zoom):
            assert meanings["h"] == meanings["left"] and meanings["l"] == meanings["right"]
