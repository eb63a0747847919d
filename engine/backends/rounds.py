"""Takes a round of training with any backend that gives losses and gradients.

A row that has ended within a round does not move any more, so its result does not depend on the
rows that share its batch. Where a step on all the data sees the objective, a row stops at the very
step that reaches its target. Elsewhere the objective is evaluated once a round.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING

import torch

from engine.shapes import Batches, BeadMask, Beads, PerBead, Rounds
from engine.spec.training import Training
from engine.steps.descent import build_descent
from engine.steps.epochs import epochs_of
from engine.steps.judge import judge
from engine.steps.mini_batches import mini_batches
from engine.steps.practice import row_keys
from engine.steps.recipe import Recipe
from engine.steps.rows import AVERAGE, Group, Rows, joined

if TYPE_CHECKING:
    from engine.backends.backend import Backend


def advance(backend: Backend, recipe: Recipe, groups: Sequence[Group]) -> list[Group]:
    """Returns the groups after at most `check_every` steps of each of their rows that go."""
    batch = _Batch(backend, recipe, groups)
    batch.take_steps()
    if recipe.evaluate == "after":
        batch.evaluate_after()
    parts = batch.rows.split([len(group) for group in groups])
    return [replace(group, rows=part) for group, part in zip(groups, parts, strict=True)]


def batches_of(backend: Backend, training: Training, rows: Rows, size: int) -> Rounds | None:
    """Returns the sample numbers of a round's steps, (row, step, sample).

    Returns None where each step sees all the data. `size` is the number of samples of a step.
    """
    if training.batch_size == "full":
        return None
    count, samples = training.check_every, len(backend.problem.train)
    drawn = mini_batches(rows.seeds, rows.steps.tolist(), count, size, samples, training.drop_last)
    return drawn.to(rows.theta.device)


class _Batch:
    """The rows of all groups, one after another. Those that go take their steps together."""

    def __init__(self, backend: Backend, recipe: Recipe, groups: Sequence[Group]) -> None:
        """Joins the groups' rows on the backend's device."""
        self.backend, self.recipe, self.training = backend, recipe, recipe.training
        self.rows = joined([group.rows.to(backend.problem.device) for group in groups])
        ends = [0, *accumulate(len(group) for group in groups)]
        self.strings = [slice(start, end) for start, end in pairwise(ends)]
        self.numbers = self.rows.going.nonzero().squeeze(1)
        """The numbers of the rows that take steps in this round."""
        whole = len(self.numbers) == len(self.rows)
        self.some = self.rows if whole else self.rows.part(self.numbers)
        self.samples = recipe.samples(len(backend.problem.train))
        self.practice = recipe.practice(backend.problem)
        self.sees_objective = recipe.sees_objective(backend.problem)
        self.epochs = epochs_of(self.training, self.samples, len(backend.problem.train))
        exempt = self.training.optimizer.decay_exempt
        self.descent = build_descent(
            self.training,
            self.samples,
            len(backend.problem.train),
            backend.problem.decaying(exempt),
        )

    # ------------------------------------------------------------ steps

    def take_steps(self) -> None:
        """Takes the steps of the rows that go, on all the data or on mini-batches."""
        if not len(self.numbers):
            return
        if self.sees_objective:
            for _ in range(self.training.check_every):
                loss, grad = self._loss_and_grad(None)
                self._judge(loss)
                self._step(grad, self.some.going)
        else:
            self._steps_between_evaluations()
        self._put_back()

    def _steps_between_evaluations(self) -> None:
        """Takes steps that do not see the objective, after an evaluation if one is due."""
        if self.recipe.evaluate == "before":
            self._judge(self.backend.objective(self.some.judged, self.some.target))
            self._leave_out_ended()
        some = self.some
        if not len(some):
            return
        batches = batches_of(self.backend, self.training, some, self.samples)
        # For this many steps no row reaches its limit.
        all_move = self.training.max_steps - int(some.steps.max())
        for number in range(self.training.check_every):
            _, grad = self._loss_and_grad(None if batches is None else batches[:, number])
            moving = None if number < all_move else self.some.steps < self.training.max_steps
            self._step(grad, moving)

    def _loss_and_grad(self, batch: Batches | None) -> tuple[PerBead, Beads]:
        """Returns the losses and gradients of the rows that go, on all the data or a batch each."""
        points = self.recipe.at.points(self.some.theta)
        draws = self.practice.draws
        keys = row_keys(self.some.seeds, self.some.steps) if draws else None
        found = self.backend.practised(points, batch, self.practice, keys)
        return self.recipe.at.pull_back(*found)

    def _leave_out_ended(self) -> None:
        """Puts the rows back and goes on with those that have not ended."""
        self._put_back()
        going = self.some.going.nonzero().squeeze(1)
        self.numbers, self.some = self.numbers[going], self.some.part(going)

    def _put_back(self) -> None:
        """Puts the rows that take steps back among all rows."""
        self.rows = self.rows.with_part(self.numbers, self.some)

    def _judge(self, loss: PerBead) -> None:
        """Notes the objective of the rows that take steps, and which of them have ended."""
        some = self.some
        best, best_step, end = judge(
            loss,
            some.target,
            some.best,
            some.best_step,
            some.steps,
            some.patience,
            self.training.max_steps,
        )
        self.some = replace(some, loss=loss, best=best, best_step=best_step, end=end)

    def _step(self, grad: Beads, moving: BeadMask | None) -> None:
        """Takes one step of the rows in the mask `moving`, or of all where it is None."""
        some, tied = self.some, self.recipe.tether.ties
        if tied:
            grad = grad + self._tethered(grad, pull=True)
        theta, state = self.descent.step(some.theta, grad, dict(some.state), some.steps)
        if tied:
            theta = some.theta + self._tethered(theta - some.theta, pull=False)
        if self.recipe.average is not None:
            average = some.state[AVERAGE]
            state[AVERAGE] = self.recipe.average.after(average, theta, some.steps, self.epochs)
        if moving is None:
            self.some = replace(some, theta=theta, state=state, steps=some.steps + 1)
        else:
            mask = moving[:, None]
            kept = {slot: torch.where(mask, state[slot], some.state[slot]) for slot in state}
            theta = torch.where(mask, theta, some.theta)
            self.some = replace(some, theta=theta, state=kept, steps=some.steps + moving)
        if tied:
            self.rows.theta[self.numbers] = self.some.theta

    # ------------------------------------------------------------ tethers

    def _tethered(self, of_some: Beads, pull: bool) -> Beads:
        """Returns the tether's pulls on the rows that go, or its projections of their updates."""
        tether, found = self.recipe.tether, torch.zeros_like(self.rows.theta)
        if not pull:
            found[self.numbers] = of_some
        for string in self.strings:
            theta, loss = self.rows.theta[string], self.rows.loss[string]
            if pull:
                found[string] = tether.pull(theta, loss)
            else:
                found[string] = tether.project(theta, found[string], loss)
        return found[self.numbers]

    def evaluate_after(self) -> None:
        """Evaluates the rows that have moved, respaces the strings, and evaluates again."""
        if len(self.numbers):
            self.some = self.rows.part(self.numbers)
            if self.sees_objective:
                going = self.some.going.nonzero().squeeze(1)
                self.numbers, self.some = self.numbers[going], self.some.part(going)
            if len(self.numbers):
                self._judge(self.backend.objective(self.some.judged))
                self._put_back()
        before = self.rows.theta
        after = [self.recipe.tether.respace(before[string]) for string in self.strings]
        self.rows = replace(self.rows, theta=torch.cat(after))
        moved = (self.rows.theta != before).any(1)
        if moved.any():
            loss = self.rows.loss.clone()
            loss[moved] = self.backend.objective(self.rows.theta[moved])
            self.rows = self.rows.with_loss(loss)
