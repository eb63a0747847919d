"""The length of a string and the angles by which it turns, kept for the beads that stay."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch

from engine.path.snapshot import distance, over_chord, ways
from engine.shapes import Weights


@dataclass(frozen=True)
class Shape:
    """The shape of a string of beads."""

    normalized_length: float
    """Its length divided by the distance of its ends; NaN for no string."""
    turn_mean: float | None
    """The mean angle in degrees by which it turns at an inner bead; None without one."""
    turn_max: float | None
    """The largest of these angles."""


class Shapes:
    """Finds the shape of one string after another, and computes only what is new of it.

    Beads are known by their tensors, which nobody changes in place.
    """

    def __init__(self) -> None:
        """Knows no beads yet."""
        self._lengths: dict[tuple[Weights, Weights], float] = {}
        self._turns: dict[tuple[Weights, Weights, Weights], float] = {}

    def of(self, beads: Sequence[Weights]) -> Shape:
        """Returns the shape of a string of beads (param,), computed in float64."""
        pairs = list(pairwise(beads))
        triples = list(zip(beads, beads[1:], beads[2:], strict=False))
        self._lengths = {pair: self._length(pair) for pair in pairs}
        self._turns = {triple: self._turn(triple) for triple in triples}
        turns = [turn for turn in self._turns.values() if math.isfinite(turn)]
        return Shape(
            over_chord(sum(self._lengths.values()), beads),
            sum(turns) / len(turns) if turns else None,
            max(turns, default=None),
        )

    def _length(self, pair: tuple[Weights, Weights]) -> float:
        """Returns the distance of two beads."""
        known = self._lengths.get(pair)
        return distance(*pair) if known is None else known

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
