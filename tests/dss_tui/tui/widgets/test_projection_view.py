"""The view of a string's principal components: its keys, and its picture in pixels."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.pilot import Pilot

from dss_tui.cli import main
from dss_tui.tui.app import DssApp
from dss_tui.tui.widgets.plot_view import PlotView
from dss_tui.tui.widgets.projection_view import ProjectionView
from engine.record.rundir import RunDir
from tests.support.pilots import drive, seen, until, watching

TURNING = "[ ] turn   { } tilt   0 first two components"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunDir:
    out = tmp_path_factory.mktemp("projected") / "run"
    quick = ["--set", "problem.data.points=32", "--set", "search.level=1e-2", "--seed", "2"]
    assert main(["run", "quadratic", "--headless", "--out", str(out), *quick]) == 0
    return RunDir(out)


@pytest.fixture(autouse=True)
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal with all colours, on this machine."""
    monkeypatch.setenv("COLORTERM", "truecolor")
    for name in ("NO_COLOR", "SSH_CONNECTION"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("size", [(60, 16), (80, 24), (140, 40)])
def test_the_keys_that_turn_it_stand_below_it(size: tuple[int, int], run: RunDir) -> None:
    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        await pilot.press("6")
        await until(pilot, lambda: TURNING in seen(app))
        await pilot.press("1")
        await until(pilot, lambda: "tilt" not in seen(app))

    drive(steps, watching(run), size=size)


def test_the_keys_are_those_of_the_user(
    run: RunDir, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = tmp_path / "keys.yaml"
    keys.write_text("run.front: z")
    monkeypatch.setattr("dss_tui.tui.keymap.path", lambda: keys)

    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        await pilot.press("6")
        await until(pilot, lambda: TURNING.replace("0 first", "z first") in seen(app))

    drive(steps, watching(run))


def test_a_terminal_that_shows_pictures_gets_one(
    run: RunDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is painted anew when it is turned, and gives way to text in a theme of 16 colours."""
    widget = pytest.importorskip("textual_image.widget")
    monkeypatch.setattr("dss_tui.tui.pictures._found", widget.SixelImage)

    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        app.theme = "textual-dark"
        await pilot.press("6")
        view = app.screen.query_one(ProjectionView)
        shown, text = view.query_one(widget.SixelImage), view.query_one(PlotView)
        await until(pilot, lambda: shown.image is not None and not text.display)
        assert "beads of the string, PCA" in seen(app) and TURNING in seen(app)
        across, up = shown.image.size
        assert shown.size.width / (2 * shown.size.height) == pytest.approx(across / up, rel=0.1)
        before = shown.image
        await pilot.press("right_square_bracket")
        await until(pilot, lambda: "turned 15°" in seen(app))
        assert shown.image is not before and shown.image.tobytes() != before.tobytes()
        app.theme = "ansi-dark"
        await until(pilot, lambda: text.display and "first and third component" in seen(app))

    drive(steps, watching(run), size=(100, 40))


def test_without_colours_it_is_text(run: RunDir, monkeypatch: pytest.MonkeyPatch) -> None:
    widget = pytest.importorskip("textual_image.widget")
    monkeypatch.setattr("dss_tui.tui.pictures._found", widget.SixelImage)
    monkeypatch.setenv("NO_COLOR", "1")

    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        await pilot.press("6")
        await until(pilot, lambda: "first component" in seen(app))
        view = app.screen.query_one(ProjectionView)
        assert view.query_one(PlotView).display and view.query_one(widget.SixelImage).image is None

    drive(steps, watching(run))
