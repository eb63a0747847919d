"""Draws the loss along a string as a filled area over the distance from its first bead."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import isfinite

from rich.text import Text

from dss_tui.tui.palette import Palette, fitting, styled
from dss_tui.viewing.scene import Scene

#: The columns of the numbers and words to the left of the axis, and of what stands to its right.
LEFT, RIGHT = 9, 3
#: The glyph of the line of the level.
LEVEL = "┄"
#: A cell that is filled to so many eighths.
BLOCKS = " ▁▂▃▄▅▆▇█"
#: The largest value of a scale, so that the difference of two is finite.
LARGEST = 1e300
#: The ratio of the highest and the lowest loss from which on the scale is logarithmic.
LOGARITHMIC = 5.0

Piece = tuple[str, str]


@dataclass(frozen=True)
class Scale:
    """A scale of losses, from the lower edge of the lowest row to the upper edge of the highest."""

    low: float
    high: float
    rows: int
    log: bool

    @classmethod
    def around(cls, values: Sequence[float], rows: int, *, turned: bool) -> Scale | None:
        """Returns the scale that holds all finite values, or None where there are none.

        It is logarithmic where the values differ by more than a factor `LOGARITHMIC`, or, with
        `turned`, where they do not; never where a value is not well above 0.
        """
        finite = [min(max(value, -LARGEST), LARGEST) for value in values if isfinite(value)]
        if not finite:
            return None
        low, high = min(finite), max(finite)
        log = low > 1 / LARGEST and (high / low > LOGARITHMIC) != turned
        room = 0.05 * (high - low)
        floor = 0.9 * low if log or room <= 0 else max(low - room, 0.0 if low >= 0 else low - room)
        return cls(floor if floor < high else high - (abs(high) or 1.0), high, rows, log)

    def rise(self, value: float) -> float:
        """Returns the height of a value in rows above the lower edge, within the scale."""
        value = min(max(value, self.low), self.high)
        if self.log:
            share = (math.log(value) - math.log(self.low)) / self._span
        else:
            share = (value - self.low) / self._span
        return self.rows * min(max(share, 0.0), 1.0)

    def value(self, rise: float) -> float:
        """Returns the value at a height in rows."""
        share = rise / self.rows
        if self.log:
            return math.exp(math.log(self.low) + share * self._span)
        return self.low + share * self._span

    def through(self, value: float) -> Scale:
        """Returns the scale with another edge, so that a value lies in the middle of its row.

        A line is drawn in the middle of a row, and there the filled area has to meet it. Of a
        higher top and a lower floor, that is taken which leaves less empty. A floor below 0 is none
        where no loss is, and a value in the lower half of the lowest row has no lower place: where
        neither can be, the scale stays as it is.
        """
        rise, span = self.rise(value), self._span
        below = math.floor(rise - 0.5) + 0.5
        above = math.ceil(rise - 0.5) + 0.5
        ways: list[tuple[float, Scale]] = []
        if below > 0:
            wider = span * rise / below
            high = math.exp(math.log(self.low) + wider) if self.log else self.low + wider
            ways.append((wider, replace(self, high=high)))
        if rise < self.rows and above < self.rows:
            wider = span * (self.rows - rise) / (self.rows - above)
            low = math.exp(math.log(self.high) - wider) if self.log else self.high - wider
            if low > 0 or self.low < 0:
                ways.append((wider, replace(self, low=low)))
        return min(ways, key=lambda way: way[0], default=(span, self))[1]

    @property
    def _span(self) -> float:
        """The difference of the edges, or of their logarithms."""
        if self.log:
            return math.log(self.high) - math.log(self.low)
        return self.high - self.low

    def row(self, value: float) -> int:
        """Returns the number of the row that holds a value, from 0 at the bottom."""
        return min(int(self.rise(value)), self.rows - 1)


def landscape(
    scene: Scene, columns: int, rows: int, palette: Palette, *, turned: bool, cursor: int | None
) -> tuple[list[Text], bool]:
    """Returns `rows` lines with the highest loss in each column, and whether the scale is log.

    The level is a dashed line with its number at the left, and the area rises above the line just
    where the loss is above the level. While a string falls, its aim is a
    second one. A column without a known loss has a dot at its foot. `cursor` is the column that is
    marked. `turned` changes between a linear and a logarithmic scale.
    """
    losses = scene.highest(columns)
    marks = [mark for mark in (scene.level, scene.aim) if mark is not None and isfinite(mark)]
    scale = Scale.around([*losses, *marks], rows, turned=turned)
    if scale is None:
        return [styled([])] * rows, False
    if math.isfinite(scene.level):
        scale = scale.through(scene.level)
    lines = {scale.row(mark): mark for mark in reversed(marks)}  # the level comes last and stays
    return [
        _row(row, losses, scale, lines.get(row), scene.level, palette, cursor)
        for row in reversed(range(rows))
    ], scale.log


def _row(
    row: int,
    losses: Sequence[float],
    scale: Scale,
    mark: float | None,
    level: float,
    palette: Palette,
    cursor: int | None,
) -> Text:
    """Returns a line of the landscape: a number, and a cell for each column."""
    dash: Piece = ("", "")
    if mark is not None:
        dash = (LEVEL, palette.level) if mark == level else ("╌", palette.held_out)
    pieces = [_label(row, scale, mark, palette.axis if mark is None else dash[1])]
    for column, loss in enumerate(losses):
        at = column == cursor
        pieces.append(_cell(row, loss, scale, dash, level, palette, at))
    return styled(pieces)


def _label(row: int, scale: Scale, mark: float | None, style: str) -> Piece:
    """Returns the number to the left of a row, or blanks."""
    value = mark
    if value is None and row in (0, scale.rows - 1):
        value = scale.low if row == 0 else scale.high
    number = "" if value is None else fitting(LEFT - 1, f"{value:.4g}", f"{value:.2g}")
    return f"{number:>{LEFT - 1}} ", style


def _ground(dash: Piece) -> Piece:
    """Returns the glyph and the style of a cell above the loss: the row's dash, or a blank."""
    return dash if dash[0] else (" ", "")


def _eighths(row: int, loss: float, scale: Scale, dash: Piece, level: float) -> int:
    """Returns how many eighths of a cell are filled from below for a loss."""
    filled = round(8 * min(max(scale.rise(loss) - row, 0.0), 1.0))
    if dash[0] == LEVEL:  # in the middle of its row, which rounding must not cross
        filled = min(filled, 4) if loss <= level else max(filled, 5)
    return max(filled, 1) if row == 0 else filled  # a known loss is always seen


def _cell(
    row: int, loss: float, scale: Scale, dash: Piece, level: float, palette: Palette, at: bool
) -> Piece:
    """Returns the glyph and the style of one cell. `at` says that the cursor is on its column."""
    if math.isnan(loss) and row == 0:
        return "·", palette.dim
    filled = 0 if math.isnan(loss) else _eighths(row, loss, scale, dash, level)
    if filled == 0:
        return ("│", palette.highlight) if at else _ground(dash)
    top = loss if filled < 8 else min(loss, scale.value(row + 1))
    colour = palette.highlight if at else palette.of_ratio(top / level)
    if filled == 8 and dash[0]:
        return dash[0], f"{colour} reverse".strip()
    return BLOCKS[filled], colour
