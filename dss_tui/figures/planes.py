"""Draws what lies in a plane: a string on its principal axes, and a loss plane."""

from __future__ import annotations

from math import isfinite

from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator

from dss_tui.figures.style import (
    BLACK,
    COLOURS,
    GREY,
    SKY,
    VERMILION,
    WIDE_MM,
    gid,
    is_logarithmic,
    page,
)
from engine.errors import InputError
from engine.record.figures.sheet import Sheet

AXES = ("first", "second", "third")

#: The height in mm of what stands above and below a plane.
MARGIN_MM = 28.0


def draw_string(sheet: Sheet, width_mm: float) -> Figure:
    """Returns the figure of a string on its principal axes, seen from above and from the side."""
    wide = width_mm >= WIDE_MM
    figure = page(width_mm, 70.0 if wide else 120.0)
    shares = [
        float(share) for share in sheet.fact("shares of variance", "nan, nan, nan").split(",")
    ]
    values, ids = sheet.numbers("value"), sheet.numbers("bead")
    norm: Normalize = LogNorm() if is_logarithmic(values) else Normalize()
    drawn, panels = None, []
    for number, across in enumerate((1, 2), 1):
        axes = figure.add_subplot(*((1, 2) if wide else (2, 1)), number)
        x, y = sheet.numbers(AXES[0]), sheet.numbers(AXES[across])
        axes.plot(x, y, "-", color=GREY, zorder=1, gid=gid("string", AXES[across]))
        drawn = axes.scatter(
            x, y, c=values, cmap=COLOURS, norm=norm, s=14, edgecolors=BLACK, linewidths=0.4
        )
        drawn.set_gid(gid("beads", AXES[across]))
        for end in (0, -1):
            name = f"{ids[end]:g}" if isfinite(ids[end]) else ""
            axes.annotate(name, (x[end], y[end]), (3, 3), textcoords="offset points")
        axes.set_xlabel(f"{AXES[0]} principal axis ({100 * shares[0]:.2f} % of variance)")
        axes.set_ylabel(f"{AXES[across]} axis ({100 * shares[across]:.2f} %)")
        panels.append(axes)
    if drawn is not None:
        figure.colorbar(drawn, ax=panels, label=f"{sheet.fact('objective')} at beads")
    return figure


def draw_plane(sheet: Sheet, width_mm: float) -> Figure:
    """Returns the figure of a loss plane with its contours, the level's drawn thick."""
    x = sorted(set(sheet.numbers("x", part="grid")))
    y = sorted(set(sheet.numbers("y", part="grid")))
    if min(len(x), len(y)) < 2 or len(sheet.numbers("x", part="grid")) != len(x) * len(y):
        raise InputError("this loss plane has no whole grid of points")
    shape = (y[-1] - y[0]) / (x[-1] - x[0])
    figure = page(width_mm, min(MARGIN_MM + 0.7 * width_mm * shape, 1.2 * width_mm))
    axes = figure.add_subplot()
    values = sheet.numbers("value", part="grid")
    rows = [values[start : start + len(x)] for start in range(0, len(values), len(x))]
    logarithmic = is_logarithmic(values)
    locator = LogLocator(subs=(1.0, 2.0, 5.0)) if logarithmic else MaxNLocator(15)
    norm: Normalize = LogNorm() if logarithmic else Normalize()
    filled = axes.contourf(x, y, rows, locator=locator, norm=norm, cmap=COLOURS)
    axes.contour(x, y, rows, levels=filled.levels, colors=BLACK, linewidths=0.25, alpha=0.6)
    level = float(sheet.fact("level", "nan"))
    known = [value for value in values if isfinite(value)]
    if known and min(known) < level < max(known):
        contour = axes.contour(x, y, rows, levels=[level], colors=VERMILION, linewidths=1.2)
        contour.set_gid("level")
        axes.plot([], [], color=VERMILION, label=f"level {level:g}")
    _beads(axes, sheet)
    axes.set_aspect("equal")
    axes.set_xlabel("distance in the plane")
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, borderaxespad=0.2)
    scale = axes.inset_axes((1.03, 0.0, 0.04, 1.0))  # as high as the plane
    figure.colorbar(filled, cax=scale, label=sheet.fact("objective"))
    return figure


def _beads(axes: Axes, sheet: Sheet) -> None:
    """Draws the string's projection and the three beads of a plane."""
    x, y = sheet.numbers("x", part="string"), sheet.numbers("y", part="string")
    axes.plot(x, y, "-", color=BLACK, linewidth=1.6)
    axes.plot(
        x, y, ".-", color=SKY, markersize=3, linewidth=0.8, gid=gid("string"), label="the string"
    )
    x, y = sheet.numbers("x", part="corner"), sheet.numbers("y", part="corner")
    axes.plot(x, y, "o", color=BLACK, markerfacecolor="white", gid=gid("corners"), zorder=4)
    for bead, place in zip(
        sheet.numbers("bead", part="corner"), zip(x, y, strict=True), strict=True
    ):
        box = {"boxstyle": "round,pad=0.15", "facecolor": "white", "linewidth": 0}
        axes.annotate(f"{bead:g}", place, (4, 4), textcoords="offset points", fontsize=7, bbox=box)
