"""Axes as products and sequences of atoms: what ties them, takes them apart and freezes them."""

from __future__ import annotations

from engine.networks.modules.units.atoms import (
    Atom,
    Axis,
    Factor,
    Power,
    Scale,
    axis,
    divide,
    fix,
    freeze,
    length,
    spread,
)
from engine.networks.modules.units.merging import at_place, give_up, placed, unify
from engine.networks.modules.units.sequences import cut, joined


def atoms(of: Axis) -> list[Atom]:
    return [factor.atom for factor in spread(of)]


def test_axes_of_one_length_become_one() -> None:
    one, other, third = (axis(6) for _ in range(3))
    unify(one, other)
    unify(other, third)
    assert atoms(one) == atoms(other) == atoms(third)


def test_a_product_takes_an_atom_apart_wherever_it_stands() -> None:
    """As heads and the units within them, of a weight's axis that was one before."""
    flat, again = axis(12), axis(12)
    unify(flat, again)
    split = axis(3) + axis(4)
    unify(flat, split)
    outer, inner = atoms(again)
    assert (outer.size, inner.size) == (3, 4)
    assert atoms(split) == [outer, inner]
    assert inner.parents == ()  # those of a new axis depend on nothing, so both do not


def test_inner_units_may_depend_on_outer_ones() -> None:
    flat, other = axis(12), axis(12)
    for each in (flat, other):
        divide(atoms(each)[0], 3)
    unify(flat, other)
    outer, inner = atoms(flat)
    assert inner.parents == (outer,)
    give_up(inner, outer)
    assert atoms(other)[1].parents == ()


def test_lengths_that_do_not_divide_are_frozen() -> None:
    one, other = axis(4) + axis(3), axis(3) + axis(4)
    unify(one, other)
    assert all(atom.frozen for atom in atoms(one) + atoms(other))


def test_frozen_units_freeze_those_that_they_meet() -> None:
    one, other = axis(5), axis(5, frozen=True)
    unify(one, other)
    assert atoms(one)[0].frozen
    pieces = [axis(2), axis(3)]
    freeze(joined(pieces))
    assert all(atoms(each)[0].frozen for each in pieces)


def test_pieces_of_two_axes_are_cut_at_all_places_of_either() -> None:
    ours, theirs = [axis(2), axis(4)], [axis(4), axis(2)]
    unify(joined(ours), joined(theirs))
    assert length(ours[1]) == 4
    first, second = atoms(ours[1])[0].pieces or ()
    assert atoms(second) == atoms(theirs[1])
    assert atoms(first) == atoms((atoms(theirs[0])[0].pieces or ())[1])


def test_a_cut_gives_parts_that_stay_tied() -> None:
    gates, other = axis(8), axis(8)
    unify(gates, other)
    ours, theirs = cut(gates, [4, 4]), cut(other, [4, 4])
    assert [atoms(a) for a in ours] == [atoms(b) for b in theirs]
    assert atoms(ours[0]) != atoms(ours[1])
    whole = axis(3) + axis(2)
    assert [length(part) for part in cut(whole, [2, 4])] == [2, 4]
    assert not atoms(whole)[1].frozen
    freezing = axis(3) + axis(2)
    cut(freezing, [3, 3])  # within a pair
    assert all(atom.frozen for atom in atoms(freezing))


def test_units_at_one_place_of_a_frozen_parent_are_their_own() -> None:
    """As queries, keys and values of one matrix."""
    rows = axis(3, frozen=True)
    parent = atoms(rows)[0]
    inner = (Factor(Atom(4, [parent])),)
    first, second = placed(inner, parent, 0), placed(inner, parent, 1)
    assert atoms(first) != atoms(second)
    assert atoms(placed(inner, parent, 0)) == atoms(first)
    other = (Factor(Atom(4, [parent])),)
    unify(inner, other)
    assert atoms(placed(other, parent, 1)) == atoms(second)
    give_up(atoms(inner)[0], parent)
    assert atoms(first) == atoms(second) == atoms(inner)
    free = Atom(2)
    assert at_place(free, parent, 0) is free


def test_scales_meet_and_cancel() -> None:
    incoming, outgoing = axis(3, scaled=True), axis(3, scaled=True)
    unify(incoming, outgoing, inverse=True)
    (one,), (other,) = spread(incoming), spread(outgoing)
    assert one.power is not None and other.power is not None
    assert one.power.scale is other.power.scale and one.power.sign == -other.power.sign
    unify(incoming, outgoing)  # and the other way round: they can only be ones
    assert spread(incoming)[0].power is None


def test_a_scale_goes_with_the_outer_units() -> None:
    """A channel's scale is that of all its places in a flat axis behind it."""
    flat = axis(6, scaled=True)
    unify(flat, axis(2, scaled=True) + axis(3, frozen=True))
    outer, inner = spread(flat)
    assert outer.power is not None and inner.power is None
    fix(flat)
    assert spread(flat)[0].power is None


def test_ones_stay_ones() -> None:
    scale = Scale()
    outer = scale.outer
    scale.fix()
    assert outer.ones and scale.outer.ones
    assert Power(scale, 1).root is None
