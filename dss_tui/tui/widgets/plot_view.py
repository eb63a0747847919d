"""The widget that shows a plot in its own size."""

from __future__ import annotations

from rich.text import Text
from textual.widget import Widget

from dss_tui.tui.palette import Palette
from dss_tui.tui.plots import Plot, draw


class PlotView(Widget):
    """A widget that is filled by a plot."""

    def __init__(self, *, id: str) -> None:
        """Makes an empty widget with an id."""
        super().__init__(id=id)
        self._plot: Plot | None = None
        self._palette: Palette | None = None

    def show(self, plot: Plot, palette: Palette) -> None:
        """Draws a plot, unless it is drawn already."""
        if (plot, palette) != (self._plot, self._palette):
            self._plot, self._palette = plot, palette
            self.refresh()

    def render(self) -> Text:
        """Draws the plot in the size that the widget has now."""
        if self._plot is None or self._palette is None:
            return Text("")
        return draw(self._plot, self.size.width, self.size.height, self._palette)
