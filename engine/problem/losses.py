"""Losses of single samples. The loss F_e of a model is their mean over the data (Eq. 1)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from math import prod
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from engine.errors import InputError
from engine.factories import call_factory
from engine.networks.modules.calls import shapes
from engine.spec.problem import CustomLoss, Loss, LossName, WeightedCrossEntropy

SampleLoss = Callable[[Any, Tensor], Tensor]
"""Takes what it sees of an output, and y, and returns the loss of each sample, (sample,)."""


def squared_error(output: Tensor, target: Tensor) -> Tensor:
    """Returns ‖Φ(x) − y‖₂², summed over the outputs as in Eq. 1, (sample,)."""
    return _summed((output - target).square())


def absolute_error(output: Tensor, target: Tensor) -> Tensor:
    """Returns ‖Φ(x) − y‖₁, the loss of the paper's own polynomial runs, (sample,)."""
    return _summed((output - target).abs())


def cross_entropy(output: Tensor, target: Tensor) -> Tensor:
    """Returns −log softmax(Φ(x))_y in nats, (sample,).

    Where a sample is a stretch of text, it is the mean over the tokens.
    """
    losses = functional.cross_entropy(output, target, reduction="none")  # (sample, …)
    return losses if losses.ndim == 1 else losses.flatten(1).mean(1)  # (sample,)


@dataclass(frozen=True)
class CrossEntropy:
    """The cross-entropy with weights of classes, smoothed labels, or samples that it ignores.

    A sample's loss is already multiplied by its weight, which is 0 where its class is IGNORED.
    Where a sample is a stretch of text, loss and weight are means over its tokens.
    """

    weights: tuple[float, ...] | None = None
    """The weight of each class; None: 1."""
    smoothing: float = 0.0
    """The share of a label that is spread evenly over all outputs."""

    def __call__(self, output: Tensor, target: Tensor) -> Tensor:
        """Returns the weighted loss of each sample in nats, (sample,)."""
        losses = functional.cross_entropy(
            output,
            target,
            weight=_weights(self.weights, output.shape[1], output.dtype, output.device),
            reduction="none",
            label_smoothing=self.smoothing,
        )
        return losses if losses.ndim == 1 else losses.flatten(1).mean(1)

    def weight(self, target: Tensor) -> Tensor:
        """Returns the weight of each sample, (sample,) float64."""
        weights = _weights(self.weights, 0, torch.float64, target.device)
        each = (target >= 0).double()
        if weights is not None:
            each = each * weights[target.clamp(min=0)]
        return each if each.ndim == 1 else each.flatten(1).mean(1)


@cache
def _weights(
    weights: tuple[float, ...] | None, outputs: int, dtype: torch.dtype, device: torch.device
) -> Tensor | None:
    """Returns the weights of classes, with ones for outputs beyond them, or None."""
    if weights is None:
        return None
    beyond = (1.0,) * (outputs - len(weights))
    return torch.tensor(weights + beyond, dtype=dtype, device=device)


def _summed(values: Tensor) -> Tensor:
    """Returns the sum of each sample's values, (sample,)."""
    return values if values.ndim == 1 else values.flatten(1).sum(1)


LOSSES: dict[str, SampleLoss] = {
    "mse": squared_error,
    "l1": absolute_error,
    "cross_entropy": cross_entropy,
}


def never_negative(loss: SampleLoss) -> bool:
    """Returns whether a loss is known to be never below 0."""
    return isinstance(loss, CrossEntropy) or loss in LOSSES.values()


def smoothed(loss: SampleLoss, smoothing: float) -> SampleLoss:
    """Returns a cross-entropy with labels that are smoothed, or the loss itself for none."""
    if not smoothing:
        return loss
    return CrossEntropy(loss.weights if isinstance(loss, CrossEntropy) else None, smoothing)


def counted(target: Tensor) -> Tensor:
    """Returns the share of a sample's classes (sample, …) that are not IGNORED, (sample,) float64.

    It is 1 for rows of zeros and a one.
    """
    each = (target >= 0).double()
    return each if each.ndim == 1 else each.flatten(1).mean(1)


def build_loss(spec: Loss, *, ignores: bool = False) -> SampleLoss:
    """Returns the loss of a sample that a spec names; with `ignores`, some samples have no class.

    Raises InputError where a user's own function fails or returns no function.
    """
    if isinstance(spec, WeightedCrossEntropy):
        return CrossEntropy(spec.class_weights)
    if ignores and spec == "cross_entropy":
        return CrossEntropy()
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


def target_shape(
    loss: LossName, output: Tensor, target: Tensor, classes: int | None, key: str
) -> tuple[int, ...]:
    """Returns the shape that a sample's target takes so that the loss compares it with the output.

    Values are compared one by one: the two shapes may differ in axes of length one, or one of them
    may have a single axis, in row-major order. So nothing is ever broadcast. Raises InputError for
    any other shapes.
    """
    shape, wanted = tuple(output.shape[1:]), tuple(target.shape[1:])
    if loss == "cross_entropy":
        if shape[:1] >= (classes or 0,) and _long(shape[1:]) == _long(wanted):
            return shape[1:]
        words = f"{(classes, *wanted)}, a score for each class"
    else:
        same = shape == wanted
        if classes is None:  # values may be reshaped, rows for classes may not
            flat = min(len(shape), len(wanted)) <= 1
            same = _long(shape) == _long(wanted) or (flat and prod(shape) == prod(wanted))
        if same:
            return shape
        words = f"{wanted}"
    raise InputError(
        f"the network returns {shape} for each sample, but {loss} compares it with y, which "
        f"needs {words}; make network and data fit" + _about_classes(loss, classes),
        key=key,
    )


def _long(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Returns a shape without its axes of length one."""
    return tuple(length for length in shape if length != 1)


def _about_classes(loss: LossName, classes: int | None) -> str:
    """Returns what to do where whole numbers were taken for classes, as a clause."""
    if loss == "cross_entropy" or classes is None:
        return ""
    return (
        f", or set problem.data.targets: values if the whole numbers in y are values and not "
        f"{classes} classes"
    )
