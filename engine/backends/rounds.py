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
from engine.shapes import Beads
from engine.steps.recipe import Recipe
from engine.steps.rows import Group, Rows, joined, told_of

if TYPE_CHECKING:
    from engine.backends.backend import Backend


def advance(backend: Backend, recipe: Recipe, groups: Sequence[Group]) -> list[Group]:
    """Returns the groups after at most `check_every` steps of each of their rows that go."""
    batch = _Batch(backend, recipe, groups)
    batch.take_steps()
    if recipe.evaluate == "after":
        batch.evaluate_after()
    batch.rows.told  # noqa: B018 - the host waits for the device here, once for all groups
    parts = batch.rows.split([len(group) for group in groups])
    return [replace(group, rows=part) for group, part in zip(groups, parts, strict=True)]


class _Batch:
    """The rows of all groups, one after another. Those that go take their steps together."""

    def __init__(self, backend: Backend, recipe: Recipe, groups: Sequence[Group]) -> None:
        """Joins the groups' rows on the backend's device."""
        self.backend, self.recipe = backend, recipe
        self.rows = joined([group.rows.to(backend.problem.device) for group in groups])
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
        self._put_back()

    def _leave_out_ended(self) -> None:
        """Goes on with the rows that have not ended, where it is known which these are."""
        if not self.leaves_out:
            return
        self._put_back()
        going = self.some.going.nonzero().squeeze(1).tolist()
        if len(going) < len(self.numbers):
            self.numbers = [self.numbers[place] for place in going]
            self.some = self.some.part(going)

    def _put_back(self) -> None:
        """Puts the rows that take steps back among all rows."""
        self.rows = self.rows.with_part(self.numbers, self.some)

    # ------------------------------------------------------------ evaluation

    def evaluate_after(self) -> None:
        """Evaluates the rows that have moved, respaces the strings, and evaluates again."""
        if self.numbers:
            self._evaluate_moved()
        before = [self.rows.theta[string] for string in self.strings]
        after = [self.recipe.tether.respace(theta) for theta in before]
        if any(new is not old for new, old in zip(after, before, strict=True)):
            self._respace(torch.cat(after))

    def _evaluate_moved(self) -> None:
        """Judges the rows that have taken steps and go on.

        Control points are not: no model of their curve is where they are.
        """
        if not self.recipe.at.own:
            return
        if self.steps.sees_objective:  # the others have been judged where they are
            self._leave_out_ended()
        if not self.numbers:
            return
        some = self.some
        now = judged(some, self.backend.objective(some.judged), self.recipe.training)
        if self.steps.sees_objective and not self.leaves_out:
            now = _where(some.going, now, some)
        self.some = now
        self._put_back()

    def _respace(self, theta: Beads) -> None:
        """Moves all rows to weights (row, param), and evaluates those for which that is a move."""
        moved = (theta != self.rows.theta).any(1)
        self.rows = replace(self.rows, theta=theta)
        if not self.leaves_out:
            loss = torch.where(moved, self.backend.objective(theta), self.rows.loss)
            self.rows = _where(moved.any(), self.rows.with_loss(loss), self.rows)
        elif moved.any():
            loss = self.rows.loss.clone()
            loss[moved] = self.backend.objective(theta[moved])
            self.rows = self.rows.with_loss(loss)


def _where(mask: Tensor, new: Rows, old: Rows) -> Rows:
    """Returns what was judged anew where a mask is true, and what was judged before elsewhere."""
    names = ("loss", "best", "best_step", "end")
    each: Any = {name: torch.where(mask, getattr(new, name), getattr(old, name)) for name in names}
    return replace(new, **each)
