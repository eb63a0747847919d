"""Reads what a traced forward does to the axes of its values."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, fx

from engine.networks.modules.units.atoms import Axis, Scale, axis, spread
from engine.networks.modules.units.computing import COMPUTING, entrywise
from engine.networks.modules.units.contracting import CONTRACTING
from engine.networks.modules.units.merging import give_up
from engine.networks.modules.units.normalizing import NORMALIZING
from engine.networks.modules.units.shaping import SHAPING
from engine.networks.modules.units.values import Call, Value, settle

RULES = {**SHAPING, **COMPUTING, **CONTRACTING, **NORMALIZING}


class Reader:
    """Reads what a graph does to the axes of its values."""

    def __init__(
        self, graph: fx.Graph, parameters: Sequence[str], statistics: Sequence[str], fixed: int
    ) -> None:
        """Takes up a graph, whose inputs `found.units_of` describes."""
        self.graph = graph
        self.names = [*parameters, *[""] * fixed, *statistics]
        self.moving = set(parameters)
        self.known: dict[fx.Node, Any] = {}
        """The value of each node, or the values where it has several."""
        self.leaves: dict[str, Value] = {}
        """The parameters, and the statistics of batch normalization, by name."""
        self.reads: list[tuple[fx.Node, Value]] = []
        """The values that depend on samples and are summed over, each with the node that sums."""

    def read(self) -> None:
        """Goes through the graph from inputs to output, which keeps its places."""
        inputs = 0
        for node in self.graph.nodes:
            if node.op == "placeholder":
                self._enter(node, inputs)
                inputs += 1
            elif node.op == "output":
                for value in _flat(self._resolved(node.args)):
                    value.freeze()
            elif node.op == "get_attr":
                axes = tuple(axis(size, frozen=True) for size in _constant(node).shape)
                self.known[node] = Value(node, axes, False)
            elif node.target is operator.getitem:
                self.known[node] = replace(self.known[node.args[0]][node.args[1]], node=node)
            else:
                self._call(node)
        self._restrict()

    def _enter(self, node: fx.Node, number: int) -> None:
        """Takes up an input of the graph."""
        name = self.names[number] if number < len(self.names) else ""
        free = bool(name and node.users)
        axes = tuple(
            axis(size, frozen=not free, scaled=free and name in self.moving)
            for size in node.meta["val"].shape
        )
        self.known[node] = Value(node, axes, number >= len(self.names))
        if name:
            self.leaves[name] = self.known[node]

    def _resolved(self, argument: Any) -> Any:
        if isinstance(argument, fx.Node):
            return self.known[argument]
        if isinstance(argument, list | tuple):
            return [self._resolved(each) for each in argument]
        return argument

    def _call(self, node: fx.Node) -> None:
        """Takes up a call of an operation and its results."""
        call = _call_of(node, self._resolved)
        rule = RULES.get(call.name) or (entrywise if call.pointwise else None)
        results = call.unknown() if rule is None else rule(call)
        varies = any(value.varies for value in call.values)
        values = [Value(node, axes, varies) for axes in results]
        for value in values:
            settle(value.axes)
        several = isinstance(node.meta["val"], list | tuple)
        self.known[node] = values if several else values[0]
        self.reads += [(node, value) for value in call.read]

    def _restrict(self) -> None:
        """Takes away what blocks do not hold, until nothing changes."""
        values = [*_flat([*self.known.values()])]
        held = [*self.leaves.values(), *(value for _, value in self.reads)]
        before = None
        while before != (before := _signature(held)):
            for value in values:
                settle(value.axes)
            for value in held:
                _flatten_parents(value.axes)
                for each in value.axes:
                    _keep_pieces_outermost(each)
        for value in self.leaves.values():
            _fix_the_repeated(value.axes)


def _constant(node: fx.Node) -> Tensor:
    """Returns a tensor that a graph holds, of which torch before 2.3 notes nothing at its node."""
    held = node.meta.get("val")
    if held is None:
        held = operator.attrgetter(str(node.target))(node.graph.owning_module)
    assert isinstance(held, Tensor)
    return held


def _call_of(node: fx.Node, resolved: Any) -> Call:
    """Returns a node of the graph as a call with named arguments."""
    target: Any = node.target
    schema = target._schema.arguments
    given = {each.name: each.default_value for each in schema if each.has_default_value()}
    given |= {each.name: resolved(value) for each, value in zip(schema, node.args, strict=False)}
    given |= {name: resolved(value) for name, value in node.kwargs.items()}
    name = target.overloadpacket.__name__
    in_place = name.endswith("_") and not name.endswith("__")
    made = node.meta["val"]
    made = made if isinstance(made, list | tuple) else [made]
    shapes = [tuple(each.shape) if isinstance(each, Tensor) else () for each in made]
    pointwise = torch.Tag.pointwise in target.tags
    return Call(name.removesuffix("_"), given, shapes, in_place, pointwise)


def _flat(tree: Any) -> list[Value]:
    """Returns the values of nested lists."""
    if isinstance(tree, Value):
        return [tree]
    return [each for part in tree for each in _flat(part)] if isinstance(tree, list) else []


def _signature(values: Sequence[Value]) -> list[Any]:
    """Returns what changes as long as units lose symmetries."""
    return [_signed(each) for value in values for each in value.axes]


def _signed(of: Axis) -> list[Any]:
    return [
        (id(a), a.frozen, [id(each) for each in a.parents], [*map(_signed, a.pieces or ())])
        for a, _ in spread(of)
    ]


def _flatten_parents(axes: Sequence[Axis]) -> None:
    """Leaves each atom one parent at most, which has none itself."""
    for own in axes:
        for factor in spread(own):
            for parent in factor.atom.parents[:-1]:
                give_up(factor.atom.root, parent)
            for parent in factor.atom.parents:
                for above in parent.parents:
                    give_up(parent.root, above)
            _flatten_parents(factor.atom.root.pieces or ())


def _keep_pieces_outermost(own: Axis) -> None:
    """Freezes the sequences that are not the outermost factor of an axis."""
    for number, (atom, _) in enumerate(spread(own)):
        if atom.pieces is not None and number:
            atom.freeze()
        for piece in atom.pieces or ():
            _keep_pieces_outermost(piece)


def _fix_the_repeated(axes: Sequence[Axis]) -> None:
    """Fixes the scales that a tensor holds twice, and those of units that depend on others."""
    seen: set[Scale] = set()
    for own in axes:
        for atom, power in spread(own):
            if power is not None and (power.scale in seen or atom.parents):
                power.scale.fix()
            elif power is not None:
                seen.add(power.scale)
