"""The screen with quantities along a run's string, which processes of their own measure."""

from __future__ import annotations

import math
import sys
import tempfile
from pathlib import Path
from typing import ClassVar

from rich.console import Group, RenderableType
from rich.text import Text
from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Static

from dss_tui.tui.palette import palette_of
from dss_tui.tui.plot import Curve, Plot, Role
from dss_tui.tui.screens.dialog import Dialog
from dss_tui.tui.screens.plane import TRUST
from dss_tui.tui.widgets.key_row import KeyRow
from dss_tui.tui.widgets.plot_view import PlotView
from dss_tui.viewing.process import finished
from dss_tui.viewing.quantities import models_table, notes
from dss_tui.viewing.words import short_clock
from engine.quantities import QUANTITIES
from engine.record.decoding import parse_json
from engine.record.lock import is_live
from engine.record.quantity import Quantity, Series, quantity_of, read_quantity
from engine.record.reading import LARGEST_JSON, Damaged, read_bytes
from engine.record.rundir import RunDir
from engine.record.unfit import Unfit

#: The roles of the series that a plot shows, and so how many it shows at most.
ROLES: tuple[Role, ...] = ("train", "held_out", "highlight", "points")
#: The rows from which on the table and the notes have room below the plot.
HIGH = 24


def pages(found: Quantity) -> list[tuple[str, tuple[Series, ...]]]:
    """Returns the plots of a quantity: a chart each, in parts where it has too many series."""
    return [
        (chart, series[start : start + len(ROLES)])
        for chart in found.charts
        for series in [found.of_chart(chart)]
        for start in range(0, len(series), len(ROLES))
    ]


def plot(found: Quantity, page: int, *, log_y: bool) -> Plot:
    """Returns one of the plots of a quantity against the place along the string."""
    every = pages(found)
    chart, series = every[page]
    which = f" ({page + 1} of {len(every)})" if len(every) > 1 else ""
    return Plot(
        title=f"{found.name}: {chart}{which}",
        curves=tuple(_curve(found, *pair) for pair in zip(series, ROLES, strict=False)),
        x_label="share of the string's length",
        y_label=chart,
        log_y=log_y,
    )


def _curve(found: Quantity, series: Series, role: Role) -> Curve:
    """Returns the curve of a series, past the places where it has no value."""
    places = [(x, y) for x, y in zip(found.arc, series.values, strict=True) if not math.isnan(y)]
    return Curve(tuple(x for x, _ in places), tuple(y for _, y in places), series.words, role)


class AlongScreen(Dialog[None]):
    """A screen with what was measured along a run's string, and with a key to measure it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "dismiss", "close"),
        Binding("down,j", "quantity(1)", "next quantity", id="along.next"),
        Binding("up,k", "quantity(-1)", "previous quantity", id="along.previous", show=False),
        Binding("right,l", "page(1)", "next plot", id="along.right"),
        Binding("left,h", "page(-1)", "previous plot", id="along.left", show=False),
        Binding("r", "measure", "measure", id="along.measure"),
        Binding("R", "measure_all", "measure all", id="along.all"),
        Binding("L", "log_scale", "log scale", id="along.scale"),
        Binding("y", "trust", "run its functions", id="along.trust"),
    ]

    def __init__(self, run: RunDir) -> None:
        """Makes the screen, which begins with what was measured before."""
        super().__init__()
        self._run = run
        self._found: dict[str, Quantity] = {}
        self._said: dict[str, str] = {}
        """What is told of a quantity in place of its plot."""
        self._quantity = next(iter(QUANTITIES))
        self._page, self._log_scale = 0, False
        self._asked = self._quantity
        """What was asked for last: the name of a quantity, or all."""
        self._asks_for_trust = False

    def compose(self) -> ComposeResult:
        """Lays out the names, the plot or a sentence, and the table over a row of keys."""
        yield Static(id="names", markup=False)
        yield Static(id="said", markup=False)
        yield PlotView(id="chart")
        yield Static(id="told", markup=False)
        yield KeyRow()

    def on_mount(self) -> None:
        """Reads what was measured before, and draws it anew where the theme changes."""
        self.app.theme_changed_signal.subscribe(self, lambda _: self._draw())
        for name in QUANTITIES:
            self._read(name)
        self._quantity = next((name for name in QUANTITIES if name in self._found), self._quantity)
        self._draw()

    def on_resize(self) -> None:
        """Draws everything in another size."""
        self._draw()

    # ------------------------------------------------------------ keys

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Shows the key that allows functions of the user's own only where they are asked for."""
        return self._asks_for_trust if action == "trust" else True

    def action_quantity(self, step: int) -> None:
        """Goes to the next quantity, or the one before."""
        names = list(QUANTITIES)
        self._quantity = names[(names.index(self._quantity) + step) % len(names)]
        self._page = 0
        self._draw()

    def action_page(self, step: int) -> None:
        """Goes to the next plot of the quantity, or the one before."""
        found = self._found.get(self._quantity)
        if found is not None:
            self._page = (self._page + step) % len(pages(found))
            self._draw()

    def action_log_scale(self) -> None:
        """Changes between a linear and a logarithmic scale."""
        self._log_scale = not self._log_scale
        self._draw()

    def action_measure(self) -> None:
        """Measures the quantity on the newest string."""
        self._measure(self._quantity, trusted=False)

    def action_measure_all(self) -> None:
        """Measures all quantities that the network allows on the newest string."""
        self._measure("all", trusted=False)

    def action_trust(self) -> None:
        """Measures what was asked for last by functions that the run names."""
        self._measure(self._asked, trusted=True)

    # ------------------------------------------------------------ measuring

    @work(exclusive=True)
    async def _measure(self, what: str, *, trusted: bool) -> None:
        """Measures as the command line does, in a process that ends with this screen."""
        names = list(QUANTITIES) if what == "all" else [what]
        self._asked = what
        self._tell(names, "measuring the newest string …")
        with tempfile.TemporaryDirectory() as folder:
            # Nothing is written to the folder of a run with which an engine goes on meanwhile.
            out = Path(folder) / "found.json" if is_live(self._run) else None
            command = [sys.executable, "-P", "-m", "dss_tui", "measure", str(self._run.path)]
            command += ["--what", what, *([] if out is None else ["--out", str(out)])]
            with tempfile.TemporaryFile() as output:
                status = await finished(command + ([TRUST] if trusted else []), output)
                output.seek(0)
                words = output.read().decode(errors="replace").strip()
            if status:
                asks = TRUST in words
                self._tell(names, words.replace(f"give {TRUST}", "press y"), asks=asks)
                return
            self._tell(names, "")
            if out is not None:
                self._take(out)
        for name in names:
            if out is None:
                self._read(name)
            if name not in self._found:
                self._said[name] = "This network does not allow it."
        self._page = 0
        self._draw()

    def _take(self, out: Path) -> None:
        """Takes what a command has written to a file."""
        try:
            for name, tree in parse_json(read_bytes(out, LARGEST_JSON) or b"{}").items():
                self._found[name] = quantity_of(tree)
        except (Unfit, Damaged) as error:
            self._said[self._quantity] = str(error)

    def _read(self, name: str) -> None:
        """Reads what was measured of a quantity from the run's folder."""
        try:
            found = read_quantity(self._run, name)
        except Damaged as error:
            self._said[name] = error.short
            return
        if found is not None and found.series:
            self._found[name] = found

    def _tell(self, names: list[str], words: str, *, asks: bool = False) -> None:
        """Shows a sentence in place of some quantities, and whether the user is asked for trust."""
        if asks != self._asks_for_trust:
            self._asks_for_trust = asks
            self.refresh_bindings()
        for name in names:
            self._said[name] = words
        self._draw()

    # ------------------------------------------------------------ drawing

    def _draw(self) -> None:
        """Draws the quantity that is selected: its plot, or the sentence in its place."""
        if not self.query("#names"):  # the screen is going
            return
        found, said = self._found.get(self._quantity), self._said.get(self._quantity, "")
        shown = None if said else found
        chart, words = self.query_one(PlotView), self.query_one("#said", Static)
        table = self.query_one("#told", Static)
        chart.display, words.display = shown is not None, shown is None
        table.display = shown is not None and self.size.height >= HIGH
        self.query_one("#names", Static).update(self._names())
        if shown is None:
            what = QUANTITIES[self._quantity]
            words.update(said or f"{self._quantity}: {what}. It is not measured yet; press r.")
            return
        page = min(self._page, len(pages(shown)) - 1)
        chart.show(plot(shown, page, log_y=self._log_scale), palette_of(self.app))
        table.update(_told(shown))

    def _names(self) -> Text:
        """Returns the names of all quantities, with marks of those that were measured."""
        palette, line = palette_of(self.app), Text()
        for name in QUANTITIES:
            style = palette.highlight if name == self._quantity else palette.dim
            line.append(f"{'●' if name in self._found else '○'} {name}", style)
            line.append("  ")
        return line


def _told(found: Quantity) -> RenderableType:
    """Returns the table of a few models, where there is one, and the notes."""
    table = models_table(found)
    taken = f"Of the string as it was {short_clock(found.time)} into the run."
    said = Text("\n".join([*notes(found, cut=False), taken]), "dim")
    return said if table is None else Group(table, said)
