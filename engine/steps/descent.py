"""A step of a training block: its gradient clipped, weights decayed, and the optimizer's rule.

The order is that of a plain loop in torch: clip_grad_value_, clip_grad_norm_, optimizer.step().
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from engine.shapes import Beads, Steps
from engine.spec.optimizers import AdamW
from engine.spec.training import NORM_EPS, Clip, Training
from engine.steps.optimizers import Optimizer, Rate, State, build_optimizer, for_weights
from engine.steps.schedules import Pace, pace_of


@dataclass(frozen=True)
class Decay:
    """Weight decay, through the gradient or apart from it."""

    share: float
    """The weight decay."""
    decays: Tensor | float
    """(param,) 1 for each weight that decays and 0 for the others; 1 where all do."""
    apart: bool
    """Whether weights shrink apart from the gradient, as with AdamW."""

    def applied(self, theta: Beads, grad: Beads, rate: Rate) -> tuple[Beads, Beads]:
        """Returns weights and gradients (bead, param) with which the optimizer takes its step."""
        if self.apart:
            return theta * (1 - for_weights(rate * self.share, theta) * self.decays), grad
        return theta, grad + self.share * self.decays * theta


@dataclass(frozen=True)
class Descent:
    """The step that all rows of a batch take, each for itself."""

    training: Training
    rule: Optimizer
    pace: Pace | None
    """The schedule; None where the rate never changes."""
    decay: Decay | None
    """The weight decay; None where there is none."""

    def step(self, theta: Beads, grad: Beads, state: State, steps: Steps) -> tuple[Tensor, State]:
        """Returns weights and optimizer state after one more step.

        `steps` (bead,) counts the steps that each row took before it.
        """
        rate: Rate = self.training.optimizer.lr
        if self.pace is not None:
            rate = rate * self.pace.factors(steps)
        grad = clipped(grad, self.training.clip)
        if self.decay is not None:
            theta, grad = self.decay.applied(theta, grad, rate)
        return self.rule.step(theta, grad, state, steps, rate)


def build_descent(
    training: Training, batch: int, samples: int, decays: Tensor | None = None
) -> Descent:
    """Returns the step of a training block that sees `batch` of `samples` training samples.

    `decays` (param,) is 1 for each weight that decays and 0 for the others; None: all decay.
    """
    optimizer = training.optimizer
    decay = None
    if optimizer.weight_decay:
        which = 1.0 if decays is None else decays
        decay = Decay(optimizer.weight_decay, which, isinstance(optimizer, AdamW))
    pace = pace_of(training, batch, samples)
    return Descent(training, build_optimizer(optimizer), pace, decay)


def clipped(grad: Beads, clip: Clip) -> Beads:
    """Returns gradients (bead, param) within the bounds, each row for itself."""
    if clip.value is not None:
        grad = grad.clamp(-clip.value, clip.value)
    if clip.norm is not None:
        norm = torch.linalg.vector_norm(grad, dim=1, keepdim=True)
        grad = grad * (clip.norm / (norm + NORM_EPS)).clamp(max=1)
    return grad
