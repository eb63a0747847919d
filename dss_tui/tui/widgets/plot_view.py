"""The widget that shows a plot in its own size, and the values under the mouse."""

from __future__ import annotations

from rich.text import Text
from textual.events import Leave, MouseMove
from textual.geometry import Offset, Region
from textual.widget import Widget

from dss_tui.tui.palette import Palette, fitting
from dss_tui.tui.plot import Plot
from dss_tui.tui.plots import Drawn, draw


class PlotView(Widget):
    """A widget that is filled by a plot.

    While the mouse is over it, the values there stand in the line of the labels of its axes.
    """

    def __init__(self, *, id: str) -> None:
        """Makes an empty widget with an id."""
        super().__init__(id=id)
        self._plot: Plot | None = None
        self._palette: Palette | None = None
        self._drawn: tuple[object, Drawn] | None = None
        """The plot as it was drawn last, and what it was drawn of: plot, colours and size."""
        self._mouse: Offset | None = None

    def show(self, plot: Plot, palette: Palette) -> None:
        """Draws a plot, unless it is drawn already."""
        if (plot, palette) != (self._plot, self._palette):
            self._plot, self._palette, self._drawn = plot, palette, None
            self.refresh()

    def render(self) -> Text:
        """Draws the plot in the size that the widget has now."""
        drawn = self._in_this_size()
        if drawn is None:
            return Text("")
        values = self._values()
        if not values or self._palette is None:
            return drawn.text
        *others, _ = drawn.text.split("\n")
        last = Text(fitting(self.size.width, values), self._palette.highlight)
        return Text("\n", no_wrap=True, overflow="crop", end="").join([*others, last])

    def _in_this_size(self) -> Drawn | None:
        """Returns the plot as it is drawn in the size that the widget has now."""
        if self._plot is None or self._palette is None:
            return None
        key = self._plot, self._palette, self.size
        if self._drawn is None or self._drawn[0] != key:
            width, height = self.size
            self._drawn = key, draw(self._plot, width, height, self._palette)
        return self._drawn[1]

    def _values(self) -> str:
        """Returns the values under the mouse, or nothing where there are none or no line."""
        drawn = self._in_this_size()
        if self._mouse is None or drawn is None or not drawn.footed:
            return ""
        return drawn.values(self._mouse.x, self._mouse.y)

    def on_mouse_move(self, event: MouseMove) -> None:
        """Shows the values under the mouse."""
        self._point(event.get_content_offset(self))

    def on_leave(self, event: Leave) -> None:
        """Shows the labels of the axes again."""
        self._point(None)

    def _point(self, mouse: Offset | None) -> None:
        """Takes another place of the mouse, and draws the last line if it changes."""
        before, self._mouse = self._values(), mouse
        if self._values() != before:
            self.refresh(Region(0, self.size.height - 1, self.size.width, 1))
