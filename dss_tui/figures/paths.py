"""Draws what was measured along a path: the objective, and quantities."""

from __future__ import annotations

from itertools import product

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dss_tui.figures.style import (
    BLACK,
    BLUE,
    CYCLE,
    DASHES,
    GREEN,
    GREY,
    VERMILION,
    WIDE_MM,
    gid,
    is_logarithmic,
    page,
)
from engine.record.figures.sheet import Sheet

ALONG = "share of the path's length"

#: The number of characters of a name up to which two fit side by side in a legend.
SHORT = 20


def draw_path(sheet: Sheet, width_mm: float) -> Figure:
    """Returns the figure of the objective along a path, and of the secondary metric."""
    objective, secondary = sheet.fact("objective"), sheet.fact("secondary")
    beside = bool(sheet.numbers("place", part="secondary"))
    together = beside and objective.split()[1:] == secondary.split()[1:]
    panels = 2 if beside and not together else 1
    figure = page(width_mm, (55.0 if width_mm < WIDE_MM else 70.0) + 35.0 * (panels - 1))
    axes = [figure.add_subplot(panels, 1, number + 1) for number in range(panels)]
    _limits(axes[0], sheet)
    _line(axes[0], sheet, "objective", BLUE, "-", objective)
    if beside:
        _line(axes[-1], sheet, "secondary", GREEN, "-.", secondary)
    where = {"part": "bead"}
    axes[0].plot(
        sheet.numbers("place", **where),
        sheet.numbers("value", **where),
        "o",
        color=BLACK,
        label="beads",
        gid=gid("beads"),
        clip_on=False,
    )
    axes[0].set_ylabel(objective.partition(" ")[2] if together else objective)
    axes[-1].set_ylabel(secondary if panels == 2 else axes[0].get_ylabel())
    for each in axes:
        each.set_xlim(0, 1)
        _legend_above(each)
    if is_logarithmic(sheet.numbers("value")):
        axes[0].set_yscale("log")
    axes[-1].set_xlabel(ALONG)
    return figure


def _limits(axes: Axes, sheet: Sheet) -> None:
    """Draws the level, and the bound that is proven."""
    for part, dashes in (("level", "--"), ("level with tolerance", ":")):
        _line(axes, sheet, part, VERMILION, dashes, part)
    _line(axes, sheet, "proven bound", GREY, "-", "proven bound")


def _line(axes: Axes, sheet: Sheet, part: str, colour: str, dashes: str, name: str) -> None:
    """Draws the values of one part along the path, where there are any."""
    places, values = sheet.numbers("place", part=part), sheet.numbers("value", part=part)
    if places:
        axes.plot(places, values, dashes, color=colour, label=name, gid=gid(part))


def _legend_above(axes: Axes) -> None:
    """Puts the legend above a panel, where it hides nothing."""
    _, names = axes.get_legend_handles_labels()
    short = all(len(name) <= SHORT for name in names)
    axes.legend(
        loc="lower left",
        bbox_to_anchor=(0, 1),
        ncols=2 if short else 1,
        borderaxespad=0.2,
        fontsize=6,
    )


def draw_quantities(sheet: Sheet, width_mm: float) -> Figure:
    """Returns the figure of quantities along a path: a panel for each chart."""
    charts = [
        (quantity, chart)
        for quantity in sheet.distinct("quantity")
        for chart in sheet.distinct("chart", quantity=quantity)
    ]
    across = 2 if width_mm >= WIDE_MM and len(charts) > 1 else 1
    down = -(-len(charts) // across)
    figure = page(width_mm, 10.0 + 40.0 * down)
    for number, (quantity, chart) in enumerate(charts, 1):
        axes = figure.add_subplot(down, across, number)
        looks = product(DASHES, CYCLE)
        for series, (dashes, colour) in zip(
            sheet.distinct("series", quantity=quantity, chart=chart), looks, strict=False
        ):
            where = {"quantity": quantity, "chart": chart, "series": series}
            places, values = sheet.numbers("place", **where), sheet.numbers("value", **where)
            name = gid(quantity, chart, series)
            axes.plot(places, values, dashes, color=colour, label=series, gid=name, marker=".")
        axes.set_xlim(0, 1)
        axes.set_ylabel(chart if chart == quantity else f"{quantity}:\n{chart}", fontsize=7)
        axes.set_xlabel(ALONG)
        _legend_above(axes)
    return figure
