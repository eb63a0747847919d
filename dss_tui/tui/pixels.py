"""Draws in pixels what lies in a plane: lines, beads and names over a map or an empty ground.

Pillow, of the extra `images`, is imported only when something is drawn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Protocol

from rich.text import Text

from dss_tui.tui.palette import Palette

if TYPE_CHECKING:
    from PIL.Image import Image

Pixel = tuple[float, float]
"""The place of a pixel, from the left and from the top."""

#: The pixels of a cell of the screen, across and up, in which pictures are painted.
CELL = 9, 18
#: The pixels from a bead's middle to its rim, and the size of names.
BEAD, NAME = 8, 22
#: The sides of a bead up to the level, which looks round, and of one above it.
ROUND, TRIANGLE = 30, 3


class Painting(Protocol):
    """Something that can be painted in pixels, between two lines or a few of words."""

    def size(self, width: int, height: int) -> tuple[int, int]:
        """Returns the width and the height in pixels of its picture in a room of pixels."""

    def paint(self, width: int, height: int, palette: Palette) -> Image:
        """Returns its picture in a size in pixels. The palette is one of colours."""

    def above(self, width: int, palette: Palette) -> Text:
        """Returns the words above the picture, in a width in columns."""

    def below(self, width: int, palette: Palette) -> Text:
        """Returns the words below the picture, in a width in columns."""


@dataclass(frozen=True)
class Ink:
    """The colours of what is drawn, and of the rim that sets it off from what lies below."""

    colour: str
    rim: str

    @property
    def swapped(self) -> Ink:
        """The two colours the other way round."""
        return Ink(self.rim, self.colour)


class Sheet:
    """A picture on which things are drawn at places in pixels."""

    def __init__(self, picture: Image) -> None:
        """Takes a picture, which is drawn upon."""
        from PIL import ImageDraw

        self.picture = picture
        """The picture with all that was drawn so far."""
        self._draw = ImageDraw.Draw(picture)

    def line(self, places: Sequence[Pixel], ink: Ink, width: int = 2) -> None:
        """Draws a line from place to place, with a rim on both sides where it has another colour.

        Each piece is drawn for itself, so that no two of them are joined into an edge.
        """
        for ends in pairwise(places):
            if ink.rim != ink.colour:
                self._draw.line(ends, fill=ink.rim, width=width + 3)
            self._draw.line(ends, fill=ink.colour, width=width)

    def bead(self, place: Pixel, ink: Ink, sides: int = ROUND, radius: int = BEAD) -> None:
        """Draws a bead, of as many sides."""
        self._draw.regular_polygon((*place, radius), sides, fill=ink.colour, outline=ink.rim)

    def name(self, place: Pixel, words: str, ink: Ink) -> None:
        """Writes words to the right of a bead, or to its left where the picture ends."""
        x, y = place
        width, height = self.picture.size
        room = self._room(words, NAME)
        x = x + 12 if x + 16 + room <= width else x - 12 - room
        self.words((x, min(max(y - 12, 0), height - 28)), words, ink, NAME)

    def words(self, place: Pixel, words: str, ink: Ink, size: int, anchor: str = "la") -> None:
        """Writes words at a place, which is their upper left corner or what `anchor` says."""
        from PIL import ImageFont

        rim = 2 if ink.rim != ink.colour else 0
        self._draw.text(
            place,
            words,
            fill=ink.colour,
            font=ImageFont.load_default(size),
            anchor=anchor,
            stroke_width=rim,
            stroke_fill=ink.rim,
        )

    def _room(self, words: str, size: int) -> int:
        """Returns the width of words in pixels."""
        from PIL import ImageFont

        return round(self._draw.textlength(words, font=ImageFont.load_default(size)))
