"""Losses of single samples. The loss F_e of a model is their mean over the data (Eq. 1)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from engine.errors import InputError
from engine.factories import call_factory
from engine.networks.modules.calls import shapes
from engine.spec.problem import CustomLoss, LossName

SampleLoss = Callable[[Any, Tensor], Tensor]
"""Takes what it sees of an output, and y, and returns the loss of each sample, (sample,)."""


def squared_error(output: Tensor, target: Tensor) -> Tensor:
    """Returns ‖Φ(x) − y‖₂², summed over the outputs as in Eq. 1, (sample,)."""
    return (output - target).square().flatten(1).sum(1)  # (sample,)


def absolute_error(output: Tensor, target: Tensor) -> Tensor:
    """Returns ‖Φ(x) − y‖₁, the loss of the paper's own polynomial runs, (sample,)."""
    return (output - target).abs().flatten(1).sum(1)  # (sample,)


def cross_entropy(output: Tensor, target: Tensor) -> Tensor:
    """Returns −log softmax(Φ(x))_y in nats, (sample,).

    Where a sample is a stretch of text, it is the mean over the tokens.
    """
    losses = functional.cross_entropy(output, target, reduction="none")  # (sample, …)
    return losses if losses.ndim == 1 else losses.flatten(1).mean(1)  # (sample,)


LOSSES: dict[str, SampleLoss] = {
    "mse": squared_error,
    "l1": absolute_error,
    "cross_entropy": cross_entropy,
}


def build_loss(spec: LossName | CustomLoss) -> SampleLoss:
    """Returns the loss of a sample that a spec names.

    Raises InputError where a user's own function fails or returns no function.
    """
    if not isinstance(spec, CustomLoss):
        return LOSSES[spec]
    loss = call_factory(spec.factory, spec.args, "problem.loss")
    if not callable(loss):
        raise InputError(
            f"{spec.factory} returned {type(loss).__name__}; return a function of (output, target)",
            key="problem.loss.factory",
        )
    return loss  # type: ignore[no-any-return]


def check_loss(loss: SampleLoss, spec: CustomLoss, output: Any, target: Tensor) -> None:
    """Raises InputError where a loss of the user's own does not give one value for each sample.

    It is given a copy of the targets, and must not write into them.
    """
    given = target.clone()
    try:
        losses = loss(output, given)
    except Exception as error:  # it is not our code
        raise InputError(
            f"the loss of {spec.factory} failed on outputs {shapes(output)} and targets "
            f"{shapes(target)} ({type(error).__name__}: {error}); make it take them",
            key="problem.loss.factory",
        ) from error
    if not isinstance(losses, Tensor) or losses.shape != target.shape[:1]:
        raise InputError(
            f"the loss of {spec.factory} returned {shapes(losses)} for {len(target)} samples; "
            "return one value for each, (sample,), not their mean",
            key="problem.loss.factory",
        )
    if not torch.equal(given, target):
        raise InputError(
            f"the loss of {spec.factory} writes into its targets; let it write into a copy, "
            "target.clone()",
            key="problem.loss.factory",
        )


def check_output(
    loss: LossName, output: Tensor, target: Tensor, classes: int | None, key: str
) -> None:
    """Raises InputError where a network's output does not have the shape that the loss compares.

    Without this check, values of other shapes would be broadcast to some number.
    """
    shape, wanted = tuple(output.shape[1:]), tuple(target.shape[1:])
    if loss != "cross_entropy":
        fits, words = shape == wanted, f"{wanted}"
    else:
        fits = shape[1:] == wanted and shape[:1] >= (classes or 0,)
        words = f"{(classes, *wanted)}, a score for each class"
    if not fits:
        raise InputError(
            f"the network returns {shape} for each sample, but {loss} compares it with y, which "
            f"needs {words}; make network and data fit",
            key=key,
        )


def targets(loss: LossName | CustomLoss, y: Tensor, classes: int | None) -> Tensor:
    """Returns y as the loss takes it: one-hot rows for classes under mse or l1, else y itself."""
    if loss not in ("mse", "l1") or classes is None:
        return y
    return functional.one_hot(y, classes).to(torch.float32)
