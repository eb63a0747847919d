"""Takes a round of training with any backend that gives losses and gradients.

A row that has ended within a round does not move any more, so its result does not depend on the
rows that share its batch. Where a step on all the data sees the objective, a row stops at the very
step that reaches its target. Elsewhere the objective is evaluated once a round.

On a GPU the host asks for nothing within a round: it knows from the last one which rows go
(`Rows.told`), and waits once at the end. So what the CPU leaves out, because it has ended or did
not move, is computed there too, and not used.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from engine.backends.round_steps import RoundSteps, judged
from engine.shapes import BeadMask, Beads, PerBead
from engine.steps.groups import Group
from engine.steps.pieces import beads_at_once
from engine.steps.recipe import Recipe
from engine.steps.rows import Rows, joined, told_of

if TYPE_CHECKING:
    from engine.backends.backend import Backend


def advance(backend: Backend, recipe: Recipe, groups: Sequence[Group]) -> list[Group]:
    """Returns the groups after at most `check_every` steps of each of their rows that go."""
    batch = _Batch(backend, recipe, groups)
    batch.take_steps()
    if recipe.evaluate == "after":
        batch.evaluate()
    batch.put_back()
    if recipe.evaluate == "after":
        batch.respace()
    batch.rows.told  # noqa: B018 - the host waits for the device here, once for all groups
    parts = batch.rows.split([len(group) for group in groups])
    return [replace(group, rows=part) for group, part in zip(groups, parts, strict=True)]


class _Batch:
    """The rows of all groups, one after another. Those that go take their steps together."""

    def __init__(self, backend: Backend, recipe: Recipe, groups: Sequence[Group]) -> None:
        """Joins the groups' rows on the backend's device."""
        self.backend, self.recipe = backend, recipe
        parts = [group.rows.to(backend.problem.device) for group in groups]
        self.rows = parts[0] if len(parts) == 1 else joined(parts)
        ends = [0, *accumulate(len(group) for group in groups)]
        self.strings = [slice(start, end) for start, end in pairwise(ends)]
        self.told = told_of([group.rows for group in groups], self.rows)
        self.numbers = self.told.going
        """The numbers of the rows that take steps in this round."""
        whole = len(self.numbers) == len(self.rows)
        self.some = self.rows if whole else self.rows.part(self.numbers)
        self.leaves_out = backend.problem.device.type == "cpu"
        """Whether rows that turn out to be of no more use are left out, which takes an answer of
        the device."""
        self.steps = RoundSteps(backend, recipe, self.strings)

    # ------------------------------------------------------------ steps

    def take_steps(self) -> None:
        """Takes the steps of the rows that go, after an evaluation if one is due."""
        if not self.numbers:
            return
        if not self.steps.sees_objective and self.recipe.evaluate == "before":
            loss = self.backend.objective(self.some.judged, self.some.target)
            self.some = judged(self.some, loss, self.recipe.training)
            self._leave_out_ended()
        if self.numbers:
            steps = [self.told.steps[number] for number in self.numbers]
            self.some = self.steps.taken(self.some, steps, self.numbers, self.rows)

    def _leave_out_ended(self) -> None:
        """Goes on with the rows that have not ended, where it is known which these are."""
        if not self.leaves_out:
            return
        self.put_back()
        going = self.some.going.nonzero().squeeze(1).tolist()
        if len(going) < len(self.numbers):
            self.numbers = [self.numbers[place] for place in going]
            self.some = self.some.part(going)

    def put_back(self) -> None:
        """Puts the rows that take steps back among all rows."""
        if self.numbers:
            self.rows = self.rows.with_part(self.numbers, self.some)

    # ------------------------------------------------------------ evaluation

    def evaluate(self) -> None:
        """Judges the rows that have taken steps and go on.

        Those that have ended by a step's own pass have been judged where they are. Control points
        are not judged: no model of their curve is where they are.
        """
        if not self.numbers or not self.recipe.at.own:
            return
        some, sees = self.some, self.steps.sees_objective
        loss = self._losses(some.judged, some.going if sees else None, some.loss)
        now = judged(some, loss, self.recipe.training)
        self.some = _where(some.going, now, some) if sees else now

    def respace(self) -> None:
        """Respaces the strings, and evaluates the beads that this has moved."""
        self.some = self.rows  # those apart are not needed any more, which frees their memory
        before = [self.rows.theta[string] for string in self.strings]
        after = [self.recipe.tether.respace(theta) for theta in before]
        if all(new is old for new, old in zip(after, before, strict=True)):
            return
        theta = after[0] if len(after) == 1 else torch.cat(after)
        moved = (theta != self.rows.theta).any(1)
        loss = self._losses(theta, moved, self.rows.loss)
        rows = replace(self.rows, theta=theta)
        self.rows = _where(moved.any(), rows.with_loss(loss), rows)

    def _losses(self, theta: Beads, which: BeadMask | None, known: PerBead) -> PerBead:
        """Returns the losses of weights (row, param) where a mask is true, else known ones.

        All are computed where the host does not wait to know which are wanted.
        """
        if which is None:
            return self.backend.objective(theta)
        if not self.leaves_out:
            return torch.where(which, self.backend.objective(theta), known)
        loss, numbers, at_once = known.clone(), which.nonzero().squeeze(1), beads_at_once(theta)
        for start in range(0, len(numbers), at_once):
            some = numbers[start : start + at_once]
            loss[some] = self.backend.objective(theta[some])
        return loss


def _where(mask: Tensor, new: Rows, old: Rows) -> Rows:
    """Returns what was judged anew where a mask is true, and what was judged before elsewhere."""
    names = ("loss", "best", "best_step", "end")
    each: Any = {name: torch.where(mask, getattr(new, name), getattr(old, name)) for name in names}
    return replace(new, **each)
