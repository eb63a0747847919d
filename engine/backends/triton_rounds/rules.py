"""The steps of a training block as kernels take them: constants, numbers and learning rates."""

from __future__ import annotations

import numpy as np
from torch import Tensor, arange, float64, full

from engine.backends.fused import rules
from engine.backends.triton_rounds.arrays import How, Pace, Rule
from engine.backends.triton_rounds.tiles import power
from engine.shapes import Steps
from engine.spec.optimizers import Adam, AdamW
from engine.spec.training import Training
from engine.steps.judge import IMPROVEMENT
from engine.steps.schedules import pace_of

#: The most weights that take a step at a time.
PIECE = 1024


def how_of(training: Training, params: int, exempt: bool) -> How:
    """Returns the choices of a training block. `exempt` tells whether some weights do not decay."""
    rule = rules.rule_of(training, np.empty((0, 0)), np.empty(0))
    return How(
        kind=rule.kind,
        heavy=rule.momentum > 0,
        nesterov=bool(rule.nesterov),
        decays=rule.weight_decay > 0,
        apart=bool(rule.apart),
        exempt=exempt,
        clips_values=training.clip.value is not None,
        clips_norm=training.clip.norm is not None,
        batched=training.batch_size != "full",
        piece=min(PIECE, power(params, 32)),
    )


def numbers_of(training: Training) -> Rule:
    """Returns the numbers of a training block."""
    rule = rules.rule_of(training, np.empty((0, 0)), np.empty(0))
    return Rule(
        momentum=rule.momentum,
        keep=rule.decay,
        take=1 - rule.decay,
        new=1 - rule.first,
        eps=rule.eps,
        weight_decay=rule.weight_decay,
        clip_value=rule.clip_value,
        clip_norm=rule.clip_norm,
        norm_eps=rule.norm_eps,
        better=1 - IMPROVEMENT,
        check_every=training.check_every,
        max_steps=training.max_steps,
    )


def pace_of_round(training: Training, steps: Steps, batch: int, samples: int, like: Tensor) -> Pace:
    """Returns the learning rates of a round on the device of `steps`, in the type of `like`.

    `steps` (bead,) counts the steps that each row took before the round, of which each sees `batch`
    of `samples` training samples. Adam's corrections are computed in float64, as elsewhere.
    """
    optimizer = training.optimizer
    each = steps[:, None] + arange(training.check_every, device=steps.device)
    rates = full(each.shape, optimizer.lr, dtype=float64, device=steps.device)
    pace = pace_of(training, batch, samples)
    if pace is not None:
        rates = rates * pace.factors(each.flatten()).view(each.shape)
    rate = rates.to(like.dtype)
    if not isinstance(optimizer, Adam | AdamW):
        return Pace(rate, rate, rate)
    first, second = optimizer.betas
    taken = (each + 1).to(float64)
    corrected = rates / (1 - first**taken)
    root = (1 - second**taken).sqrt()
    return Pace(rate, corrected.to(like.dtype), root.to(like.dtype))
