"""A problem whose rounds a GPU takes in one launch, with tensors of its device in and out."""

from __future__ import annotations

from math import prod
from typing import Any

import torch
from torch import Tensor

from engine.backends.fused.layout import Layout
from engine.backends.fused.rules import slots_of
from engine.backends.triton_rounds.arrays import Columns, Data, Net
from engine.backends.triton_rounds.rules import how_of, numbers_of, pace_of_round
from engine.backends.triton_rounds.tiles import net_of, warps_of
from engine.shapes import Beads, PerBead, Rounds, Weights
from engine.spec.training import Training
from engine.steps.rows import Rows


class TritonProblem:
    """A problem in float32 for kernels of one device. Importing the kernels waits for a launch."""

    def __init__(self, layout: Layout, x: Tensor, y: Tensor) -> None:
        """Takes the samples of a split.

        x is (sample, feature …). y is (sample, output), or class numbers (sample,) for
        cross_entropy.
        """
        samples = len(x)
        self.layout = layout
        self._data = Data(
            x.reshape(samples, prod(x.shape[1:])).T.contiguous(),
            y.reshape(samples, -1).to(x.dtype).T.contiguous(),
            samples,
        )

    def losses(self, theta: Beads) -> PerBead:
        """Returns the mean loss of each weight vector on all samples."""
        from engine.backends.triton_rounds.kernels import calls

        losses = torch.empty_like(theta[:, 0])
        net = net_of(self.layout, self._data.samples)
        self._launch(calls.measure, len(theta), net, theta.contiguous(), losses, theta.shape[1])
        return losses

    def advance(
        self,
        training: Training,
        rows: Rows,
        batches: Rounds | None = None,
        decays: Weights | None = None,
    ) -> None:
        """Takes at most `check_every` steps of every row that goes, and changes rows in place.

        On all samples each step sees the loss, and a row stops at the very step that reaches its
        target. On `batches`, sample numbers (bead, step, sample), the loss on all samples is
        evaluated once, before the steps. `decays` (param,) is 1 for each weight that decays and 0
        for the others; all decay where it is left out.
        """
        from engine.backends.triton_rounds.kernels import calls

        params, samples = rows.theta.shape[1], self._data.samples
        batch = samples if batches is None else batches.shape[2]
        net = net_of(self.layout, batch)
        pace = pace_of_round(training, rows.steps, batch, samples, rows.theta)
        slow, square = (
            rows.theta if name is None else rows.state[name]
            for name in slots_of(training.optimizer)
        )
        columns = Columns(
            rows.theta,
            slow,
            square,
            rows.target,
            rows.patience,
            rows.steps,
            rows.loss,
            rows.best,
            rows.best_step,
            rows.end,
        )
        self._launch(
            calls.advance,
            len(rows),
            net,
            how_of(training, params, decays is not None),
            numbers_of(training),
            pace,
            columns,
            torch.empty_like(rows.theta),
            rows.theta if decays is None else decays,
            rows.steps if batches is None else batches,
            batch,
            params,
        )

    def _launch(self, kernel: Any, beads: int, net: Net, *arguments: object) -> None:
        """Launches a kernel with a program for each bead, on the device of the samples."""
        with torch.cuda.device(self._data.x.get_device()):  # -1, which changes nothing, on the CPU
            kernel[(beads,)](
                net, self._data, *arguments, num_warps=warps_of(net), enable_fp_fusion=True
            )
