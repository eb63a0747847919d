"""Compiled code in the place of kernels, for what goes on around them."""

from __future__ import annotations

import torch
from torch import Tensor

from engine.backends.fused.layout import Layout
from engine.backends.fused.problem import FusedProblem
from engine.spec.training import Training
from engine.steps.judge import IMPROVEMENT
from engine.steps.rows import Rows


class Twin:
    """Takes the place of `TritonProblem`, on the CPU."""

    def __init__(self, layout: Layout, x: Tensor, y: Tensor) -> None:
        self.fused = FusedProblem(layout, x, y)

    def losses(self, theta: Tensor) -> Tensor:
        return torch.from_numpy(self.fused.losses(theta))

    def advance(
        self,
        training: Training,
        rows: Rows,
        batches: Tensor | None = None,
        decays: Tensor | None = None,
    ) -> None:
        self.fused.advance(training, rows, IMPROVEMENT, batches, decays)


class Hasty(Twin):
    """Takes steps that are a tenth longer."""

    def advance(
        self,
        training: Training,
        rows: Rows,
        batches: Tensor | None = None,
        decays: Tensor | None = None,
    ) -> None:
        optimizer = training.optimizer.model_copy(update={"lr": 1.1 * training.optimizer.lr})
        training = training.model_copy(update={"optimizer": optimizer})
        super().advance(training, rows, batches, decays)


class Broken(Twin):
    """Cannot be compiled, as where a header is missing."""

    def advance(
        self,
        training: Training,
        rows: Rows,
        batches: Tensor | None = None,
        decays: Tensor | None = None,
    ) -> None:
        raise RuntimeError("no Python.h\nwhich is in python3-dev")
