"""Draws the disconnectivity graph of many models."""

from __future__ import annotations

from math import isfinite
from typing import Literal

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from dss_tui.figures.style import BLACK, BLUE, GREY, WIDE_MM, gid, is_logarithmic, page
from engine.record.figures.sheet import Sheet

#: What the joins of each tree are, above its panel.
TITLES = {
    "peaks": "joined at the peaks of paths (upper bounds)",
    "levels": "joined at the levels that were asked for",
}

#: How lines are drawn, by what is known of the path that joins: a colour and dashes.
LOOKS: dict[str, tuple[str, Literal["-", "--", ":"]]] = {
    "proven": (BLUE, "-"),
    "sampled": (BLUE, "--"),
    "not found to be joined": (GREY, ":"),
}
PROVEN, SAMPLED, NOT_FOUND = LOOKS


def draw_disconnectivity(sheet: Sheet, width_mm: float) -> Figure:
    """Returns the figure of the trees: lines go up from each model to where it is joined."""
    graphs = sheet.distinct("graph")
    wide = width_mm >= WIDE_MM
    figure = page(width_mm, 75.0 if wide else 70.0 * len(graphs))
    drawn: set[str] = set()
    for number, graph in enumerate(graphs, 1):
        shape = (1, len(graphs)) if wide else (len(graphs), 1)
        drawn |= _tree(figure.add_subplot(*shape, number), sheet, graph)
    looks = [(name, *look) for name, look in LOOKS.items() if name in drawn]
    keys = [Line2D([], [], color=c, linestyle=d, label=name) for name, c, d in looks]
    figure.legend(handles=keys, loc="outside lower center", ncols=3 if wide else 2, fontsize=6)
    return figure


def _tree(axes: Axes, sheet: Sheet, graph: str) -> set[str]:
    """Draws the trees of one graph, and returns the looks of their lines."""
    drawn: set[str] = set()
    nodes = sheet.numbers("node", graph=graph)
    heights = dict(zip(nodes, sheet.numbers("height", graph=graph), strict=True))
    places = dict(zip(nodes, sheet.numbers("x", graph=graph), strict=True))
    parents = dict(zip(nodes, sheet.numbers("parent", graph=graph), strict=True))
    proven = dict(zip(nodes, sheet.words("proven", graph=graph), strict=True))
    kinds = dict(zip(nodes, sheet.words("kind", graph=graph), strict=True))
    roots = [node for node in nodes if parents[node] not in heights]
    top = max(filter(isfinite, heights.values()), default=0.0)
    for node, parent in parents.items():
        x, y = [places[node]] * 2, [heights[node], heights.get(parent, 1.05 * top)]
        if parent in heights:
            x, y = [*x, places[parent]], [*y, y[1]]
            look = PROVEN if proven[parent] == "true" else SAMPLED
        elif len(roots) > 1:
            look = NOT_FOUND
        else:
            continue  # all models are joined
        drawn.add(look)
        colour, dashes = LOOKS[look]
        axes.plot(x, y, color=colour, linestyle=dashes, gid=gid(graph, f"{node:g}", look))
    models = [node for node in nodes if kinds[node] == "model"]
    x, y = [places[node] for node in models], [heights[node] for node in models]
    axes.plot(x, y, "o", color=BLACK, markersize=2.5, gid=gid(graph, "models"))
    axes.set_xticks(x, [f"{node:g}" for node in models], fontsize=6)
    if is_logarithmic(list(heights.values())):
        axes.set_yscale("log")
    axes.set_xlabel("model")
    axes.set_ylabel("loss")
    axes.set_title(TITLES.get(graph, graph), fontsize=7)
    return drawn
