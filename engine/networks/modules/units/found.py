"""The groups of units of a network that may change places, found in its traced forward."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import count, product

from torch import fx

from engine.networks.modules.units.atoms import Atom, Axis, Factor, Scale, length, spread
from engine.networks.modules.units.groups import Along, Block, Group, Scales, Taken, Units
from engine.networks.modules.units.merging import at_place
from engine.networks.modules.units.reading import Reader
from engine.networks.modules.units.values import Value


def units_of(
    graph: fx.Graph, parameters: Sequence[str], statistics: Sequence[str], fixed: int
) -> Units:
    """Returns the symmetries of a traced forward.

    Its inputs are the parameters, so many other tensors that keep their places (`fixed`), the
    statistics of batch normalization, and the samples.
    """
    reader = Reader(graph, parameters, statistics, fixed)
    reader.read()
    return _Numbering(reader).units()


class _Numbering:
    """Gives groups and scales their numbers, and takes tensors apart into blocks."""

    def __init__(self, reader: Reader) -> None:
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
