"""The tables of the page on the paper: what stands in them, and where they are put."""

from __future__ import annotations

from dataclasses import replace
from math import isnan

import pytest

from benchmarks.paper import PAGE, TASKS, Point, apart, by_level, of_ptb, put
from engine.record.figures.levels import COLUMNS
from engine.record.figures.sheet import table
from engine.spec.grid import levels_of
from engine.spec.published import published_for
from presets import load_preset


def row(
    part: str, quantity: str, level: float, value: float, error: float = 0.0
) -> dict[str, object]:
    spread = {"low": value - error, "high": value + error}
    return {"part": part, "quantity": quantity, "level": level, "value": value, "pairs": 5} | spread


SHEET = table(
    "levels",
    {"measured beads": "2 × level^-0.5000 (95 % confidence -0.6000 to -0.4000; and so on)"},
    COLUMNS,
    [
        row("measured", "normalized_length", 0.1, 9.0),
        row("measured", "normalized_length_weights", 0.1, 1.5, 0.3),
        row("published", "normalized_length", 0.1, 1.0, 0.4),
        row("measured", "beads", 0.1, 8.0, 0.6),
        row("published", "beads", 0.1, 5.0, 0.8),
        row("published", "normalized_length", 0.01, 2.0, 0.25),
        row("published", "beads", 0.01, 20.0, 1.5),
        row("outcome", "connected", 0.1, 4),
        row("outcome", "connected", 0.01, 0),
    ],
)


def test_lengths_are_those_over_weights_alone_and_differences_are_in_combined_errors() -> None:
    lines = list(by_level(SHEET))
    assert lines[2] == "| 0.01 | 0 of 5 | – | 2.000 ± 0.250 | – | – | 20.000 ± 1.500 | – |"
    assert lines[3] == (
        "| 0.1 | 4 of 5 | 1.500 ± 0.300 | 1.000 ± 0.400 | +1.00 | 8.000 ± 0.600 | 5.000 ± 0.800 "
        "| +3.00 |"
    )
    assert "1 of 1 lengths and 0 of 1 numbers of beads" in lines[5]
    assert lines[7] == "- measured beads: 2 × level^-0.5000 (95 % confidence -0.6000 to -0.4000)"


def test_a_sweep_that_the_paper_has_no_points_of_stands_alone() -> None:
    measured = [row for row in SHEET.rows if row[SHEET.columns.index("part")] != "published"]
    lines = list(by_level(replace(SHEET, rows=tuple(measured))))
    assert lines[2:4] == [
        "| 0.01 | 0 of 5 | – | – |",
        "| 0.1 | 4 of 5 | 1.500 ± 0.300 | 8.000 ± 0.600 |",
    ]
    assert lines[5] == "- measured beads: 2 × level^-0.5000 (95 % confidence -0.6000 to -0.4000)"


def test_an_error_is_not_shown_as_zero() -> None:
    assert Point(1.00178, 0.00011).words == "1.0018 ± 0.0001"
    assert Point(1.000002, 1e-6).words == "1.000002 ± 0.000001"
    assert Point(3.0, 0.0).words == "3.000 ± 0.000"


def test_two_means_without_errors_are_the_same_or_not_compared() -> None:
    assert isnan(apart(Point(1.0, 0.0), Point(2.0, 0.0)))
    assert apart(Point(3.0, 0.0), Point(3.0, 0.0)) == 0.0


def test_the_papers_points_for_a_language_model_stand_in_a_table_of_their_own() -> None:
    lines = list(of_ptb())
    assert len(lines) == 2 + 6
    assert lines[2] == "| 135 | 1.178 ± 0.015 | 3.000 ± 0.000 |"


def test_a_block_is_put_in_its_place_as_often_as_one_likes() -> None:
    page = "a\n<!-- made: one -->\nold\n<!-- end -->\nb\n<!-- made: two -->\nkept\n<!-- end -->\n"
    once = put(page, "one", ["new", "lines"])
    assert once == page.replace("old\n", "\nnew\nlines\n\n")
    assert put(once, "one", ["new", "lines"]) == once
    with pytest.raises(ValueError, match="no block three"):
        put(page, "three", [])


def test_the_sweeps_have_the_levels_of_the_papers_figures() -> None:
    page = PAGE.read_text()
    for task in TASKS:
        assert f"figures/{task.name}{'-peak' * (task.name == 'cubic-equal')}.svg" in page
        found = published_for(load_preset(task.preset, task.overrides))
        assert (found is None) == (task.name == "text-lstm")
        if found is None:
            continue
        levels = [point.level for point in found.points]
        asked = list(levels_of(task.levels.split(",")))
        in_part = task.by_name or task.name == "cubic-equal"
        assert set(asked) < set(levels) if in_part else asked == levels
