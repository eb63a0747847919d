"""Draws what was counted: beads by depth, and the work of methods."""

from __future__ import annotations

from itertools import cycle

from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from dss_tui.figures.style import (
    BLUE,
    COLOURS,
    CYCLE,
    MARKERS,
    WIDE_MM,
    gid,
    is_logarithmic,
    page,
)
from engine.record.figures.sheet import Sheet


def draw_depths(sheet: Sheet, width_mm: float) -> Figure:
    """Returns the figure of beads by depth: bars of one run, or a line for each level."""
    figure = page(width_mm, 60.0)
    axes = figure.add_subplot()
    levels = list(dict.fromkeys(sheet.numbers("level")))
    depths, values = sheet.numbers("depth"), sheet.numbers("value")
    if len(levels) < 2:
        axes.bar(depths, values, color=BLUE, width=0.8, gid=gid("depths"))
        axes.set_ylabel("beads")
    else:
        norm = (LogNorm if is_logarithmic(levels) else Normalize)(min(levels), max(levels))
        shades = ScalarMappable(norm, COLOURS)
        marks = cycle(MARKERS)
        rows = list(zip(sheet.numbers("level"), depths, values, strict=True))
        for level in levels:
            own = [(depth, value) for at, depth, value in rows if at == level]
            x, y = zip(*own, strict=True)
            name = gid("level", f"{level:g}")
            colour = colormaps[COLOURS](norm(level))
            axes.plot(x, y, marker=next(marks), color=colour, gid=name, label=f"{level:g}")
        figure.colorbar(shades, ax=axes, label="level")
        axes.set_ylabel("beads of a connected pair (mean)")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("depth of splits (0: the ends)")
    return figure


def draw_methods(sheet: Sheet, width_mm: float) -> Figure:
    """Returns the figure of a comparison: pairs small, means large, crosses for no connection."""
    figure = page(width_mm, 65.0 if width_mm < WIDE_MM else 85.0)
    axes = figure.add_subplot()
    looks = zip(sheet.distinct("method"), cycle(zip(CYCLE, MARKERS, strict=True)), strict=False)
    for method, (colour, marker) in looks:
        for connected, mark in (("true", marker), ("false", "x")):
            where = {"part": "pair", "method": method, "connected": connected}
            x, y = (
                sheet.numbers(name, **where) for name in ("sample_gradients", "normalized_length")
            )
            name = gid("pairs", method, "connected" if connected == "true" else "not connected")
            axes.plot(x, y, mark, color=colour, alpha=0.5, markersize=2.5, gid=name)
        _mean(axes, sheet, method, colour, marker)
    costs = [value for value in sheet.numbers("sample_gradients") if value > 0]
    axes.set_xscale("log" if costs else "linear")
    axes.set_xlabel("sample gradients of the search")
    axes.set_ylabel("length ÷ distance of the ends")
    if "false" in sheet.distinct("connected"):
        axes.plot([], [], "x", color="black", markersize=2.5, label="not connected")
    axes.legend(loc="best")
    return figure


def _mean(axes: Axes, sheet: Sheet, method: str, colour: str, marker: str) -> None:
    """Draws the means of a method with their errors, where a pair has connected, and names it."""
    where = {"part": "mean", "method": method}
    names = ("sample_gradients", "gradients_low", "gradients_high")
    x, left, right = (sheet.numbers(name, **where) for name in names)
    names = ("normalized_length", "length_low", "length_high")
    y, low, high = (sheet.numbers(name, **where) for name in names)
    axes.hlines(y, left, right, color=colour, linewidth=0.8)
    axes.vlines(x, low, high, color=colour, linewidth=0.8)
    axes.plot(x, y, marker, color=colour, markersize=6, label=method, gid=gid("mean", method))
