"""Values of a traced forward with what their axes hold, and the operations between them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import fx

from engine.networks.modules.units.atoms import Axis, Factor, axis, fix, freeze, spread
from engine.networks.modules.units.merging import give_up


@dataclass(frozen=True, eq=False)
class Value:
    """A tensor of the forward."""

    node: fx.Node
    """The node of the graph that computes it."""
    axes: tuple[Axis, ...]
    """What each of its axes holds."""
    varies: bool
    """Whether it depends on the samples."""

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.axes)

    def freeze(self) -> None:
        """Leaves all units of the value as they are."""
        for each in self.axes:
            freeze(each)

    def fix(self) -> None:
        """Leaves the value at its scale."""
        for each in self.axes:
            fix(each)


@dataclass(frozen=True)
class Call:
    """A call of an operation of ATen."""

    name: str
    """The operation's name, without the underscore of those that write into their input."""
    given: Mapping[str, Any]
    """All arguments by their names in the operation's schema, nodes as values."""
    shapes: Sequence[tuple[int, ...]]
    """The shapes of its results, () for those that are no tensors."""
    in_place: bool
    """Whether it writes into its first input."""
    pointwise: bool
    """Whether each entry of its result is a function of entries at the same place."""
    read: list[Value] = field(default_factory=list)
    """The values over whose units a sum is taken, as the next layer takes it."""

    def __getitem__(self, name: str) -> Any:
        """Returns an argument by its name in the schema."""
        return self.given[name]

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the first result."""
        return self.shapes[0]

    @property
    def values(self) -> list[Value]:
        """The values among the arguments, those of lists included."""
        listed = [each if isinstance(each, list) else [each] for each in self.given.values()]
        return [each for part in listed for each in part if isinstance(each, Value)]

    def unknown(self) -> list[tuple[Axis, ...]]:
        """Leaves all units of the arguments as they are; returns axes that are frozen too."""
        for value in self.values:
            value.freeze()
        return [tuple(axis(size, frozen=True) for size in shape) for shape in self.shapes]


Results = Sequence[tuple[Axis, ...]]
"""The axes of each result of a call."""

Rule = Callable[[Call], Results]
"""Makes the axes one that a call brings together, and returns those of each of its results."""


def settle(axes: Sequence[Axis]) -> None:
    """Lets the atoms of a value depend only on parents of which it holds exactly one.

    That is the one in the same axis, or else the only one in any.
    """
    here = [_counted(each) for each in axes]
    for own in axes:
        _settle(own, here, Counter())


def _counted(of: Axis) -> Counter[Any]:
    return Counter(factor.atom for factor in spread(of))


def _settle(own: Axis, here: Sequence[Counter[Any]], above: Counter[Any]) -> None:
    """Settles the factors of an axis, or of a piece of one that lies within the axis `above`."""
    near = above + _counted(own)
    for factor in spread(own):
        for parent in factor.atom.parents:
            count = near[parent] or sum(counts[parent] for counts in here)
            if count != 1:
                give_up(factor.atom.root, parent)
        for piece in factor.atom.root.pieces or ():
            _settle(piece, here, near)


def dims_of(which: Any, ndim: int) -> list[int]:
    """Returns the axes that an argument names, counted from 0; None or none names all."""
    if which is None or which == []:
        return [*range(ndim)]
    return [each % ndim for each in (which if isinstance(which, list | tuple) else [which])]


def without(of: Axis) -> Axis:
    """Returns an axis at its scale: the same units, with nothing to multiply by."""
    return tuple(Factor(factor.atom) for factor in spread(of))
