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
from engine.spec.optimizers import Adam, AdamW, RmsProp, Sgd
from engine.spec.optimizers import Optimizer as OptimizerSpec

State = dict[str, Tensor]
"""The optimizer's tensors (bead, param) by name, all zero before the first step."""
Rate = float | Tensor
"""The learning rate: one number for all rows, or one for each, float64 (bead,)."""


@runtime_checkable
class Optimizer(Protocol):
    """A rule by which all rows of a batch take a step."""

    @property
    def slots(self) -> tuple[str, ...]:
        """The names of the state's tensors."""

    def step(
        self, theta: Beads, grad: Beads, state: State, steps: Steps, rate: Rate
    ) -> tuple[Tensor, State]:
        """Returns weights and state after one more step at a learning rate.

        `steps` (bead,) counts the steps that each row took before it.
        """


@dataclass(frozen=True)
class RowSgd:
    """The rule of torch.optim.SGD, with momentum and Nesterov's."""

    spec: Sgd

    @property
    def slots(self) -> tuple[str, ...]:
        """The names of the state's tensors."""
        return ("momentum",) if self.spec.momentum else ()

    def step(
        self, theta: Beads, grad: Beads, state: State, steps: Steps, rate: Rate
    ) -> tuple[Tensor, State]:
        """Returns weights and state after one more step at a learning rate."""
        rate = for_weights(rate, theta)
        if not self.spec.momentum:
            return theta - rate * grad, {}
        momentum = self.spec.momentum * state["momentum"] + grad
        way = grad + self.spec.momentum * momentum if self.spec.nesterov else momentum
        return theta - rate * way, {"momentum": momentum}


@dataclass(frozen=True)
class RowRmsProp:
    """The rule of torch.optim.RMSprop."""

    spec: RmsProp

    @property
    def slots(self) -> tuple[str, ...]:
        """The names of the state's tensors."""
        return ("square", "momentum") if self.spec.momentum else ("square",)

    def step(
        self, theta: Beads, grad: Beads, state: State, steps: Steps, rate: Rate
    ) -> tuple[Tensor, State]:
        """Returns weights and state after one more step at a learning rate."""
        spec, rate = self.spec, for_weights(rate, theta)
        square = torch.addcmul(
            spec.smoothing * state["square"], grad, grad, value=1 - spec.smoothing
        )
        scale = square.sqrt() + spec.eps
        if spec.momentum:
            momentum = torch.addcdiv(spec.momentum * state["momentum"], grad, scale)
            return theta - rate * momentum, {"square": square, "momentum": momentum}
        if isinstance(rate, float):
            return torch.addcdiv(theta, grad, scale, value=-rate), {"square": square}
        return torch.addcdiv(theta, -rate * grad, scale), {"square": square}


@dataclass(frozen=True)
class RowAdam:
    """The rule of torch.optim.Adam. Each row's own steps give its bias corrections."""

    spec: Adam | AdamW

    @property
    def slots(self) -> tuple[str, ...]:
        """The names of the state's tensors."""
        return ("mean", "square")

    def step(
        self, theta: Beads, grad: Beads, state: State, steps: Steps, rate: Rate
    ) -> tuple[Tensor, State]:
        """Returns weights and state after one more step at a learning rate."""
        if theta.is_cuda:
            return self.fused(theta, grad, state, steps, rate)
        first, second = self.spec.betas
        mean = torch.lerp(state["mean"], grad, 1 - first)
        square = torch.addcmul(second * state["square"], grad, grad, value=1 - second)
        taken = (steps + 1).to(torch.float64)
        corrected = (rate / (1 - first**taken)).to(theta.dtype)
        root = (1 - second**taken).sqrt().to(theta.dtype)
        scale = square.sqrt() / root[:, None] + self.spec.eps
        return theta - corrected[:, None] * mean / scale, {"mean": mean, "square": square}

    def fused(
        self, theta: Beads, grad: Beads, state: State, steps: Steps, rate: Rate
    ) -> tuple[Tensor, State]:
        """Returns what `step` does, up to rounding, in torch's fused kernel.

        It passes through the memory of each tensor once, where the step above takes ten passes. The
        kernel takes one rate for all rows. Where each has its own, it moves zeros at a rate of 1,
        and the rows move by that many times their rates.
        """
        mean, square = state["mean"].clone(), state["square"].clone()
        moved = theta.clone() if isinstance(rate, float) else torch.zeros_like(theta)
        first, second = self.spec.betas
        torch._fused_adam_(
            moved.unbind(),
            grad.unbind(),
            mean.unbind(),
            square.unbind(),
            [],
            (steps + 1).float().unbind(),
            lr=rate if isinstance(rate, float) else 1.0,
            beta1=first,
            beta2=second,
            weight_decay=0.0,  # `descent` sees to it
            eps=self.spec.eps,
            amsgrad=False,
            maximize=False,
        )
        state = {"mean": mean, "square": square}
        if isinstance(rate, float):
            return moved, state
        return torch.addcmul(theta, moved, rate.to(theta.dtype)[:, None]), state


def build_optimizer(spec: OptimizerSpec) -> Optimizer:
    """Returns the rule of these keys. Weight decay is no part of it; see `descent`."""
    match spec:
        case Sgd():
            return RowSgd(spec)
        case RmsProp():
            return RowRmsProp(spec)
        case Adam() | AdamW():
            return RowAdam(spec)


def for_weights(rate: Rate, theta: Beads) -> Rate:
    """Returns the rate in the shape in which it multiplies weights (bead, param)."""
    return rate if isinstance(rate, float) else rate.to(theta.dtype)[:, None]
