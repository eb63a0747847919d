"""The disconnectivity graph of many models: at which loss searches have joined them."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from statistics import fmean

from engine.errors import InputError
from engine.record.figures.sheet import Sheet, table
from engine.record.figures.source import COMPONENTS, Source, facts_of
from engine.record.reading import LARGEST_JSON, LARGEST_PRESET, check_regular, read_text
from engine.spec.yaml_file import parse, read_yaml

COLUMNS = ("graph", "node", "parent", "height", "kind", "loss", "proven", "x", "models")

#: The file of the trees in a folder of components, and the columns that are read of it.
FILE = "disconnectivity.csv"
READ = ("graph", "node", "parent", "height", "kind", "loss", "proven", "models")

#: The number of nodes up to which trees are laid out.
MOST = 100_000


@dataclass(frozen=True)
class Node:
    """A model, or a join of several, in one of the trees."""

    graph: str
    node: int
    parent: int | None
    height: float | None
    kind: str
    loss: float | None
    proven: str
    models: str


def of_components(source: Source) -> Sheet:
    """Returns the sheet of the trees in a folder of components, with a place for each node.

    Models stand at whole numbers, so that no two lines cross: deep ones first. A join stands in the
    middle of what it joins. Raises InputError where there are no trees yet, or they are no trees.
    """
    nodes = _read(source)
    rows = [
        {**vars(node), "x": x}
        for graph in dict.fromkeys(node.graph for node in nodes)
        for node, x in _placed([node for node in nodes if node.graph == graph], source)
    ]
    return table("disconnectivity", _facts(source), COLUMNS, rows)


def _facts(source: Source) -> dict[str, str]:
    """Returns what is said of the trees, from the plan of the searches. Raises InputError."""
    path = source.path / COMPONENTS
    tree = read_yaml(read_text(path, LARGEST_PRESET), path)
    head = tree.pop("components", None) if isinstance(tree, dict) else None
    if not isinstance(head, dict) or not isinstance(head.get("models"), int):
        raise InputError("is not what components wrote", file=path)
    spec = parse(tree, path)
    models, given = head["models"], head.get("given") or []
    # Models 2k and 2k + 1 are the ends of a run with seed N + k.
    seeds = range(spec.seed, spec.seed + (models + 1) // 2)
    more = {
        "models": f"{models}, given" if given else f"{models}, trained",
        "objective": spec.search.level_on.words,
        "tolerance": f"{spec.search.tolerance!r}",
        "joins": "at the highest loss of a path that was found, an upper bound of the barrier; "
        "what no search has joined is not found, and may be joined",
    }
    return facts_of(source, spec, seeds, more)


def _read(source: Source) -> list[Node]:
    """Returns the nodes of all trees. Raises InputError."""
    path = source.path / FILE
    if not check_regular(path):
        raise InputError("has no trees yet; they are written once a session ends", file=source.path)
    lines = csv.DictReader(read_text(path, LARGEST_JSON).splitlines())
    if not set(READ) <= set(lines.fieldnames or ()):
        raise InputError(f"lacks a column of {', '.join(READ)}", file=path)
    try:
        nodes = [_node(line) for line in lines]
    except (ValueError, TypeError) as error:
        raise InputError(f"holds no tree: {error}", file=path) from None
    if not 0 < len(nodes) <= MOST:
        raise InputError(f"holds {len(nodes)} nodes, not 1 to {MOST}", file=path)
    return nodes


def _node(line: Mapping[str, str]) -> Node:
    """Returns the node of a line. Raises ValueError."""
    return Node(
        line["graph"],
        int(line["node"]),
        int(line["parent"]) if line["parent"] else None,
        float(line["height"]) if line["height"] else None,
        line["kind"],
        float(line["loss"]) if line["loss"] else None,
        line["proven"],
        line["models"],
    )


def _placed(nodes: Sequence[Node], source: Source) -> Iterator[tuple[Node, float]]:
    """Yields the nodes of one tree or several, each with its place. Raises InputError."""
    known = {node.node: node for node in nodes}
    children: dict[int | None, list[Node]] = {}
    for node in nodes:
        children.setdefault(node.parent, []).append(node)
    for family in children.values():
        family.sort(key=lambda node: (node.loss is None, node.loss, node.node))
    order = _upwards(children)
    if len(known) != len(nodes) or len(order) != len(nodes):
        raise InputError("holds no tree: its nodes form a circle", file=source.path / FILE)
    places: dict[int, float] = {}
    leaves = count()
    for node in order:
        below = children.get(node.node)
        middle = fmean(places[each.node] for each in below) if below else next(leaves)
        places[node.node] = float(middle)
    return ((node, places[node.node]) for node in nodes)


def _upwards(children: Mapping[int | None, Sequence[Node]]) -> list[Node]:
    """Returns the nodes that hang on roots, each after all that hang below it."""
    found: list[Node] = []
    todo = list(children.get(None, ()))
    while todo:
        node = todo.pop()
        found.append(node)
        todo += children.get(node.node, ())
    return found[::-1]
