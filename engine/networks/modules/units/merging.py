"""Axes and atoms made the same: one order for the units of both, and one scale."""

from __future__ import annotations

from itertools import pairwise

from engine.networks.modules.units.atoms import (
    Atom,
    Axis,
    Factor,
    Power,
    divide,
    fix,
    freeze,
    spread,
)
from engine.networks.modules.units.sequences import cut_atom, ends_of


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


def give_up(atom: Atom, parent: Atom) -> None:
    """Makes the order of an atom's units the same for all units of a parent."""
    atom.adopt([each for each in atom.parents if each is not parent])
    if atom.placed_by is not None and atom.placed_by.root is not parent:
        return
    places, atom.by_place, atom.placed_by = list(atom.by_place.values()), {}, None
    for place in places:
        merge(atom, place)


def _share_parents(one: Atom, other: Atom) -> None:
    """Leaves two atoms only the parents that both have."""
    common = {*one.parents} & {*other.parents}
    for atom in (one, other):
        for parent in atom.parents:
            if parent not in common:
                give_up(atom.root, parent)


def _match_pieces(one: Atom, other: Atom) -> None:
    """Makes the pieces of two atoms the same, after cutting them at all places of either."""
    ends = sorted({*ends_of(one.pieces or ()), *ends_of(other.pieces or ())})
    sizes = [b - a for a, b in pairwise([0, *ends])]
    for ours, theirs in zip(cut_atom(one, sizes), cut_atom(other, sizes), strict=True):
        unify(ours, theirs)


def _match_places(one: Atom, other: Atom) -> None:
    """Makes two atoms the same at each place of a frozen parent."""
    ours, theirs = (each.placed_by and each.placed_by.root for each in (one, other))
    if ours is not None and theirs is not None and ours is not theirs:
        give_up(one, ours)
        give_up(other.root, theirs)
        return
    parent = ours or theirs
    if parent is not None:
        for place in {*one.by_place, *other.by_place}:
            merge(at_place(one, parent, place), at_place(other, parent, place))


def at_place(atom: Atom, parent: Atom, place: int) -> Atom:
    """Returns what an atom is at one place of a frozen atom; itself where it is the same at all."""
    atom = atom.root
    if parent not in atom.parents:
        return atom
    if atom.pieces is not None:
        atom.freeze()
        return atom
    if atom.placed_by is not None and atom.placed_by.root is not parent:
        give_up(atom, parent)
        return atom.root
    atom.placed_by = parent
    if place not in atom.by_place:
        kept = [at_place(each, parent, place) for each in atom.parents if each is not parent]
        atom.by_place[place] = Atom(atom.size, kept)
    return atom.by_place[place].root


def placed(of: Axis, parent: Atom, place: int) -> Axis:
    """Returns an axis as its units are ordered for one unit of a parent that keeps its places.

    Units within a parent, such as those of a head of an attention, may be ordered in another way
    for each unit of it. `place` says for which one, such as the head that an index picks. An atom
    without that parent is the same for each of them and stays as it is; one with it loses its
    scale.
    """
    found: list[Factor] = []
    for atom, power in spread(of):
        at = at_place(atom, parent, place)
        if at is not atom:
            fix((Factor(atom, power),))
        found.append(Factor(at, power if at is atom else None))
    return tuple(found)
