"""Losses of single samples; the loss F_e of a model is their mean over the data (Eq. 1)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

SampleLoss = Callable[[Tensor, Tensor], Tensor]


def squared_error(output: Tensor, target: Tensor) -> Tensor:
    """‖Φ(x) − y‖₂², summed over outputs as in Eq. 1."""
    return (output - target).square().flatten(1).sum(1)  # (sample,)


def absolute_error(output: Tensor, target: Tensor) -> Tensor:
    """‖Φ(x) − y‖₁, the loss of the paper's own polynomial runs."""
    return (output - target).abs().flatten(1).sum(1)  # (sample,)


def cross_entropy(output: Tensor, target: Tensor) -> Tensor:
    """−log softmax(Φ(x))_y in nats."""
    return functional.cross_entropy(output, target, reduction="none")  # (sample,)


LOSSES: dict[str, SampleLoss] = {
    "mse": squared_error,
    "l1": absolute_error,
    "cross_entropy": cross_entropy,
}


def targets(loss: str, y: Tensor, classes: int | None) -> Tensor:
    """y as the loss sees it: class numbers become one-hot rows where it compares values."""
    if loss == "cross_entropy" or classes is None:
        return y
    return functional.one_hot(y, classes).to(torch.float32)
