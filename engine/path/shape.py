"""The length of a string and the angles by which it turns, kept for the beads that stay."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch

from engine.path.snapshot import distance, ways
from engine.shapes import Weights


@dataclass(frozen=True)
class Shape:
    """The shape of a string of beads."""

    normalized_length: float
    """Its length divided by the distance of its ends; NaN for no string."""
    normalized_length_weights: float | None
    """The same over the weights alone, without biases; None where there are only biases."""
    turn_mean: float | None
    """The mean angle in degrees by which it turns at an inner bead; None without one."""
    turn_max: float | None
    """The largest of these angles."""


class Shapes:
    """Finds the shape of one string after another, and computes only what is new of it.

    Beads are known by their tensors, which nobody changes in place.
    """

    def __init__(self, weights: Sequence[slice] | None = None) -> None:
        """Knows no beads yet.

        Args:
            weights: The parts of a bead's vector that hold weights, while the rest holds biases;
                None where there are no biases.
        """
        self._lengths = _Lengths((slice(None),))
        self._weights = self._lengths if weights is None else _Lengths(weights)
        self._turns: dict[tuple[Weights, Weights, Weights], float] = {}

    def of(self, beads: Sequence[Weights]) -> Shape:
        """Returns the shape of a string of beads (param,), computed in float64."""
        triples = list(zip(beads, beads[1:], beads[2:], strict=False))
        self._turns = {triple: self._turn(triple) for triple in triples}
        turns = [turn for turn in self._turns.values() if math.isfinite(turn)]
        return Shape(
            self._lengths.normalized(beads),
            self._weights.normalized(beads) if self._weights.parts else None,
            sum(turns) / len(turns) if turns else None,
            max(turns, default=None),
        )

    def _turn(self, triple: tuple[Weights, Weights, Weights]) -> float:
        """Returns the angle in degrees at the middle of three beads; NaN beside one like it."""
        known = self._turns.get(triple)
        if known is not None:
            return known
        before, after, product = 0.0, 0.0, 0.0
        for one, other in ways(*triple):
            before = math.hypot(before, float(torch.linalg.vector_norm(one)))
            after = math.hypot(after, float(torch.linalg.vector_norm(other)))
            product += float(one @ other)
        lengths = before * after
        if not 0 < lengths < math.inf:
            return math.nan
        return math.degrees(math.acos(min(max(product / lengths, -1.0), 1.0)))


class _Lengths:
    """The distances along one string after another, of which only new ones are computed."""

    def __init__(self, parts: Sequence[slice]) -> None:
        """Takes distances over these parts of the beads' vectors."""
        self.parts = parts
        self._known: dict[tuple[Weights, Weights], float] = {}

    def normalized(self, beads: Sequence[Weights]) -> float:
        """Returns the length of a string of beads (param,) divided by the distance of its ends.

        It is NaN for no string, and infinite for a closed loop.
        """
        if not beads:
            return math.nan
        pairs, ends = list(pairwise(beads)), (beads[0], beads[-1])
        self._known = {pair: self._distance(pair) for pair in (*pairs, ends)}
        chord = self._known[ends]
        return sum(self._known[pair] for pair in pairs) / chord if chord > 0 else math.inf

    def _distance(self, pair: tuple[Weights, Weights]) -> float:
        """Returns the distance of two beads."""
        known = self._known.get(pair)
        if known is not None:
            return known
        left, right = pair
        return math.hypot(*(distance(left[part], right[part]) for part in self.parts))
