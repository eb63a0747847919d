"""Steps that are linear in the weights and in the input: W·x + b, whatever W·x is.

With weights W(s) = (1−s)·W₀ + s·W₁, D = W₁ − W₀ and W_m = (W₀ + W₁)/2, the product of W(s) with a
chord is a chord whose bow is −D(end − start), exactly; bow and remainder of the input pass through
W_m, and add what the skew of W(s) about W_m can make of them (docs/proof.md, "Affine steps").
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from engine.path.certificate.chord import EPSILON, SKEW, TINY, Chord, largest

Apply = Callable[[Tensor, Tensor], Tensor]
"""Takes inputs (cell, sample, …) and weights (cell, …), returns W·x (cell, sample, …)."""


@dataclass(frozen=True)
class Moving:
    """A layer's weights over each of several cells of one segment."""

    start: Tensor
    """(cell, out, …) W₀, the weights at u."""
    end: Tensor
    """(cell, out, …) W₁, the weights at v."""
    bias_start: Tensor | None
    """(cell, out)"""
    bias_end: Tensor | None
    """(cell, out)"""
    mass: Tensor
    """(out,) For each output the sum of |A| + |B|, A and B the weights of the segment's beads."""
    bias_mass: Tensor
    """(out,) The same of the bias; zeros where there is none."""

    @property
    def change(self) -> Tensor:
        """(cell, out, …) D."""
        return self.end - self.start

    @property
    def middle(self) -> Tensor:
        """(cell, out, …) W_m."""
        return (self.start + self.end) / 2

    @property
    def fan_in(self) -> int:
        """The number of products in one output."""
        return int(self.start[0, 0].numel())


def affine(x: Chord, weights: Moving, apply: Apply, axes: int) -> Chord:
    """Returns the model of W·x + b. `axes` is the number of axes of an output after its first."""
    start, end = ends(x, weights, apply, axes)
    slack = rounding(x, weights).reshape(-1, *[1] * axes)
    if x.exact:
        zero = torch.zeros_like(start)
        return Chord(start, end, zero, zero - slack, zero + slack)
    bow = bow_of(x, weights, apply)
    low, high = remainder(x, weights.middle, weights.change, apply)
    return Chord(start, end, bow, (low - slack).clamp(max=0), (high + slack).clamp(min=0))


def ends(x: Chord, weights: Moving, apply: Apply, axes: int) -> tuple[Tensor, Tensor]:
    """Returns the values of W·x + b at both ends of each cell, (cell, sample, out, …)."""
    start = _biased(apply(x.start, weights.start), weights.bias_start, axes)
    return start, _biased(apply(x.end, weights.end), weights.bias_end, axes)


def bow_of(x: Chord, weights: Moving, apply: Apply) -> Tensor:
    """Returns the bow of W·x: −D(end − start) + W_m·bow."""
    start, end, bow, _, _ = x.parts
    return apply(bow, weights.middle) - apply(end - start, weights.change)


def remainder(x: Chord, middle: Tensor, change: Tensor, apply: Apply) -> tuple[Tensor, Tensor]:
    """Returns bounds of what W·x is apart from its chord and bow, rounding aside.

    With centre c and radius r of the input's remainder, W_m times it lies within W_m·c ± |W_m|·r.
    (s−½)·D adds half of |D| times the largest size of the remainder, and SKEW·|D|·|bow|.
    """
    _, _, bow, low, high = x.parts
    centre = apply((low + high) / 2, middle)
    skewed = SKEW * bow.abs() + torch.maximum(high, -low) / 2
    radius = apply((high - low) / 2, middle.abs()) + apply(skewed, change.abs())
    return centre - radius, centre + radius


def rounding(x: Chord, weights: Moving) -> Tensor:
    """Returns a bound (out,) of all rounding errors of the step, those of the weights included.

    Each output is a sum of `fan_in` products in whatever order. Weights at u and v are themselves
    rounded, by at most 3ε(|A| + |B|), which may be more than a share of their own size.
    """
    terms = 4 * (weights.fan_in + 10) * EPSILON
    return terms * (largest(x) * weights.mass + weights.bias_mass) + TINY


def _biased(product: Tensor, bias: Tensor | None, axes: int) -> Tensor:
    if bias is None:
        return product
    return product + bias.reshape(len(bias), 1, -1, *[1] * axes)
