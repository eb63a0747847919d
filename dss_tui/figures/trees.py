"""Draws the disconnectivity graph of many models."""

from __future__ import annotations

from math import isfinite

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dss_tui.figures.style import BLACK, BLUE, GREY, WIDE_MM, gid, is_logarithmic, page
from engine.record.figures.sheet import Sheet

#: What the joins of each tree are, above its panel.
TITLES = {
    "peaks": "joined at the peaks of paths",
    "levels": "joined at the levels that were asked for",
}


def draw_disconnectivity(sheet: Sheet, width_mm: float) -> Figure:
    """Returns the figure of the trees: lines go up from each model to where it is joined."""
    graphs = sheet.distinct("graph")
    wide = width_mm >= WIDE_MM
    figure = page(width_mm, 75.0 if wide else 70.0 * len(graphs))
    for number, graph in enumerate(graphs, 1):
        shape = (1, len(graphs)) if wide else (len(graphs), 1)
        _tree(figure.add_subplot(*shape, number), sheet, graph)
    return figure


def _tree(axes: Axes, sheet: Sheet, graph: str) -> None:
    """Draws the trees of one graph."""
    nodes = sheet.numbers("node", graph=graph)
    heights = dict(zip(nodes, sheet.numbers("height", graph=graph), strict=True))
    places = dict(zip(nodes, sheet.numbers("x", graph=graph), strict=True))
    parents = dict(zip(nodes, sheet.numbers("parent", graph=graph), strict=True))
    proven = dict(zip(nodes, sheet.words("proven", graph=graph), strict=True))
    top = max(filter(isfinite, heights.values()), default=0.0)
    for node, parent in parents.items():
        if parent in heights:
            x, up = [places[node], places[node], places[parent]], heights[parent]
            dashes = "-" if proven[parent] == "true" else "--"
            axes.plot(x, [heights[node], up, up], dashes, color=BLUE, gid=gid(graph, f"{node:g}"))
        else:  # no search has joined it to the others
            axes.plot([places[node]] * 2, [heights[node], top * 1.05], ":", color=GREY)
    models = [
        node
        for node, kind in zip(nodes, sheet.words("kind", graph=graph), strict=True)
        if kind == "model"
    ]
    x, y = [places[node] for node in models], [heights[node] for node in models]
    axes.plot(x, y, "o", color=BLACK, markersize=2.5, gid=gid(graph, "models"))
    axes.set_xticks(x, [f"{node:g}" for node in models], fontsize=6)
    if is_logarithmic(list(heights.values())):
        axes.set_yscale("log")
    axes.set_xlabel("model")
    axes.set_ylabel("loss")
    axes.set_title(TITLES.get(graph, graph), fontsize=7)
    axes.plot([], [], "-", color=BLUE, label="proven")
    axes.plot([], [], "--", color=BLUE, label="sampled (an upper bound)")
    axes.plot([], [], ":", color=GREY, label="not found to be joined")
    axes.legend(fontsize=6)
