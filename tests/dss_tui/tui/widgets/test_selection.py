"""The words about the selected bead or segment."""

from __future__ import annotations

import math
from typing import Any

import pytest
from rich.cells import cell_len

from dss_tui.tui.widgets.selection import about
from dss_tui.viewing.scene import Scene
from tests.support.scenes import HILL, scene, segment


def of_segment(t: float | None = None, width: int = 300, **more: Any) -> str:
    peak = {"peak": 0.019992, "t_star": 0.4} | more
    return about(scene(segment(1, 2, 1.5, **peak), level=0.02), "training loss", 1, t, width)


@pytest.mark.parametrize(
    ("bound", "told"),
    [(None, "segment 1–2  closed  peak"), (0.019998, "proven at most 0.9999 × level  peak")],
)
def test_what_is_proven_is_told_beside_what_was_sampled(bound: float | None, told: str) -> None:
    said = of_segment(bound=bound)
    assert told in said
    assert "peak 0.019992 = 0.9996 × level at t = 0.400" in said


def test_what_is_below_the_level_is_not_rounded_onto_it() -> None:
    assert "0.999996 × level" in of_segment(peak=0.02 * 0.9999955)


def test_a_peak_that_is_not_finite_is_not_known() -> None:
    assert "peak not known" in of_segment(peak=math.nan)


def test_the_values_at_the_cursor_come_first() -> None:
    said = of_segment(0.5, profile=HILL, peak=0.03, t_star=0.5)
    assert said.startswith(
        "segment 1–2  closed  at t 0.500: 0.03 = 1.5000 × level  distance 0.75  peak"
    )


def test_a_bead_is_told_with_its_place() -> None:
    string = scene(
        segment(1, 5, 1.0), segment(5, 2, 3.0), parents={5: (1, 2)}, depths={5: 1}, level=0.02
    )
    assert about(string, "training loss", 2, None, 300) == (
        "bead 5  training loss 0.01 = 0.5000 × level  distance 1 of 4  put between 1 and 2  depth 1"
    )


def test_nothing_is_said_where_nothing_is_selected() -> None:
    string: Scene = scene(segment(1, 2))
    assert about(string, "loss", None, None, 80) == ""
    assert about(string, "loss", 3, None, 80) == ""


@pytest.mark.parametrize("width", [30, 58, 78, 120])
def test_only_whole_facts_are_told(width: int) -> None:
    said, whole = of_segment(0.25, width), of_segment(0.25)
    assert cell_len(said) <= width and whole.startswith(said)
    assert whole == said or whole[len(said) :].startswith("  ")
