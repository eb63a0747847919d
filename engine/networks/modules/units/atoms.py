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
from itertools import accumulate, pairwise
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
        """What these units are at single places of a frozen parent, `placed_by`."""
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

    def give_up(self, parent: Atom) -> None:
        """Makes the order of these units the same for all units of a parent."""
        rest = [each for each in self.parents if each is not parent]
        self._parents = tuple(rest)
        if self.placed_by is not None and self.placed_by.root is not parent:
            return
        places, self.by_place, self.placed_by = list(self.by_place.values()), {}, None
        for place in places:
            merge(self, place)

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


def unify(one: Axis, other: Axis, *, inverse: bool = False) -> None:
    """Makes two axes of one length the same: their units, and their scales.

    With `inverse` the scale of each becomes 1 over the other's, as in a sum over both.
    """
    ours, theirs = list(spread(one)), list(spread(other))
    while ours and theirs:
        a, b = ours.pop(0), theirs.pop(0)
        if a.atom.size == b.atom.size:
            _tie(a.power, b.power, inverse=inverse)
            merge(a.atom, b.atom)
        elif a.atom.size % b.atom.size == 0:
            divide(a.atom, b.atom.size)
            ours, theirs = [*spread((a,)), *ours], [b, *theirs]
        elif b.atom.size % a.atom.size == 0:
            divide(b.atom, a.atom.size)
            ours, theirs = [a, *ours], [*spread((b,)), *theirs]
        else:
            freeze((a, b, *ours, *theirs))
            return


def _tie(one: Power | None, other: Power | None, *, inverse: bool) -> None:
    """Makes two scales the same, or each 1 over the other."""
    ours, theirs = one and one.root, other and other.root
    if ours is None or theirs is None:
        for power in (ours, theirs):
            if power is not None:
                power.scale.fix()
        return
    sign = ours.sign * theirs.sign * (-1 if inverse else 1)
    if ours.scale is not theirs.scale:
        theirs.scale._same = (ours.scale, sign)
    elif sign == -1:
        ours.scale.fix()


def merge(one: Atom, other: Atom) -> None:
    """Makes two atoms of one size the same."""
    one, other = one.root, other.root
    if one is other:
        return
    if one.product is not None or other.product is not None:
        unify((Factor(one),), (Factor(other),))
        return
    _share_parents(one, other)
    one, other = one.root, other.root
    if one is other:
        return
    if one.pieces is None:
        one, other = other, one
    if one.pieces is not None and other.pieces is not None:
        _match_pieces(one, other)
    _match_places(one, other)
    one, other = one.root, other.root
    if one is other:
        return
    frozen = one.frozen or other.frozen
    one.join(other)
    if frozen:
        one.freeze()


def _share_parents(one: Atom, other: Atom) -> None:
    """Leaves two atoms only the parents that both have."""
    common = {*one.parents} & {*other.parents}
    for atom in (one, other):
        for parent in atom.parents:
            if parent not in common:
                atom.root.give_up(parent)


def _match_pieces(one: Atom, other: Atom) -> None:
    """Makes the pieces of two atoms the same, after cutting them at all places of either."""
    ends = sorted({*_ends(one.pieces or ()), *_ends(other.pieces or ())})
    sizes = [b - a for a, b in pairwise([0, *ends])]
    for ours, theirs in zip(_cut_atom(one, sizes), _cut_atom(other, sizes), strict=True):
        unify(ours, theirs)


def _match_places(one: Atom, other: Atom) -> None:
    """Makes two atoms the same at each place of a frozen parent."""
    ours, theirs = (each.placed_by and each.placed_by.root for each in (one, other))
    if ours is not None and theirs is not None and ours is not theirs:
        one.give_up(ours)
        other.root.give_up(theirs)
        return
    parent = ours or theirs
    if parent is not None:
        for place in {*one.by_place, *other.by_place}:
            merge(at_place(one, parent, place), at_place(other, parent, place))


def _ends(pieces: Sequence[Axis]) -> list[int]:
    return [*accumulate(length(piece) for piece in pieces)]


def at_place(atom: Atom, parent: Atom, place: int) -> Atom:
    """Returns what an atom is at one place of a frozen atom; itself where it is the same at all."""
    atom = atom.root
    if parent not in atom.parents:
        return atom
    if atom.pieces is not None:
        atom.freeze()
        return atom
    if atom.placed_by is not None and atom.placed_by.root is not parent:
        atom.give_up(parent)
        return atom.root
    atom.placed_by = parent
    if place not in atom.by_place:
        kept = [at_place(each, parent, place) for each in atom.parents if each is not parent]
        atom.by_place[place] = Atom(atom.size, kept)
    return atom.by_place[place].root


def placed(of: Axis, parent: Atom, place: int) -> Axis:
    """Returns an axis as it is at one place of a frozen atom that other axes hold."""
    found: list[Factor] = []
    for atom, power in spread(of):
        at = at_place(atom, parent, place)
        if at is not atom:
            fix((Factor(atom, power),))
        found.append(Factor(at, power if at is atom else None))
    return tuple(found)


def cut(of: Axis, sizes: Sequence[int]) -> list[Axis]:
    """Returns the consecutive parts of an axis, of these lengths."""
    if len(sizes) == 1:
        return [of]
    fix(of)
    parts = spread(of)
    if not parts:
        return [axis(size) for size in sizes]
    first, *rest = parts
    inner = length(rest)
    if any(size % inner for size in sizes):
        freeze(parts)
        return [axis(size, frozen=True) for size in sizes]
    heads = _cut_atom(first.atom, [size // inner for size in sizes])
    return [(*head, *rest) for head in heads]


def _cut_atom(atom: Atom, sizes: Sequence[int]) -> list[Axis]:
    """Returns the consecutive parts of an atom, and makes it their sequence."""
    atom = atom.root
    if atom.frozen or atom.by_place:
        atom.freeze()
        return [axis(size, frozen=True) for size in sizes]
    if atom.pieces is None:
        whole = tuple(
            (Factor(Atom(size, atom.parents)),) if size > 1 else () for size in sizes if size
        )
        atom.pieces = whole
    ends = sorted({*accumulate(sizes), *_ends(atom.pieces)})
    fine: list[Axis] = []
    start = 0
    for piece in atom.pieces:
        end = start + length(piece)
        inside = [place for place in ends if start < place <= end]
        fine += cut(piece, [b - a for a, b in pairwise([start, *inside])])
        start = end
    atom.pieces = tuple(fine)
    return [_sequence(part) for part in _grouped(fine, sizes)]


def _grouped(pieces: Sequence[Axis], sizes: Sequence[int]) -> list[list[Axis]]:
    """Returns consecutive pieces in groups of these lengths."""
    found: list[list[Axis]] = []
    rest = list(pieces)
    for size in sizes:
        group: list[Axis] = []
        while sum(map(length, group)) < size:
            group.append(rest.pop(0))
        found.append(group)
    return found


def _sequence(pieces: Sequence[Axis]) -> Axis:
    """Returns an axis that is a sequence of others."""
    if len(pieces) == 1:
        return pieces[0]
    return joined(pieces)


def joined(pieces: Sequence[Axis]) -> Axis:
    """Returns the axis along which others lie one after another."""
    sizes = [length(piece) for piece in pieces]
    for piece in pieces:
        fix(piece)
    if all(factor.atom.frozen for piece in pieces for factor in spread(piece)):
        return axis(sum(sizes), frozen=True)
    atom = Atom(sum(sizes))
    atom.pieces = tuple(pieces)
    return (Factor(atom),)
