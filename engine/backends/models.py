"""Weight vectors as models of a network: one lent to it in place, or many at once under vmap.

The network's parameters are views of one vector, so that a model is lent by a copy, and its
gradient found by `backward` lies in a vector too. Small steps take half of what they take where
the network is called as a function of its weights, as `vmap` needs it.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import vmap

from engine.networks.modules import lent
from engine.problem.batch_norm import Mode, batch_norms
from engine.shapes import Beads, PerBead, Weights

Model = Callable[[Tensor], Tensor]
"""x (sample, …) → output."""
OfModel = Callable[[Model, Tensor, Tensor], Tensor]
"""Of a model, x and y, none of them with a bead axis."""
Statistics = Mapping[str, Tensor]
"""Buffers of the network, (bead, …) each, by name."""


class InPlace:
    """A network of a thread's own, with room for one model and its gradient.

    x and y may have a bead axis, of one, before all others (`own`).
    """

    def __init__(self, network: nn.Module, device: torch.device, dtype: torch.dtype) -> None:
        self.network = copy.deepcopy(network).to(device, dtype).requires_grad_(True)
        parameters = list(self.network.parameters())
        sizes = [parameter.numel() for parameter in parameters]
        self._theta = torch.empty(sum(sizes), device=device, dtype=dtype)
        self._grad = torch.zeros_like(self._theta)
        weights, slopes = torch.split(self._theta, sizes), torch.split(self._grad, sizes)
        for parameter, weight, slope in zip(parameters, weights, slopes, strict=True):
            parameter.data, parameter.grad = weight.view_as(parameter), slope.view_as(parameter)
        self._buffers = dict(self.network.named_buffers())

    def lend(self, theta: Weights, statistics: Statistics) -> InPlace:
        with torch.no_grad():
            self._theta.copy_(theta)
            for name, values in statistics.items():
                self._buffers[name].copy_(values[0])
        return self

    def each(
        self, function: OfModel, x: Tensor, y: Tensor, at_once: int, own: bool = False
    ) -> Tensor:
        return function(self.network, *((x[0], y[0]) if own else (x, y)))[None]

    def loss_and_grad(
        self, loss: OfModel, x: Tensor, y: Tensor, at_once: int, own: bool = False
    ) -> tuple[PerBead, Beads]:
        self._grad.zero_()
        with torch.enable_grad():
            losses = self.each(loss, x, y, at_once, own)
            losses.sum().backward()  # type: ignore[no-untyped-call]
        return losses.detach(), self._grad[None].clone()


class Together:
    """Many models, of at most `at_once` in a call; x and y are the same for all, or each its `own`.

    Beads do not touch each other, so the gradient of their losses' sum holds that of each.

    This takes half the time of `torch.func.grad` under `vmap` where beads are few.
    """

    def __init__(
        self,
        network: nn.Module,
        named: Callable[[Beads], dict[str, Tensor]],
        theta: Beads,
        statistics: Statistics,
    ) -> None:
        self.network, self._named = network, named
        self._theta, self._statistics = theta, statistics

    def each(
        self, function: OfModel, x: Tensor, y: Tensor, at_once: int, own: bool = False
    ) -> Tensor:
        parts = [
            self._call(function, self._named(theta) | statistics, x, y, own)
            for theta, statistics, x, y in self._cut(x, y, at_once, own)
        ]
        return torch.cat(parts)

    def loss_and_grad(
        self, loss: OfModel, x: Tensor, y: Tensor, at_once: int, own: bool = False
    ) -> tuple[PerBead, Beads]:
        found: list[tuple[PerBead, Beads]] = []
        for theta, statistics, some_x, some_y in self._cut(x, y, at_once, own):
            with torch.enable_grad():
                leaf = theta.detach().requires_grad_()
                losses = self._call(loss, self._named(leaf) | statistics, some_x, some_y, own)
                (grad,) = torch.autograd.grad(losses.sum(), leaf)
            found.append((losses.detach(), grad))
        return joined(found)

    def _call(
        self, function: OfModel, weights: dict[str, Tensor], x: Tensor, y: Tensor, own: bool
    ) -> Tensor:
        def of_one(weights: dict[str, Tensor], x: Tensor, y: Tensor) -> Tensor:
            return function(partial(lent.output, self.network, weights), x, y)

        axis = 0 if own else None
        return vmap(of_one, in_dims=(0, axis, axis))(weights, x, y)

    def _cut(self, x: Tensor, y: Tensor, at_once: int, own: bool) -> list[Any]:
        """(theta, statistics, x, y) of some models at a time."""
        parts = []
        for start in range(0, len(self._theta), at_once):
            some = slice(start, start + at_once)
            statistics = {name: values[some] for name, values in self._statistics.items()}
            theirs = (x[some], y[some]) if own else (x, y)
            parts.append((self._theta[some], statistics, *theirs))
        return parts


Models = InPlace | Together


def joined(parts: Sequence[tuple[PerBead, Beads]]) -> tuple[PerBead, Beads]:
    """Losses and gradients of some models after those of others."""
    losses, grads = zip(*parts, strict=True)
    return torch.cat(losses), torch.cat(grads)


def normalize(models: Models, mode: Mode) -> None:
    """From now on their batch normalization is of that kind."""
    for _, layer in batch_norms(models.network):
        layer.mode = mode
