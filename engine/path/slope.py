"""Slopes of the training loss at models between beads, on some of the samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from engine.backends.backend import Backend
from engine.problem.problem import Problem
from engine.record.costs import Costs
from engine.seeds import derive, permutation
from engine.shapes import Weights

#: The seed of all draws of samples.
SEED = derive(0, "slopes")


@dataclass(frozen=True)
class Slope:
    """A task for the pool: the training loss F_e (Eq. 1) and its gradient, on some of its samples.

    Which samples these are follows from the number of their draw alone, whatever the seed of the
    search, so that the items of many searches share a call.
    """

    samples: int
    """The number of these samples."""
    draw: int | None
    """The number of their draw; None for all of them."""

    def size(self, theta: Weights) -> int:
        """Returns the number of samples that weights (param,) are computed on, back and forth."""
        return 3 * self.samples

    def cost(self, problem: Problem, theta: Weights, found: tuple[float, Weights]) -> Costs:
        """Returns what a gradient has cost."""
        return Costs(sample_gradients=self.samples)

    def __call__(self, backend: Backend, items: Sequence[Weights]) -> list[tuple[float, Weights]]:
        """Returns the loss and its gradient (param,) at each of some weights."""
        device = backend.problem.device
        theta = torch.stack([item.to(device) for item in items])
        if self.draw is None:
            losses, gradients = backend.loss_and_grad(theta)
        else:
            order = permutation(SEED, self.draw, len(backend.problem.train))
            batch = torch.from_numpy(np.sort(order[: self.samples])).to(device)
            losses, gradients = backend.loss_and_grad_on(theta, batch.expand(len(items), -1))
        return list(zip(losses.tolist(), gradients, strict=True))
