"""The screen that compares two runs: their landscapes, both strings in one plane, a table."""

from __future__ import annotations

from collections.abc import Sequence
from math import isclose
from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.theme import Theme
from textual.widgets import DataTable, Static, TabbedContent, TabPane
from textual.worker import get_current_worker

from dss_tui.tui.keymap import moving
from dss_tui.tui.palette import fitting, palette_of
from dss_tui.tui.plot import Curve, Plot, Role
from dss_tui.tui.plots import SAMPLES
from dss_tui.tui.screens.dialog import ClosedOnce
from dss_tui.tui.widgets.key_row import KeyRow
from dss_tui.tui.widgets.picture_view import Pictured
from dss_tui.tui.widgets.plot_picture import PlotPainting
from dss_tui.tui.widgets.plot_view import PlotView
from dss_tui.viewing.comparing import line, rows
from engine.record.rundir import RunDir

if TYPE_CHECKING:
    from engine.record.arc import Place
    from engine.record.comparison import Comparison
    from engine.record.joint_plane import JointPlane

#: The names of the two runs on this screen, and the roles of their curves.
NAMES: tuple[str, str] = ("A", "B")
ROLES: tuple[Role, Role] = ("train", "held_out")

#: The views in the order of their numbers.
VIEWS = ("landscapes", "plane", "differences")


class CompareScreen(ClosedOnce[None]):
    """Two runs beside each other, which are read in a thread."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q,escape", "dismiss", "back", id="compare.back"),
        *(
            Binding(str(number), f"view({view!r})", view, id=f"compare.{view}")
            for number, view in enumerate(VIEWS, 1)
        ),
        Binding("L", "log_scale", "log scale", id="compare.scale"),
    ]

    class Compared(Message):
        """Tells what the comparison has found."""

        def __init__(self, compared: Comparison) -> None:
            """Makes the message."""
            super().__init__()
            self.compared = compared

    def __init__(self, runs: tuple[RunDir, RunDir]) -> None:
        """Makes the screen of two runs."""
        super().__init__()
        self._runs = runs
        self._compared: Comparison | None = None
        self._log = False

    def compose(self) -> ComposeResult:
        """Lays out the two runs' lines over the views and a row of keys."""
        yield Static(id="pair", markup=False)
        with TabbedContent(id="views"):
            for number, view in enumerate(VIEWS, 1):
                with TabPane(f"{number} {view}", id=view):
                    if view == "differences":
                        yield Differences(id="differences-table", cursor_type="row")
                    elif view == "plane":
                        yield Pictured(PlotView(id="plane-plot"), id="both")
                        yield Static(id="no-plane", markup=False)
                    else:
                        yield PlotView(id=f"{view}-plot")
        yield KeyRow()

    def on_mount(self) -> None:
        """Starts to read the runs."""
        self.query_one("#pair", Static).update("reading both runs …")
        self.app.theme_changed_signal.subscribe(self, self._recoloured)
        self._read()

    @work(thread=True)
    def _read(self) -> None:
        """Compares the runs, as long as the screen is there."""
        from engine.record.comparison import compare  # only now, because it loads scipy
        from engine.record.joint_plane import Unwanted

        worker = get_current_worker()
        try:
            compared = compare(self._runs, lambda: not worker.is_cancelled)
        except Unwanted:
            return
        self.post_message(self.Compared(compared))

    @on(Compared)
    def _show(self, told: Compared) -> None:
        """Shows the comparison."""
        self._compared = told.compared
        table = self.query_one(Differences)
        for title in ("", *NAMES):
            table.add_column(title)
        for row in rows(told.compared):
            table.add_row(*(Text(cell) for cell in row))
        self._draw()

    def _draw(self) -> None:
        """Draws the lines of the runs and both plots."""
        compared = self._compared
        if compared is None:
            return
        palette, room = palette_of(self.app), self.size.width - len("A ⠒⠒ ") - 2
        lines = [
            Text.assemble(
                (f"{name} {SAMPLES[role]} ", getattr(palette, role)), fitting(room, *line(side))
            )
            for name, role, side in zip(NAMES, ROLES, compared.sides, strict=True)
        ]
        faults = [Text(fault, style=palette.above) for fault in compared.faults]
        self.query_one("#pair", Static).update(Text("\n").join(lines + faults))
        landscapes = self.query_one("#landscapes-plot", PlotView)
        landscapes.show(landscape_plot(compared, log=self._log), palette)
        both, words = self.query_one("#both", Pictured), self.query_one("#no-plane", Static)
        both.display = compared.plane is not None
        words.display = compared.plane is None
        words.update(f"no common plane: {compared.why}")
        if compared.plane is not None:
            plot = plane_plot(compared.plane)
            if not both.show(PlotPainting.of(plot), palette):
                self.query_one("#plane-plot", PlotView).show(plot, palette)

    def on_resize(self) -> None:
        """Fits the lines of the runs into another width."""
        self._draw()

    def _recoloured(self, theme: Theme) -> None:
        """Draws everything in the colours of another theme."""
        self._draw()

    def action_view(self, view: str) -> None:
        """Shows a view."""
        self.query_one(TabbedContent).active = view
        if view == "differences":
            self.query_one(Differences).focus()

    def action_log_scale(self) -> None:
        """Changes between a linear and a logarithmic scale of the landscapes."""
        self._log = not self._log
        self._draw()


class Differences(DataTable[Text]):
    """The table of what differs."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *moving("scroll_top", "scroll_bottom"),
        Binding("h", "cursor_left", show=False),
        Binding("l", "cursor_right", show=False),
    ]


def landscape_plot(compared: Comparison, *, log: bool) -> Plot:
    """Returns the plot of both landscapes, each from 0 to 1 along and in multiples of its level."""
    return Plot(
        title="objective along both strings",
        curves=tuple(
            _curve(side.landscape, name, role)
            for name, role, side in zip(NAMES, ROLES, compared.sides, strict=True)
        ),
        x_label="share of the string's length",
        y_label="objective / level",
        level=1.0,
        log_y=log,
    )


def plane_plot(plane: JointPlane) -> Plot:
    """Returns the plot of both strings in one plane, with their ends named."""
    pairs = list(zip(NAMES, ROLES, plane.strings, strict=True))
    first, second = plane.shares
    return Plot(
        title=f"both strings, PCA {first:.0%} + {second:.0%}, equal scale",
        curves=(
            *(_curve(places, name, role) for name, role, places in pairs),
            *(_curve(places, "", role, lines=False) for _, role, places in pairs),
        ),
        x_label="first component",
        y_label="second",
        equal=True,
        names=_named_ends(plane),
    )


def _named_ends(plane: JointPlane) -> tuple[tuple[Place, str], ...]:
    """Returns the places of the ends with their names, one for ends that both strings share."""
    named: dict[tuple[Place, str], list[str]] = {}
    for name, places in zip(NAMES, plane.strings, strict=True):
        for end, place in (("θ₁", places[0]), ("θ₂", places[-1])):
            same = next((key for key in named if key[1] == end and _meet(key[0], place)), None)
            named.setdefault(same or (place, end), []).append(name)
    return tuple((place, f"{' '.join(names)} {end}") for (place, end), names in named.items())


def _meet(one: Place, other: Place) -> bool:
    """Returns whether two places are one, but for rounding."""
    return all(isclose(a, b, rel_tol=1e-5, abs_tol=1e-5) for a, b in zip(one, other, strict=True))


def _curve(places: Sequence[Place], label: str, role: Role, *, lines: bool = True) -> Curve:
    """Returns a curve through places."""
    return Curve(tuple(x for x, _ in places), tuple(y for _, y in places), label, role, lines)
