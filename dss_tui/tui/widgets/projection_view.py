"""The view of a string in its first three principal components, over the keys that turn it."""

from __future__ import annotations

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import Static

from dss_tui.tui.palette import Palette, fitting
from dss_tui.tui.plot import Plot
from dss_tui.tui.widgets.key_row import keys_shown
from dss_tui.tui.widgets.picture_view import Pictured
from dss_tui.tui.widgets.plot_picture import PlotPainting
from dss_tui.tui.widgets.plot_view import PlotView

#: What the keys do, by the ids of their bindings, which one word tells for two directions.
TURNING = (
    ("turn", ("run.turn-left", "run.turn-right")),
    ("tilt", ("run.tilt-down", "run.tilt-up")),
    ("first two components", ("run.front",)),
)


class ProjectionView(Vertical):
    """A widget with a projection, in pixels or as text, over a line of keys."""

    def compose(self) -> ComposeResult:
        """Lays out the projection and the line of keys."""
        yield Pictured(PlotView(id="projection-plot"), id="projected")
        yield Static(id="turning")

    def show(self, plot: Plot, palette: Palette) -> None:
        """Draws a projection, and which keys turn it."""
        if not self.query_one(Pictured).show(PlotPainting.of(plot), palette):
            self.query_one(PlotView).show(plot, palette)
        self.query_one("#turning", Static).update(Text(self._keys(bool(plot.curves)), palette.dim))

    def _keys(self, turns: bool) -> str:
        """Returns the keys and what they do, in the width there is; nothing for a plot of words."""
        if not turns:
            return ""
        shown = [(" ".join(keys_shown(self.screen, ids)), word) for word, ids in TURNING]
        told = [f"{keys} {word}" for keys, word in shown if keys]
        return fitting(self.size.width, "   ".join(told), "  ".join(told[:2]))
