"""The steps of a training block in the numbers that compiled code goes by.

torch is imported where a schedule is asked for, and nowhere else.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from engine.backends.fused.kernels import arrays
from engine.backends.fused.kernels.arrays import Floats
from engine.spec.optimizers import Adam, AdamW, Optimizer, RmsProp, Sgd
from engine.spec.training import NORM_EPS, Training

if TYPE_CHECKING:
    from engine.shapes import Steps


def rule_of(training: Training, rates: NDArray[np.float64], decays: Floats) -> arrays.Rule:
    """Returns the steps of a training block at scheduled rates, as `rates_of` gives them.

    `decays` (param,) is 1 for each weight that decays and 0 for the others; (0,) where all do.
    """
    optimizer, clip = training.optimizer, training.clip
    rule = arrays.Rule(
        kind=arrays.SGD,
        lr=optimizer.lr,
        rates=rates,
        clip_value=inf if clip.value is None else clip.value,
        clip_norm=inf if clip.norm is None else clip.norm,
        norm_eps=NORM_EPS,
        weight_decay=optimizer.weight_decay,
        decays=decays,
        apart=int(isinstance(optimizer, AdamW)),
        momentum=0.0,
        nesterov=0,
        decay=0.0,
        first=0.0,
        eps=0.0,
    )
    match optimizer:
        case Sgd(momentum=momentum, nesterov=nesterov):
            return rule._replace(momentum=momentum, nesterov=int(nesterov))
        case RmsProp(momentum=momentum, smoothing=smoothing, eps=eps):
            return rule._replace(kind=arrays.RMSPROP, momentum=momentum, decay=smoothing, eps=eps)
        case Adam(betas=(first, second), eps=eps) | AdamW(betas=(first, second), eps=eps):
            return rule._replace(kind=arrays.ADAM, decay=second, first=first, eps=eps)


def slots_of(optimizer: Optimizer) -> tuple[str | None, str | None]:
    """Returns the names of the two arrays of an optimizer's state; None for one it has not."""
    match optimizer:
        case Sgd(momentum=momentum):
            return "momentum" if momentum else None, None
        case RmsProp(momentum=momentum):
            return "momentum" if momentum else None, "square"
        case Adam() | AdamW():
            return "mean", "square"


def rates_of(
    training: Training, steps: Steps, count: int, batch: int, samples: int
) -> NDArray[np.float64]:
    """Returns the rates of the next `count` steps, (bead, step); (0, 0) where they never change.

    `steps` (bead,) counts the steps that each row took before the round, of which each sees `batch`
    of `samples` training samples.
    """
    import torch

    from engine.steps.schedules import pace_of

    pace = pace_of(training, batch, samples)
    if pace is None:
        return np.empty((0, 0))
    each = torch.as_tensor(steps)[:, None] + torch.arange(count)
    factors: NDArray[np.float64] = pace.factors(each.flatten()).view(each.shape).numpy()
    return training.optimizer.lr * factors
