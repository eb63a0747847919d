"""Draws a curve in one line of blocks, on a scale that several curves share."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from rich.text import Text

from dss_tui.tui.palette import Palette, styled

BLOCKS = "▁▂▃▄▅▆▇█"


def sparkline(
    values: Sequence[float],
    width: int,
    low: float,
    high: float,
    level: float,
    palette: Palette,
) -> Text:
    """Returns values as `width` cells on the scale low … high, coloured by the side of the level.

    A cell shows the largest value of its stretch, so that no peak is lost. A stretch of nothing but
    NaN is a gap. Values outside the scale are clipped to it.
    """
    cells = _cells(values, width)
    return styled(_cell(value, low, high, level, palette) for value in cells)


def _cells(values: Sequence[float], width: int) -> list[float]:
    """Returns the largest value of each of `width` equal stretches, NaN where there is none."""
    count = len(values)
    starts = [cell * count // width for cell in range(width + 1)] if width > 0 else [0]
    return [_largest(values[start : max(stop, start + 1)]) for start, stop in pairwise(starts)]


def _largest(values: Sequence[float]) -> float:
    """Returns the largest value that is not NaN, or NaN where there is none."""
    return max((value for value in values if not math.isnan(value)), default=math.nan)


def _cell(value: float, low: float, high: float, level: float, palette: Palette) -> tuple[str, str]:
    """Returns the glyph and the style of one value."""
    if math.isnan(value):
        return " ", ""
    return _block(value, low, high), palette.above if value > level else palette.below


def _block(value: float, low: float, high: float) -> str:
    """Returns the block whose height is the value's share of the scale."""
    if value <= low:
        return BLOCKS[0]
    if value >= high:
        return BLOCKS[-1]
    if not math.isfinite(high - low):
        return BLOCKS[0]
    share = (value - low) / (high - low)
    return BLOCKS[min(int(share * len(BLOCKS)), len(BLOCKS) - 1)]
