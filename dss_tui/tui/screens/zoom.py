"""The screen with one plot in full size."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from dss_tui.tui.palette import palette_of
from dss_tui.tui.plot import Plot
from dss_tui.tui.screens.dialog import Dialog
from dss_tui.tui.widgets.key_row import KeyRow
from dss_tui.tui.widgets.plot_view import PlotView


@dataclass(frozen=True)
class Zoomed:
    """The plot that is shown large, and the actions of its keys."""

    plot: Callable[[], Plot | None]
    """Returns the plot as it is now, or None where there is nothing to plot."""
    scale: Callable[[], None]
    """Changes between a linear and a logarithmic scale."""
    step: Callable[[int], None]
    """Goes a number of beads and segments along the string."""
    every_s: float
    """The seconds after which the plot is drawn again."""


class Zoom(Dialog[None]):
    """A screen with one plot in full size, kept up to date."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,enter", "dismiss", "close"),
        Binding("L", "log_scale", "log scale"),
        Binding("left,h", "select(-2)", "previous segment"),
        Binding("right,l", "select(2)", "next segment"),
    ]

    def __init__(self, zoomed: Zoomed) -> None:
        """Makes the screen of a plot."""
        super().__init__()
        self._zoomed = zoomed

    def compose(self) -> ComposeResult:
        """Lays out the plot over a row of keys."""
        yield PlotView(id="zoom")
        yield KeyRow()

    def on_mount(self) -> None:
        """Draws the plot now and from time to time."""
        self._show()
        self.set_interval(self._zoomed.every_s, self._show)

    def _show(self) -> None:
        """Draws the plot as it is now."""
        plot = self._zoomed.plot()
        if plot is None:
            return
        for view in self.query(PlotView):  # none where the application ends at this moment
            view.show(plot, palette_of(self.app))

    def action_log_scale(self) -> None:
        """Changes between a linear and a logarithmic scale."""
        self._zoomed.scale()
        self._show()

    def action_select(self, step: int) -> None:
        """Goes `step` beads and segments along the string."""
        self._zoomed.step(step)
        self._show()
