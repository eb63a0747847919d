"""The disconnectivity graph of many models: at which loss searches have joined them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import count
from math import inf, isfinite
from statistics import fmean

from engine.errors import InputError
from engine.record.components_folder import ComponentsPlan
from engine.record.components_tables import Components, Searched
from engine.record.disconnectivity import Node
from engine.record.events import Outcome
from engine.record.figures.sheet import Sheet, table
from engine.record.figures.source import Source, facts_of
from engine.record.rundir import RunDir
from engine.record.sweeps import SweepReader, SweepView

COLUMNS = ("graph", "node", "parent", "height", "kind", "loss", "proven", "x", "models")


def of_components(source: Source) -> Sheet:
    """Returns the sheet of the trees in a folder of components, with a place for each node.

    Models stand at whole numbers, so that no two lines cross: deep ones first. A join stands in the
    middle of what it joins. Raises InputError where the models are not there yet.
    """
    view = SweepReader(RunDir(source.path)).look()
    plan = view.plan
    if not isinstance(plan, ComponentsPlan):
        fault = InputError("holds no components", file=source.path)
        raise view.damaged[0] if view.damaged else fault
    found = plan.found(source.path, _searches(plan, view))
    if found is None:
        raise InputError("has no models yet", file=source.path)
    nodes = found.nodes()
    rows = [
        _row(node, x)
        for graph in dict.fromkeys(node.graph for node in nodes)
        for node, x in _placed([node for node in nodes if node.graph == graph])
    ]
    return table("disconnectivity", _facts(source, plan, found), COLUMNS, rows)


def _searches(plan: ComponentsPlan, view: SweepView) -> Iterator[Searched]:
    """Yields the searches that have ended and whose paths are measured."""
    for each in view.cells:
        end, cell = each.brief.ended, each.cell
        if end is None or end.outcome is Outcome.STOPPED:
            continue
        result = plan.result_of(cell, end)  # type: ignore[arg-type]  # its own cells
        if result is not None:
            yield result


def _facts(source: Source, plan: ComponentsPlan, found: Components) -> dict[str, str]:
    """Returns what is said of the trees."""
    # Models 2k and 2k + 1 are the ends of a run with seed N + k; given ones have their own seeds.
    runs = 1 if plan.given else (plan.models + 1) // 2
    seeds = range(plan.spec.seed, plan.spec.seed + runs)
    more = {
        "models": f"{plan.models}, {'given' if plan.given else 'trained'}",
        "objective": plan.spec.search.level_on.words,
        "tolerance": f"{plan.spec.search.tolerance!r}",
        "said": " ".join(found.said()),
    }
    return facts_of(source, plan.spec, seeds, more)


def _row(node: Node, x: float) -> dict[str, object]:
    """Returns the line of a node at its place."""
    return {
        "graph": node.graph,
        "node": node.node,
        "parent": node.parent,
        "height": node.height,
        "kind": node.kind,
        "loss": node.loss,
        "proven": node.proven,
        "x": x,
        "models": " ".join(map(str, node.models)),
    }


def _placed(nodes: Sequence[Node]) -> Iterator[tuple[Node, float]]:
    """Yields the nodes of one tree or several, each with its place."""
    children: dict[int | None, list[Node]] = {}
    for node in nodes:
        children.setdefault(node.parent, []).append(node)
    for family in children.values():
        family.sort(key=lambda node: (node.loss if isfinite(node.loss) else inf, node.node))
    places: dict[int, float] = {}
    leaves = count()
    for node in _upwards(children):
        below: Iterable[Node] = children.get(node.node, ())
        middle = [places[each.node] for each in below] or [next(leaves)]
        places[node.node] = fmean(middle)
    return ((node, places[node.node]) for node in nodes)


def _upwards(children: Mapping[int | None, Sequence[Node]]) -> list[Node]:
    """Returns all nodes, each after all that hang below it."""
    found: list[Node] = []
    todo = list(children.get(None, ()))
    while todo:
        node = todo.pop()
        found.append(node)
        todo += children.get(node.node, ())
    return found[::-1]
