"""The widget that shows a picture in pixels, or as text where the terminal shows no pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widget import Widget
from textual.widgets import Static

from dss_tui.tui.palette import Palette
from dss_tui.tui.pictures import picture
from dss_tui.tui.pixels import CELL, Painting

if TYPE_CHECKING:
    from dss_tui.tui.pictures import Picture

#: The most columns and lines of a picture: some terminals drop one of more than 1000 pixels a side.
MOST = 80, 40


class Pictured(Vertical):
    """A widget that shows something in pixels, or leaves its room to a widget of text.

    It does so where the terminal shows no pictures or has too few colours, and where there is
    nothing to be painted.
    """

    def __init__(self, text: Widget, *, id: str) -> None:
        """Makes an empty widget with an id. `text` is the widget that shows the same as text."""
        super().__init__(id=id)
        self._text = text

    def compose(self) -> ComposeResult:
        """Lays out both, of which one is seen."""
        yield self._text
        kind = picture()
        if kind is not None:
            yield PictureView(kind)

    def show(self, painting: Painting | None, palette: Palette) -> bool:
        """Shows a painting, and returns whether it does; else the text is to be drawn."""
        views = self.query(PictureView)
        seen = painting is not None and palette.in_colour and bool(views)
        self._text.display = not seen
        for view in views:
            view.display = seen
            if seen and painting is not None:
                view.show(painting, palette)
        return seen


class PictureView(Vertical):
    """A widget with a picture in pixels, between the words above and below it."""

    def __init__(self, kind: Picture) -> None:
        """Makes an empty widget. `kind` is that of the picture in it."""
        super().__init__()
        self._kind = kind
        self._shown: tuple[Painting, Palette] | None = None
        self._painted: object = None
        """What the picture was painted of: painting, palette and size in cells."""

    def compose(self) -> ComposeResult:
        """Lays out the words and the picture between them."""
        yield Static(classes="words", markup=False)
        yield self._kind(classes="picture")
        yield Static(classes="words", markup=False)

    def show(self, painting: Painting, palette: Palette) -> None:
        """Paints something, unless it is painted already."""
        if (painting, palette) != self._shown:
            self._shown = painting, palette
            self._fit()

    def on_resize(self) -> None:
        """Paints it in the new size."""
        self._fit()

    def _fit(self) -> None:
        """Writes the words that fit, and paints the picture as large as its shape allows."""
        if self._shown is None or not self.size.width:
            return
        painting, palette = self._shown
        width = self.size.width
        words = painting.above(width, palette), painting.below(width, palette)
        lines = sum(each.plain.count("\n") + 1 for each in words)
        room = min(width, MOST[0]), min(max(self.size.height - lines, 1), MOST[1])
        if (*self._shown, room) == self._painted:
            return
        self._painted = (*self._shown, room)
        for place, each in zip(self.query(".words").results(Static), words, strict=True):
            place.update(each)
        across, up = painting.size(room[0] * CELL[0], room[1] * CELL[1])
        shown = self.query_one(self._kind)
        shown.image = painting.paint(across, up, palette)
        shown.styles.width = max(round(across / CELL[0]), 1)
        shown.styles.height = max(round(up / CELL[1]), 1)
