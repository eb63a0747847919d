"""Draws length and beads against the level, with the share of pairs that did not connect."""

from __future__ import annotations

from collections.abc import Iterable

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import (
    LogLocator,
    MaxNLocator,
    NullFormatter,
    NullLocator,
    StrMethodFormatter,
)

from dss_tui.figures.style import BLACK, BLUE, GREEN, GREY, ORANGE, VERMILION, WIDE_MM, gid, page
from engine.record.figures.sheet import Sheet

#: The panels from left to right: their labels and the quantities in them.
PANELS = (
    ("length ÷\ndistance of the ends", ("normalized_length", "normalized_length_weights")),
    ("beads, the ends included", ("beads",)),
)

#: How each part of a quantity is drawn: its name, colour and mark.
LOOKS = {
    ("measured", "normalized_length"): ("measured", BLUE, "o"),
    ("measured", "normalized_length_weights"): ("measured, weights alone", GREEN, "^"),
    ("measured", "beads"): ("measured", BLUE, "o"),
    ("published", "normalized_length"): ("paper", VERMILION, "D"),
    ("published", "beads"): ("paper", VERMILION, "D"),
}

#: The numbers of a decade that are labelled on an axis that spans more than so many times its least
#: value. Where it spans less still, numbers are evenly spaced.
MARKS = ((5.0, (1.0, 2.0, 5.0)), (2.0, (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 7.0)))

#: How pairs that did not connect are drawn, by outcome.
FAILED = {
    "not_connected": (VERMILION, "///"),
    "endpoint_not_trained": (ORANGE, "..."),
    "limit_reached": (GREY, "\\\\\\"),
    "failed": (BLACK, ""),
}


def draw(sheet: Sheet, width_mm: float) -> Figure:
    """Returns the figure of a sheet of levels: panels, and below them what did not connect."""
    wide = width_mm >= WIDE_MM
    figure = page(width_mm, 85.0 if wide else 140.0)
    if wide:
        grid = figure.add_gridspec(2, 2, height_ratios=(4, 1))
        places = [grid[0, 0], grid[0, 1], grid[1, :]]
    else:
        grid = figure.add_gridspec(3, 1, height_ratios=(4, 4, 1.3))
        places = [grid[0, 0], grid[1, 0], grid[2, 0]]
    *panels, strip = [figure.add_subplot(place) for place in places]
    for axes, (label, quantities) in zip(panels, PANELS, strict=True):
        _panel(axes, sheet, label, quantities)
    _outcomes(strip, sheet, upright=not wide)
    _name(figure, panels)
    return figure


def _name(figure: Figure, panels: Iterable[Axes]) -> None:
    """Names above the panels what all of them show."""
    named: dict[str, Artist] = {}
    for axes in panels:
        named |= {str(artist.get_label()): artist for artist in axes.get_legend_handles_labels()[0]}
    figure.legend(list(named.values()), list(named), loc="outside upper center", ncols=3)


def _panel(axes: Axes, sheet: Sheet, label: str, quantities: tuple[str, ...]) -> None:
    """Draws the points of some quantities with their errors, and the laws through them."""
    for (part, quantity), (name, colour, marker) in LOOKS.items():
        where = {"part": part, "quantity": quantity}
        levels = sheet.numbers("level", **where)
        if quantity not in quantities or not levels:
            continue
        low, high = sheet.numbers("low", **where), sheet.numbers("high", **where)
        axes.vlines(levels, low, high, color=colour, linewidth=0.8)
        axes.plot(
            levels,
            sheet.numbers("value", **where),
            marker,
            color=colour,
            markerfacecolor="white" if part == "published" else colour,
            label=name,
            gid=gid(part, quantity),
        )
        _law(axes, sheet, part, quantity, colour)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("level")
    axes.set_ylabel(label)
    _tick(axes.yaxis)
    left, right = axes.get_xlim()
    if right < 10 * left:
        _tick(axes.xaxis)


def _tick(axis: Axis) -> None:
    """Labels a logarithmic axis by plain numbers, the more of a decade the less it spans."""
    low, high = axis.get_view_interval()
    for times, marks in MARKS:
        if high > times * low:
            axis.set_major_locator(LogLocator(subs=marks))
            break
    else:
        axis.set_major_locator(MaxNLocator(6, steps=(1, 2, 5, 10)))
    axis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axis.set_minor_formatter(NullFormatter())
    if high <= MARKS[0][0] * low:
        axis.set_minor_locator(NullLocator())


def _law(axes: Axes, sheet: Sheet, part: str, quantity: str, colour: str) -> None:
    """Draws the law through points, with its confidence band."""
    where = {"part": f"{part} law", "quantity": quantity}
    levels = sheet.numbers("level", **where)
    low, high = sheet.numbers("low", **where), sheet.numbers("high", **where)
    if levels:
        axes.fill_between(levels, low, high, color=colour, alpha=0.15, linewidth=0)
        values = sheet.numbers("value", **where)
        dashes = "--" if part == "published" else "-"
        axes.plot(
            levels, values, dashes, color=colour, linewidth=0.8, gid=gid(part, "law", quantity)
        )


def _outcomes(axes: Axes, sheet: Sheet, *, upright: bool) -> None:
    """Draws how many pairs of each level did not connect, and how many there were.

    `upright` turns the names of the levels, where there is little room.
    """
    levels = sorted(set(sheet.numbers("level", part="outcome")))
    names = [f"{level:g}" for level in levels]
    below = dict.fromkeys(levels, 0.0)
    for outcome in sheet.distinct("quantity", part="outcome"):
        if outcome == "connected":
            continue
        where = {"part": "outcome", "quantity": outcome}
        counts = dict(
            zip(sheet.numbers("level", **where), sheet.numbers("value", **where), strict=True)
        )
        colour, hatch = FAILED.get(outcome, (GREY, ""))
        axes.bar(
            names,
            [counts.get(level, 0.0) for level in levels],
            bottom=list(below.values()),
            facecolor="white",
            edgecolor=colour,
            hatch=hatch,
            linewidth=0.6,
            label=outcome.replace("_", " "),
        )
        below = {level: below[level] + counts.get(level, 0.0) for level in levels}
    most = max(sheet.numbers("pairs", part="outcome"), default=1.0)
    axes.set_ylim(0, most)
    axes.set_yticks([0, most])
    axes.set_xlim(-0.6, len(names) - 0.4)
    axes.set_xticks(range(len(names)), names, rotation=90 if upright or len(names) > 15 else 0)
    axes.set_ylabel(f"pairs\nnot connected\nof {most:g}", fontsize=6)
    axes.set_xlabel("level")
    if any(below.values()):
        axes.legend(loc="upper right", ncols=2)
