"""The words about the selected segment, and the curve of its run's peaks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from dss_tui.cli import main
from dss_tui.tui.curves import FRONT, Side, depths, ends, history, projection
from dss_tui.tui.palette import Palette
from dss_tui.tui.plot import Curve, Plot
from dss_tui.tui.plots import draw
from dss_tui.viewing.trails import Trails
from dss_tui.viewing.view_state import View
from engine.record.progress import read_progress
from engine.record.rundir import RunDir
from tests.support.run_folders import COUNTERS, progress


def test_ends_fall_to_their_own_target() -> None:
    trails = Trails({2: ((1.0, 0.5), (3.0, 0.1)), 1: ((2.0, 0.4),), 7: ()})
    plot = ends(trails, progress(endpoints_alpha=0.95), log_y=False)
    assert [curve.label for curve in plot.curves] == [
        "endpoint 1 0.4",
        "endpoint 2 0.1",
        "target 0.019",
    ]
    assert (plot.curves[-1].x, plot.curves[-1].y) == ((1.0, 3.0), (0.019, 0.019))
    assert plot.level == 0.02 and plot.log_y


def test_history_ends_with_what_the_engine_said_and_marks_restarts() -> None:
    view = View(history=((1.0, 0.5), (2.0, 0.2)), restarts=(1.5,))
    now = progress(time=4.0, counters=replace(COUNTERS, max_peak=0.3))
    plot = history(view, now, 0.1, log_y=False)
    (line,) = plot.curves
    assert list(zip(line.x, line.y, strict=True)) == [(1.0, 0.5), (2.0, 0.2), (4.0, 0.3)]
    assert line.steps
    assert plot.verticals == (1.5,)
    assert "begun anew" in plot.title
    assert history(View(), None, None, log_y=False).curves[0].x == ()


def test_the_projection_names_the_ends_the_selection_and_an_older_string(tmp_path: Path) -> None:
    out = tmp_path / "run"
    quick = ["--set", "problem.data.points=32", "--set", "search.level=1e-2", "--seed", "2"]
    assert main(["run", "quadratic", "--headless", "--out", str(out), *quick]) == 0
    run = RunDir(out)
    now = read_progress(run)
    assert now is not None
    plot = projection(run, now, now.segments[1].pair, FRONT)
    assert [words for _, words in plot.names] == ["θ₁", "θ₂"]
    assert plot.equal and "the string, PCA" in plot.title
    (chosen,) = [curve for curve in plot.curves if curve.label == "selected"]
    string, *_ = plot.curves
    assert chosen.x == string.x[1:3]
    assert string.x[0] <= string.x[-1]
    later = replace(now, order=(*now.order[:-1], 99, 2))
    assert "an older string" in projection(run, later, None, FRONT).title


def test_the_projection_is_turned(tmp_path: Path) -> None:
    """The first component goes out of sight where the third one comes to its place."""
    out = tmp_path / "run"
    quick = ["--set", "problem.data.points=32", "--set", "search.level=1e-2", "--seed", "2"]
    assert main(["run", "quadratic", "--headless", "--out", str(out), *quick]) == 0
    front = projection(RunDir(out), None, None, FRONT)
    turned = projection(RunDir(out), None, None, Side(90))
    assert front.title.count("%") == 3 and "turned" not in front.title
    assert "turned 90°, equal scale" in turned.title and turned.equal
    assert front.curves[0].y == pytest.approx(turned.curves[0].y)
    spread = [max(plot.curves[0].x) - min(plot.curves[0].x) for plot in (front, turned)]
    assert spread[1] < spread[0]
    assert "third" in turned.x_label and "third" not in front.x_label


def test_a_side_goes_around_but_never_upside_down() -> None:
    side = FRONT
    for _ in range(13):
        side = side.by(15, 15)
    assert side == Side(-165, 90) and side.words == "turned -165°, tilted 90°"
    assert side.by(-195, -200) == Side(0, -90) and FRONT.words == ""


def test_units_are_as_long_across_as_up() -> None:
    """Whatever the shape of the screen."""
    dots = Curve((0.0, 1.0, 0.0), (0.0, 0.0, 1.0), "", "points", lines=False)
    plot = Plot("", (dots,), "", "", equal=True)
    for width, height in ((100, 20), (40, 30)):
        rows = draw(plot, width, height, Palette.dark()).text.plain.splitlines()
        places = [
            (x, y) for y, row in enumerate(rows) for x, glyph in enumerate(row) if glyph == "●"
        ]
        across = max(x for x, _ in places) - min(x for x, _ in places)
        up = 2 * (max(y for _, y in places) - min(y for _, y in places))
        assert abs(across - up) <= 0.15 * max(across, up) + 2


def test_a_depth_whose_newest_bead_nobody_told_of_has_no_time() -> None:
    assert depths((0, 0), (), 80, 20).plain == "no beads yet"
    _, *lines = depths((2, 3), (0.5,), 80, 20).plain.split("\n")
    assert lines[0].endswith(" 2  (0.5 s)") and lines[1].endswith(" 3")


@pytest.mark.parametrize("rows", [2, 3, 4, 5, 20])
def test_depths_fit_into_their_rows(rows: int) -> None:
    """What has no row of its own is told in the last one, so that all beads are counted."""
    lines = depths((2, 1, 2, 0, 4), (0.5, 1.0, 1.5, 0.0, 2.0), 80, rows).plain.split("\n")
    assert len(lines) == min(rows, 5)
    assert sum(int(line.split("(")[0].split()[-1]) for line in lines[1:]) == 9
    last = {2: "depth 0 to 4", 3: "depth 1 to 4", 4: "depth 2 to 4"}
    assert lines[-1].startswith(last.get(rows, "depth   4"))
    assert lines[-1].endswith("(2.0 s)")
