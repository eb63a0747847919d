"""The models of a path one after another, as they are measured and as steps see them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from engine.backends.attention import plain_attention
from engine.backends.in_place import InPlaceBackend
from engine.backends.models import Model, Statistics
from engine.backends.precision import measuring
from engine.problem.copies import named_parameters
from engine.problem.problem import Split
from engine.problem.samples import Samples
from engine.shapes import Beads, PerBead, Weights


class OneByOne(InPlaceBackend):
    """The backend that lends one model of a path after another to a network, to look into it."""

    # ------------------------------------------------------------ as it is measured

    def statistics(self, theta: Weights) -> dict[str, Tensor]:
        """Returns a model's own statistics of batch normalization by buffer name, (1, channel)."""
        with torch.no_grad(), self._widening:
            return self._statistics(self._rows(theta), in_turn=False)

    @contextmanager
    def model(self, theta: Weights, statistics: Statistics | None = None) -> Iterator[Model]:
        """Makes a context with a model (param,), as its losses are measured.

        `statistics` are its own, where they are known already. No gradients are kept.
        """
        known = self.statistics(theta) if statistics is None else statistics
        mode = "batch" if self._by_batch else "given"
        with self.looking():
            yield self._models(self._rows(theta), mode, known).network  # type: ignore[arg-type]

    @contextmanager
    def looking(self) -> Iterator[None]:
        """Makes a context in which outputs and losses are computed as they are measured."""
        with torch.no_grad(), self._widening, measuring(self.problem.device):
            yield

    def bounds(self, samples: Samples) -> list[slice]:
        """Returns the pieces in which some samples are measured."""
        _, size, least = self._piece(
            len(samples), copies=1, together=self._by_batch, measuring=True
        )
        return samples.bounds(size, least)

    def of_split(self, theta: Weights, split: Split) -> tuple[float, float]:
        """Returns the loss and the error rate of a model over a split, NaN without classes."""
        rows = self._rows(theta)
        loss = float(self.losses(rows, split))
        if self.problem.classes is None:
            return loss, float("nan")
        return loss, float(self.error_rates(rows, split))

    # ------------------------------------------------------------ as steps see it

    @contextmanager
    def stepping(self, theta: Weights) -> Iterator[nn.Module]:
        """Makes a context with the network of a model (param,), which keeps gradients."""
        with torch.enable_grad(), self._widening, plain_attention():
            yield self._models(self._rows(theta), "batch").network

    def slope(self, theta: Weights) -> tuple[PerBead, Beads]:
        """Returns the training loss of a model (1,), and its gradient (1, param)."""
        with self._widening:
            return self.loss_and_grad(self._rows(theta))

    def hessian(self, theta: Weights) -> Callable[[Weights], Weights]:
        """Returns the product of the training loss's Hessian at a model with a vector (param,).

        The loss is that of `slope`: mini-batches of batch normalization are normalized by their
        own statistics, of which the derivatives are taken too. A product is valid until another
        model is lent. It is made by two passes backward (Pearlmutter 1994). It raises RuntimeError
        where torch has no second derivative of a layer.
        """
        problem, train = self.problem, self.problem.train
        with self.stepping(theta) as network:
            named = dict(named_parameters(network))
        parameters = [named[each.name] for each in problem.parameters]
        _, size, least = self._piece(len(train), copies=6, together=problem.normalizes)
        bounds = train.bounds(size, least)
        weight = problem.weights(train.y).sum()

        def slopes(some: slice) -> tuple[Tensor, ...]:
            with torch.enable_grad(), self._widening, plain_attention():
                loss = self._summed_loss(network, *train.part(some, problem.dtype))
                return torch.autograd.grad(
                    loss, parameters, create_graph=True, materialize_grads=True
                )

        kept = slopes(bounds[0]) if len(bounds) == 1 else None  # one graph serves all products

        def times(vector: Weights) -> Weights:
            parts = torch.split(vector.to(problem.dtype), [each.numel() for each in parameters])
            found = torch.zeros_like(vector, dtype=problem.dtype)
            for some in bounds:
                found += _turned(kept or slopes(some), parameters, parts, keep=kept is not None)
            return found / weight

        return times

    def _rows(self, theta: Weights) -> Beads:
        """Returns a model as the only one of a batch, (1, param), on the problem's device."""
        return theta[None].to(self.problem.device, self.problem.dtype)


def _turned(
    slopes: tuple[Tensor, ...], parameters: list[nn.Parameter], parts: Any, *, keep: bool
) -> Weights:
    """Returns the gradient (param,) of the product of a gradient with a vector, in parts.

    The whole graph is gone through backward, and not only what leads to the parameters, because
    torch raises in no other way where a layer can be differentiated only once.
    """
    pairs = [
        (slope, part.view_as(slope))
        for slope, part in zip(slopes, parts, strict=True)
        if slope.requires_grad  # others do not change with the weights
    ]
    held = [each.grad for each in parameters if each.grad is not None]
    for grad in held:
        grad.zero_()
    if pairs:
        of, along = zip(*pairs, strict=True)
        torch.autograd.backward(of, along, retain_graph=keep)
    return torch.cat([grad.flatten() for grad in held])
