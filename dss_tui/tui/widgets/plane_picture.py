"""Paints a loss plane in pixels, for terminals that show pictures (the extra `images`)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import Static

from dss_tui.tui.palette import Palette, fitting, styled
from dss_tui.tui.widgets.plane import CLOSE, UNKNOWN, heading, scale
from engine.record.loss_plane import LossPlane, Spot

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageDraw import ImageDraw

    from dss_tui.tui.pictures import Picture

#: The pixels of a picture's longer side, and how many of them share one colour of the map.
SIDE, STEP = 720, 4
#: The colours of what is drawn over the map, and of points whose loss is not finite.
INK, PAPER, UNKNOWN_COLOUR = "#000000", "#ffffff", "#808080"

#: The most columns and lines of a picture: some terminals drop one of more than 1000 pixels a side.
MOST = 80, 40
#: The wordings of the line that explains the picture, the longest first.
EXPLAINED = (
    "white bead: in the plane  black: beside it  triangle: above the level  white line: the level",
    "white: in the plane  black: beside it  triangle: above  white line: level",
    "triangle: above  white line: level",
)

Pixel = tuple[float, float]


class PlanePicture(Vertical):
    """A widget with a loss plane in pixels, between its heading and its legend."""

    def __init__(self, kind: Picture, *, id: str) -> None:
        """Makes an empty widget. `kind` is that of the picture in it."""
        super().__init__(id=id)
        self._kind = kind
        self._shown: tuple[LossPlane, Palette] | None = None

    def compose(self) -> ComposeResult:
        """Lays out the heading, the picture and its legend."""
        yield Static(classes="words")
        yield self._kind(classes="picture")
        yield Static(classes="words")

    def show(self, plane: LossPlane, palette: Palette) -> None:
        """Paints a plane, unless it is painted already."""
        if (plane, palette) != self._shown:
            self._shown = plane, palette
            self.query_one(self._kind).image = paint(plane, palette)
            self._fit()

    def on_resize(self) -> None:
        """Fits words and picture into the new size."""
        self._fit()

    def _fit(self) -> None:
        """Writes the words that fit, and makes the picture as large as its shape allows."""
        if self._shown is None:
            return
        (plane, palette), width = self._shown, self.size.width
        above, below = self.query(".words").results(Static)
        above.update(heading(plane, width))
        explained = [("\n", ""), (fitting(width, *EXPLAINED), palette.dim)]
        below.update(styled([*scale(width, palette), *explained]))
        across, up = size_of(plane)
        columns, lines = min(width, MOST[0]), min(self.size.height - 3, MOST[1])
        cell = max(across / max(columns, 1), up / (2 * max(lines, 1)))
        picture = self.query_one(self._kind)
        picture.styles.width = max(round(across / cell), 1)
        picture.styles.height = max(round(up / (2 * cell)), 1)


def size_of(plane: LossPlane) -> tuple[int, int]:
    """Returns the width and the height of a plane's picture in pixels, equal units on both axes."""
    across, up = plane.x[-1] - plane.x[0], plane.y[-1] - plane.y[0]
    longer = max(across, up)
    return tuple(max(STEP, STEP * round(SIDE * side / longer / STEP)) for side in (across, up))  # type: ignore[return-value]


def paint(plane: LossPlane, palette: Palette) -> Image:
    """Returns the picture of a plane.

    The colours are those of the palette's ramp. A line marks where the objective crosses the level
    with its tolerance. The string is a line through its beads: discs up to the level and triangles
    above, white where they lie in the plane. The three beads that span the plane have their ids.
    """
    from PIL import Image, ImageDraw

    width, height = size_of(plane)
    columns, rows = width // STEP, height // STEP
    x = [_share(at + 0.5, columns, plane.x) for at in range(columns)]
    y = [_share(rows - at - 0.5, rows, plane.y) for at in range(rows)]
    losses = plane.at(x, y)
    map_ = Image.new("RGB", (columns, rows))
    map_.putdata([_rgb(loss / plane.level, palette) for row in losses for loss in row])
    picture = map_.resize((width, height), Image.Resampling.BILINEAR)
    draw = ImageDraw.Draw(picture)
    for line in contour(losses, plane.bound):
        ends = [((at[0] + 0.5) * STEP, (at[1] + 0.5) * STEP) for at in line]
        draw.line(ends, fill=PAPER, width=2)
    _string(draw, plane, width, height)
    return picture


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


def _string(draw: ImageDraw, plane: LossPlane, width: int, height: int) -> None:
    """Draws the string, its beads, and the names of the three corners."""
    from PIL import ImageFont

    def place(spot: Spot) -> Pixel:
        (left, right), (low, high) = (plane.x[0], plane.x[-1]), (plane.y[0], plane.y[-1])
        return (
            (spot.x - left) / (right - left) * width,
            (high - spot.y) / (high - low) * height,
        )

    known = [spot for spot in plane.string if math.isfinite(spot.x + spot.y)]
    for ends in pairwise(map(place, known)):
        draw.line(ends, fill=INK, width=5)
        draw.line(ends, fill=PAPER, width=2)
    for spot in (*known, *plane.corners):
        in_plane = spot.distance <= CLOSE * plane.corners[1].x
        sides = 30 if spot.loss <= plane.bound else 3
        draw.regular_polygon(
            (*place(spot), 8),
            sides,
            fill=PAPER if in_plane else INK,
            outline=INK if in_plane else PAPER,
        )
    font = ImageFont.load_default(22)
    for corner in plane.corners:
        x, y = place(corner)
        words = str(corner.bead) if math.isfinite(corner.loss) else f"{corner.bead} {UNKNOWN}"
        draw.text(
            (min(x + 12, width - 40), min(max(y - 12, 0), height - 28)),
            words,
            fill=PAPER,
            font=font,
            stroke_width=2,
            stroke_fill=INK,
        )
