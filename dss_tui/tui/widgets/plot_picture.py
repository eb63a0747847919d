"""Paints a plot with equal units in pixels: strings seen from a side, their beads and ends."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.text import Text

from dss_tui.tui.frame import Frame
from dss_tui.tui.palette import Palette, styled
from dss_tui.tui.pixels import Ink, Pixel, Sheet
from dss_tui.tui.plot import Curve, Plot, Point
from dss_tui.tui.plots import footer, header
from dss_tui.tui.tracks import runs_of, track_of

if TYPE_CHECKING:
    from PIL.Image import Image

#: The pixels left free around what is drawn: for the numbers of the axes, and at the other sides.
LEFT, BELOW, FREE = 64, 30, 20
#: The size of these numbers.
NUMBERS = 16
#: The names of a string's ends in letters that the picture's typeface has: their ids.
SPELLED = str.maketrans({"θ": "", "₁": "1", "₂": "2"})


@dataclass(frozen=True)
class PlotPainting:
    """The `Painting` of a plot, as large as its room.

    Lines and beads have the colours that they have as text.
    """

    plot: Plot

    @classmethod
    def of(cls, plot: Plot) -> PlotPainting | None:
        """Returns the painting of a plot, or None where it has no points."""
        found = cls(plot)
        return found if found._points() else None

    def size(self, width: int, height: int) -> tuple[int, int]:
        """Returns the room itself: the axes reach as far as it does."""
        return width, height

    def above(self, width: int, palette: Palette) -> Text:
        """Returns the title and the legend, in one line."""
        tracks = [track_of(curve, width) for curve in self.plot.curves]
        return styled(header(self.plot, tracks, width, palette))

    def below(self, width: int, palette: Palette) -> Text:
        """Returns the labels of both axes, in one line."""
        return styled(footer(self.plot, width, palette))

    def paint(self, width: int, height: int, palette: Palette) -> Image:
        """Returns the picture of the plot: its axes, lines and points, and then names."""
        from PIL import Image

        right, upper = max(width - FREE, LEFT + 1), max(height - BELOW, FREE + 1)
        frame = Frame.around(self.plot, self._points())
        frame = frame.with_equal_units(right - LEFT, upper - FREE)
        ground = palette.ink
        sheet = Sheet(Image.new("RGB", (width, height), ground))

        def place(point: Point) -> Pixel:
            across, up = frame.x.share(point[0]), frame.y.share(point[1])
            return LEFT + across * (right - LEFT), upper - up * (upper - FREE)

        axis = Ink(_hex(palette.axis), _hex(palette.axis))
        sheet.line([(LEFT - 8, FREE), (LEFT - 8, upper + 8), (right, upper + 8)], axis, 1)
        for share, label in frame.x.ticks(max(2, width // 120)):
            at = LEFT + share * (right - LEFT)
            sheet.words((at, upper + 10), label, axis, NUMBERS, anchor="ma")
        for share, label in frame.y.ticks(max(3, height // 60)):
            at = upper - share * (upper - FREE)
            sheet.words((LEFT - 12, at), label, axis, NUMBERS, anchor="rm")
        for curve in self.plot.curves:
            ink = Ink(_hex(getattr(palette, curve.role)), ground)
            for run in runs_of(track_of(curve, width)):
                if curve.lines:
                    sheet.line([place(point) for point in run], ink, _width(curve))
                else:
                    for point in run:
                        sheet.bead(place(point), ink, radius=6)
        for point, words in self.plot.names:
            named = Ink(_hex(palette.highlight), ground)
            sheet.name(place(point), words.translate(SPELLED), named)
        return sheet.picture

    def _points(self) -> list[Point]:
        """Returns the points of all curves that are finite."""
        return [
            (x, y)
            for curve in self.plot.curves
            for x, y in zip(curve.x, curve.y, strict=False)
            if math.isfinite(x) and math.isfinite(y)
        ]


def _width(curve: Curve) -> int:
    """Returns the width of a curve's line in pixels. What is selected is wider."""
    return 5 if curve.role == "highlight" else 2


def _hex(style: str) -> str:
    """Returns the colour of a style that may be bold too."""
    return style.rsplit(" ", 1)[-1]
