"""Positive scales of units: balance, a scale of their own for all models that are the same.

A unit with a ReLU may be multiplied by a positive number if what reads it is divided by it. The
sum of squares of all weights is smallest at exactly one choice of these numbers (it is convex in
their logarithms): for each unit, incoming and outgoing weights are then of one length.
"""

from __future__ import annotations

import torch
from torch import Tensor

from engine.alignment.forward import Named
from engine.alignment.relabelling import Relabelling, blocks_of, relabelled, rescaled, unchanged
from engine.networks.modules.units.groups import Along, Units

#: The number of rounds in which scales are balanced at most, and the change that ends them.
ROUNDS, CHANGE = 1000, 1e-13


def balance(units: Units, named: Named) -> tuple[Tensor, ...]:
    """Returns the scales with which the sum of squares of a model's weights is smallest.

    A unit that has no incoming weights other than 0, or no outgoing ones, keeps its scale.
    """
    parts = _scaled_parts(units, named)
    logs = [torch.zeros(each.size, dtype=torch.float64) for each in units.scales]
    for _ in range(ROUNDS):
        change = 0.0
        for number in range(len(logs)):
            into, out = _sums(parts, logs, number)
            alive = (into > 0) & (out > 0)
            step = torch.where(alive, (out / into).log() / 4, 0.0)
            logs[number] = logs[number] + step
            change = max(change, float(step.abs().max()))
        if change < CHANGE:
            break
    return tuple(each.exp() for each in logs)


Part = tuple[Tensor, tuple[Along, ...]]
"""Sums of squares of a block's weights by the axes that have a scale, and what these hold."""


def _scaled_parts(units: Units, named: Named) -> list[Part]:
    """Returns the blocks that have scales, summed over all axes that have none."""
    found = []
    for block, part in blocks_of(units, named):
        scaled = [dim for dim, each in enumerate(block.axes) if each.scale is not None]
        over = [dim for dim in range(part.ndim) if dim not in scaled]
        squares = part.double().square()
        if scaled:
            summed = squares.sum(over) if over else squares
            found.append((summed, tuple(block.axes[dim] for dim in scaled)))
    return found


def _sums(parts: list[Part], logs: list[Tensor], number: int) -> tuple[Tensor, Tensor]:
    """Returns the sums of squares of the weights that a scale multiplies, and that it divides."""
    scales = [(2 * each).exp() for each in logs]
    found = {sign: torch.zeros_like(logs[number]) for sign in (1, -1)}
    for part, axes in parts:
        for dim, each in enumerate(axes):
            if each.scale == number:
                over = [d for d in range(part.ndim) if d != dim]
                now = rescaled(part, axes, scales)
                found[each.sign] += now.sum(over) if over else now
    return found[1], found[-1]


def balanced(units: Units, named: Named, scales: tuple[Tensor, ...]) -> dict[str, Tensor]:
    """Returns a model with its units rescaled, each in its place."""
    return relabelled(units, named, Relabelling(unchanged(units).orders, scales))
