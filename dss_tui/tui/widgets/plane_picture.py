"""Paints a loss plane in pixels, for terminals that show pictures (the extra `images`)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from rich.text import Text

from dss_tui.tui.palette import Palette, fitting, styled
from dss_tui.tui.pixels import ROUND, TRIANGLE, Ink, Pixel, Sheet
from dss_tui.tui.widgets.plane import CLOSE, UNKNOWN, heading, scale
from engine.record.loss_plane import LossPlane, PlaneBead

if TYPE_CHECKING:
    from PIL.Image import Image

#: How many pixels share one colour of the map, each way.
STEP = 4
#: The colours of what is drawn over the map, and of points whose loss is not finite.
OVER, UNKNOWN_COLOUR = Ink("#ffffff", "#000000"), "#808080"

#: The wordings of the line that explains the picture, the longest first.
EXPLAINED = (
    "white bead: in the plane  black: beside it  triangle: above the level  white line: the level",
    "white: in the plane  black: beside it  triangle: above  white line: level",
    "triangle: above  white line: level",
)


@dataclass(frozen=True)
class PlanePainting:
    """The `Painting` of a loss plane.

    The colours are those of the palette's ramp. A line marks where the objective crosses the level
    with its tolerance. The string is a line through its beads: discs up to the level and triangles
    above, white where they lie in the plane. The three beads that span the plane have their ids.
    """

    plane: LossPlane

    def size(self, width: int, height: int) -> tuple[int, int]:
        """Returns the largest size of a plane's picture, equal units on both axes."""
        x, y = self.plane.x, self.plane.y
        sides = x[-1] - x[0], y[-1] - y[0]
        unit = max(sides[0] / width, sides[1] / height)
        return tuple(max(STEP, STEP * round(side / unit / STEP)) for side in sides)  # type: ignore[return-value]

    def above(self, width: int, palette: Palette) -> Text:
        """Returns what the plane goes through, and its extremes."""
        return heading(self.plane, width)

    def below(self, width: int, palette: Palette) -> Text:
        """Returns the legend of the colours and of the beads."""
        explained = [("\n", ""), (fitting(width, *EXPLAINED), palette.dim)]
        return styled([*scale(width, palette), *explained])

    def paint(self, width: int, height: int, palette: Palette) -> Image:
        """Returns the picture of the plane."""
        from PIL import Image

        plane = self.plane
        columns, rows = width // STEP, height // STEP
        x = [_share(at + 0.5, columns, plane.x) for at in range(columns)]
        y = [_share(rows - at - 0.5, rows, plane.y) for at in range(rows)]
        losses = plane.at(x, y)
        map_ = Image.new("RGB", (columns, rows))
        map_.putdata([_rgb(loss / plane.level, palette) for row in losses for loss in row])
        picture = map_.resize((width, height), Image.Resampling.BILINEAR)
        sheet = Sheet(picture)
        for line in contour(losses, plane.bound):
            ends = [((at[0] + 0.5) * STEP, (at[1] + 0.5) * STEP) for at in line]
            sheet.line(ends, Ink(OVER.colour, OVER.colour))
        self._string(sheet, width, height)
        return picture

    def _string(self, sheet: Sheet, width: int, height: int) -> None:
        """Draws the string, its beads, and the names of the three corners."""
        plane = self.plane

        def place(bead: PlaneBead) -> Pixel:
            (left, right), (low, high) = (plane.x[0], plane.x[-1]), (plane.y[0], plane.y[-1])
            return (
                (bead.x - left) / (right - left) * width,
                (high - bead.y) / (high - low) * height,
            )

        known = [bead for bead in plane.string if math.isfinite(bead.x + bead.y)]
        sheet.line([place(bead) for bead in known], OVER)
        for bead in (*known, *plane.corners):
            in_plane = bead.distance <= CLOSE * plane.corners[1].x
            sides = ROUND if bead.loss <= plane.bound else TRIANGLE
            sheet.bead(place(bead), OVER if in_plane else OVER.swapped, sides)
        for corner in plane.corners:
            unknown = "" if math.isfinite(corner.loss) else f" {UNKNOWN}"
            sheet.name(place(corner), f"{corner.bead}{unknown}", OVER)


def contour(losses: Sequence[Sequence[float]], bound: float) -> list[tuple[Pixel, Pixel]]:
    """Returns the pieces of the line on which losses (row, column) cross a bound.

    Each is a pair of (column, row). Where a corner of a square is not finite, it has no piece.
    """
    pieces: list[tuple[Pixel, Pixel]] = []
    for row, (upper, lower) in enumerate(pairwise(losses)):
        for column in range(len(upper) - 1):
            corners = (upper[column], upper[column + 1], lower[column + 1], lower[column])
            places = ((0, 0), (1, 0), (1, 1), (0, 1))
            crossed: list[Pixel] = []
            for one, other in zip(range(4), (1, 2, 3, 0), strict=True):
                low, high = corners[one], corners[other]
                if (low > bound) != (high > bound) and math.isfinite(low + high):
                    share = (bound - low) / (high - low)
                    (x, y), (u, v) = places[one], places[other]
                    crossed.append((column + x + share * (u - x), row + y + share * (v - y)))
            pieces += zip(crossed[::2], crossed[1::2], strict=False)
    return pieces


def _share(at: float, count: int, axis: Sequence[float]) -> float:
    """Returns the coordinate at a share of an axis."""
    return axis[0] + at / count * (axis[-1] - axis[0])


def _rgb(over_level: float, palette: Palette) -> tuple[int, int, int]:
    """Returns the colour of a loss as a multiple of the level."""
    text = palette.of_ratio(over_level) if math.isfinite(over_level) else UNKNOWN_COLOUR
    return int(text[1:3], 16), int(text[3:5], 16), int(text[5:7], 16)
