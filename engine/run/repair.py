"""REPAIR: models between two others whose hidden units vary as much as theirs do.

Of the straight line between two models, each hidden unit varies less over the samples than at its
ends, and deeper ones less still. REPAIR gives each unit back the mean and the standard deviation
that lie between those of the two ends in proportion to t (Jordan et al. 2022, arXiv 2211.08403).
Such a model has weights of its own: it is not on the segment, and no part of a string.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from engine.backends.in_place import InPlaceBackend
from engine.backends.models import InPlace
from engine.errors import InputError
from engine.problem.batch_norm import chosen
from engine.problem.problem import Problem
from engine.problem.samples import Samples
from engine.shapes import Pairs, Points, Rows, Weights

#: The share of the wanted deviation below which a unit's own counts as none: it cannot be rescaled.
NONE = 1e-5


@dataclass(frozen=True)
class Moments:
    """How the units of one layer vary over the samples."""

    mean: Tensor
    """(unit,)"""
    deviation: Tensor
    """(unit,) The standard deviation, not that of a sample."""

    def toward(self, other: Moments, t: float) -> Moments:
        """Returns the moments between these and others, in proportion to t from 0 to 1."""
        return Moments(
            torch.lerp(self.mean, other.mean, t), torch.lerp(self.deviation, other.deviation, t)
        )


class Rescaling:
    """The linear and convolution layers of a network, whose outputs are watched or rescaled.

    They are told by their place in a pass, so that a layer that forward calls several times has
    moments for each call. The last one gives the output, and is left as it is.
    """

    def __init__(self, network: nn.Module) -> None:
        """Puts hooks on the layers of a network, which change nothing until they are asked to."""
        self._mode: Literal["off", "watch", "correct", "keep"] = "off"
        self._own: list[Moments] = []
        self._goal: list[Moments] = []
        self._call = 0
        network.register_forward_pre_hook(self._begin, prepend=True)
        for layer in network.modules():
            if isinstance(layer, nn.Linear | _ConvNd):
                axis = -1 if isinstance(layer, nn.Linear) else 1
                layer.register_forward_hook(partial(self._after, axis))

    @contextmanager
    def watching(self) -> Iterator[list[Moments]]:
        """Makes a context of one pass, which yields the list that its moments are put into."""
        self._own = []
        with self._in("watch"):
            yield self._own

    @contextmanager
    def correcting(self, goal: list[Moments]) -> Iterator[None]:
        """Makes a context of one pass that finds out by what each unit is to be rescaled.

        Each layer sees what the layers before it make once they are rescaled.
        """
        self._own, self._goal = [], goal
        with self._in("correct"):
            yield

    def keeping(self) -> Any:
        """Returns a context of passes in which units are rescaled as was found out last."""
        return self._in("keep")

    @contextmanager
    def _in(self, mode: Literal["watch", "correct", "keep"]) -> Iterator[None]:
        self._mode = mode
        try:
            yield
        finally:
            self._mode = "off"

    def _begin(self, network: nn.Module, args: Any) -> None:
        """Begins to count the calls of layers in a pass."""
        self._call = 0

    def _after(self, axis: int, layer: nn.Module, args: Any, output: Tensor) -> Tensor | None:
        """Watches or rescales the output of a layer, whose units lie along `axis`."""
        number = self._call
        self._call += 1
        match self._mode:
            case "watch":
                self._own.append(_moments(output, axis))
            case "correct" if number < len(self._goal) - 1:
                self._own.append(_moments(output, axis))
                return _moved(output, axis, self._own[number], self._goal[number])
            case "keep" if number < len(self._goal) - 1:
                return _moved(output, axis, self._own[number], self._goal[number])
        return None


def _moments(output: Tensor, axis: int) -> Moments:
    """Returns the mean and the deviation of each unit over all other axes of an output."""
    others = [each for each in range(output.ndim) if each != axis % output.ndim]
    variance, mean = torch.var_mean(output, others, correction=0)
    return Moments(mean, variance.sqrt())


def _moved(output: Tensor, axis: int, own: Moments, goal: Moments) -> Tensor:
    """Returns an output whose units have the moments `goal` in place of their `own`."""
    varies = own.deviation > NONE * goal.deviation
    factor = torch.where(varies, goal.deviation / own.deviation, 1.0)
    shift = goal.mean - factor * own.mean
    shape = [1] * output.ndim
    shape[axis] = -1
    return output * factor.reshape(shape) + shift.reshape(shape)


@dataclass(frozen=True, eq=False)
class _Ends:
    """The moments of the models on both sides of a segment."""

    models: tuple[Weights, Weights]
    moments: tuple[list[Moments], list[Moments]]
    train: Samples
    """The training samples, from some of which the moments are taken."""

    def are(self, left: Weights, right: Weights, train: Samples) -> bool:
        """Returns whether these are the moments of two models over these training samples."""
        same = torch.equal(self.models[0], left) and torch.equal(self.models[1], right)
        return same and self.train is train


class _Watched(InPlace):
    """A network with a rescaling on its layers."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        self.rescaling = Rescaling(self.network)
        self.ends: _Ends | None = None
        """The moments of the segment that was asked for last; a search for a peak asks again."""


class RepairBackend(InPlaceBackend):
    """A backend whose models between two others are repaired.

    Moments are those over the training samples that statistics of batch normalization are taken
    from (`problem.batch_norm`). Batch normalization that follows a repaired layer gets its
    statistics from the repaired model.
    """

    def interpolated_losses(self, left: Pairs, right: Pairs, rows: Rows, t: Points) -> Points:
        """Returns the objective of the repaired model at each t[i] between left and right.

        Raises InputError where the network has no hidden linear or convolution layer.
        """
        places = zip(rows.tolist(), t, strict=True)
        return torch.cat([self._repaired(left[row], right[row], at) for row, at in places])

    def _of_ends(self, left: Weights, right: Weights) -> tuple[list[Moments], list[Moments]]:
        """Returns the moments of the models on both sides of a segment."""
        network, train = self._network, self.problem.train
        ends = network.ends
        if ends is None or not ends.are(left, right, train):
            ends = _Ends((left, right), (self._watched(left), self._watched(right)), train)
            network.ends = ends
        return ends.moments

    def _repaired(self, left: Weights, right: Weights, t: Tensor) -> Points:
        """Returns the objective (1,) of the repaired model at one t between two models."""
        theta = torch.lerp(left, right, t)
        share = float(t)
        ends = zip(*self._of_ends(left, right), strict=True)
        goal = [one.toward(other, share) for one, other in ends]
        rescaling = self._network.rescaling
        with rescaling.correcting(goal):
            self._pass(theta)
        with rescaling.keeping():
            return self.objective(theta[None])

    def _watched(self, theta: Weights) -> list[Moments]:
        """Returns the moments of each call of a layer of a model."""
        with self._network.rescaling.watching() as found:
            self._pass(theta)
        if len(found) < 2:
            raise InputError(
                "the network has no hidden linear or convolution layer that could be repaired; "
                "measure it without",
                key="repair",
            )
        return found

    def _pass(self, theta: Weights) -> None:
        """Calls a model with the samples that moments are taken over, in one batch."""
        problem = self.problem
        samples = problem.train[chosen(len(problem.train), problem.batch_norm)]
        x, _ = samples.part(slice(None), problem.dtype)
        with torch.no_grad(), self._widening:
            self._models(theta[None], "batch").network(x)

    @property
    def _network(self) -> _Watched:
        """The network to which a model is lent, with a rescaling on its layers."""
        problem = self.problem
        if problem.dtype not in self._networks:
            self._networks[problem.dtype] = _Watched(problem)
        found = self._networks[problem.dtype]
        assert isinstance(found, _Watched)
        return found
