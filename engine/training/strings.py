"""Whole strings trained at once, many in one batch: the step of constrained DSS (§6).

Every bead above its string's level takes optimizer steps; a bead at or below it holds still.
Between its neighbours an inner bead keeps to the hyperplane that is equidistant from both:
what an update would move it along their chord is taken out (hard) or costs loss (soft), and
after each round the beads of a hard string are spaced evenly along it. Springs pull a bead
towards its neighbours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from engine.problem.problem import Problem
from engine.shapes import Beads, PerBead
from engine.spec.keys import Constrained
from engine.steps.optimizers import State, build_optimizer
from engine.training.trainer import IMPROVEMENT, each_step, mini_batches

if TYPE_CHECKING:
    from engine.steps.optimizers import Optimizer

#: A string is evenly spaced when its segments' lengths differ by no more than this share.
EVEN = 1e-6
#: Passes of spacing after which a string is left as it is.
SPACING_PASSES = 200


@dataclass(frozen=True)
class TrainedString:
    """A string of beads in training. Tensors (bead, param), or (bead,)."""

    theta: Tensor
    state: State
    """The optimizer's."""
    steps: Tensor
    """Taken by each bead."""
    loss: Tensor
    """What is judged: F_e at first."""
    best: Tensor
    """The last loss that counted as lower since the bead began to move; the step reaching it."""
    best_step: Tensor
    seeds: tuple[int, ...]
    """Of each bead's stream of mini-batches."""
    level: float
    """Beads above it move."""
    held: tuple[bool, bool]
    """Whether the first and the last bead hold still whatever their loss."""

    @property
    def settled(self) -> bool:
        return not bool(self.moving.any())

    @property
    def moving(self) -> Tensor:
        """(bead,) above the level (or not a number), and not held."""
        moving = ~(self.loss <= self.level)
        for end, held in zip((0, -1), self.held, strict=True):
            if held:
                moving[end] = False
        return moving


@dataclass(frozen=True)
class StringRound:
    """`check_every` steps of every string; a task for the pool."""

    training: Constrained
    samples: int
    """Of a step."""

    def size(self, string: TrainedString) -> int:
        return self.samples * len(string.theta)

    def __call__(self, problem: Problem, strings: Sequence[TrainedString]) -> list[TrainedString]:
        batch = _Batch(problem, self.training, strings)
        if self.training.batch_size == "full" and problem.judges_by_steps:
            batch.steps_on_all_data()
        else:
            batch.steps_between_looks(self.samples)
        if self.training.hyperplane == "hard":
            batch.space()
        return batch.unstack(strings)


class _Batch:
    """The beads of all strings one after another; those that move are stepped together."""

    def __init__(
        self, problem: Problem, training: Constrained, strings: Sequence[TrainedString]
    ) -> None:
        def joined(parts: list[Tensor]) -> Tensor:
            return torch.cat([part.to(problem.device) for part in parts])

        self.problem, self.training = problem, training
        self.optimizer: Optimizer = build_optimizer(training.optimizer)
        self.counts = [len(string.theta) for string in strings]
        self.theta = joined([string.theta for string in strings])  # (bead, param)
        self.state = {
            slot: joined([string.state[slot] for string in strings])
            for slot in self.optimizer.slots
        }
        self.steps = joined([string.steps for string in strings])
        self.loss = joined([string.loss for string in strings])
        self.best = joined([string.best for string in strings])
        self.best_step = joined([string.best_step for string in strings])
        levels = torch.tensor([string.level for string in strings], device=problem.device)
        self.level = levels.to(problem.dtype).repeat_interleave(
            torch.tensor(self.counts, device=problem.device)
        )
        self.rows = joined([string.moving for string in strings]).nonzero().squeeze(1)
        self.seeds = [seed for string in strings for seed in string.seeds]
        first = np.cumsum([0, *self.counts[:-1]])
        last = first + np.array(self.counts) - 1
        number = np.arange(len(self.theta))
        self.inner = torch.from_numpy(~np.isin(number, [first, last])).to(problem.device)
        self.first, self.last = first, last

    # ------------------------------------------------------------ steps

    def steps_on_all_data(self) -> None:
        for _ in range(self.training.check_every):
            if not len(self.rows):
                return
            loss, grad = self.problem.loss_and_grad(self.theta[self.rows])
            self._note(loss)
            above = ~(loss <= self.level[self.rows])
            self.rows = self.rows[above]
            self._step(grad[above])
        self._look()

    def steps_between_looks(self, size: int) -> None:
        if not len(self.rows):
            return
        seeds, steps = [self.seeds[row] for row in self.rows.tolist()], self.steps[self.rows]
        batches = mini_batches(self.problem, self.training, size, seeds, steps.tolist())
        for batch in each_step(batches, self.training):
            self._step(self.problem.gradient(self.theta[self.rows], batch))
        self._look()

    def _look(self) -> None:
        """What is judged, of the beads that have moved."""
        if len(self.rows):
            self._note(self.problem.judged(self.theta[self.rows]))

    def _note(self, loss: PerBead) -> None:
        rows = self.rows
        self.loss[rows] = loss
        settled = loss <= self.level[rows]  # a bead that is moved again begins anew
        improved = loss < self.best[rows] * (1 - IMPROVEMENT)
        best = torch.where(improved, loss, self.best[rows])
        self.best[rows] = torch.where(settled, torch.inf, best)
        self.best_step[rows] = torch.where(
            improved | settled, self.steps[rows], self.best_step[rows]
        )

    def _step(self, grad: Beads) -> None:
        rows = self.rows
        if not len(rows):
            return
        theta = self.theta[rows]
        inner = self.inner[rows, None]
        if self.training.zeta or self.training.hyperplane == "soft":
            grad = grad + torch.where(inner, self._pull(theta), 0)
        state = {slot: tensor[rows] for slot, tensor in self.state.items()}
        moved, state = self.optimizer.step(theta, grad, state, self.steps[rows])
        if self.training.hyperplane == "hard":
            chord = self._chord()
            along = ((moved - theta) * chord).sum(1, keepdim=True) * chord
            moved = moved - torch.where(inner, along, 0)
        self.theta[rows] = moved
        for slot, tensor in state.items():
            self.state[slot][rows] = tensor
        self.steps[rows] += 1

    # ------------------------------------------------------------ tethers

    def _neighbours(self) -> tuple[Tensor, Tensor]:
        """Of the moving beads; an end is its own neighbour."""
        inner = self.inner[self.rows].long()
        return self.theta[self.rows - inner], self.theta[self.rows + inner]

    def _chord(self) -> Tensor:
        """c_i: the unit vector from the left neighbour to the right, zero at the ends."""
        left, right = self._neighbours()
        return torch.nn.functional.normalize(right - left)

    def _pull(self, theta: Beads) -> Beads:
        """Gradient of ζ(‖θ_{i−1}−θ_i‖ + ‖θ_{i+1}−θ_i‖), and of κ·|⟨θ_i − midpoint, c_i⟩|."""
        left, right = self._neighbours()
        unit = torch.nn.functional.normalize
        pull = self.training.zeta * (unit(theta - left) + unit(theta - right))
        if self.training.hyperplane == "soft":
            chord = unit(right - left)
            off = ((theta - (left + right) / 2) * chord).sum(1, keepdim=True)
            pull = pull + self.training.kappa * off.sign() * chord
        return pull

    def space(self) -> None:
        """One pass of even spacing; beads that moved get their loss anew."""
        spaced = spread(self.theta, self.first, self.last)
        moved = (spaced != self.theta).any(1)
        self.theta = spaced
        if moved.any():
            self.loss[moved] = self.problem.judged(self.theta[moved])

    def unstack(self, strings: Sequence[TrainedString]) -> list[TrainedString]:
        def parts(tensor: Tensor) -> tuple[Tensor, ...]:
            return tuple(part.clone() for part in torch.split(tensor, self.counts))

        states = {slot: parts(tensor) for slot, tensor in self.state.items()}
        columns = (self.theta, self.steps, self.loss, self.best, self.best_step)
        return [
            TrainedString(
                theta=theta,
                state={slot: tensors[number] for slot, tensors in states.items()},
                steps=steps,
                loss=loss,
                best=best,
                best_step=best_step,
                seeds=string.seeds,
                level=string.level,
                held=string.held,
            )
            for number, (string, theta, steps, loss, best, best_step) in enumerate(
                zip(strings, *map(parts, columns), strict=True)
            )
        ]


def spread(theta: Beads, first: np.ndarray, last: np.ndarray) -> Beads:
    """One pass towards even spacing of strings whose ends are rows first[k] and last[k].

    Each inner bead moves along the polyline to the place where its share of the arc length
    ends (E, Ren & Vanden-Eijnden 2007, the string method's reparametrization). Where that is
    a fixed point, each bead lies in the hyperplane equidistant from its neighbours.
    """
    precise = theta.double()
    lengths = torch.zeros(len(theta), dtype=torch.float64, device=theta.device)
    lengths[1:] = (precise[1:] - precise[:-1]).norm(dim=1)
    lengths[torch.from_numpy(first)] = 0  # strings do not touch
    steps = lengths.cpu().numpy()
    for a, b in zip(first, last, strict=True):
        if not np.isfinite(steps[a : b + 1]).all():
            steps[a : b + 1] = 0  # a string that diverged stays as it is
    arc = steps.cumsum()
    target, number = arc.copy(), np.arange(len(arc))
    for a, b in zip(first, last, strict=True):
        target[a : b + 1] = np.linspace(arc[a], arc[b], b - a + 1)
    start, end = np.repeat(first, last - first + 1), np.repeat(last, last - first + 1)
    # Places on the arc of one string only: the arcs of two strings meet in one number.
    left = np.clip(
        np.searchsorted(arc, target, side="right") - 1, start, np.maximum(end - 1, start)
    )
    gap = arc[np.minimum(left + 1, end)] - arc[left]
    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.where(gap > 0, np.clip((target - arc[left]) / gap, 0, 1), 0.0)
    inner = ~np.isin(number, [first, last]) & (arc[end] > arc[start])
    rows = torch.from_numpy(left[inner]).to(theta.device)
    shares = torch.from_numpy(t[inner]).to(theta.device)[:, None]
    spaced = theta.clone()
    spaced[torch.from_numpy(inner).to(theta.device)] = torch.lerp(
        precise[rows], precise[rows + 1], shares
    ).to(theta.dtype)
    return spaced


def evenly_spaced(theta: Beads) -> Beads:
    """Spreads one string until its segments are equally long to EVEN, or passes are spent."""
    ends = np.array([0]), np.array([len(theta) - 1])
    for _ in range(SPACING_PASSES):
        if unevenness(theta) <= EVEN:
            return theta
        theta = spread(theta, *ends)
    return theta


def unevenness(theta: Beads) -> float:
    """The largest difference of a segment's length from the mean, as a share of the mean."""
    lengths = (theta[1:].double() - theta[:-1].double()).norm(dim=1)
    mean = lengths.mean()
    return float((lengths - mean).abs().max() / mean) if mean > 0 else 0.0
