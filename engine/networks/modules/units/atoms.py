"""Axes of tensors as products of atoms: the units that may change places, and be rescaled.

Each axis of each value in a module's forward is a product of *atoms*, outermost first. An atom
stands for units: wherever it stands, they take their places in the same order. An operation that
brings two axes together makes their atoms one; a reshape takes an atom apart into an outer and an
inner one; a concatenation or a cut makes an atom a sequence of pieces. An atom whose units cannot
change places is *frozen*. Inner units may be ordered in another way for each outer unit, as those
of the heads of an attention may: the outer atom is then a *parent* of the inner one.

A factor of an axis has a *scale* too: positive numbers, one for each unit, by which the values may
be multiplied. None is a scale of ones.

Whatever an operation does that is not known freezes what it touches. That takes symmetries away
that a network may have, and never adds one that it does not have.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import prod
from typing import NamedTuple


class Atom:
    """Units that take their places in one order wherever they stand."""

    def __init__(self, size: int, parents: Sequence[Atom] = (), *, frozen: bool = False) -> None:
        """Makes units that were not seen before."""
        self.size = size
        self.frozen = frozen
        """Whether the units keep their places."""
        self.product: tuple[Atom, Atom] | None = None
        """The outer and the inner units of which they are pairs."""
        self.pieces: tuple[Axis, ...] | None = None
        """The units of which they are a sequence."""
        self.by_place: dict[int, Atom] = {}
        """What these units are for single units of a frozen parent, `placed_by`, by its places."""
        self.placed_by: Atom | None = None
        self._parents = tuple(parents)
        self._same: Atom | None = None

    @property
    def root(self) -> Atom:
        """The atom that stands for all that were made one with this."""
        atom = self
        while atom._same is not None:
            atom = atom._same
        return atom

    @property
    def parents(self) -> tuple[Atom, ...]:
        """The atoms for each of whose units these may be ordered in another way."""
        every = [part for parent in self._parents for part in atoms_of(parent)]
        found = dict.fromkeys(part for part in every if part.pieces is None)
        return () if self.frozen else tuple(found)

    def adopt(self, parents: Sequence[Atom]) -> None:
        """Lets these units be ordered in another way for each unit of other parents."""
        self._parents = tuple(parents)

    def freeze(self) -> None:
        """Leaves these units where they are, with all that they consist of."""
        atom = self.root
        atom.frozen = True
        parts = [*(atom.product or ()), *atom.by_place.values()]
        for part in parts:
            part.freeze()
        for piece in atom.pieces or ():
            freeze(piece)

    def join(self, other: Atom) -> None:
        """Makes another root the same as this one."""
        other._same = self


class Scale:
    """Positive numbers, one for each unit of a factor."""

    def __init__(self) -> None:
        """Makes numbers that were not seen before."""
        self.ones = False
        """Whether they can only be ones."""
        self._same: tuple[Scale, int] | None = None
        self._outer: Scale | None = None

    @property
    def outer(self) -> Scale:
        """The numbers for the outer units, where the units are pairs and the inner ones share."""
        self._outer = self._outer or Scale()
        self._outer.ones |= self.ones
        return self._outer

    def fix(self) -> None:
        """Leaves the values as they are."""
        self.ones = True
        if self._outer is not None:
            self._outer.fix()


class Power(NamedTuple):
    """A scale, or 1 over it where the sign is −1."""

    scale: Scale
    sign: int

    @property
    def root(self) -> Power | None:
        """The scale that stands for all that are the same, to the right sign; None for ones."""
        scale, sign = self
        while scale._same is not None:
            scale, further = scale._same
            sign *= further
        return None if scale.ones else Power(scale, sign)


class Factor(NamedTuple):
    """An atom in an axis, and what its values may be multiplied by."""

    atom: Atom
    power: Power | None = None


Axis = tuple[Factor, ...]
"""An axis as a product of factors, outermost first; an axis of length 1 has none."""


def axis(size: int, *, frozen: bool = False, scaled: bool = False) -> Axis:
    """Returns an axis of one new atom, which may be rescaled if `scaled`."""
    if size == 1:
        return ()
    return (Factor(Atom(size, frozen=frozen), Power(Scale(), 1) if scaled else None),)


def length(of: Iterable[Factor]) -> int:
    """Returns the number of places along an axis."""
    return prod(factor.atom.size for factor in of)


def atoms_of(atom: Atom) -> list[Atom]:
    """Returns the atoms that one consists of, outermost first."""
    atom = atom.root
    if atom.product is None:
        return [atom]
    return [part for each in atom.product for part in atoms_of(each)]


def spread(of: Axis) -> Axis:
    """Returns an axis with each atom that was taken apart as its parts."""
    found: list[Factor] = []
    for atom, power in of:
        root = atom.root
        power = power.root if power else None
        if root.product is None:
            found.append(Factor(root, power))
            continue
        outer, inner = root.product
        of_outer = Power(power.scale.outer, power.sign) if power else None
        found += spread((Factor(outer, of_outer), Factor(inner)))
    return tuple(found)


def freeze(of: Axis) -> None:
    """Leaves the units of an axis as they are."""
    for factor in spread(of):
        factor.atom.freeze()
    fix(of)


def fix(of: Axis) -> None:
    """Leaves the values along an axis at their scale."""
    for atom, power in spread(of):
        if power is not None:
            power.scale.fix()
        for piece in atom.pieces or ():
            fix(piece)


def divide(atom: Atom, outer: int) -> None:
    """Takes an atom apart into so many outer units and as many inner ones as there then are."""
    atom = atom.root
    if atom.pieces is not None or atom.by_place:
        atom.freeze()
        atom.pieces, atom.by_place = None, {}
    parents = atom.parents
    first = Atom(outer, parents, frozen=atom.frozen)
    second = Atom(atom.size // outer, (*parents, first), frozen=atom.frozen)
    atom.product = (first, second)
