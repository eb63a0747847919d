"""Problems whose landscapes are known in closed form.

The network's only parameter is the point w itself and its output is F(w), whatever the sample,
so that the loss of a weight vector is F at that point.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from engine.problem.copies import moving, places_of
from engine.problem.cost import Cost
from engine.problem.problem import Problem
from engine.problem.samples import Samples
from engine.spec.goal import Goal
from engine.spec.keys import Spec
from engine.spec.yaml_file import parse

Surface = Callable[[Tensor], Tensor]


class Landscape(nn.Module):
    def __init__(self, surface: Surface, size: int) -> None:
        super().__init__()
        self.surface = surface
        self.w = nn.Parameter(torch.randn(size))

    def forward(self, x: Tensor) -> Tensor:
        return self.surface(self.w).expand(len(x), 1)


def landscape(surface: Surface, size: int = 2) -> Problem:
    """F(w) = surface(w) for w of that size."""
    network = Landscape(surface, size)
    parameters = moving(network, None)
    network.requires_grad_(False)
    samples = Samples(torch.zeros(3, 1), torch.zeros(3, 1), scaling=None)
    return Problem(
        make_network=partial(Landscape, surface, size),
        network=network,
        parameters=parameters,
        places=places_of(network, parameters),
        sample_loss=lambda output, target: output.flatten(),
        train=samples,
        held_out=samples,
        classes=None,
        checksum="landscape",
        cost=Cost(values=1, products=size),
    )


def ring(w: Tensor) -> Tensor:
    """(|w|² − 1)²: a connected valley, with a hill of height 1 in its middle."""
    return (w.square().sum() - 1).square()


def double_well(w: Tensor) -> Tensor:
    """(w₁² − 1)² + w₂²: two valleys, and a pass of height 1 between them."""
    return (w[0].square() - 1).square() + w[1].square()


def goal(level: float, tolerance: float = 0.0) -> Goal:
    """The goal of a search that trains its ends and beads to 0.8 of the level."""
    return Goal(level, 0.8 * level, 0.8 * level, tolerance)


def spec_for(level: float, seed: int = 3, **greedy: object) -> Spec:
    """A spec for a landscape; its own data and network are not used."""
    return parse(
        {
            "problem": {
                "data": {"kind": "polynomial", "coefficients": [0.1]},
                "network": {"kind": "mlp", "sizes": [1, 1]},
                "loss": "mse",
            },
            "endpoints": {"optimizer": {"kind": "sgd", "lr": 0.02}, "max_steps": 2000},
            "search": {
                "level": level,
                "greedy": {"optimizer": {"kind": "sgd", "lr": 0.02}, "max_steps": 2000} | greedy,
            },
            "seed": seed,
        }
    )
