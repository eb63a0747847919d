"""A batch with slots: it admits weight vectors, advances all of them, retires each at its target.

It knows nothing of strings. What becomes of a row depends on its own start, target and seed,
never on who shares its batch (up to rounding).
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.backends.fused import FusedProblem, Rows
from engine.problem.problem import Problem
from engine.seeds import permutation
from engine.shapes import Batches, BeadMask, PerBead, Rounds, Weights
from engine.spec.keys import Training
from engine.steps.optimizers import Optimizer, State, build_optimizer
from engine.workers.pool import Workers

#: A loss counts as lower when it is lower by this share.
IMPROVEMENT = 1e-3
#: Parameters from which on rows that are computed one after another take a whole round one after
#: another: a step of all of them together would pass through memory again and again.
LARGE = 30_000
#: Multiplications of a row in a compiled round: some milliseconds.
ROUND_PRODUCTS = 2**25


class End(StrEnum):
    REACHED = "reached"
    OUT_OF_STEPS = "out of steps"
    STUCK = "stuck"
    DIVERGED = "diverged"


@dataclass(frozen=True)
class Job:
    """A weight vector to train until what is judged, its loss at first, is at most `target`."""

    bead: int
    target: float
    seed: int
    """Of the stream of mini-batches."""
    patience: int | None = None
    """In place of the training's."""


@dataclass(frozen=True)
class Row:
    """A job in training."""

    job: Job
    theta: Weights
    state: State
    """The optimizer's, tensors (param,)."""
    steps: int
    loss: float
    """What is judged, the training loss at first, when last looked at; above the target perhaps on
    fewer samples than it is judged on."""
    best: float
    """The last loss that counted as lower, and the step that reached it."""
    best_step: int
    end: End | None = None


class Trainer:
    def __init__(self, training: Training, pool: Workers, problem: Problem) -> None:
        self.training = training
        self.rows: list[Row] = []
        self.bead_steps = 0
        self._optimizer = build_optimizer(training.optimizer)
        self._pool = pool
        paced, samples = _paced(training, problem), samples_of_a_step(training, problem)
        self._round = Round(paced, samples, steps=paced.check_every if problem.fused else 1)

    def admit(self, job: Job, start: Weights) -> None:
        state = {slot: torch.zeros_like(start) for slot in self._optimizer.slots}
        self.rows.append(Row(job, start, state, 0, float("nan"), float("inf"), 0))

    def advance(self) -> list[Row]:
        """One round of at most `check_every` steps for every row; those that ended are returned."""
        if not self.rows:
            return []
        before = sum(row.steps for row in self.rows)
        rows = self._pool.run(self._round, self.rows)
        self.bead_steps += sum(row.steps for row in rows) - before
        self.rows = [row for row in rows if row.end is None]
        return [row for row in rows if row.end is not None]

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
                Job(row["bead"], row["target"], row["seed"], row["patience"]),
                tensors["theta"][number].clone(),
                {slot: tensors[slot][number].clone() for slot in self._optimizer.slots},
                row["steps"],
                row["loss"],
                row["best"],
                row["best_step"],
            )
            for number, row in enumerate(plain["rows"])
        ]


def _paced(training: Training, problem: Problem) -> Training:
    """Compiled steps on all data look at each loss: their rounds may last as long as pays.

    Rows do not wait for each other in them, and where rounds are cut changes no row.
    """
    if problem.fused is None or training.batch_size != "full" or not problem.judges_by_steps:
        return training
    steps = ROUND_PRODUCTS // (3 * len(problem.train) * problem.cost.products)
    return training.model_copy(update={"check_every": max(training.check_every, steps)})


@dataclass(frozen=True)
class Round:
    """At most `check_every` steps of every row."""

    training: Training
    samples: int
    """Of a step."""
    steps: int = 1
    """That go by without the interpreter."""

    def size(self, row: Row) -> int:
        return self.samples * self.steps

    def __call__(self, problem: Problem, rows: Sequence[Row]) -> list[Row]:
        large = problem.parameter_count >= LARGE and problem.batching == "loop"
        if large and problem.fused is None and len(rows) > 1:
            return [ended for row in rows for ended in self(problem, [row])]
        batch = _Batch(problem, self.training, build_optimizer(self.training.optimizer), rows)
        if problem.fused is not None and problem.judges_by_steps:
            batch.fused_steps(problem.fused, self.samples)
        elif self.training.batch_size == "full" and problem.judges_by_steps:
            batch.steps_on_all_data()
        else:
            batch.steps_between_looks(self.samples)
        return batch.unstack(rows)


def samples_of_a_step(training: Training, problem: Problem) -> int:
    samples = len(problem.train)
    return samples if training.batch_size == "full" else min(training.batch_size, samples)


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
        self.patience = column(
            [row.job.patience or training.patience for row in rows], torch.int64
        )  # (bead,)
        self.steps = column([row.steps for row in rows], torch.int64)  # (bead,)
        self.best = column([row.best for row in rows], problem.dtype)  # (bead,)
        self.best_step = column([row.best_step for row in rows], torch.int64)  # (bead,)
        self.loss = column([row.loss for row in rows], problem.dtype)  # (bead,)
        self.active = torch.ones_like(self.steps, dtype=torch.bool)  # (bead,)

    def steps_on_all_data(self) -> None:
        """Each step sees F_e; where that is judged, a row stops at the step that reaches it."""
        for _ in range(self.training.check_every):
            loss, grad = self.problem.loss_and_grad(self.theta)
            self._judge(loss)
            self._step(grad, self.active)

    def fused_steps(self, fused: FusedProblem, size: int) -> None:
        """Either of the other two, compiled."""
        rows = Rows(
            self.theta,
            self.state,
            self.target,
            self.patience,
            self.steps,
            self.loss,
            self.best,
            self.best_step,
            self.active,
        )
        batches = mini_batches(self.problem, self.training, size, self.seeds, self.steps.tolist())
        fused.advance(self.training, rows, IMPROVEMENT, batches)

    def steps_between_looks(self, size: int) -> None:
        """What is judged is looked at once, before the steps; rows that have ended take none."""
        self._judge(self.problem.judged(self.theta, self.target))
        rows = self.active.nonzero().squeeze(1)
        if not len(rows):
            return
        some = self._some(rows)
        seeds = [self.seeds[row] for row in rows.tolist()]
        steps = self.steps[rows].tolist()
        all_move = self.training.max_steps - max(steps)  # for so many steps no row runs out of them
        batches = mini_batches(self.problem, self.training, size, seeds, steps)
        for number, batch in enumerate(each_step(batches, self.training)):
            grad = self.problem.gradient(some.theta, batch)
            moving = None if number < all_move else some.steps < self.training.max_steps
            some._step(grad, moving)
        self.theta[rows], self.steps[rows] = some.theta, some.steps
        for slot, tensor in some.state.items():
            self.state[slot][rows] = tensor

    def _some(self, rows: Tensor) -> _Batch:
        """Those rows, as far as a step needs them."""
        some = copy.copy(self)
        some.theta, some.steps = self.theta[rows], self.steps[rows]
        some.state = {slot: tensor[rows] for slot, tensor in self.state.items()}
        return some

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
            & (self.steps - self.best_step < self.patience)
        )

    def _step(self, grad: Tensor, moving: BeadMask | None) -> None:
        """Of the rows that move; None: all."""
        theta, state = self.optimizer.step(self.theta, grad, self.state, self.steps)
        if moving is None:
            self.theta, self.state, self.steps = theta, state, self.steps + 1
            return
        rows = moving[:, None]
        self.theta = torch.where(rows, theta, self.theta)
        self.state = {slot: torch.where(rows, state[slot], self.state[slot]) for slot in state}
        self.steps = self.steps + moving

    def _end(self, job: Job, loss: float, steps: int) -> End:
        if not np.isfinite(loss):
            return End.DIVERGED
        if np.float32(loss) <= np.float32(job.target):
            return End.REACHED
        return End.OUT_OF_STEPS if steps >= self.training.max_steps else End.STUCK


def mini_batches(
    problem: Problem, training: Training, size: int, seeds: list[int], steps: list[int]
) -> Rounds | None:
    """The samples of the next `check_every` steps of rows that have taken so many.

    Each row has a stream of its own; None where steps see all the data.
    """
    count = training.check_every
    if training.batch_size == "full":
        return None
    numbers = [
        sample_numbers(seed, start * size, count * size, len(problem.train))
        for seed, start in zip(seeds, steps, strict=True)
    ]
    drawn = torch.from_numpy(np.stack(numbers)).to(problem.device)
    return drawn.view(len(numbers), count, size)


def each_step(batches: Rounds | None, training: Training) -> list[Batches] | list[None]:
    """What `mini_batches` gives, step by step; None for a step that sees all the data."""
    return [None] * training.check_every if batches is None else list(batches.unbind(1))


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
