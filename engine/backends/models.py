"""Weight vectors as models of a network: one lent to it in place, or many at once under vmap.

In place, the network's parameters are views of one vector, so that one copy lends a model, and the
gradient that `backward` finds lies in one vector too. Small steps then take half of the time that
they take where the network is called as a function of its weights, as `vmap` needs it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import vmap
from torch.utils._pytree import tree_map

from engine.backends.convolutions import take_few_at_once
from engine.breaks import passing
from engine.networks.modules import lent
from engine.networks.modules.calls import Inputs
from engine.problem.batch_norm import Mode, batch_norms
from engine.problem.copies import named_parameters
from engine.problem.problem import Problem
from engine.shapes import Beads, PerBead, Weights

Model = Callable[[Inputs], Any]
"""Takes x (sample, …) and returns the output of a network with certain weights."""
OfModel = Callable[..., Tensor]
"""A function of a model and some samples, such as x and y, none of which has a bead axis."""
Parts = tuple[Inputs, ...]
"""What belongs to the same samples, such as x and y: tensors (sample, …), or several by name."""
Statistics = Mapping[str, Tensor]
"""The buffers of normalized layers by name, (bead, …) each."""


class InPlace:
    """A thread's own network, to which one model at a time is lent."""

    def __init__(self, problem: Problem) -> None:
        """Makes a copy of the problem's network, with the parameters that move in one vector."""
        self.network = problem.computing()
        take_few_at_once(self.network)
        self.stepping: Model = self.network
        """The network as steps of training call it."""
        named = dict(named_parameters(self.network))
        parameters = [named[each.name] for each in problem.parameters]
        sizes = [parameter.numel() for parameter in parameters]
        self._theta = torch.empty(sum(sizes), device=problem.device, dtype=problem.dtype)
        self._grad = torch.zeros_like(self._theta)
        weights, slopes = torch.split(self._theta, sizes), torch.split(self._grad, sizes)
        for parameter, weight, slope in zip(parameters, weights, slopes, strict=True):
            parameter.requires_grad_(True)
            parameter.data, parameter.grad = weight.view_as(parameter), slope.view_as(parameter)
        rewritten = zip(parameters, weights, strict=True) if problem.handing.rewrites else ()
        self._rewritten = list(rewritten)
        self._buffers = dict(self.network.named_buffers())

    def lend(self, theta: Weights, statistics: Statistics) -> InPlace:
        """Copies weights and statistics into the network, and returns the object itself."""
        with torch.no_grad():
            self._theta.copy_(theta)
            for parameter, weight in self._rewritten:
                parameter.data = weight.view_as(parameter)
            for name, values in statistics.items():
                self._buffers[name].copy_(values[0])
        return self

    def each(self, function: OfModel, parts: Parts, at_once: int, own: bool = False) -> Tensor:
        """Returns what a function gives for the model, with a bead axis of one.

        With `own`, the samples have such an axis too. `at_once` is not used.
        """
        return self._called(self.network, function, parts, own)

    def _called(self, model: Model, function: OfModel, parts: Parts, own: bool) -> Tensor:
        passing(_count(parts[-1], own))
        return function(model, *(_some(parts, 0) if own else parts))[None]

    def loss_and_grad(
        self, loss: OfModel, parts: Parts, at_once: int, own: bool = False
    ) -> tuple[PerBead, Beads]:
        """Returns the model's loss (1,) and gradient (1, param); arguments are as in `each`."""
        self._grad.zero_()
        with torch.enable_grad():
            losses = self._called(self.stepping, loss, parts, own)
            losses.sum().backward()  # type: ignore[no-untyped-call]
        return losses.detach(), self._grad[None].clone()


class InTurn:
    """Several models of a network, each of which is lent to a thread's own network in its turn."""

    def __init__(self, alone: InPlace, theta: Beads, statistics: Statistics) -> None:
        """Makes the models of `theta` (bead, param)."""
        self.network, self._alone = alone.network, alone
        self._theta, self._statistics = theta, statistics

    def each(self, function: OfModel, parts: Parts, at_once: int, own: bool = False) -> Tensor:
        """Returns what a function gives for each model, (bead, …); arguments are as in `Together`.

        `at_once` is not used.
        """
        turns = self._turns(parts, own)
        return torch.cat([alone.each(function, some, at_once) for alone, some in turns])

    def loss_and_grad(
        self, loss: OfModel, parts: Parts, at_once: int, own: bool = False
    ) -> tuple[PerBead, Beads]:
        """Returns the loss and the gradient of each model; arguments are as in `each`."""
        turns = self._turns(parts, own)
        return joined([alone.loss_and_grad(loss, some, at_once) for alone, some in turns])

    def _turns(self, parts: Parts, own: bool) -> Iterator[tuple[InPlace, Parts]]:
        """Yields the network with one model after another, and samples that it may change."""
        x, *rest = parts
        shared = tree_map(torch.empty_like, x)
        for row in range(len(self._theta)):
            statistics = {name: values[row : row + 1] for name, values in self._statistics.items()}
            some = _some(parts, row) if own else (_filled(shared, x), *rest)
            yield self._alone.lend(self._theta[row], statistics), some


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

    def each(self, function: OfModel, parts: Parts, at_once: int, own: bool = False) -> Tensor:
        """Returns what a function gives for each model, (bead, …), at most `at_once` in a call.

        Samples are the same for all models, or with `own` have a bead axis before all others.
        """
        found: list[Tensor] = []
        for theta, statistics, some in self._cut(parts, at_once, own):
            passing(len(theta) * _count(some[-1], own))
            found.append(self._call(function, self._named(theta) | statistics, some, own))
        return torch.cat(found)

    def loss_and_grad(
        self, loss: OfModel, parts: Parts, at_once: int, own: bool = False
    ) -> tuple[PerBead, Beads]:
        """Returns the loss and the gradient of each model; arguments are as in `each`."""
        found: list[tuple[PerBead, Beads]] = []
        for theta, statistics, some in self._cut(parts, at_once, own):
            passing(len(theta) * _count(some[-1], own))
            found.append(self._slopes(loss, theta, statistics, some, own))
        return joined(found)

    def _slopes(
        self, loss: OfModel, theta: Beads, statistics: Statistics, parts: Parts, own: bool
    ) -> tuple[PerBead, Beads]:
        """Returns the loss and the gradient of models that share a call of vmap."""
        with torch.enable_grad():
            leaf = theta.detach().requires_grad_()
            losses = self._call(loss, {**self._named(leaf), **statistics}, parts, own)
            (grad,) = torch.autograd.grad(losses.sum(), leaf)
        return losses.detach(), grad

    def _call(
        self, function: OfModel, weights: dict[str, Tensor], parts: Parts, own: bool
    ) -> Tensor:
        """Returns what a function gives for the models of some weights, in one call of vmap."""

        def of_one(weights: dict[str, Tensor], *parts: Inputs) -> Tensor:
            return function(partial(lent.output, self.network, weights), *parts)

        axis = 0 if own else None
        return vmap(of_one, in_dims=(0, *(axis for _ in parts)))(weights, *parts)

    def _cut(self, parts: Parts, at_once: int, own: bool) -> list[Any]:
        """Returns (theta, statistics, samples) for at most `at_once` models each.

        Each part has samples of its own, because the network may work on them in place.
        """
        cut = []
        x, *rest = parts
        whole = len(self._theta) <= at_once
        for start in range(0, len(self._theta), at_once):
            some = slice(start, start + at_once)
            statistics = {name: values[some] for name, values in self._statistics.items()}
            shared = (x if whole else tree_map(Tensor.clone, x), *rest)
            cut.append((self._theta[some], statistics, _some(parts, some) if own else shared))
        return cut


def _filled(room: Inputs, x: Inputs) -> Inputs:
    """Copies inputs into tensors of their shapes, and returns these."""
    if isinstance(room, dict):
        return {name: to.copy_(x[name]) for name, to in room.items()}
    return room.copy_(x)


Models = InPlace | InTurn | Together


def _count(part: Inputs, own: bool) -> int:
    """Returns the number of samples of a part, which with `own` has a bead axis before them."""
    tensor = next(iter(part.values())) if isinstance(part, dict) else part
    return int(tensor.shape[1 if own else 0])


def _some(tree: Any, which: int | slice) -> Any:
    """Returns some of the beads of each tensor (bead, …) of a tree."""
    return tree_map(lambda part: part[which], tree)


def joined(parts: Sequence[tuple[PerBead, Beads]]) -> tuple[PerBead, Beads]:
    """Returns the losses and gradients of all parts, one after another."""
    losses, grads = zip(*parts, strict=True)
    return torch.cat(losses), torch.cat(grads)


def normalize(models: Models, mode: Mode) -> None:
    """Sets the mode of all batch normalization in the models' network."""
    for _, layer in batch_norms(models.network):
        layer.mode = mode
