"""What a step of training computes with torch: its samples, its loss, and their weights."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map

from engine.backends.models import Model, OfModel
from engine.backends.precision import casting
from engine.networks.modules.dropout import Dropping, generator_of
from engine.networks.modules.recomputed import recomputing
from engine.problem.augment import augmented
from engine.problem.problem import Problem
from engine.shapes import Batches, PerBead
from engine.steps.practice import Practice, sample_keys


def samples_of_step(
    problem: Problem, numbers: Batches, practice: Practice, keys: Tensor | None
) -> tuple[Tensor, ...]:
    """Returns x and y of samples as a step sees them, and each sample's key if it draws."""
    train, dtype = problem.train, problem.dtype
    if keys is None:
        return train.part(numbers, dtype)
    own = sample_keys(keys, numbers)
    if practice.augment is None:
        return *train.part(numbers, dtype), own
    view = partial(augmented, keys=own, spec=practice.augment, side=train.crop, dtype=dtype)
    return *train.part(numbers, dtype, view), own


def loss_of_step(problem: Problem, network: nn.Module, practice: Practice) -> OfModel:
    """Returns a step's function of a model, x, y and perhaps keys: the sum of its losses."""
    names, loss = problem.recomputed, problem.step_loss(practice.label_smoothing)
    device, dtype = problem.device, problem.dtype

    def summed(model: Model, x: Tensor, y: Tensor, keys: Tensor | None = None) -> Tensor:
        if not practice.dropout:
            with casting(practice.precision, device), recomputing(network, names):
                outputs = model(x)
        else:
            with (
                casting(practice.precision, device),
                Dropping(keys) as dropping,
                recomputing(network, names, dropping.again),
            ):
                outputs = model(x)
        return loss(_precise(outputs, dtype), y).sum()

    def seeded(model: Model, x: Tensor, y: Tensor, keys: Tensor) -> Tensor:
        with casting(practice.precision, device), generator_of(keys):
            outputs = model(x)
        return loss(_precise(outputs, dtype), y).sum()

    return seeded if practice.dropout and problem.draws_within else summed


def _precise(outputs: Any, dtype: torch.dtype) -> Any:
    """Returns a network's outputs with those in bfloat16 in the precision of its weights."""
    return tree_map(
        lambda part: part.to(dtype) if getattr(part, "dtype", None) == torch.bfloat16 else part,
        outputs,
    )


def weights_of(problem: Problem, batches: Batches) -> PerBead:
    """Returns the sum of the weights of each bead's samples, (bead,).

    It is 1 where none of them counts, so that their loss and its gradient are 0.
    """
    targets = problem.train.y[batches].flatten(0, 1)
    total = problem.weights(targets).view(batches.shape).sum(1)
    return torch.where(total > 0, total, 1)


def pieces_of(batches: Batches, size: int, least: int) -> list[Batches]:
    """Returns pieces of mini-batches (bead, sample) of at most `size` samples each.

    A last piece of fewer than `least` samples joins the one before it.
    """
    pieces = list(torch.split(batches, size, dim=1))
    if len(pieces) > 1 and pieces[-1].shape[1] < least:
        pieces[-2:] = [torch.cat(pieces[-2:], dim=1)]
    return pieces
