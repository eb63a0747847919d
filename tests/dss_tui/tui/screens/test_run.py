"""The screen of a run: its views, its selection, and the truth in every pane."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from rich.cells import cell_len
from textual.pilot import Pilot
from textual.widgets import TabbedContent

from dss_tui.cli import main
from dss_tui.tui import settings
from dss_tui.tui.app import DssApp
from dss_tui.tui.screens.export import ExportDialog
from dss_tui.tui.screens.run import RunScreen
from dss_tui.tui.screens.views import VIEWS
from dss_tui.tui.screens.zoom import Zoom
from dss_tui.tui.widgets.landscape import LEFT
from dss_tui.tui.widgets.log_view import LogView
from dss_tui.tui.widgets.plot_view import PlotView
from dss_tui.tui.widgets.segment_table import SegmentTable
from dss_tui.viewing.view_state import sentence
from engine.record.events import EndpointTrained, Record, SegmentMeasured
from engine.record.finding import create
from engine.record.progress import TrainingProgress
from engine.record.records import read_records
from engine.record.rundir import RunDir
from engine.record.writer import RunWriter
from engine.spec.level import multiple
from tests.support.pilots import drive, said, seen, until, watching
from tests.support.preset import spec_of
from tests.support.run_folders import progress
from tests.support.told_runs import (
    CONSTRAINED,
    CONSTRAINED_SENTENCE,
    GREEDY,
    constrained_run,
    greedy_run,
)


@pytest.fixture(autouse=True)
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal with all colours, on this machine."""
    monkeypatch.setenv("COLORTERM", "truecolor")
    for name in ("NO_COLOR", "SSH_CONNECTION"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def stuck(tmp_path: Path) -> RunDir:
    return constrained_run(tmp_path)


@pytest.fixture
def connected(tmp_path: Path) -> RunDir:
    return greedy_run(tmp_path)


def screen_of(app: DssApp) -> RunScreen:
    assert isinstance(app.screen, RunScreen)
    return app.screen


def test_the_landscape_is_the_first_view(connected: RunDir) -> None:
    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        await until(pilot, lambda: "θ₁ ●━" in seen(app))
        text = seen(app)
        assert "training loss along the string" in text and "0.02 ┄" in text
        assert "depth 1 ╭" in text and "╳ given up" in text

    drive(steps, watching(connected))


@pytest.mark.parametrize(
    ("size", "tree", "legend"),
    [((60, 16), False, False), ((80, 24), True, False), ((140, 40), True, True)],
)
def test_what_a_size_has_room_for(
    connected: RunDir, size: tuple[int, int], tree: bool, legend: bool
) -> None:
    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        await pilot.press("right")
        await until(pilot, lambda: "θ₁ ●" in seen(app) and "bead 1 " in seen(app))
        text = seen(app)
        assert "┄┄" in text and "█" in text
        assert ("depth 1" in text or not tree) and ("◌ training" in text) == legend
        for line in text.split("\n"):
            assert cell_len(line) == size[0]

    drive(steps, watching(connected), size)


def test_the_failed_constrained_run_tells_the_truth_in_every_pane(stuck: RunDir) -> None:
    """What each pane says is in the events, or in the progress that goes with them."""
    measured = [e for e in CONSTRAINED if isinstance(e, SegmentMeasured)]
    assert [record.event for record in read_records(stuck)] == list(CONSTRAINED)

    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        screen = screen_of(app)
        await until(pilot, lambda: "θ₁" in seen(app))
        head, card = said(screen, "#head"), said(screen, "#card")
        assert "not connected" in head and "✕search 0/2 ·audit" in head
        assert "endpoints" not in head  # the string was trained as a whole
        assert "worst peak 2.350 × level" in head and "(from 30.5)" in head
        assert "aim 0.0312 → 0.02" in head and "open 2 of 2" in head
        assert "NOT CONNECTED" in card and CONSTRAINED_SENTENCE in card and "proven" not in card
        landscape = seen(app)
        assert "aim 0.0312 → 0.02" in landscape and "0.02 ┄" in landscape
        (rail,) = [line for line in landscape.split("\n") if "θ₁" in line]
        assert rail.count("●") == 2 and rail.count("▲") == 1 and "━" not in rail
        assert rail.index("▲") - LEFT - 1 == int(3.25 / 7.25 * (140 - 2 - LEFT - 3))
        assert CONSTRAINED_SENTENCE in said(screen, "#event")
        await pilot.press("right", "right")
        await until(pilot, lambda: "segment 1–3" in said(screen, "#selection"))
        assert "peak 0.047 = 2.3500 × level at t = 0.500" in said(screen, "#selection")
        await pilot.press("right")
        words = "bead 3  training loss 0.0437 = 2.1850 × level"
        await until(pilot, lambda: words in said(screen, "#selection"))
        await pilot.press("2")
        table = screen.query_one(SegmentTable)
        await until(pilot, lambda: table.row_count == 2)
        rows = [[str(cell) for cell in table.get_row_at(row)] for row in range(2)]
        assert [row[0] for row in rows] == ["1–3", "3–2"]
        assert [row[2] for row in rows] == ["2.350", multiple(0.033 / 0.02, 3)]
        assert {row[-1] for row in rows} == {"open"}
        await pilot.press("5")
        await until(pilot, lambda: "highest peak on the string" in seen(app))
        await pilot.press("7")
        await until(pilot, lambda: "stuck" in seen(app))
        lines = "\n".join(line.text for line in screen.query_one(LogView).lines)
        for record in read_records(stuck):
            assert sentence(record)[:60] in lines
        view = screen.snapshot.view
        assert view.history[-1][1] == 0.047
        assert view.history[0][1] == measured[0].peak

    drive(steps, watching(stuck))


@pytest.mark.parametrize(("width", "told"), [(80, False), (120, True)])
def test_the_head_tells_the_shape_of_the_string(connected: RunDir, width: int, told: bool) -> None:
    """Its length and the trend of that, 2.5 and then 3.25, and the angles of its turns."""
    held = json.loads(connected.progress.read_text())
    held["counters"] |= {"turn_mean": 13.4, "turn_max": 74.4}
    connected.progress.write_text(json.dumps(held))

    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        screen = screen_of(app)
        await until(pilot, lambda: "length 1.250 × straight" in said(screen, "#head"))
        head = said(screen, "#head")
        assert ("× straight ▁█   turn 13° mean, 74° max" in head) == told

    drive(steps, watching(connected), (width, 40))


def test_views_have_their_numbers(connected: RunDir) -> None:
    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        for number, view in enumerate(VIEWS, 1):
            await pilot.press(str(number))
            tabs = app.screen.query_one("#views", TabbedContent)
            await until(pilot, lambda view=view, tabs=tabs: tabs.active == view)  # type: ignore[misc]
            rail = app.screen.query_one("#rail")
            shown = view != "landscape"
            await until(pilot, lambda rail=rail, shown=shown: rail.display == shown)  # type: ignore[misc]

    drive(steps, watching(connected))


def test_a_click_on_the_landscape_tells_the_values_there(connected: RunDir) -> None:
    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        screen = screen_of(app)
        await until(pilot, lambda: "θ₁" in seen(app))
        arc = screen.query_one("#arc")
        columns = arc.content_size.width - LEFT - 3
        x = 1 + LEFT + int(0.75 * columns)
        await pilot.click("#arc", offset=(x, 4))
        await until(pilot, lambda: "segment 5–2" in said(screen, "#selection"))
        said_ = said(screen, "#selection")
        # 0.75 of 3.25 is 0.9375 of the way along the second segment, 1.75 long, from 1.5
        assert "at t 0.5" in said_ and "distance 2.4" in said_
        assert not screen.following
        lines = seen(app).split("\n")
        (row,) = [number for number, line in enumerate(lines) if "θ₁" in line]
        bead = lines[row].index("●", LEFT + 5)
        await pilot.click(offset=(bead, row))
        await until(pilot, lambda: "bead 5  training loss" in said(screen, "#selection"))

    drive(steps, watching(connected))


def test_a_click_on_the_rail_of_another_view_selects(connected: RunDir) -> None:
    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        screen = screen_of(app)
        await pilot.press("5")
        await until(pilot, lambda: "●" in said(screen, "#rail"))
        await pilot.click("#rail", offset=(1 + said(screen, "#rail").index("●"), 0))
        await until(pilot, lambda: "bead 1 " in said(screen, "#selection"))

    drive(steps, watching(connected))


def test_the_mouse_tells_the_values_on_landscape_rail_and_tree(connected: RunDir) -> None:
    """In the line of the newest event, which comes back; nothing is selected by it."""

    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        screen = screen_of(app)
        await until(pilot, lambda: "θ₁" in seen(app))
        newest = said(screen, "#event")
        selection = said(screen, "#selection")
        columns = screen.query_one("#arc").content_size.width - LEFT - 3
        x = 1 + LEFT + int(0.75 * columns)
        await pilot.hover("#arc", offset=(x, 4))
        await until(pilot, lambda: said(screen, "#event").startswith("segment 5–2"))
        told_ = said(screen, "#event")
        assert "at t 0.5" in told_ and "distance 2.4" in told_ and "× level" in told_
        lines = seen(app).split("\n")
        (row,) = [number for number, line in enumerate(lines) if "θ₁" in line]
        bead = lines[row].index("●", LEFT + 5)
        await pilot.hover(offset=(bead, row))
        await until(pilot, lambda: said(screen, "#event").startswith("bead 5  training loss"))
        (depth,) = [number for number, line in enumerate(lines) if "depth 1 ╭" in line]
        await pilot.hover(offset=(bead + 20, depth))
        await until(pilot, lambda: said(screen, "#event").startswith("segment 5–2"))
        await pilot.hover("#head")
        await until(pilot, lambda: said(screen, "#event") == newest)
        assert said(screen, "#selection") == selection
        await pilot.press("5")
        await until(pilot, lambda: "●" in said(screen, "#rail"))
        await pilot.hover("#rail", offset=(1 + said(screen, "#rail").index("●"), 0))
        await until(pilot, lambda: said(screen, "#event").startswith("bead 1 "))

    drive(steps, watching(connected))


def test_the_projection_is_turned_by_keys(tmp_path: Path) -> None:
    """On its own view alone; and nothing is drawn while no key is pressed."""
    out = tmp_path / "run"
    quick = ["--set", "problem.data.points=32", "--set", "search.level=1e-2", "--seed", "2"]
    assert main(["run", "quadratic", "--headless", "--out", str(out), *quick]) == 0

    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        screen = screen_of(app)
        await pilot.press("right_square_bracket", "6")
        await until(pilot, lambda: "beads of the string, PCA" in seen(app))
        assert "turned" not in seen(app)
        await pilot.press("right_square_bracket", "right_square_bracket", "right_curly_bracket")
        await until(pilot, lambda: "turned 30°, tilted 15°, equal scale" in seen(app))
        await pilot.press("left_square_bracket", "left_curly_bracket", "left_curly_bracket")
        await until(pilot, lambda: "turned 15°, tilted -15°" in seen(app))
        drawn: list[object] = []
        plot = screen.query_one("#projection-plot", PlotView)
        plot.refresh = lambda *regions, **more: drawn.append(regions) or plot  # type: ignore[method-assign, func-returns-value]
        await pilot.pause(0.4)
        assert drawn == []
        del plot.refresh
        await pilot.press("0")
        await until(pilot, lambda: "PCA" in seen(app) and "turned" not in seen(app))

    drive(steps, watching(RunDir(out)))


def test_a_view_that_is_left_by_a_key_leaves_no_values(connected: RunDir) -> None:
    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        screen = screen_of(app)
        await until(pilot, lambda: "θ₁" in seen(app))
        await pilot.hover("#arc", offset=(60, 4))
        await until(pilot, lambda: "segment" in said(screen, "#event"))
        await pilot.press("7")
        await until(pilot, lambda: said(screen, "#event").startswith("0:33 Connected"))

    drive(steps, watching(connected))


@pytest.mark.parametrize("theme", ["textual-dark", "textual-light"])
def test_the_landscape_lies_on_the_ground_of_its_theme(connected: RunDir, theme: str) -> None:
    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        app.theme = theme
        await until(pilot, lambda: "θ₁" in seen(app))
        region = screen_of(app).query_one("#arc").region
        ground = screen_of(app).styles.background.rich_color

        def grounds() -> set[object]:
            strips = app.screen._compositor.render_strips(app.size)[region.y : region.bottom]
            return {
                segment.style and segment.style.bgcolor for strip in strips for segment in strip
            }

        await until(pilot, lambda: grounds() == {ground})

    drive(steps, watching(connected))


def test_enter_zooms_from_the_landscape(connected: RunDir) -> None:
    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        await pilot.press("right", "right", "right", "right", "enter")
        await until(pilot, lambda: isinstance(app.screen, Zoom))
        await until(pilot, lambda: "segment 5–2" in seen(app))

    drive(steps, watching(connected))


def test_the_newest_event_is_told_on_every_view(stuck: RunDir) -> None:
    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        for number in range(1, len(VIEWS) + 1):
            await pilot.press(str(number))
            await pilot.pause()
            assert "0:36 Not connected: the string is stuck" in seen(app)

    drive(steps, watching(stuck), (80, 24))


def test_ends_in_training_are_curves_of_what_was_seen(tmp_path: Path) -> None:
    run = greedy_run(tmp_path)
    run.events.unlink()
    run.progress.unlink()

    def look(writer: RunWriter, seconds: float, *losses: float) -> None:
        beads = tuple(TrainingProgress(n, loss, 50, 1) for n, loss in enumerate(losses, 1))
        writer.progress(progress(seconds, phase="endpoints", training=beads))

    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        screen = screen_of(app)
        with RunWriter(run) as writer:
            writer.record(GREEDY[0], 0.1)
            for number in range(5):
                look(writer, 1.0 + number, 0.9 / (1 + number), 0.7 / (1 + number))
                await until(
                    pilot,
                    lambda number=number: (
                        screen.seen.progress is not None  # type: ignore[misc]
                        and screen.seen.progress.time == 1.0 + number
                    ),
                )
            await until(pilot, lambda: "as seen since you watch" in seen(app))
            assert len(screen.seen.trails.losses[1]) == 5
            await until(pilot, lambda: "endpoint 1 0.18" in seen(app))  # plots are drawn less often
            assert "▶endpoints 0/2" in seen(app)

    drive(steps, watching(run))


def test_the_end_of_a_watched_run_rings_and_the_settings_can_stop_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rung: list[str] = []
    monkeypatch.setattr(DssApp, "bell", lambda app: rung.append("bell"))
    monkeypatch.setattr(
        "dss_tui.tui.screens.ended.set_title", lambda app, words: rung.append(words)
    )
    monkeypatch.setattr(
        "dss_tui.tui.screens.ended.restore_title", lambda app: rung.append("title as before")
    )
    file = tmp_path / "settings.yaml"
    monkeypatch.setattr(settings, "path", lambda: file)

    def end(name: str) -> None:
        run = greedy_run(tmp_path, name)
        whole = run.events.read_text().splitlines(keepends=True)
        run.events.write_text("".join(whole[:-1]))

        async def steps(app: DssApp, pilot: Pilot[None]) -> None:
            with RunWriter(run) as writer:
                await until(pilot, lambda: screen_of(app).seen.live)
                assert rung == []
                writer.record(GREEDY[-1], 99.0)
            await until(pilot, lambda: "CONNECTED" in said(app.screen, "#card"))

        drive(steps, watching(run))

    end("loud")
    told = "✓ CONNECTED · by samples, not proven · loud"
    assert rung == ["bell", told, "title as before"]
    rung.clear()
    file.write_text("{bell: false, title: false}\n")
    end("quiet")
    assert rung == []


def test_a_run_at_its_limit_says_what_the_engine_does(tmp_path: Path) -> None:
    run = greedy_run(tmp_path)
    lines = run.events.read_text().splitlines(keepends=True)
    run.events.write_text("".join(lines[:-1]))

    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        screen = screen_of(app)
        with RunWriter(run) as writer:
            now = screen.seen.progress
            assert now is not None
            writer.progress(replace(now, state="running", phase="audit"))
            await until(pilot, lambda: "samples every segment again" in said(screen, "#head"))
            assert "/s" not in said(screen, "#head")

    drive(steps, watching(run))


def test_export_is_offered_once_there_is_a_string(connected: RunDir, tmp_path: Path) -> None:
    made = create(spec_of(), "new", tmp_path / "new")

    async def without(app: DssApp, pilot: Pilot[None]) -> None:
        screen = app.screen
        await until(pilot, lambda: "q leave" in seen(app))
        assert "export" not in seen(app)
        await pilot.press("e")
        await pilot.pause()
        assert app.screen is screen

    async def with_one(app: DssApp, pilot: Pilot[None]) -> None:
        await until(pilot, lambda: "e export" in seen(app))
        await pilot.press("e")
        await until(pilot, lambda: isinstance(app.screen, ExportDialog))

    drive(without, watching(made, launched=True))
    drive(with_one, watching(connected))


def test_figures_of_a_live_run_that_has_none_are_not_waited_for(tmp_path: Path) -> None:
    """The engine is there already, so nothing says that it is waited for."""
    made = create(spec_of(), "new", tmp_path / "new")

    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        await until(pilot, lambda: "no figures yet" in said(app.screen, "#head"))
        assert "waiting" not in said(app.screen, "#head")

    with RunWriter(made) as writer:
        writer.record(GREEDY[0], 0.1)
        drive(steps, watching(made))


def test_records_are_what_the_screen_folds(connected: RunDir) -> None:
    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        records = screen_of(app).follower.records
        assert [record.event for record in records] == list(GREEDY)
        assert isinstance(records[1], Record) and isinstance(records[1].event, EndpointTrained)

    drive(steps, watching(connected))


def test_enter_opens_no_plot_before_there_is_a_segment(tmp_path: Path) -> None:
    """As where somebody presses it twice on a preset in the menu."""
    run = create(spec_of(), "new", tmp_path / "new")

    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        await until(pilot, lambda: "waiting for the engine" in said(app.screen, "#head"))
        await pilot.press("enter")
        await until(pilot, lambda: "there is no segment to show yet" in seen(app))
        assert isinstance(app.screen, RunScreen)

    drive(steps, watching(run, launched=True))


def test_before_the_first_event_the_engine_s_warning_is_told(tmp_path: Path) -> None:
    run = create(spec_of(), "new", tmp_path / "new")

    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        await until(pilot, lambda: "waiting for the engine" in said(app.screen, "#head"))
        run.log.write_text("2026-11-29 20:03:19,297 WARNING compiling, once: ten seconds\n")
        await until(pilot, lambda: said(app.screen, "#event") == "compiling, once: ten seconds")

    drive(steps, watching(run, launched=True))


def test_a_warning_is_told_until_something_newer_happens(tmp_path: Path) -> None:
    """As while the code of a proof is being compiled. An old one is in the log alone."""
    run = greedy_run(tmp_path)
    lines = run.events.read_text().splitlines(keepends=True)
    run.events.write_text("".join(lines[:-1]))
    run.log.write_text(
        "2026-11-29 20:03:18,297 INFO computing on cpu, 2 threads\n"
        "2026-11-29 20:03:19,297 WARNING of long ago\n"
    )

    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        newest = screen_of(app).seen.view.newest
        assert newest is not None
        with RunWriter(run) as writer:
            await until(pilot, lambda: screen_of(app).seen.live)
            await until(pilot, lambda: sentence(newest) in said(app.screen, "#event"))
            with run.log.open("a") as log:
                log.write("2026-11-29 20:03:20,297 WARNING compiling, once: ten seconds\n")
            await until(pilot, lambda: said(app.screen, "#event") == "compiling, once: ten seconds")
            event = SegmentMeasured(1, 5, 1, 1.5, 0.018, 0.5)
            writer.record(event, 40.0)
            await until(pilot, lambda: "compiling" not in said(app.screen, "#event"))
        entries = [entry.words for entry in app.screen.query_one(LogView)._entries]
        shown = {entry.plain[24:]: str(entry.style) for entry in entries if "INFO" in entry.plain}
        assert shown == {"INFO computing on cpu, 2 threads": "dim"}

    drive(steps, watching(run))


@pytest.mark.parametrize(
    ("width", "tabs"),
    [
        (60, "1 land  2 segm  3 path  4 depth  5 hist  6 proj  7 log"),
        (
            90,
            "1 landscape  2 segments  3 path  4 depth  5 history  6 projection  7 log",
        ),
    ],
)
def test_all_tabs_are_named_side_by_side(width: int, tabs: str, tmp_path: Path) -> None:
    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        await until(pilot, lambda: tabs in seen(app))

    drive(steps, watching(greedy_run(tmp_path)), size=(width, 24))
