"""The groups of units of a network that may change places, as frozen data."""

from __future__ import annotations

import operator
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count, product
from typing import Any

import torch
from torch import Tensor, fx

from engine.networks.modules.units.atoms import (
    Atom,
    Axis,
    Factor,
    Scale,
    at_place,
    axis,
    length,
    spread,
)
from engine.networks.modules.units.computing import COMPUTING, rule_of
from engine.networks.modules.units.shaping import SHAPING
from engine.networks.modules.units.values import Call, Value, settle

RULES = {**SHAPING, **COMPUTING}


@dataclass(frozen=True)
class Group:
    """Units that take their places in one order wherever they stand."""

    name: str
    """The first parameter that holds the units, and the axis."""
    size: int
    parent: int | None = None
    """The number of the group for each of whose units these may be ordered in another way."""
    frozen: bool = False
    """Whether the units keep their places, and the group is only the parent of others."""


@dataclass(frozen=True)
class Scales:
    """Positive numbers by which values may be multiplied where others are divided by them."""

    name: str
    """As that of a group."""
    size: int
    group: int | None
    """The number of the group whose units they belong to; None for places that keep their order."""


@dataclass(frozen=True)
class Along:
    """What an axis of a block holds."""

    size: int
    group: int | None
    """The number of its group; None where its places keep their order."""
    scale: int | None = None
    """The number of the scale by which its values may be multiplied."""
    sign: int = 1
    """−1 where the values are divided by the scale instead."""
    parent: int | None = None
    """The axis of the block that holds the parent of its group; None without one."""


@dataclass(frozen=True)
class Taken:
    """A single place of an axis."""

    shape: tuple[int, ...]
    """The shape of a tensor with its axes taken apart."""
    dim: int
    """The axis of that shape."""
    place: int
    """The place along it."""


@dataclass(frozen=True)
class Block:
    """A part of a tensor of which each axis holds one group."""

    narrowed: tuple[tuple[int, int], ...]
    """The first place and the number of places of each axis of the tensor."""
    taken: tuple[Taken, ...]
    """The single places that are then taken of axes, one after another."""
    axes: tuple[Along, ...]
    """What the axes that are left hold."""

    def of(self, tensor: Tensor) -> Tensor:
        """Returns the block of a tensor, as a view of it."""
        for dim, (start, size) in enumerate(self.narrowed):
            tensor = tensor.narrow(dim, start, size)
        for each in self.taken:
            tensor = tensor.view(each.shape).select(each.dim, each.place)
        return tensor.view([each.size for each in self.axes])


@dataclass(frozen=True)
class Units:
    """The symmetries of a network: which units may change places, and where each of them stands."""

    groups: tuple[Group, ...]
    scales: tuple[Scales, ...]
    """The scales by which values may be multiplied."""
    blocks: Mapping[str, tuple[Block, ...]]
    """The blocks of each parameter, and of the statistics of batch normalization, by name."""
    read: Mapping[str, Mapping[str, tuple[Block, ...]]]
    """The values that depend on samples and are summed over, by the name of the node that sums and
    of the node whose value it is."""


def units_of(
    graph: fx.Graph, parameters: Sequence[str], statistics: Sequence[str], fixed: int
) -> Units:
    """Returns the symmetries of a traced forward.

    Its inputs are the parameters, so many other tensors that keep their places (`fixed`), the
    statistics of batch normalization, and the samples.
    """
    reader = _Reader(graph, parameters, statistics, fixed)
    reader.read()
    return _Numbering(reader).units()


class _Reader:
    """Reads what a graph does to the axes of its values."""

    def __init__(
        self, graph: fx.Graph, parameters: Sequence[str], statistics: Sequence[str], fixed: int
    ) -> None:
        self.graph = graph
        self.names = [*parameters, *[""] * fixed, *statistics]
        self.moving = set(parameters)
        self.known: dict[fx.Node, Any] = {}
        self.leaves: dict[str, Value] = {}
        self.reads: list[tuple[fx.Node, Value]] = []

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
                axes = tuple(axis(size, frozen=True) for size in node.meta["val"].shape)
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
        rule = rule_of(call, RULES)
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
                factor.atom.root.give_up(parent)
            for parent in factor.atom.parents:
                for above in parent.parents:
                    parent.root.give_up(above)
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


class _Numbering:
    """Gives groups and scales their numbers, and takes tensors apart into blocks."""

    def __init__(self, reader: _Reader) -> None:
        self.reader = reader
        self.groups: list[Group] = []
        self.scales: list[Scales] = []
        self.atoms: dict[Atom, int] = {}
        self.powers: dict[Scale, int] = {}

    def units(self) -> Units:
        """Returns the symmetries, groups in the order in which parameters hold them."""
        self._fix_the_useless()
        blocks = {name: self._blocks(value, name) for name, value in self.reader.leaves.items()}
        read: dict[str, dict[str, tuple[Block, ...]]] = {}
        for node, value in self.reader.reads:
            found = self._blocks(value, "")
            if any(along.group is not None for block in found for along in block.axes):
                read.setdefault(node.name, {})[value.node.name] = found
        return Units(tuple(self.groups), tuple(self.scales), blocks, read)

    def _fix_the_useless(self) -> None:
        """Fixes the scales that only multiply parameters, or only divide them."""
        changed = True
        while changed:
            signs: dict[Scale, set[int]] = {}
            for value in self.reader.leaves.values():
                for own in value.axes:
                    for power in (each.power for each in spread(own) if each.power):
                        signs.setdefault(power.scale, set()).add(power.sign)
            lonely = [scale for scale, found in signs.items() if len(found) == 1]
            for scale in lonely:
                scale.fix()
            changed = bool(lonely)

    def _blocks(self, value: Value, name: str) -> tuple[Block, ...]:
        """Returns the blocks of a value; `name` is that of a parameter, or empty."""
        found: list[Block] = []
        for chosen in product(*(_pieces(own, 0) for own in value.axes)):
            narrowed = tuple((start, length(parts)) for start, parts in chosen)
            factors = [(dim, factor) for dim, (_, parts) in enumerate(chosen) for factor in parts]
            for taken, here in _by_place(factors, ()):
                if name:
                    for dim, factor in here:
                        self._number(factor, f"{name}:{dim}")
                axes = tuple(self._along(*placed, here) for placed in here)
                found.append(Block(narrowed, taken, axes))
        return tuple(found)

    def _number(self, factor: Factor, name: str) -> None:
        """Gives a factor's group and scale a number, where they have none yet."""
        atom, power = factor.atom.root, factor.power and factor.power.root
        group = None if atom.frozen else self._group(atom, name)
        if power is not None and power.scale not in self.powers:
            self.powers[power.scale] = len(self.scales)
            name = _unused(name, [each.name for each in self.scales])
            self.scales.append(Scales(name, atom.size, group))

    def _along(self, dim: int, factor: Factor, here: Sequence[tuple[int, Factor]]) -> Along:
        """Returns what an axis of a block holds, whose factors are `here`."""
        atom, power = factor.atom.root, factor.power and factor.power.root
        group = self.atoms.get(atom)
        parent = None
        if group is not None and self.groups[group].parent is not None:
            places = [n for n, (_, each) in enumerate(here) if each.atom.root is atom.parents[0]]
            near = [n for n in places if here[n][0] == dim]
            (parent,) = near or places
        if power is None or power.scale not in self.powers:
            return Along(atom.size, group, parent=parent)
        return Along(atom.size, group, self.powers[power.scale], power.sign, parent)

    def _group(self, atom: Atom, name: str) -> int:
        """Returns the number of an atom's group."""
        if atom not in self.atoms:
            parent = next(iter(atom.parents), None)
            above = None if parent is None else self._group(parent, name)
            self.atoms[atom] = len(self.groups)
            name = _unused(name, [each.name for each in self.groups])
            self.groups.append(Group(name, atom.size, above, atom.frozen))
        return self.atoms[atom]


def _unused(name: str, used: Sequence[str]) -> str:
    """Returns a name, with a number behind it where others have it already."""
    names = (name if not number else f"{name}/{number}" for number in count())
    return next(each for each in names if each not in used)


def _pieces(own: Axis, start: int) -> list[tuple[int, Axis]]:
    """Returns the products of atoms of which an axis is the sequence, each with its first place."""
    parts = spread(own)
    if not parts or parts[0].atom.pieces is None or parts[0].atom.frozen:
        return [(start, parts)]
    first, *rest = parts
    found: list[tuple[int, Axis]] = []
    for piece in first.atom.pieces or ():
        whole = (*piece, *rest)
        found += _pieces(whole, start)
        start += length(whole)
    return found


Placed = list[tuple[int, Factor]]
"""The factors of a block, each with the axis of the tensor."""


def _by_place(
    factors: Placed, taken: tuple[Taken, ...]
) -> Iterator[tuple[tuple[Taken, ...], Placed]]:
    """Yields the parts of a block that differ in what atoms are at places of a frozen parent."""
    parents = [f.atom.root.placed_by for _, f in factors if f.atom.root.by_place]
    parent = parents[0].root if parents and parents[0] is not None else None
    here = [number for number, (_, f) in enumerate(factors) if f.atom.root is parent]
    if parent is None or not here:
        yield taken, factors
        return
    (number,) = here
    shape = tuple(factor.atom.size for _, factor in factors)
    rest = [each for place, each in enumerate(factors) if place != number]
    for place in range(parent.size):
        left = [
            (dim, part)
            for dim, (atom, power) in rest
            for part in spread((Factor(at_place(atom, parent, place), power),))
        ]
        yield from _by_place(left, (*taken, Taken(shape, number, place)))
