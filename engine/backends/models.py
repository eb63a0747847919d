"""Weight vectors as models of a network: one lent to it in place, or many at once under vmap.

In place, the network's parameters are views of one vector, so that one copy lends a model, and the
gradient that `backward` finds lies in one vector too. Small steps then take half of the time that
they take where the network is called as a function of its weights, as `vmap` needs it.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import vmap

from engine.networks.modules import lent
from engine.problem.batch_norm import Mode, batch_norms
from engine.shapes import Beads, PerBead, Weights

Model = Callable[[Tensor], Tensor]
"""Takes x (sample, …) and returns the output of a network with certain weights."""
OfModel = Callable[[Model, Tensor, Tensor], Tensor]
"""A function of a model, x and y, none of which has a bead axis."""
Statistics = Mapping[str, Tensor]
"""The buffers of normalized layers by name, (bead, …) each."""


class InPlace:
    """A thread's own network, to which one model at a time is lent."""

    def __init__(self, network: nn.Module, device: torch.device, dtype: torch.dtype) -> None:
        """Copies the network to a device and a precision, with its parameters in one vector."""
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
        """Copies weights and statistics into the network, and returns the object itself."""
        with torch.no_grad():
            self._theta.copy_(theta)
            for name, values in statistics.items():
                self._buffers[name].copy_(values[0])
        return self

    def each(
        self, function: OfModel, x: Tensor, y: Tensor, at_once: int, own: bool = False
    ) -> Tensor:
        """Returns what a function gives for the model, with a bead axis of one.

        With `own`, x and y have such an axis too. `at_once` is not used.
        """
        return function(self.network, *((x[0], y[0]) if own else (x, y)))[None]

    def loss_and_grad(
        self, loss: OfModel, x: Tensor, y: Tensor, at_once: int, own: bool = False
    ) -> tuple[PerBead, Beads]:
        """Returns the model's loss (1,) and gradient (1, param); arguments are as in `each`."""
        self._grad.zero_()
        with torch.enable_grad():
            losses = self.each(loss, x, y, at_once, own)
            losses.sum().backward()  # type: ignore[no-untyped-call]
        return losses.detach(), self._grad[None].clone()


class InTurn:
    """Several models of a network, each of which is lent to a thread's own network in its turn."""

    def __init__(self, alone: InPlace, theta: Beads, statistics: Statistics) -> None:
        """Makes the models of `theta` (bead, param)."""
        self.network, self._alone = alone.network, alone
        self._theta, self._statistics = theta, statistics

    def each(
        self, function: OfModel, x: Tensor, y: Tensor, at_once: int, own: bool = False
    ) -> Tensor:
        """Returns what a function gives for each model, (bead, …); arguments are as in `Together`.

        `at_once` is not used.
        """
        turns = self._turns(x, y, own)
        return torch.cat([alone.each(function, x, y, at_once) for alone, x, y in turns])

    def loss_and_grad(
        self, loss: OfModel, x: Tensor, y: Tensor, at_once: int, own: bool = False
    ) -> tuple[PerBead, Beads]:
        """Returns the loss and the gradient of each model; arguments are as in `each`."""
        turns = self._turns(x, y, own)
        return joined([alone.loss_and_grad(loss, x, y, at_once) for alone, x, y in turns])

    def _turns(self, x: Tensor, y: Tensor, own: bool) -> Iterator[tuple[InPlace, Tensor, Tensor]]:
        """Yields the network with one model after another, and samples that it may change."""
        shared = x if own else torch.empty_like(x)
        for row in range(len(self._theta)):
            statistics = {name: values[row : row + 1] for name, values in self._statistics.items()}
            some = (x[row], y[row]) if own else (shared.copy_(x), y)
            yield self._alone.lend(self._theta[row], statistics), *some


class Together:
    """A batch of models of one network, computed together under vmap.

    The loss of a bead does not depend on the others, so the gradient of the sum of all losses holds
    the gradient of each. It takes half the time of `torch.func.grad` under `vmap` for few beads.
    """

    def __init__(
        self,
        network: nn.Module,
        named: Callable[[Beads], dict[str, Tensor]],
        theta: Beads,
        statistics: Statistics,
    ) -> None:
        """Makes the models of `theta` (bead, param).

        `named` gives the parameters of weight vectors by their places in the network.
        """
        self.network, self._named = network, named
        self._theta, self._statistics = theta, statistics

    def each(
        self, function: OfModel, x: Tensor, y: Tensor, at_once: int, own: bool = False
    ) -> Tensor:
        """Returns what a function gives for each model, (bead, …), at most `at_once` in a call.

        x and y are the same for all models, or with `own` have a bead axis before all others.
        """
        parts = [
            self._call(function, self._named(theta) | statistics, x, y, own)
            for theta, statistics, x, y in self._cut(x, y, at_once, own)
        ]
        return torch.cat(parts)

    def loss_and_grad(
        self, loss: OfModel, x: Tensor, y: Tensor, at_once: int, own: bool = False
    ) -> tuple[PerBead, Beads]:
        """Returns the loss and the gradient of each model; arguments are as in `each`."""
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
        """Returns what a function gives for the models of some weights, in one call of vmap."""

        def of_one(weights: dict[str, Tensor], x: Tensor, y: Tensor) -> Tensor:
            return function(partial(lent.output, self.network, weights), x, y)

        axis = 0 if own else None
        return vmap(of_one, in_dims=(0, axis, axis))(weights, x, y)

    def _cut(self, x: Tensor, y: Tensor, at_once: int, own: bool) -> list[Any]:
        """Returns (theta, statistics, x, y) for at most `at_once` models each.

        Each part has samples of its own, because the network may work on them in place.
        """
        parts = []
        whole = len(self._theta) <= at_once
        for start in range(0, len(self._theta), at_once):
            some = slice(start, start + at_once)
            statistics = {name: values[some] for name, values in self._statistics.items()}
            theirs = (x[some], y[some]) if own else (x if whole else x.clone(), y)
            parts.append((self._theta[some], statistics, *theirs))
        return parts


Models = InPlace | InTurn | Together


def joined(parts: Sequence[tuple[PerBead, Beads]]) -> tuple[PerBead, Beads]:
    """Returns the losses and gradients of all parts, one after another."""
    losses, grads = zip(*parts, strict=True)
    return torch.cat(losses), torch.cat(grads)


def normalize(models: Models, mode: Mode) -> None:
    """Sets the mode of all batch normalization in the models' network."""
    for _, layer in batch_norms(models.network):
        layer.mode = mode
