"""A problem whose rounds a GPU takes in one launch, with tensors of its device in and out."""

from __future__ import annotations

from math import prod

import torch
from torch import Tensor

from engine.backends.fused.layout import Layout
from engine.backends.fused.rules import slots_of
from engine.backends.triton_rounds.arrays import Columns, Data
from engine.backends.triton_rounds.rules import how_of, numbers_of, pace_of_round
from engine.backends.triton_rounds.tiles import net_of, warps_of
from engine.shapes import Rounds, Weights
from engine.spec.training import Training
from engine.steps.rows import Rows


class TritonProblem:
    """A problem in float32 for kernels of one device. Importing the kernels waits for a launch."""

    def __init__(self, layout: Layout, x: Tensor, y: Tensor) -> None:
        """Takes the training samples.

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

        beads, params = rows.theta.shape
        samples = self._data.samples
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
        with torch.cuda.device_of(rows.theta):
            calls.advance[(beads,)](
                net,
                how_of(training, params, decays is not None),
                self._data,
                numbers_of(training),
                pace,
                columns,
                torch.empty_like(rows.theta),
                rows.theta if decays is None else decays,
                rows.steps if batches is None else batches,
                batch,
                params,
                num_warps=warps_of(net),
                enable_fp_fusion=True,
            )
