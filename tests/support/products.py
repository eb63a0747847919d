"""Networks that are products of a few numbers, whose highest loss on a segment is a root away."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from engine.path.certificate.network import Provable
from engine.shapes import Weights
from tests.support.provable import provable_of


def product(*weights: float) -> Weights:
    return torch.tensor(weights, dtype=torch.float64)


def chain_of_products(factors: int) -> Provable:
    """A network x ↦ w_K … w_1·x without biases, on one sample 1 with the target 2."""
    network = nn.Sequential(*(nn.Linear(1, 1, bias=False) for _ in range(factors)))
    one = torch.ones(1, 1, dtype=torch.float64)
    return provable_of(network, "mse", one, 2 * one)


def peak_of_products(left: Weights, right: Weights) -> float:
    """The largest value on [0, 1] of the polynomial that the loss is, by its derivative's roots."""
    ways = [np.poly1d([float(b - a), float(a)]) for a, b in zip(left, right, strict=True)]
    output = np.poly1d([1.0])
    for way in ways:
        output = output * way
    loss = (output - 2) ** 2
    roots = loss.deriv().roots
    inner = roots[(abs(roots.imag) < 1e-9) & (roots.real > 0) & (roots.real < 1)].real
    return float(max(loss(t) for t in (0.0, 1.0, *inner)))


ENDS = [
    (product(1.5, 1.3), product(-1.2, -1.6)),
    (product(2.0, 1.1, 0.9), product(0.8, 1.5, 1.7)),
    (product(1.0, -2.0, -1.0, 1.0), product(-1.5, 1.4, 1.0, -0.9)),
]
