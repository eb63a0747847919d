"""Draws a disconnectivity graph in characters: models on lines, the loss from left to right."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from engine.record.disconnectivity import Node

#: The directions in which a cell of the drawing is left, as bits, and the glyph of each set.
LEFT, RIGHT, UP, DOWN = 1, 2, 4, 8
GLYPHS = " ╴╶─╵┘└┴╷┐┌┬│┤├┼"
#: The glyphs of a model, of a level, and of what was not joined further.
MODEL, LEVEL, OPEN = "•", "┊", "┄"
#: The least columns of the axis.
LEAST = 12
#: From this share of the highest and the lowest loss on, the axis is logarithmic.
LOGARITHMIC = 3.0
#: How far below the lowest level the axis reaches at most, as a share of it.
BELOW = 0.03


@dataclass(frozen=True)
class Scale:
    """The columns of an axis of losses."""

    low: float
    high: float
    first: int
    """The column of the lowest loss."""
    last: int
    """The column of the highest."""
    log: bool

    def column(self, loss: float) -> int:
        """Returns the column of a loss; what lies beyond an end is at that end."""
        low, high, at = self.low, self.high, min(max(loss, self.low), self.high)
        if self.log:
            low, high, at = math.log(low), math.log(high), math.log(at)
        share = (at - low) / (high - low) if high > low else 0.0
        return self.first + round(share * (self.last - self.first))


def dendrogram(nodes: Sequence[Node], levels: Iterable[float], width: int) -> list[str]:
    """Returns the lines of a graph on so many columns: a head with the levels, then the models.

    Each model has a line, which begins at its own loss. Lines join where models do; joins that
    share a column are drawn as one. Where several graphs are left, their lines go on dotted.
    """
    leaves = [node for node in nodes if node.kind == "model"]
    if not leaves:
        return []
    wide = max(len(_told(node.height)) for node in leaves)
    labels = {node.node: f"{node.node} {_told(node.height):<{wide}} " for node in leaves}
    indent = max(map(len, labels.values()))
    scale = _scale(nodes, tuple(levels), indent, max(width, indent + LEAST))
    columns = _columns(nodes, scale)
    children = _children(nodes, columns)
    rows = _rows(nodes, children)
    cells = _drawn(nodes, children, columns, rows, scale)
    at_level = {scale.column(level) for level in levels if scale.low <= level <= scale.high}
    by_row = {rows[node.node]: node for node in leaves}
    lines = [_head(levels, scale)]
    for row in range(len(leaves)):
        drawn = "".join(
            glyph if glyph != " " else LEVEL if x in at_level else " "
            for x, glyph in enumerate(cells[row], start=indent)
        )
        lines.append((labels[by_row[row].node].rjust(indent) + drawn).rstrip())
    return lines


def _told(loss: float) -> str:
    """Returns a model's own loss in three digits."""
    return "–" if math.isnan(loss) else f"{loss:.3g}"


def _scale(nodes: Sequence[Node], levels: Sequence[float], first: int, width: int) -> Scale:
    """Returns the axis that holds all heights, and the levels up to the first one above these."""
    heights = [node.height for node in nodes if math.isfinite(node.height)]
    top = max(heights, default=0.0)
    roots = sum(node.parent is None for node in nodes)
    above = sorted(level for level in levels if level >= top)
    every = [*heights, *(level for level in levels if level < top)]
    every += above if roots > 1 else above[:1]
    low, high = min(every, default=0.0), max(every, default=1.0)
    if low >= 0 and levels:
        low = max(low, BELOW * min(levels))
    log = low > 0 and high >= LOGARITHMIC * low
    return Scale(low, max(low, high), first, width - 2, log)


def _columns(nodes: Sequence[Node], scale: Scale) -> dict[int, int]:
    """Returns the column of each node; a join stands to the right of the models below it."""
    below: dict[int, list[Node]] = {}
    columns: dict[int, int] = {}
    for node in nodes:  # children come before their parents
        height = scale.high if math.isnan(node.height) else node.height
        least = (columns[each.node] + (each.kind == "model") for each in below.get(node.node, ()))
        columns[node.node] = max([scale.column(height), *least])
        if node.parent is not None:
            below.setdefault(node.parent, []).append(node)
    return columns


def _children(nodes: Sequence[Node], columns: dict[int, int]) -> dict[int | None, list[Node]]:
    """Returns what hangs below each node as it is drawn, and below None the roots.

    A join in the column of its parent is drawn as part of that. Large subtrees come first.
    """
    by_number = {node.node: node for node in nodes}
    children: dict[int | None, list[Node]] = {}
    for node in nodes:
        if _absorbed(node, columns):
            continue
        above = node.parent
        while above is not None and _absorbed(by_number[above], columns):
            above = by_number[above].parent
        children.setdefault(above, []).append(node)
    for found in children.values():
        found.sort(key=lambda node: (-len(node.models), node.models[0]))
    return children


def _absorbed(node: Node, columns: dict[int, int]) -> bool:
    """Returns whether a join is drawn as part of its parent."""
    return (
        node.kind == "join"
        and node.parent is not None
        and columns[node.parent] == columns[node.node]
    )


def _rows(nodes: Sequence[Node], children: dict[int | None, list[Node]]) -> dict[int, int]:
    """Returns the row of each node that is drawn: models one below the other, joins between."""
    rows: dict[int, int] = {}
    stack, count = list(reversed(children[None])), 0
    while stack:
        node = stack.pop()
        if node.kind == "model":
            rows[node.node], count = count, count + 1
        stack.extend(reversed(children.get(node.node, [])))
    for node in nodes:
        below = children.get(node.node)
        if below:
            rows[node.node] = (rows[below[0].node] + rows[below[-1].node]) // 2
    return rows


class _Canvas:
    """Cells that lines are drawn into, each a set of the directions in which it is left."""

    def __init__(self, rows: int, columns: int) -> None:
        """Makes an empty canvas."""
        self.bits = [[0] * columns for _ in range(rows)]

    def across(self, row: int, start: int, stop: int) -> None:
        """Draws a line in a row."""
        for x in range(start, stop + 1):
            self.bits[row][x] |= (LEFT if x > start else 0) | (RIGHT if x < stop else 0)

    def down(self, column: int, top: int, bottom: int) -> None:
        """Draws a line in a column."""
        for y in range(top, bottom + 1):
            self.bits[y][column] |= (UP if y > top else 0) | (DOWN if y < bottom else 0)

    def glyphs(self) -> list[list[str]]:
        """Returns the glyph of each cell."""
        return [[GLYPHS[each] for each in row] for row in self.bits]


def _drawn(
    nodes: Sequence[Node],
    children: dict[int | None, list[Node]],
    columns: dict[int, int],
    rows: dict[int, int],
    scale: Scale,
) -> list[list[str]]:
    """Returns the glyphs of each row from the axis's first column on."""
    leaves = [node.node for node in nodes if node.kind == "model"]
    at = {number: column - scale.first for number, column in columns.items()}
    canvas = _Canvas(len(leaves), scale.last - scale.first + 2)
    for parent, below in children.items():
        if parent is not None:
            canvas.down(at[parent], rows[below[0].node], rows[below[-1].node])
            for node in below:
                canvas.across(rows[node.node], at[node.node], at[parent])
    roots = [root.node for root in children[None]]
    open_ones = roots if len(roots) > 1 else []
    for root in open_ones:
        canvas.bits[rows[root]][at[root]] |= RIGHT
    cells = canvas.glyphs()
    for root in open_ones:
        cells[rows[root]][at[root] + 1 :] = OPEN * (len(cells[0]) - at[root] - 1)
    for model in leaves:
        cells[rows[model]][at[model]] = MODEL
    return cells


def _head(levels: Iterable[float], scale: Scale) -> str:
    """Returns a line with as many of the levels as find room, over their columns."""
    line = [" "] * (scale.last + 2)
    for level in sorted((each for each in levels if each <= scale.high), reverse=True):
        label, column = f"{level:g}", scale.column(level)
        start = max(0, min(column - len(label) // 2, len(line) - len(label)))
        around = line[max(0, start - 1) : start + len(label) + 1]
        if all(each == " " for each in around):
            line[start : start + len(label)] = label
    return "".join(line).rstrip()
