"""The steps of a round between two evaluations, as a function of tensors alone.

It asks nothing of the device, so a backend may record it as a whole: losses, gradients, what
becomes of rows, and the optimizer.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from engine.shapes import Batches, BeadMask, Beads, PerBead, Rounds
from engine.spec.training import Training
from engine.steps.descent import build_descent
from engine.steps.epochs import epochs_of
from engine.steps.judge import judge
from engine.steps.mini_batches import hashed_batches
from engine.steps.pieces import beads_at_once
from engine.steps.practice import row_keys
from engine.steps.recipe import Recipe
from engine.steps.rows import AVERAGE, Rows, places, sent
from engine.steps.tethers import Tether

if TYPE_CHECKING:
    from engine.backends.backend import Backend

#: The most steps that are taken, and perhaps recorded, as one function on a GPU.
AT_ONCE = 32


class RoundSteps:
    """The steps that rows take by a recipe."""

    def __init__(self, backend: Backend, recipe: Recipe, strings: Sequence[slice] = ()) -> None:
        """Prepares steps of rows that are part of these strings, each a slice of all rows."""
        problem, self.training = backend.problem, recipe.training
        self.backend, self.recipe, self.strings = backend, recipe, strings
        self.data = len(problem.train)
        self.samples = recipe.samples(self.data)
        self.practice = recipe.practice(problem)
        self.sees_objective = recipe.sees_objective(problem)
        self.epochs = epochs_of(self.training, self.samples, self.data)
        decaying = problem.decaying(self.training.optimizer.decay_exempt)
        self.descent = build_descent(self.training, self.samples, self.data, decaying)

    def taken(
        self, rows: Rows, taken: Sequence[int], numbers: Sequence[int], of: Rows | None = None
    ) -> Rows:
        """Returns rows after a round of steps.

        The rows have taken so many steps each, and have these numbers among the rows of all
        strings, `of`, which are needed where their steps depend on each other.
        """
        device, count = rows.theta.device, self.training.check_every
        drawn = self._drawn(rows.seeds, taken, device)
        tied = of is not None and self.recipe.binds
        windows = self._windows(rows.theta, numbers, tied)
        if windows and (of is None or rows.theta is of.theta):
            rows = rows.copied()  # since windows write into them, and not into those of a group
        each = [places(rows.seeds, device), *([places(numbers, device)] if tied else [])]
        # For this many steps no row reaches its limit. A GPU looks at each, so that one recording
        # serves all rounds.
        free = self.training.max_steps - max(taken) if device.type == "cpu" else 0
        at_once = count if device.type == "cpu" else _divisor(count, AT_ONCE)
        theta = of.theta if of is not None else rows.theta
        for first in range(0, count, at_once):
            some = () if drawn is None else (drawn[:, first : first + at_once],)
            together = (theta, of.loss) if tied and of is not None else ()
            steps = _Function(self, rows, at_once, free - first, tied, bool(some), windows)
            tensors = (*rows.tensors, *each, *some)
            if windows:  # whose rows are too large for a recording to be of use
                found = steps(*tensors, *together)
            else:
                key = (self.recipe, at_once, *(self._lengths if tied else ()))
                found = self.backend.recorded(key, steps, tensors, together)
            rows = rows.with_tensors(found)
            if tied and first + at_once < count:
                theta = theta.index_copy(0, each[1], rows.theta)
        return rows

    def _windows(self, theta: Beads, numbers: Sequence[int], tied: bool) -> tuple[_Window, ...]:
        """Returns the windows in which large rows take a step; none where all go at once.

        The rows that take steps have weights `theta` (row, param), and these numbers among all
        rows. Those that depend on more of their string than their neighbours all go at once.
        """
        at_once = beads_at_once(theta)
        local = self.recipe.at.own and not self.recipe.tether.steers
        if len(numbers) <= at_once or not local:
            return ()
        found = []
        for string in self.strings if tied else [slice(0, numbers[-1] + 1)]:
            first, end = (bisect_left(numbers, at) for at in (string.start, string.stop))
            for start in range(first, end, at_once):
                stop = min(start + at_once, end)
                near = slice(
                    max(string.start, numbers[start] - 1), min(string.stop, numbers[stop - 1] + 2)
                )
                found.append(_Window(slice(start, stop), near))
        return tuple(found)

    @property
    def _lengths(self) -> tuple[int, ...]:
        """The numbers of rows of the strings."""
        return tuple(string.stop - string.start for string in self.strings)

    def _drawn(
        self, seeds: Sequence[int], taken: Sequence[int], device: torch.device
    ) -> Rounds | None:
        """Returns the samples of a round that the host draws; None where it draws none."""
        if self.recipe.hashed:
            return None
        drawn = self.recipe.drawn(seeds, taken, self.data)
        return None if drawn is None else sent(drawn, device)

    # ------------------------------------------------------------ in tensors

    def steps(
        self,
        rows: Rows,
        seeds: Tensor,
        batches: Rounds | None,
        string: _Strings | None,
        count: int,
        free: int,
        windows: Sequence[_Window] = (),
    ) -> Rows:
        """Returns rows after `count` steps, for the first `free` of which none is at its limit.

        `seeds` (row,) are those of the rows. `batches` holds the samples of each step, or None
        where the device draws them or each step sees all. Rows take a step window after window
        where there are windows, which write into the rows that are given.
        """
        if self.training.batch_size != "full" and batches is None:
            drop_last = self.training.drop_last
            batches = hashed_batches(seeds, rows.steps, count, self.samples, self.data, drop_last)
        for number in range(count):
            batch = None if batches is None else batches[:, number]
            limited = number >= free
            if not windows:
                rows = self._step(rows, seeds, batch, string, limited)
            for window in windows:
                own = window.rows
                some = None if batch is None else batch[own]
                near = None if string is None else string.near(window)
                rows.write(own, self._step(rows.part(own), seeds[own], some, near, limited))
            if string is not None:
                string.theta[string.numbers] = rows.theta
        return rows

    def _step(
        self,
        rows: Rows,
        seeds: Tensor,
        batch: Batches | None,
        string: _Strings | None,
        limited: bool,
    ) -> Rows:
        """Returns rows after a step. With `limited`, some may have taken their last one already."""
        loss, grad = self._loss_and_grad(rows, seeds, batch, string)
        moving: BeadMask | None = None
        if self.sees_objective or not self.recipe.at.own:
            rows = judged(rows, loss, self.training)
            moving = rows.going
        elif limited:
            moving = rows.going & (rows.steps < self.training.max_steps)
        return self._stepped(rows, grad, moving, string)

    def _loss_and_grad(
        self, rows: Rows, seeds: Tensor, batch: Batches | None, string: _Strings | None
    ) -> tuple[PerBead, Beads]:
        """Returns the losses and gradients of rows, on all the data or on a batch each.

        Where they are those of points apart from the rows, each row has the loss of its string.
        """
        if string is None or self.recipe.at.own:
            keys = row_keys(seeds, rows.steps) if self.practice.draws else None
            return self.backend.practised(rows.theta, batch, self.practice, keys)
        keys = row_keys(seeds, rows.steps)
        shares = string.shares(keys)
        drawn = keys if self.practice.draws else None
        found = self.backend.practised(string.points(shares), batch, self.practice, drawn)
        return string.pulled_back(shares, *found)

    def _stepped(
        self, rows: Rows, grad: Beads, moving: BeadMask | None, string: _Strings | None
    ) -> Rows:
        """Returns rows after one step of those in the mask `moving`, or of all where it is None."""
        if string is not None:
            grad = string.steered(grad)
        theta, state = self.descent.step(rows.theta, grad, dict(rows.state), rows.steps)
        if string is not None:
            theta = rows.theta + string.projected(theta - rows.theta)
        if self.recipe.average is not None:
            average = rows.state[AVERAGE]
            state[AVERAGE] = self.recipe.average.after(average, theta, rows.steps, self.epochs)
        if moving is None:
            return replace(rows, theta=theta, state=state, steps=rows.steps + 1)
        mask = moving[:, None]
        kept = {slot: torch.where(mask, state[slot], rows.state[slot]) for slot in state}
        theta = torch.where(mask, theta, rows.theta)
        return replace(rows, theta=theta, state=kept, steps=rows.steps + moving)


@dataclass(frozen=True)
class _Function:
    """The steps of rows as a function of tensors: columns, state, seeds, and what else is needed.

    It is called with tensors (row, …), and then those of whole strings.
    """

    of: RoundSteps
    like: Rows
    """Rows with the same names of state."""
    count: int
    free: int
    tied: bool
    drawn: bool
    """Whether the host has drawn the samples of the steps."""
    windows: tuple[_Window, ...] = ()
    """The rows that take a step together; none where all do."""

    def __call__(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        """Returns the rows' tensors after the steps."""
        columns = len(self.like.tensors)
        rows, rest = self.like.with_tensors(tensors[:columns]), iter(tensors[columns:])
        seeds = next(rest)
        numbers = next(rest) if self.tied else None
        batches = next(rest) if self.drawn else None
        string = None
        if numbers is not None:
            theta, loss = next(rest).clone(), next(rest)
            string = _Strings(self.of.recipe, self.of.strings, theta, loss, numbers)
        found = self.of.steps(rows, seeds, batches, string, self.count, self.free, self.windows)
        return found.tensors


@dataclass(frozen=True)
class _Window:
    """Some rows that take a step together, of one string where their steps depend on each other."""

    rows: slice
    """Their places among the rows that take steps."""
    near: slice
    """The numbers among all rows of them, of their neighbours, and of those between them."""


@dataclass(frozen=True)
class _Strings:
    """The strings whose beads are tied, resting ones included, while some of them take steps."""

    recipe: Recipe
    places: Sequence[slice]
    """The rows of each string."""
    theta: Beads
    """The weights of all rows, which steps write into."""
    loss: PerBead
    """The losses of all rows before the steps."""
    numbers: Tensor
    """The number among all rows of each that takes steps."""

    @property
    def tether(self) -> Tether:
        """The tether of each string."""
        return self.recipe.tether

    def near(self, window: _Window) -> _Strings:
        """Returns the stretch of a window as a string of its own, with views of the weights."""
        theta, loss = self.theta[window.near], self.loss[window.near]
        numbers = self.numbers[window.rows] - window.near.start
        return _Strings(self.recipe, (slice(0, len(theta)),), theta, loss, numbers)

    def shares(self, keys: Tensor) -> list[Tensor]:
        """Returns the shares of each string's rows in the points of a step, (point, row) each.

        `keys` are those of the rows that take steps, which are all inner ones.
        """
        counts = [string.stop - string.start for string in self.places]
        parts = torch.split(keys, [count - 2 for count in counts])
        found = [self.recipe.at.shares(*each) for each in zip(counts, parts, strict=True)]
        return [each.to(self.theta.dtype) for each in found]

    def points(self, shares: Sequence[Tensor]) -> Beads:
        """Returns the weights of all points, those of one string after another."""
        each = zip(shares, self.places, strict=True)
        return torch.cat([share @ self.theta[string] for share, string in each])

    def pulled_back(
        self, shares: Sequence[Tensor], loss: PerBead, grad: Beads
    ) -> tuple[PerBead, Beads]:
        """Returns losses and gradients of the rows that take steps, from those of the points.

        The loss of a string is the mean over its points.
        """
        counts = [len(share) for share in shares]
        means = [part.mean().expand(len(part)) for part in torch.split(loss, counts)]
        each = zip(shares, torch.split(grad, counts), strict=True)
        grads = [share[:, 1:-1].T @ part / len(part) for share, part in each]
        return torch.cat(means), torch.cat(grads)

    def steered(self, grad: Beads) -> Beads:
        """Returns the gradients by which the rows that take steps do so, the tether's part in."""
        if self.tether.pulls:
            pulls = [self.tether.pull(self.theta[each], self.loss[each]) for each in self.places]
            grad = grad + torch.cat(pulls)[self.numbers]
        if not self.tether.steers:
            return grad
        whole = torch.zeros_like(self.theta)
        whole[self.numbers] = grad
        for string in self.places:
            theta, loss = self.theta[string], self.loss[string]
            whole[string] = self.tether.steer(theta, whole[string], loss)
        return whole[self.numbers]

    def projected(self, updates: Beads) -> Beads:
        """Returns the tether's projections of the updates of the rows that take steps."""
        if not self.tether.ties:
            return updates
        found = torch.zeros_like(self.theta)
        found[self.numbers] = updates
        for string in self.places:
            theta, loss = self.theta[string], self.loss[string]
            found[string] = self.tether.project(theta, found[string], loss)
        return found[self.numbers]


def judged(rows: Rows, loss: PerBead, training: Training) -> Rows:
    """Returns rows whose objective is `loss` (row,), with a note of those that have ended by it."""
    best, best_step, end = judge(
        loss,
        rows.target,
        rows.best,
        rows.best_step,
        rows.steps,
        rows.patience,
        training.max_steps,
    )
    return replace(rows, loss=loss, best=best, best_step=best_step, end=end)


def _divisor(number: int, most: int) -> int:
    """Returns the largest divisor of a number that is at most `most`."""
    return next(each for each in range(min(number, most), 0, -1) if number % each == 0)
