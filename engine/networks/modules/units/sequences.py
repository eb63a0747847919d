"""Axes that are sequences of others: cut into parts, and joined."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise

from engine.networks.modules.units.atoms import (
    Atom,
    Axis,
    Factor,
    axis,
    fix,
    freeze,
    length,
    spread,
)


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
    heads = cut_atom(first.atom, [size // inner for size in sizes])
    return [(*head, *rest) for head in heads]


def cut_atom(atom: Atom, sizes: Sequence[int]) -> list[Axis]:
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
    ends = sorted({*accumulate(sizes), *ends_of(atom.pieces)})
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


def ends_of(pieces: Sequence[Axis]) -> list[int]:
    """Returns the place behind the last one of each piece of a sequence."""
    return [*accumulate(length(piece) for piece in pieces)]
