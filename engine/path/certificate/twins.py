"""Whether steps of a proof are computed in compiled code."""

from __future__ import annotations

import sys
from functools import cache
from typing import Protocol

from torch import Tensor

from engine.networks.steps import Sides
from engine.path.certificate.chord import Chord

#: The count of numbers from which on it pays to import the compiler, which takes half a second.
MANY = 100_000


class Twins(Protocol):
    """The steps that exist in compiled code, equal to the bit to those written with tensors."""

    def relu(self, x: Chord) -> Chord:
        """Returns the model of max(x, 0)."""

    def max_pool(self, x: Chord, size: Sides) -> Chord:
        """Returns the model of the maxima over rectangles."""


def twins(part: Tensor) -> Twins | None:
    """Returns the compiled steps, or None where the steps written with tensors are quicker.

    `part` is one of a model's tensors, whose size decides. Both give the same bits, so the choice
    may also depend on what this process has imported.
    """
    return _loaded() if "numba" in sys.modules or part.numel() >= MANY else None


@cache
def _loaded() -> Twins | None:
    """Returns the compiled steps, or None where numba cannot be imported."""
    try:
        from engine.path.certificate import compiled
    except ImportError:
        return None
    return compiled
