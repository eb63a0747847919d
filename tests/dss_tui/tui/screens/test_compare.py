"""The screen that compares two runs, against strings whose landscapes and places are known."""

from __future__ import annotations

import math
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from textual.pilot import Pilot
from textual.widgets import TabbedContent

import presets
from dss_tui.tui.app import DssApp
from dss_tui.tui.messages import CompareRuns
from dss_tui.tui.screens.compare import CompareScreen, Differences, landscape_plot, plane_plot
from dss_tui.tui.screens.menu import MenuScreen
from engine.record import finding
from engine.record.comparison import compare
from engine.record.geometry import BeadString
from engine.record.joint_plane import JointPlane
from engine.record.progress import SegmentProgress
from engine.record.rundir import RunDir
from engine.record.string_file import Header, StringFile
from engine.record.string_file import write as write_string
from tests.support.pilots import drive_small, said, seen, until
from tests.support.run_folders import CONNECTED, progress
from tests.support.run_folders import write as record

LEVEL = 0.02


def made(path: Path, places: NDArray[np.float64], peak: float, *overrides: str) -> RunDir:
    """A run whose string goes through these places of a plane, (bead, 2), as its weights."""
    spec = presets.load_preset("cubic", overrides)
    run = finding.create(spec, "cubic", path)
    record(run, CONNECTED)
    count = len(places)
    order = (1, *range(3, count + 1), 2)
    segments = tuple(
        SegmentProgress(
            left, right, 1, "closed", math.dist(one, other), peak, 0.5, (0.01, peak, 0.01), (), None
        )
        for (left, right), (one, other) in zip(pairwise(order), pairwise(places), strict=True)
    )
    told = progress(level=LEVEL, order=order, losses=(0.01,) * count, segments=segments)
    run.progress.write_bytes(told.to_json())
    header = Header(
        outcome="connected",
        level=LEVEL,
        alpha=0.7,
        method="greedy",
        seed=3,
        problem=spec.problem,
        parameters=(("w", (2,)),),
        data_sha256="",
        bead_ids=order,
        elapsed_s=1.5,
    )
    profiles = np.tile([0.01, peak, 0.01], (count - 1, 1))
    string = BeadString(
        places.astype(np.float32), np.full(count, 0.01), np.array([0.0, 0.5, 1.0]), profiles
    )
    write_string(StringFile(header, string), run.string)
    return run


@pytest.fixture
def pair(runs: Path) -> tuple[RunDir, RunDir]:
    """Two straight strings of a plane: one along (4, 3) in two steps, one across it in one."""
    first = np.array([[0.0, 0.0], [4.0, 3.0], [8.0, 6.0]])
    second = np.array([[4.0 + 1.5, 3.0 - 2.0], [4.0 - 1.5, 3.0 + 2.0]])
    return (
        made(runs / "along", first, 0.03),
        made(runs / "across", second, 0.012, "seed=11", "search.greedy.grid=9"),
    )


def test_both_landscapes_are_on_one_axis(pair: tuple[RunDir, RunDir]) -> None:
    plot = landscape_plot(compare(pair), log=False)
    first, second = plot.curves
    assert first.x == pytest.approx((0, 0.25, 0.5, 0.5, 0.75, 1))
    assert first.y == pytest.approx((0.5, 1.5, 0.5, 0.5, 1.5, 0.5))
    assert second.x == pytest.approx((0, 0.5, 1))
    assert second.y == pytest.approx((0.5, 0.6, 0.5))
    assert (plot.level, first.role, second.role) == (1.0, "train", "held_out")


def test_both_strings_are_in_their_plane(pair: tuple[RunDir, RunDir]) -> None:
    """They cross at a right angle in the middle, so the axes of the plane are theirs."""
    plane = compare(pair).plane
    assert plane is not None
    plot = plane_plot(plane)
    along, across = plot.curves[:2]
    assert np.array(along.x) == pytest.approx([-5, 0, 5], abs=1e-5)
    assert np.array(along.y) == pytest.approx([0, 0, 0], abs=1e-5)
    assert np.array(across.x) == pytest.approx([0, 0], abs=1e-5)
    assert np.abs(across.y) == pytest.approx([2.5, 2.5], abs=1e-5)
    assert plane.shares == pytest.approx((50 / 62.5, 12.5 / 62.5))
    assert "PCA 80% + 20%" in plot.title and plot.equal
    assert [words for _, words in plot.names] == ["A θ₁", "A θ₂", "B θ₁", "B θ₂"]


def test_ends_that_both_strings_share_have_one_name() -> None:
    """Here their first ones; the others lie apart."""
    first = ((0.0, 0.0), (1.0, 1.0), (4.0, 0.0))
    second = ((1e-7, -1e-7), (2.0, -1.0), (4.0, 0.5))
    names = plane_plot(JointPlane((first, second), (0.9, 0.1))).names
    assert [words for _, words in names] == ["A B θ₁", "A θ₂", "B θ₂"]
    assert [place for place, _ in names] == [first[0], first[-1], second[-1]]


@pytest.mark.parametrize("size", [(60, 16), (80, 24), (140, 40)])
def test_every_view_opens_by_its_number(pair: tuple[RunDir, RunDir], size: tuple[int, int]) -> None:
    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        app.screen.post_message(CompareRuns(*pair))
        await until(pilot, lambda: isinstance(app.screen, CompareScreen))
        await until(pilot, lambda: "A ⠒⠒ along · connected" in seen(app))
        assert "B ·· across · connected" in seen(app)
        assert "…" not in said(app.screen, "#pair")  # facts that do not fit whole are left out
        await until(pilot, lambda: "objective / level" in seen(app))
        linear = seen(app)
        await pilot.press("L")
        await until(pilot, lambda: seen(app) != linear)
        await pilot.press("2")
        await until(pilot, lambda: "PCA 80% + 20%" in seen(app))
        await pilot.press("3")
        table = app.screen.query_one(Differences)
        await until(pilot, lambda: app.focused is table)
        rows = [[str(cell) for cell in table.get_row_at(n)] for n in range(table.row_count)]
        assert ["seed", "0", "11"] in rows and ["search.greedy.grid", "33", "9"] in rows
        assert ["steps", "700", "700"] in rows and ["beads", "5", "5"] in rows
        await pilot.press("G")
        await until(pilot, lambda: table.cursor_row == table.row_count - 1)
        await pilot.press("1")
        await until(pilot, lambda: app.screen.query_one(TabbedContent).active == "landscapes")
        await pilot.press("q")
        await until(pilot, lambda: isinstance(app.screen, MenuScreen))
        assert app.is_running

    drive_small(steps, size=size)


def test_why_there_is_no_plane_is_said(pair: tuple[RunDir, RunDir]) -> None:
    pair[1].string.unlink()
    pair[1].progress.write_text("[")

    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        app.screen.post_message(CompareRuns(*pair))
        await until(pilot, lambda: isinstance(app.screen, CompareScreen))
        await until(pilot, lambda: "progress.json" in seen(app))
        await pilot.press("2")
        await until(pilot, lambda: "no common plane: across: has no string yet" in seen(app))
        assert said(app.screen, "#no-plane") != ""

    drive_small(steps)


def test_the_screen_can_be_left_before_the_runs_are_read(
    pair: tuple[RunDir, RunDir], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The thread that reads ends with its screen, at the next piece."""
    asked: list[bool] = []

    def endless(runs: tuple[RunDir, RunDir], wanted: object) -> None:
        from engine.record.joint_plane import Unwanted

        assert callable(wanted)
        while wanted():
            asked.append(True)
        raise Unwanted

    monkeypatch.setattr("engine.record.comparison.compare", endless)

    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        app.screen.post_message(CompareRuns(*pair))
        await until(pilot, lambda: isinstance(app.screen, CompareScreen) and len(asked) > 0)
        assert "reading both runs" in said(app.screen, "#pair")
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, MenuScreen))

    drive_small(steps)
