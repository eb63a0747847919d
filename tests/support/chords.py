"""Random models of numbers, what lies in them, and layers whose true weights are known.

What is compared with is computed in longer floats.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from engine.path.certificate.affine import Moving
from engine.path.certificate.chord import Chord
from tests.support.long_double import Long, long

#: Relative error of what is compared with.
BLUR = 1e-18
SAMPLES = 40


def models(seed: int, *shape: int, size: float, rest: float) -> Chord:
    """Returns models (1, sample, …) of numbers of about `size`, with remainders of about `rest`.

    A third of the remainders are 0, so that a step's own rounding has nowhere to hide.
    """
    rng = torch.Generator().manual_seed(seed)

    def normal() -> Tensor:
        return torch.randn(1, SAMPLES, *shape, generator=rng, dtype=torch.float64)

    def sometimes() -> Tensor:
        return (torch.rand(1, SAMPLES, *shape, generator=rng) > 1 / 3).double()

    start, end = size * normal(), size * normal()
    bow = size * normal() * sometimes()
    return Chord(
        start, end, bow, -rest * normal().abs() * sometimes(), rest * normal().abs() * sometimes()
    )


def straight(model: Chord) -> Chord:
    """Returns models with the same chords, of numbers that do not deviate from them."""
    zero = torch.zeros_like(model.start)
    return Chord(model.start, model.end, zero, zero, zero)


def members(model: Chord, seed: int) -> list[tuple[Long, Long]]:
    """Returns places s with numbers (sample, …) that lie in their models there, on the edges too.

    The s of ends and of zeros of the chord are among them.
    """
    start, end, bow, low, high = (long(part[0]) for part in model.parts)
    rng = np.random.default_rng(seed)
    with np.errstate(divide="ignore", invalid="ignore"):
        zeros = np.nan_to_num(np.clip(start / (start - end), 0, 1), nan=0.5)
    places = [np.full_like(start, s) for s in np.linspace(0, 1, 9)] + [zeros]
    places += [rng.uniform(size=start.shape).astype(np.longdouble) for _ in range(4)]
    found = []
    for s in places:
        curve = (1 - s) * start + s * end + s * (1 - s) * bow
        inner = low + (high - low) * rng.uniform(size=low.shape)
        found += [(s, curve + rest) for rest in (low, high, inner)]
    return found


def outside(model: Chord, s: Long, value: Long) -> float:
    """Returns how far the farthest value (sample, …) is out of its model; at most 0 if none is."""
    start, end, bow, low, high = (long(part[0]) for part in model.parts)
    rest = value - ((1 - s) * start + s * end + s * (1 - s) * bow)
    blur = BLUR * (abs(value) + abs(start) + abs(end) + abs(bow))
    return float((np.maximum(low - rest, rest - high) - blur).max())


TrueWeights = Callable[[Long], tuple[Long, Long]]
"""Takes a place s and returns weights and biases there, without rounding."""


#: The cell of a segment over which weights are drawn.
U, V = 7 / 16, 9 / 16


def beads(seed: int, *shape: int, size: float) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Returns weights and biases of a layer at the left bead, and those at the right one.

    The beads' weights may cancel in the cell, where rounding is largest by comparison.
    """
    rng = torch.Generator().manual_seed(seed)

    def drawn(*of: int) -> Tensor:
        return (size * torch.randn(*of, generator=rng)).double()

    left, bias_left = drawn(*shape), drawn(shape[0])
    right, bias_right = -left * (1 + 1e-3 * drawn(*shape).float().double() / size), drawn(shape[0])
    return left, bias_left, right.float().double(), bias_right


def moving(seed: int, *shape: int, size: float) -> tuple[Moving, TrueWeights]:
    """Returns the weights of `beads` over the cell, and the true ones at a place s."""
    left, bias_left, right, bias_right = beads(seed, *shape, size=size)

    def at(t: float) -> tuple[Tensor, Tensor]:
        return (1 - t) * left + t * right, (1 - t) * bias_left + t * bias_right

    (start, bias_start), (end, bias_end) = at(U), at(V)
    weights = Moving(
        start[None],
        end[None],
        bias_start[None],
        bias_end[None],
        (left.abs() + right.abs()).flatten(1).sum(1),
        bias_left.abs() + bias_right.abs(),
    )

    def true(s: Long) -> tuple[Long, Long]:
        t = np.longdouble(U) + s * (np.longdouble(V) - np.longdouble(U))
        return (1 - t) * long(left) + t * long(right), (1 - t) * long(bias_left) + t * long(
            bias_right
        )

    return weights, true
