"""The matrix, the plots and the lines of a sweep's dashboard, as data and as text."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from dss_tui.tui import sweep_parts as parts
from dss_tui.tui.palette import Palette
from dss_tui.tui.plots import draw
from engine.record.compare_folder import ComparePlan, variants_of
from engine.record.compare_tables import Measurement
from engine.record.events import Outcome, dump_json
from engine.record.finding import COMPARISON
from engine.record.lock import take_lock
from engine.record.rundir import RunDir
from engine.record.sweep_desk import Desk
from engine.record.sweep_folder import write_plan
from engine.record.sweeps import SweepReader, SweepView
from engine.record.writer import RunWriter
from engine.spec.published import published_for
from presets import load_preset
from tests.support.run_folders import append, progress
from tests.support.sweep_folders import begin, cell, ended, sweep_of

PALETTE = Palette.dark()


def look(folder: Path) -> SweepView:
    return SweepReader(RunDir(folder)).look()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two levels of four pairs: connected, proven, two kinds of failure, damage, and one waits."""
    sweep_of(tmp_path)
    begin(cell(tmp_path, 0.05, 0), ended(Outcome.CONNECTED, beads=4, length=1.25))
    begin(cell(tmp_path, 0.05, 1), ended(Outcome.CONNECTED, beads=5, length=1.75, steps=4800))
    begin(cell(tmp_path, 0.05, 2), ended(Outcome.NOT_CONNECTED))
    begin(cell(tmp_path, 0.05, 3), ended(Outcome("torn_apart")))
    begin(cell(tmp_path, 0.02, 0), ended(Outcome.FAILED))
    append(begin(cell(tmp_path, 0.02, 1)).events, b"noise\n")
    begin(cell(tmp_path, 0.02, 2))
    return tmp_path


@pytest.fixture
def compared(tmp_path: Path) -> Path:
    """Two methods between the ends of two pairs, of which one is not connected by the second."""
    variants = variants_of("greedy,constrained", [])
    plan = ComparePlan(load_preset("quadratic", seed=3), variants, 2)
    write_plan(plan.text(), tmp_path, COMPARISON)
    outcomes = (Outcome.CONNECTED, Outcome.CONNECTED, Outcome.CONNECTED, Outcome.NOT_CONNECTED)
    for cell_, outcome, gradients in zip(
        plan.cells(tmp_path), outcomes, (4000, 6000, 90_000, 70_000), strict=True
    ):
        end = ended(outcome, length=1.25 if cell_.method == "greedy" else 1.5)
        totals = replace(end.totals, sample_gradients=gradients, forward_samples=10)
        begin(cell_.run, replace(end, totals=totals))
    return tmp_path


def measure_all(folder: Path) -> None:
    found = Measurement(9, "float64", 0.04, True, 0.03, 0.002, 0.025, 1.25, 40.0, 5)
    for run in folder.glob("*/pair-*"):
        (run / "measured.json").write_text(dump_json(found))


def test_a_comparison_has_methods_instead_of_levels(compared: Path) -> None:
    view = look(compared)
    data = parts.matrix(view, PALETTE)
    assert (data.corner, data.titles) == ("method", parts.OF_METHODS)
    assert [row.label for row in data.rows] == ["greedy", "constrained"]
    assert [row.facts[0] for row in data.rows] == ["2/2", "1/2"]
    assert [row.facts[3] for row in data.rows] == ["5 k", "80 k"]  # medians, connected or not
    said = " ".join(parts.about_level(view.levels[0], 0.0))
    assert said.startswith("greedy: 2 of 2 connected") and said.endswith("5 k sample gradients")


def test_what_the_evaluator_found_shows_as_soon_as_it_is_there(compared: Path) -> None:
    reader = SweepReader(RunDir(compared))
    before = reader.look()
    assert reader.look() == before
    measure_all(compared)
    said = " ".join(parts.about_level(reader.look().levels[0], 0.0))
    assert said.endswith("peak 0.750 × level, barrier 0.002, mean 0.025, turning 40°")


def test_a_comparison_is_plotted_against_what_was_computed(compared: Path) -> None:
    rows = [level.row for level in look(compared).levels]
    plot = parts.plot(rows, None, 0, False)
    assert plot.x_label == "sample gradients"
    assert plot.names == (((5000.0, 1.25), "greedy"), ((90_000.0, 1.5), "constrained"))
    drawn = draw(plot, 80, 20, PALETTE).text.plain
    assert "greedy" in drawn and "constrained" in drawn


def test_every_state_has_a_glyph_of_its_own(folder: Path) -> None:
    glyphs = [
        [mark.glyph for mark in row.marks] for row in parts.matrix(look(folder), PALETTE).rows
    ]
    assert glyphs == [["●", "✓", "╳", "?"], ["!", "#", "◦", "·"]]
    with RunWriter(cell(folder, 0.02, 2)):
        assert parts.matrix(look(folder), PALETTE).rows[1].marks[2].glyph == "◌"
    open_states = ("stopped", "interrupted")
    glyphs_of = {
        word: glyph for word, (glyph, _) in parts.GLYPHS.items() if word not in open_states
    }
    assert len(set(glyphs_of.values())) == len(glyphs_of)


def test_what_is_said_of_a_level(folder: Path) -> None:
    data = parts.matrix(look(folder), PALETTE)
    assert (data.corner, data.columns, data.titles) == ("level", ("0", "1", "2", "3"), parts.TITLES)
    first, second = data.rows
    assert (first.label, first.facts) == (
        "0.05",
        ("2/4", "1.500 ± 0.250", "4.5 ± 0.5", "700", ""),
    )
    assert second.facts == ("0/1", "–", "–", "700", "")
    with take_lock(RunDir(folder)):
        Desk(folder).begin()
        assert parts.matrix(look(folder), PALETTE).rows[0].facts[-1] == "–"


def test_levels_that_come_about_have_a_column(tmp_path: Path) -> None:
    sweep_of(tmp_path, ("lowest", 0.02))
    folder = tmp_path / "level-lowest"
    for pair, level in enumerate((0.0125, 0.0375)):
        run = RunDir(folder / f"pair-{pair:04}")
        begin(run, replace(ended(Outcome.CONNECTED, beads=4), level=level))
    view = look(tmp_path)
    data = parts.matrix(view, PALETTE)
    assert data.titles == ("connected", parts.FOUND, *parts.TITLES[1:])
    assert [row.label for row in data.rows] == ["lowest", "0.02"]
    assert [row.facts[1] for row in data.rows] == ["0.025 ± 0.012", "–"]
    said = " ".join(parts.about_level(view.levels[0], 0.0))
    assert said.startswith("level lowest: 2 of 2 connected, levels 0.025 ± 0.012, length ")
    cells = view.levels[0].cells
    told = [" ".join(parts.about_cell(cell, 3, None)) for cell in cells[:2]]
    assert told[1] == "pair 1, seed 4: connected, level 0.0375, 700 steps"
    (curve,) = parts.plot((view.levels[0].row,), None, 0, True).curves
    assert curve.x == pytest.approx((0.025,))


def test_an_unknown_outcome_is_shown_by_its_name_and_its_sentence(folder: Path) -> None:
    from dss_tui.viewing.sweeps import sentence_of, word_of

    view = look(folder)
    unknown = view.levels[0].cells[3]
    assert (word_of(unknown), sentence_of(unknown)) == ("torn apart", "It ended torn_apart.")
    assert " ".join(parts.about_cell(unknown, 3, None)) == "pair 3, seed 6: torn apart"
    said = " ".join(parts.about_level(view.levels[0], 0.0))
    assert "1 not connected, 1 torn apart" in said
    assert ("?", "torn apart") in [(m.glyph, w) for m, w in parts.legend_of(view, PALETTE)]


def test_lines_about_the_cursor(folder: Path) -> None:
    view = look(folder)
    assert " ".join(parts.about_level(view.levels[0], 0.0)) == (
        "level 0.05: 2 of 4 connected (1 proven), 1 not connected, 1 torn apart, "
        "length 1.5000 ± 0.2500, beads 4.50 ± 0.50, median 700 steps"
    )
    assert parts.about_level(view.levels[0], 0.1)[0] == "level 0.05, tolerance 0.1:"
    cells = [" ".join(parts.about_cell(c, 3, None)) for c in (*view.levels[0].cells, view.cells[7])]
    assert cells[1] == "pair 1, seed 4: proven, 4 800 steps"
    assert cells[4] == "pair 3, seed 6: waiting"
    begun = " ".join(parts.about_cell(view.levels[1].cells[2], 3, progress(steps=4800)))
    assert begun == (
        "pair 2, seed 5: interrupted, splitting, 5 beads, 4 800 steps, peak 1.500 × level"
    )


def test_counts_and_words(folder: Path) -> None:
    assert parts.counted(look(folder)) == ["3 of 8 ended", "2 connected (1 proven)"]
    assert parts.words_below(look(folder), 200)[0].plain == (
        "Its process is gone; r goes on from the checkpoints."
    )
    (folder / "sweep.yaml").write_text("[]")
    assert "sweep.yaml" in parts.words_below(look(folder), 200)[-1].plain


def test_plots_hold_means_errors_and_the_paper_s_points(folder: Path) -> None:
    rows = tuple(level.row for level in look(folder).levels)
    published = published_for(load_preset("quadratic-paper"))
    alone, beside = (parts.plot(rows, known, 0, True) for known in (None, published))
    (ours,) = alone.curves
    assert (ours.x, ours.y, ours.errors) == ((0.05,), (1.5,), (0.25,))
    theirs, _ = beside.curves
    assert theirs.x[0] == 0.001 and theirs.dot == "◇" and theirs.errors[0] > 0.1
    assert theirs.label == "paper (≤ 1.1 × level)"
    drawn = draw(beside, 80, 20, PALETTE).text.plain
    assert drawn.count("◇") == 1 + len(theirs.x) and drawn.count("●") == 2  # one in the legend
    assert "(log)" not in draw(parts.plot(rows, None, 1, False), 80, 20, PALETTE).text.plain
