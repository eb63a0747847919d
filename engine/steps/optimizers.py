"""Optimizers in which every row behaves like a torch.optim instance of its own.

They are pure functions from (weights, gradient, state) to (weights, state). All rows of a batch
step together, each with its own step count.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from engine.shapes import Beads, Steps
from engine.spec.training import Adam, RmsProp, Sgd
from engine.spec.training import Optimizer as OptimizerSpec

State = dict[str, Tensor]
"""The optimizer's tensors (bead, param) by name, all zero before the first step."""


@runtime_checkable
class Optimizer(Protocol):
    """A rule by which all rows of a batch take a step."""

    @property
    def slots(self) -> tuple[str, ...]:
        """The names of the state's tensors."""

    def step(self, theta: Beads, grad: Beads, state: State, steps: Steps) -> tuple[Tensor, State]:
        """Returns weights and state after one more step.

        `steps` (bead,) counts the steps that each row took before it.
        """


@dataclass(frozen=True)
class RowSgd:
    """The rule of torch.optim.SGD, with momentum."""

    spec: Sgd

    @property
    def slots(self) -> tuple[str, ...]:
        """The names of the state's tensors."""
        return ("momentum",) if self.spec.momentum else ()

    def step(self, theta: Beads, grad: Beads, state: State, steps: Steps) -> tuple[Tensor, State]:
        """Returns weights and state after one more step."""
        if not self.spec.momentum:
            return theta - self.spec.lr * grad, {}
        momentum = self.spec.momentum * state["momentum"] + grad
        return theta - self.spec.lr * momentum, {"momentum": momentum}


@dataclass(frozen=True)
class RowRmsProp:
    """The rule of torch.optim.RMSprop."""

    spec: RmsProp

    @property
    def slots(self) -> tuple[str, ...]:
        """The names of the state's tensors."""
        return ("square", "momentum") if self.spec.momentum else ("square",)

    def step(self, theta: Beads, grad: Beads, state: State, steps: Steps) -> tuple[Tensor, State]:
        """Returns weights and state after one more step."""
        spec = self.spec
        square = torch.addcmul(
            spec.smoothing * state["square"], grad, grad, value=1 - spec.smoothing
        )
        scale = square.sqrt() + spec.eps
        if not spec.momentum:
            return torch.addcdiv(theta, grad, scale, value=-spec.lr), {"square": square}
        momentum = torch.addcdiv(spec.momentum * state["momentum"], grad, scale)
        return theta - spec.lr * momentum, {"square": square, "momentum": momentum}


@dataclass(frozen=True)
class RowAdam:
    """The rule of torch.optim.Adam. Each row's own steps give its bias corrections."""

    spec: Adam

    @property
    def slots(self) -> tuple[str, ...]:
        """The names of the state's tensors."""
        return ("mean", "square")

    def step(self, theta: Beads, grad: Beads, state: State, steps: Steps) -> tuple[Tensor, State]:
        """Returns weights and state after one more step."""
        first, second = self.spec.betas
        mean = torch.lerp(state["mean"], grad, 1 - first)
        square = torch.addcmul(second * state["square"], grad, grad, value=1 - second)
        taken = (steps + 1).to(torch.float64)
        rate = (self.spec.lr / (1 - first**taken)).to(theta.dtype)
        root = (1 - second**taken).sqrt().to(theta.dtype)
        scale = square.sqrt() / root[:, None] + self.spec.eps
        return theta - rate[:, None] * mean / scale, {"mean": mean, "square": square}


def build_optimizer(spec: OptimizerSpec) -> Optimizer:
    """Returns the optimizer of these keys."""
    match spec:
        case Sgd():
            return RowSgd(spec)
        case RmsProp():
            return RowRmsProp(spec)
        case Adam():
            return RowAdam(spec)
