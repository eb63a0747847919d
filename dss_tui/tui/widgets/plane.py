"""Draws a loss plane as a heat map in half blocks, or in shades where colours are few."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from rich.text import Text
from textual.widget import Widget

from dss_tui.tui.palette import STEPS, Palette, fitting, styled
from engine.record.loss_plane import LossPlane, PlaneBead
from engine.spec.level import multiple

Piece = tuple[str, str]
"""A glyph or a few, and their style."""

#: The smallest width and height in which a plane is drawn.
MIN_WIDTH, MIN_HEIGHT = 20, 6

#: The glyphs of a bead up to the level and above it, each in the plane and beside it.
BELOW, ABOVE = ("●", "○"), ("▲", "△")
UNKNOWN = "?"

#: The shades for terminals of few colours, each with the multiple of the level up to which it goes.
SHADES = ((" ", 0.5), ("░", 1.0), ("▒", 2.0), ("▓", 5.0), ("█", math.inf))

#: The glyph of the contour in a cell, by which of its corners exceed the bound: top left, top
#: right, bottom left, bottom right.
_SLANTS = {
    (True, False, False, False): "╱",
    (False, True, True, True): "╱",
    (False, False, False, True): "╱",
    (True, True, True, False): "╱",
    (False, True, False, False): "╲",
    (True, False, True, True): "╲",
    (False, False, True, False): "╲",
    (True, True, False, True): "╲",
    (True, True, False, False): "─",
    (False, False, True, True): "─",
    (True, False, True, False): "│",
    (False, True, False, True): "│",
    (True, False, False, True): "╲",
    (False, True, True, False): "╱",
}

#: The share of the triangle's longer side up to which a bead counts as lying in the plane.
CLOSE = 1e-3


class PlaneView(Widget):
    """A widget that is filled by a loss plane."""

    def __init__(self, *, id: str) -> None:
        """Makes an empty widget with an id."""
        super().__init__(id=id)
        self._shown: tuple[LossPlane, Palette] | None = None

    def show(self, plane: LossPlane, palette: Palette) -> None:
        """Draws a plane, unless it is drawn already."""
        if (plane, palette) != self._shown:
            self._shown = plane, palette
            self.refresh()

    def render(self) -> Text:
        """Draws the plane in the size that the widget has now."""
        return Text("") if self._shown is None else draw(*self._shown, *self.size)


def draw(plane: LossPlane, palette: Palette, width: int, height: int) -> Text:
    """Returns a plane in at most `height` lines of at most `width` columns.

    A unit of the weights is as long across as it is up, as far as cells are twice as high as wide.
    ╱ ╲ ─ │ mark where the objective crosses the level with its tolerance. ● is a bead in the plane
    and ○ one beside it, ▲ and △ are such beads above the level, by their own loss. The three beads
    that span the plane have their ids. Where there is no room, a line says so.
    """
    if width < MIN_WIDTH or height < MIN_HEIGHT:
        return styled([(fitting(width, "too small for a plane"), palette.dim)])
    canvas = _Canvas.within(plane, width, height - 3)
    glyphs = (fitting(width, *_glyphs(plane, palette)), palette.dim)
    below = [*_map(canvas, palette), scale(width, palette), [glyphs]]
    return Text("\n").join([heading(plane, width), *map(styled, below)])


def heading(plane: LossPlane, width: int) -> Text:
    """Returns the line above the map, in a width."""
    return styled([(fitting(width, *_titles(plane)), "")])


def _titles(plane: LossPlane) -> list[str]:
    """Returns the wordings of the line above the map, the longest first."""
    a, b, c = plane.beads
    level = f"level {plane.level:g}"
    level += f", tolerance {plane.tolerance:g}" if plane.tolerance else ""
    known = plane.values
    extremes = (
        [multiple(value / plane.level, 3) for value in (min(known), max(known))] if known else []
    )
    spread = f"{extremes[0]} … {extremes[1]} × level" if known else "nothing finite"
    return [
        f"plane through {a}, {b}, {c}: {plane.level_on.words} {spread} ({level}), equal scale",
        f"plane {a}, {b}, {c}: {plane.level_on.words} {spread}",
        f"plane {a}, {b}, {c}: {spread}",
        f"plane {a}, {b}, {c}",
    ]


def scale(width: int, palette: Palette) -> list[Piece]:
    """Returns the legend of the colours or shades, with multiples of the level."""
    if not palette.in_colour:
        (light, half), (below, one), (above, two), (high, five), (top, _) = SHADES
        words = (
            f"'{light}' to {half:g} {below} to {one:g} {above} to {two:g} {high} to {five:g} {top}"
        )
        return [(fitting(width, f"{words} more × level", words, f"{below} ≤ level < {above}"), "")]
    bar = [("█", colour) for colour in palette.ramp[:: 1 if width >= 32 else 2]]
    middle, unit = len(bar) // 2, " × level" if width >= 26 else ""
    low, high = f"{STEPS[0]:g} ", f" {STEPS[-1]:g}{unit}"
    ends = [(words, palette.dim) for words in (low, " 1 ", high)]
    return [ends[0], *bar[:middle], ends[1], *bar[middle:], ends[2]]


def _glyphs(plane: LossPlane, palette: Palette) -> list[str]:
    """Returns the wordings of the legend of glyphs, the longest first."""
    holes = any(not math.isfinite(value) for row in plane.losses for value in row)
    unknown = f"  {UNKNOWN} not finite" if holes else ""
    bound = "level" if not plane.tolerance else "level with its tolerance"
    (on, off), (high, far) = BELOW, ABOVE
    beads = f"{on} bead in the plane  {off} beside it  {high} {far} such beads above"
    return [
        f"{beads}  ╱ ─ │ {bound}{unknown}",
        f"{on} bead  {off} beside  {high} {far} above  ╱ ─ │ level{unknown}",
        f"{on} {off} {high} {far} beads ╱ level",
    ]


# ---------------------------------------------------------------- the map


@dataclass(frozen=True)
class _Canvas:
    """The cells of the map: how many, and which places of the plane they show."""

    plane: LossPlane
    columns: int
    lines: int

    @classmethod
    def within(cls, plane: LossPlane, width: int, height: int) -> _Canvas:
        """Returns the largest canvas in a room of cells on which both axes have equal units."""
        across, up = plane.x[-1] - plane.x[0], plane.y[-1] - plane.y[0]
        cell = max(across / width, up / (2 * height))  # the width of a cell in units of the weights
        columns = min(width, max(2, round(across / cell)))
        return cls(plane, columns, min(height, max(2, round(up / (2 * cell)))))

    def x(self, columns: float) -> float:
        """Returns the x coordinate so many columns from the left."""
        low, high = self.plane.x[0], self.plane.x[-1]
        return low + columns / self.columns * (high - low)

    def y(self, lines: float) -> float:
        """Returns the y coordinate so many lines from the top."""
        low, high = self.plane.y[0], self.plane.y[-1]
        return high - lines / self.lines * (high - low)

    def cell(self, spot: PlaneBead) -> tuple[int, int] | None:
        """Returns the line and the column of a bead, or None where it lies beyond the map."""
        low, high = self.x(0), self.x(self.columns)
        if not math.isfinite(spot.x + spot.y) or not low <= spot.x <= high:
            return None
        if not self.y(self.lines) <= spot.y <= self.y(0):
            return None
        column = int((spot.x - low) / (high - low) * self.columns)
        line = int((self.y(0) - spot.y) / (self.y(0) - self.y(self.lines)) * self.lines)
        return min(line, self.lines - 1), min(column, self.columns - 1)

    def ratios(self, halves: int) -> list[list[float]]:
        """Returns loss / level in the middle of each cell, or of each of `halves` parts of it."""
        x = [self.x(column + 0.5) for column in range(self.columns)]
        y = [self.y((part + 0.5) / halves) for part in range(self.lines * halves)]
        return [[value / self.plane.level for value in row] for row in self.plane.at(x, y)]

    def contour(self) -> dict[tuple[int, int], str]:
        """Returns the glyphs of the contour of the bound, by line and column."""
        x = [self.x(column) for column in range(self.columns + 1)]
        y = [self.y(line) for line in range(self.lines + 1)]
        above = [[value > self.plane.bound for value in row] for row in self.plane.at(x, y)]
        return {
            (line, column): _SLANTS[corners]
            for line in range(self.lines)
            for column in range(self.columns)
            if (
                corners := (
                    *above[line][column : column + 2],
                    *above[line + 1][column : column + 2],
                )
            )
            in _SLANTS
        }

    def marks(self) -> dict[tuple[int, int], str]:
        """Returns the glyphs of beads and the ids of the three corners, by line and column."""
        marks: dict[tuple[int, int], str] = {}
        for spot in (*self.plane.string, *self.plane.corners):
            cell = self.cell(spot)
            if cell is not None:
                glyphs = BELOW if spot.loss <= self.plane.bound else ABOVE
                marks[cell] = glyphs[spot.distance > CLOSE * self.plane.corners[1].x]
        for corner in self.plane.corners:
            marks |= self._label(corner, marks)
        return marks

    def _label(
        self, corner: PlaneBead, taken: dict[tuple[int, int], str]
    ) -> dict[tuple[int, int], str]:
        """Returns the digits of a corner's id, right of it or left where there is no room."""
        cell, name = self.cell(corner), str(corner.bead)
        if cell is None:
            return {}
        line, column = cell
        for start in (column + 1, column - len(name)):
            places = [(line, start + at) for at in range(len(name))]
            if 0 <= start <= self.columns - len(name) and not taken.keys() & set(places):
                return dict(zip(places, name, strict=True))
        return {}


def _map(canvas: _Canvas, palette: Palette) -> Iterator[list[Piece]]:
    """Yields the lines of the map."""
    over = canvas.contour() | canvas.marks()
    if not palette.in_colour:
        for line, row in enumerate(canvas.ratios(1)):
            yield [_shade(ratio, over.get((line, at)), palette) for at, ratio in enumerate(row)]
        return
    halves = canvas.ratios(2)
    for line in range(canvas.lines):
        pairs = zip(halves[2 * line], halves[2 * line + 1], strict=True)
        yield [_half_block(*pair, over.get((line, at)), palette) for at, pair in enumerate(pairs)]


def _half_block(top: float, bottom: float, over: str | None, palette: Palette) -> Piece:
    """Returns a cell in two colours, or the glyph that lies over it."""
    if not math.isfinite(top + bottom):
        return over or UNKNOWN, palette.dim
    if over is not None:
        return over, f"bold {palette.ink} on {palette.of_ratio(top)}"
    return "▀", f"{palette.of_ratio(top)} on {palette.of_ratio(bottom)}"


def _shade(ratio: float, over: str | None, palette: Palette) -> Piece:
    """Returns a cell as a shade, or the glyph that lies over it."""
    if over is not None:
        return over, palette.highlight
    if not math.isfinite(ratio):
        return UNKNOWN, palette.dim
    return shade(ratio), palette.of_loss(ratio)


def shade(over_level: float) -> str:
    """Returns the shade of a loss given as a multiple of the level. It changes at the level."""
    return next(glyph for glyph, most in SHADES if over_level <= most)
