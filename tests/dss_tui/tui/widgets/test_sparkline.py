"""Sparklines as text."""

from __future__ import annotations

import math
import random

import pytest

from dss_tui.tui.palette import Palette
from dss_tui.tui.widgets.sparkline import BLOCKS, sparkline

PALETTE = Palette.dark()
NAN, INF = math.nan, math.inf


def drawn(values: list[float], width: int, low: float = 0.0, high: float = 0.8) -> str:
    return sparkline(values, width, low, high, 0.5, PALETTE).plain


def test_one_block_a_value() -> None:
    assert drawn([0.05, 0.15, 0.25, 0.35, 0.45, 0.55, 0.65, 0.75], 8) == BLOCKS


def test_the_scale_is_shared_not_the_lines_own() -> None:
    assert drawn([0.500, 0.501], 2) == "▆▆"


def test_a_cell_shows_the_peak_of_its_stretch() -> None:
    values = [0.0] * 100
    values[57] = 0.8
    assert drawn(values, 10) == "▁▁▁▁▁█▁▁▁▁"


@pytest.mark.parametrize("count", [2, 7, 50, 51, 99, 1000])
def test_no_peak_vanishes_wherever_it_is(count: int) -> None:
    for at in range(count):
        values = [0.1] * count
        values[at] = 0.8
        assert "█" in drawn(values, min(count, 50))


def test_fewer_values_than_cells_are_stretched() -> None:
    assert drawn([0.05, 0.75], 6) == "▁▁▁███"


def test_gaps_and_ends_of_the_scale() -> None:
    assert drawn([0.35, NAN, INF, -INF, 9.0, -9.0], 6) == "▄ █▁█▁"
    assert drawn([NAN, 0.35, NAN, NAN], 2) == "▄ "


def test_nothing_is_blank() -> None:
    assert drawn([], 5) == "     "
    assert drawn([NAN, NAN], 5) == "     "
    assert drawn([0.3], 0) == drawn([0.3], -2) == ""


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.3, 0.3, "▁▁█"),
        (0.0, INF, "▁▁▁"),
        (-INF, INF, "▁▁▁"),
        (NAN, NAN, "▁▁▁"),
        (-1e308, 1e308, "▁▁▁"),
    ],
)
def test_scales_without_a_height(low: float, high: float, expected: str) -> None:
    assert drawn([0.2, 0.3, 0.4], 3, low, high) == expected


def test_the_side_of_the_level_is_a_colour_and_runs_are_merged() -> None:
    text = sparkline([0.15, 0.25, 0.5, 0.65, 0.75, NAN, 0.35], 7, 0.0, 0.8, 0.5, PALETTE)
    assert text.plain == "▂▃▆▇█ ▄"
    assert [(span.start, span.end, span.style) for span in text.spans] == [
        (0, 3, PALETTE.below),
        (3, 5, PALETTE.above),
        (6, 7, PALETTE.below),
    ]


def test_width_is_exact_whatever_comes() -> None:
    chance = random.Random(11)
    odd = [NAN, INF, -INF, 1e300, -1e300, 5e-324, 0.0]
    for _ in range(500):
        count, width = chance.randrange(200), chance.randrange(120)
        values = [
            chance.choice(odd) if chance.random() < 0.2 else chance.uniform(-1, 2)
            for _ in range(count)
        ]
        low, high = chance.choice(odd), chance.choice([*odd, 1.0])
        text = sparkline(values, width, low, high, 0.5, PALETTE)
        assert text.cell_len == width
        assert set(text.plain) <= set(BLOCKS + " ")
