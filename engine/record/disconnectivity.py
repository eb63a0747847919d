"""The disconnectivity graph of models: which of them hang together below which loss. No torch here.

Chemistry draws energy landscapes so (Becker & Karplus 1997): each minimum is a leaf at its own
energy, and leaves join where the lowest path between them has its highest point. Paths that were
found are not the lowest there are, so that each join is an upper bound, and what was not joined was
not found to be.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf, isfinite
from typing import Literal

from engine.record.merging import Groups, Pair, joined, spanning_tree
from engine.spec.level import bound

Graph = Literal["peaks", "levels"]
"""Where nodes join: at the peaks of paths, or at given levels."""


@dataclass(frozen=True)
class Barrier:
    """The lowest path that was found between two models."""

    a: int
    b: int
    peak: float
    """The highest loss on it: an upper bound of the barrier."""
    proven: bool = False
    """Whether the whole path is proven to stay below the level of its search, at every point."""


@dataclass(frozen=True)
class Node:
    """A node of a disconnectivity graph: a model, or a place where some join."""

    graph: Graph
    node: int
    """Its number: that of the model; joins count on from there, the lowest first."""
    parent: int | None
    """The number of the node above, or None for a root."""
    height: float
    """The loss at which it stands: a model's own; NaN where that is not finite."""
    kind: Literal["model", "join"]
    loss: float
    """The lowest own loss of the models below; NaN where none is finite."""
    proven: bool | None
    """Whether the paths that make this join are proven; None for a model."""
    pair: Pair | None
    """The models whose path makes the join, in a graph of peaks."""
    models: tuple[int, ...]
    """The models below, in order."""


def by_peaks(losses: Sequence[float], barriers: Sequence[Barrier]) -> tuple[Node, ...]:
    """Returns the graph whose joins are the minimum spanning tree's, each of two nodes."""
    lowest = _lowest(barriers)
    growing = _Growing("peaks", losses)
    for pair in spanning_tree({pair: each.peak for pair, each in lowest.items()}):
        growing.join([pair], lowest[pair].peak, proven=lowest[pair].proven, by=pair)
    return growing.nodes()


def by_levels(
    losses: Sequence[float],
    barriers: Sequence[Barrier],
    levels: Sequence[float],
    tolerance: float = 0.0,
) -> tuple[Node, ...]:
    """Returns the graph whose joins stand at given levels, each of two or more nodes."""
    lowest = _lowest(barriers)
    tree = [lowest[pair] for pair in spanning_tree({p: e.peak for p, e in lowest.items()})]
    growing = _Growing("levels", losses)
    for level in sorted(levels):
        highest = bound(level, tolerance)
        joining = [each for each in tree if each.peak <= highest and not growing.together(each)]
        parts = Groups(range(len(losses)))
        for each in joining:
            parts.join(growing.top(each.a), growing.top(each.b))
        for part in parts.members():
            own = [each for each in joining if parts.of(growing.top(each.a)) == parts.of(part[0])]
            if own:
                pairs = [(each.a, each.b) for each in own]
                growing.join(pairs, level, proven=all(each.proven for each in own), by=None)
    return growing.nodes()


def components(
    losses: Sequence[float], barriers: Sequence[Barrier], highest: float
) -> tuple[tuple[int, ...], ...]:
    """Returns the components of the models that are not above a value, by the paths found."""
    present = [model for model, loss in enumerate(losses) if loss <= highest]
    peaks = {(0.0, (each.a, each.b)): each.peak for each in _lowest(barriers).values()}
    return joined(present, peaks, highest).members()


def _lowest(barriers: Sequence[Barrier]) -> Mapping[Pair, Barrier]:
    """Returns the lowest barrier of each pair; of equal ones a proven one."""
    found: dict[Pair, Barrier] = {}
    for each in sorted(barriers, key=lambda each: (each.peak, not each.proven)):
        found.setdefault((each.a, each.b), each)
    return found


class _Growing:
    """A graph while its nodes join."""

    def __init__(self, graph: Graph, losses: Sequence[float]) -> None:
        """Begins the graph with a leaf for each model, at the height of that model's loss."""
        self._graph: Graph = graph
        self._nodes = [
            Node(graph, model, None, _told(loss), "model", _told(loss), None, None, (model,))
            for model, loss in enumerate(losses)
        ]
        self._groups = Groups(range(len(losses)))
        self._tops = dict(enumerate(range(len(losses))))
        """The highest node of each group, by the model that stands for the group."""

    def top(self, model: int) -> int:
        """Returns the model that stands for all that is joined with a model."""
        return self._groups.of(model)

    def together(self, barrier: Barrier) -> bool:
        """Returns whether the models of a barrier are joined already."""
        return self.top(barrier.a) == self.top(barrier.b)

    def join(self, pairs: Sequence[Pair], height: float, *, proven: bool, by: Pair | None) -> None:
        """Joins all that is joined with the models of some pairs in one node at a height."""
        below = sorted({self._tops[self.top(model)] for pair in pairs for model in pair})
        for a, b in pairs:
            self._groups.join(a, b)
        children = [self._nodes[each] for each in below]
        number = len(self._nodes)
        heights = [each.height for each in children if isfinite(each.height)]
        self._nodes.append(
            Node(
                self._graph,
                number,
                None,
                max([height, *heights]),
                "join",
                _told(min((e.loss for e in children if isfinite(e.loss)), default=inf)),
                proven,
                by,
                tuple(sorted(model for each in children for model in each.models)),
            )
        )
        for each in children:
            self._nodes[each.node] = _below(each, number)
        self._tops[self.top(pairs[0][0])] = number

    def nodes(self) -> tuple[Node, ...]:
        """Returns all nodes by their numbers."""
        return tuple(self._nodes)


def _below(node: Node, parent: int) -> Node:
    """Returns a node with its parent."""
    return replace(node, parent=parent)


def _told(loss: float) -> float:
    """Returns a loss, NaN where it is not finite."""
    return loss if isfinite(loss) else float("nan")
