"""Where a new bead starts, attempt by attempt: the ladder for beads that get stuck (§3.1).

Attempt 1 starts at the peak of the segment, 2 half-way, 3 at the peak but moved in a random
direction, 4 between the peak and the nearer neighbour, which is below the level.
"""

from __future__ import annotations

import torch

from engine.seeds import generator
from engine.shapes import Weights

#: Names of the starts, attempt by attempt.
LADDER = ("peak", "half", "perturbed", "shrunk")

#: How far a perturbed start moves, as a share of the segment's length.
PERTURBATION = 0.25


def start(
    left: Weights, right: Weights, t: float, attempt: int, seed: int
) -> tuple[float, Weights]:
    """Returns the t at which attempt 1, 2, … starts on a segment, and the weights (param,) there.

    `t` is where the segment is split, from 0 at its left bead to 1 at its right one; `seed` is that
    of the random direction of attempt 3.
    """
    rule = LADDER[attempt - 1]
    if rule == "half":
        t = 0.5
    elif rule == "shrunk":
        t = t / 2 if t < 0.5 else (1 + t) / 2
    theta = torch.lerp(left, right, t)
    return t, perturbed(theta, right - left, seed) if rule == "perturbed" else theta


def perturbed(theta: Weights, segment: Weights, seed: int) -> Weights:
    """Returns weights (param,) moved in a random direction.

    They move by `PERTURBATION` times the length of `segment`, the difference of its two beads.
    """
    draw = generator(seed, "perturbed").standard_normal(len(theta))
    direction = torch.from_numpy(draw).to(theta)
    moved: Weights = theta + PERTURBATION * segment.norm() * direction / direction.norm()
    return moved
