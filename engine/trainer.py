"""A batch with slots: it admits weight vectors, advances all of them, retires each at its target.

It knows nothing of strings. What becomes of a row depends on its own start, target and seed,
never on who shares its batch (up to rounding).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.optimizers import Optimizer, State, build_optimizer
from engine.pool import Pool
from engine.problem import Problem
from engine.seeds import permutation
from engine.shapes import Batches, BeadMask, PerBead, Weights
from engine.spec import Training

#: A loss counts as lower when it is lower by this share.
IMPROVEMENT = 1e-3


class End(StrEnum):
    REACHED = "reached"
    OUT_OF_STEPS = "out of steps"
    STUCK = "stuck"
    DIVERGED = "diverged"


@dataclass(frozen=True)
class Job:
    """A weight vector to train until its loss is at most `target`."""

    bead: int
    target: float
    seed: int
    """Of the stream of mini-batches."""


@dataclass(frozen=True)
class Row:
    """A job in training."""

    job: Job
    theta: Weights
    state: State
    """The optimizer's, tensors (param,)."""
    steps: int
    loss: float
    """When last looked at."""
    best: float
    """The last loss that counted as lower, and the step that reached it."""
    best_step: int
    end: End | None = None


class Trainer:
    def __init__(self, training: Training, pool: Pool, problem: Problem) -> None:
        self.training = training
        self.rows: list[Row] = []
        self.bead_steps = 0
        self._optimizer = build_optimizer(training.optimizer)
        self._pool = pool
        self._samples = len(problem.train)
        if training.batch_size != "full":
            self._samples = min(training.batch_size, self._samples)

    def admit(self, job: Job, start: Weights) -> None:
        state = {slot: torch.zeros_like(start) for slot in self._optimizer.slots}
        self.rows.append(Row(job, start, state, 0, float("nan"), float("inf"), 0))

    def advance(self) -> list[Row]:
        """One round of at most `check_every` steps for every row; those that ended are returned."""
        if not self.rows:
            return []
        before = sum(row.steps for row in self.rows)
        shards = self._pool.shards(self.rows, self._samples)
        rows = [row for shard in self._pool.map(self._round, shards) for row in shard]
        self.bead_steps += sum(row.steps for row in rows) - before
        self.rows = [row for row in rows if row.end is None]
        return [row for row in rows if row.end is not None]

    def _round(self, problem: Problem, rows: Sequence[Row]) -> list[Row]:
        batch = _Batch(problem, self.training, self._optimizer, rows)
        if self.training.batch_size == "full":
            batch.steps_on_all_data()
        else:
            batch.steps_on_mini_batches(self._samples)
        return batch.unstack(rows)

    def save(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Tensors and plain values from which `restore` makes the same trainer."""
        tensors = {"theta": _stacked([row.theta for row in self.rows])}
        for slot in self._optimizer.slots:
            tensors[slot] = _stacked([row.state[slot] for row in self.rows])
        rows = [
            asdict(row.job)
            | {"steps": row.steps, "loss": row.loss, "best": row.best, "best_step": row.best_step}
            for row in self.rows
        ]
        return tensors, {"rows": rows, "bead_steps": self.bead_steps}

    def restore(self, tensors: dict[str, Tensor], plain: dict[str, Any]) -> None:
        self.bead_steps = plain["bead_steps"]
        self.rows = [
            Row(
                Job(row["bead"], row["target"], row["seed"]),
                tensors["theta"][number].clone(),
                {slot: tensors[slot][number].clone() for slot in self._optimizer.slots},
                row["steps"],
                row["loss"],
                row["best"],
                row["best_step"],
            )
            for number, row in enumerate(plain["rows"])
        ]


def _stacked(vectors: list[Tensor]) -> Tensor:
    return torch.stack(vectors) if vectors else torch.zeros(0, 0)


class _Batch:
    """Rows stacked on one device for one round."""

    def __init__(
        self, problem: Problem, training: Training, optimizer: Optimizer, rows: Sequence[Row]
    ) -> None:
        def column(values: list[Any], dtype: torch.dtype) -> Tensor:
            return torch.tensor(values, dtype=dtype, device=problem.device)

        def stack(vectors: list[Tensor]) -> Tensor:
            return torch.stack([vector.to(problem.device) for vector in vectors])

        self.problem, self.training, self.optimizer = problem, training, optimizer
        self.seeds = [row.job.seed for row in rows]
        self.theta = stack([row.theta for row in rows])  # (bead, param)
        self.state = {slot: stack([row.state[slot] for row in rows]) for slot in optimizer.slots}
        self.target = column([row.job.target for row in rows], problem.dtype)  # (bead,)
        self.steps = column([row.steps for row in rows], torch.int64)  # (bead,)
        self.best = column([row.best for row in rows], problem.dtype)  # (bead,)
        self.best_step = column([row.best_step for row in rows], torch.int64)  # (bead,)
        self.loss = column([row.loss for row in rows], problem.dtype)  # (bead,)
        self.active = torch.ones_like(self.steps, dtype=torch.bool)  # (bead,)

    def steps_on_all_data(self) -> None:
        """Each step sees F_e, so each row stops at the very step that reaches its target."""
        for _ in range(self.training.check_every):
            loss, grad = self.problem.loss_and_grad(self.theta)
            self._judge(loss)
            self._step(grad, self.active)

    def steps_on_mini_batches(self, size: int) -> None:
        """F_e is looked at once, before the steps."""
        self._judge(self.problem.losses(self.theta))
        batches = self._batches(size)
        for batch in batches:
            _, grad = self.problem.loss_and_grad_on(self.theta, batch)
            self._step(grad, self.active & (self.steps < self.training.max_steps))

    def unstack(self, rows: Sequence[Row]) -> list[Row]:
        steps, loss, best, best_step, active = (
            column.tolist()
            for column in (self.steps, self.loss, self.best, self.best_step, self.active)
        )
        return [
            replace(
                row,
                theta=self.theta[n].clone(),
                state={slot: tensor[n].clone() for slot, tensor in self.state.items()},
                steps=steps[n],
                loss=loss[n],
                best=best[n],
                best_step=best_step[n],
                end=None if active[n] else self._end(row.job, loss[n], steps[n]),
            )
            for n, row in enumerate(rows)
        ]

    def _judge(self, loss: PerBead) -> None:
        """Which rows go on: above the target, finite, within their budget and still improving."""
        self.loss = loss
        improved = loss < self.best * (1 - IMPROVEMENT)
        self.best = torch.where(improved, loss, self.best)
        self.best_step = torch.where(improved, self.steps, self.best_step)
        self.active = (
            (loss > self.target)
            & loss.isfinite()
            & (self.steps < self.training.max_steps)
            & (self.steps - self.best_step < self.training.patience)
        )

    def _step(self, grad: Tensor, moving: BeadMask) -> None:
        theta, state = self.optimizer.step(self.theta, grad, self.state, self.steps)
        rows = moving[:, None]
        self.theta = torch.where(rows, theta, self.theta)
        self.state = {slot: torch.where(rows, state[slot], self.state[slot]) for slot in state}
        self.steps = self.steps + moving

    def _batches(self, size: int) -> list[Batches]:
        """The next mini-batches of every row, from its own stream."""
        count, samples = self.training.check_every, len(self.problem.train)
        numbers = [
            sample_numbers(seed, start * size, count * size, samples)
            for seed, start in zip(self.seeds, self.steps.tolist(), strict=True)
        ]
        drawn = torch.from_numpy(np.stack(numbers)).to(self.problem.device)
        return list(drawn.view(len(numbers), count, size).unbind(1))

    def _end(self, job: Job, loss: float, steps: int) -> End:
        if not np.isfinite(loss):
            return End.DIVERGED
        if np.float32(loss) <= np.float32(job.target):
            return End.REACHED
        return End.OUT_OF_STEPS if steps >= self.training.max_steps else End.STUCK


def sample_numbers(seed: int, start: int, count: int, samples: int) -> NDArray[np.int64]:
    """Entries start … start+count of a stream that passes through all samples again and again.

    Every pass is in a new random order. The stream is a function of its arguments, so nothing
    of it needs to be kept between rounds or in a checkpoint.
    """
    first, last = start // samples, (start + count - 1) // samples
    passes = [permutation(seed, epoch, samples) for epoch in range(first, last + 1)]
    offset = start - first * samples
    drawn: NDArray[np.int64] = np.concatenate(passes)[offset : offset + count]
    return drawn
