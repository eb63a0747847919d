"""The model of a number over a cell: its chord, the chord's bow, and an interval for the rest.

Over a cell, t = u + s·(v − u) with 0 ≤ s ≤ 1. A number x of the network, as a function of s, is
enclosed by

    x(s) ∈ (1−s)·start + s·end + s(1−s)·bow + [low, high],    low ≤ 0 ≤ high.

The five floats are the model, exactly; what rounding adds when a step makes the next model is
added to its low and high by that step. Since start and end are the values at the cell's ends, bow,
low and high are O((v−u)²): a cell half as wide is enclosed four times as tightly.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import sqrt

import torch
from torch import Tensor

#: Half the distance of 1 to the next float64: the relative error of one operation.
EPSILON = 2.0**-53
#: Added where a product might have fallen below the smallest normal number.
TINY = 1e-290
#: The maximum of |s(1−s)(s−½)| on [0, 1], which is 1/(12√3), rounded up.
SKEW = (1 + 4 * EPSILON) / (12 * sqrt(3))


@dataclass(frozen=True)
class Chord:
    """Models of many numbers, (cell, sample, …) each.

    The data, which do not depend on t, have `bow`, `low` and `high` of None.
    """

    start: Tensor
    end: Tensor
    bow: Tensor | None
    low: Tensor | None
    high: Tensor | None

    @property
    def parts(self) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """The five tensors of a model, zeros where it is exact."""
        if self.bow is None or self.low is None or self.high is None:
            zero = torch.zeros_like(self.start)
            return self.start, self.end, zero, zero, zero
        return self.start, self.end, self.bow, self.low, self.high

    @property
    def exact(self) -> bool:
        """Whether the number is the same for every t, and held without error."""
        return self.bow is None

    def map(self, change: Callable[[Tensor], Tensor]) -> Chord:
        """Returns the model with each part changed in shape, or multiplied by a power of two."""
        if self.exact:
            return Chord(change(self.start), change(self.end), None, None, None)
        return Chord(*map(change, self.parts))


def fixed(x: Tensor) -> Chord:
    """Returns the model of data x, (cell, sample, …), that do not depend on t."""
    return Chord(x, x, None, None, None)


def outward(x: Tensor) -> Tensor:
    """Returns x away from zero by more than the rounding of the few operations that made it.

    Sums of numbers of one sign have a relative error, so that a multiple covers it.
    """
    return x * (1 + 8 * EPSILON)


def deviation(model: Chord) -> tuple[Tensor, Tensor]:
    """Returns bounds, at most and at least 0, of the number minus its chord."""
    _, _, bow, low, high = model.parts
    return outward(low + bow.clamp(max=0) / 4), outward(high + bow.clamp(min=0) / 4)


def largest(model: Chord) -> Tensor:
    """Returns the sum of the largest absolute values of the five parts, a scalar.

    It bounds whatever a step's rounding errors are proportional to.
    """
    parts = [part for part in (model.start, model.end, model.bow, model.low, model.high)]
    sizes = [part.abs().amax() for part in parts if part is not None and part.numel()]
    return torch.stack(sizes).sum() if sizes else torch.zeros(())
