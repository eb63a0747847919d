"""The one trainer: groups of rows that are admitted, advanced together, and retired.

It knows nothing of paths. What becomes of a group depends on its own rows and their seeds, never
on which groups share its batch, up to rounding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Annotated

import torch

from engine.backends.backend import Backend
from engine.problem.problem import Problem
from engine.record.costs import NOTHING, Costs
from engine.record.marks import Count, Range
from engine.record.unfit import Unfit
from engine.shapes import Beads, Weights
from engine.spec.training import Training
from engine.steps.groups import Group, Row
from engine.steps.growth import MOST_DOUBLINGS, grown
from engine.steps.linear_map import Identity
from engine.steps.recipe import Recipe
from engine.steps.rows import Rows, check_columns, fresh, joined
from engine.steps.tethers import Off, Several, Tether
from engine.workers.pool import Workers

#: The number of values in rows up to which a checkpoint holds them in one part.
JOINED = 2**20


#: The bytes of main memory, and the share of a GPU's, that rows in training may take. A round holds
#: them twice: as they were, and as they become. More beads wait.
ROWS_BYTES, ROWS_SHARE = 2**30, 0.25


@dataclass(frozen=True)
class Job:
    """A weight vector to train until the objective is at most `target`."""

    bead: int
    """The id of the bead that it is to become."""
    target: float
    seed: int
    """The seed of its stream of mini-batches."""
    patience: int | None = None
    """Steps without a lower loss after which it is stuck; None means the training's own."""


@dataclass(frozen=True)
class Round:
    """One round of training for each group; a task for the pool."""

    recipe: Recipe
    data: int
    """The number of training samples."""
    steps: int
    """The number of steps that a row takes before the interpreter is back."""
    judged: int = 0
    """The number of samples on which a row is judged each time, apart from those of its steps."""

    def of(self, group: Group) -> Recipe:
        """Returns the recipe of a group, whose mini-batch may have grown."""
        return self.recipe.grown(group.doublings, self.data)

    def size(self, group: Group) -> int:
        """Returns how many samples are computed for a group."""
        recipe = self.of(group)
        steps = self.steps * recipe.checks(self.data)
        return recipe.samples(self.data) * steps * len(group)

    def passed(self, group: Group) -> int:
        """Returns how many samples a round passes through a network for a group."""
        recipe = self.of(group)
        stepped = recipe.samples(self.data) * recipe.training.check_every
        return (stepped + self.judged) * recipe.checks(self.data) * len(group)

    def __call__(self, backend: Backend, groups: Sequence[Group]) -> list[Group]:
        """Returns the groups after the round. Those with mini-batches of one size go together."""
        found = list(groups)
        for doublings in sorted({group.doublings for group in groups}):
            alike = [n for n, group in enumerate(groups) if group.doublings == doublings]
            some = [groups[n] for n in alike]
            recipe = self.of(some[0])
            for n, group in zip(alike, backend.advance(recipe, some), strict=True):
                found[n] = self._grown(recipe, groups[n], group)
        return found

    def _grown(self, recipe: Recipe, before: Group, after: Group) -> Group:
        """Returns a group after a round by its recipe, with the mini-batch of its next one."""
        training = recipe.training
        if not training.grow_batch or training.batch_size == "full":
            return after
        every, now = training.check_every, after.rows.told.steps
        if recipe.evaluate == "after" or recipe.at != Identity():
            return grown(after, now, every)
        taken = zip(before.rows.told.steps, now, strict=True)
        return grown(after, [judged_last(*steps, every) for steps in taken], every)

    def skip(self, groups: Sequence[Group]) -> Sequence[Group]:
        """Returns the groups as they are: a round of no steps, which the next one makes up for."""
        return groups

    def cost(self, problem: Problem, before: Group, after: Group) -> Costs:
        """Returns what the round has cost, which follows from the steps that its rows took in it.

        A row whose steps see the objective is judged by the pass of the step that it then takes, or
        does not take because it has ended, and so are the control points of a curve. Elsewhere each
        row that goes is evaluated once.
        """
        if after is before:  # it was skipped
            return NOTHING
        recipe, every = self.of(before), self.recipe.training.check_every
        count = every * recipe.checks(self.data)
        curve = recipe.at != Identity()
        sees = curve or recipe.sees_objective(problem)
        told = before.rows.told
        taken = [after.rows.told.steps[row] - told.steps[row] for row in told.going]
        passes = sum(min(steps + sees, count) for steps in taken)
        ended = len(told.going) - len(after.rows.told.going)
        evaluated = 0 if sees else ended + sum(-(-steps // every) for steps in taken)
        if recipe.evaluate == "after" and not curve:
            evaluated = taken.count(count) if sees else len(taken)
            evaluated += max(0, len(before) - 2) * respaces(recipe.tether)
        return Costs(
            passes * recipe.samples(len(problem.train)),
            evaluated * problem.passed(problem.objective_samples),
        )


def judged_last(before: int, after: int, every: int) -> int:
    """Returns the steps that a row had taken when a round judged it last, if it goes on.

    It had taken `before` steps when the round began and `after` when it ended, and was judged each
    time before it took `every` steps or, the last time, fewer.
    """
    return max(before, after - 1 - (after - 1 - before) % every)


def respaces(tether: Tether) -> bool:
    """Returns whether a tether puts a whole string in order after a round."""
    if isinstance(tether, Several):
        return any(map(respaces, tether.parts))
    return type(tether).respace is not Off.respace


class Trainer:
    """Groups of rows in training, all by one recipe."""

    def __init__(self, recipe: Recipe, pool: Workers) -> None:
        """Makes a trainer without groups, whose rounds a pool computes."""
        self.groups: list[Group] = []
        self.bead_steps = 0
        """Steps that all rows have taken, those of retired groups included."""
        self.training: Training = recipe.training
        self.slots = recipe.slots
        """Names of the tensors that a row has besides its weights."""
        self._pool, self._problem = pool, pool.backend.problem
        paced = pool.backend.paced(recipe)
        steps = paced.training.check_every if pool.backend.steps_at_once else 1
        judged = 0 if paced.sees_objective(self._problem) else self._problem.objective_samples
        self._round = Round(paced, len(self._problem.train), steps, judged)

    # ------------------------------------------------------------ groups

    def rows_for(self, theta: Beads, target: float, seeds: Sequence[int]) -> Rows:
        """Returns rows for a group, which start from weights (bead, param) and took no step yet."""
        there = theta.to(self._problem.device)
        return fresh(there, self.slots, target, self.training.patience, seeds)

    @property
    def most_rows(self) -> int:
        """The number of rows that fit into memory in training, one at least.

        It depends on the problem, the optimizer and the device alone, so that reruns train alike.
        """
        room, device = ROWS_BYTES, self._problem.device
        if device.type == "cuda":
            room = int(ROWS_SHARE * torch.cuda.get_device_properties(device).total_memory)
        vector = self._problem.parameter_count * self._problem.dtype.itemsize
        return max(1, room // (2 * (1 + len(self.slots)) * vector))

    def admit(self, job: Job, start: Weights) -> None:
        """Puts one weight vector (param,) into training, as a group of its own."""
        patience = job.patience or self.training.patience
        there = start[None].to(self._problem.device)
        rows = fresh(there, self.slots, job.target, patience, [job.seed])
        self.groups.append(Group((job.bead,), rows))

    def advance(self) -> None:
        """Takes one round, at most `check_every` steps for every row that goes."""
        going = [number for number, group in enumerate(self.groups) if group.going]
        before = [self.groups[number] for number in going]
        after = self._pool.run(self._round, before)
        for number, group in zip(going, after, strict=True):
            self.groups[number] = group
        self.bead_steps += sum(group.bead_steps for group in after)
        self.bead_steps -= sum(group.bead_steps for group in before)

    def retire(self) -> list[Row]:
        """Takes out the groups in which no row goes on, and returns their rows."""
        ended = [group for group in self.groups if not group.going]
        self.groups = [group for group in self.groups if group.going]
        rows = [row for group in ended for row in group.each()]
        # A view would keep the weights of a whole batch in memory.
        return [replace(row, theta=row.theta.clone()) for row in rows]

    @property
    def rows(self) -> list[Row]:
        """The rows of all groups, one by one, with plain numbers."""
        return [row for group in self.groups for row in group.each()]

    # ------------------------------------------------------------ checkpoint

    @property
    def state(self) -> TrainerState:
        """All that a checkpoint holds of the trainer."""
        if not self.groups:
            return TrainerState(self.bead_steps)
        return TrainerState(
            self.bead_steps,
            beads=tuple(bead for group in self.groups for bead in group.beads),
            sizes=tuple(len(group) for group in self.groups),
            rows=self._held(),
            doublings=tuple(group.doublings for group in self.groups),
        )

    def _held(self) -> tuple[Rows, ...]:
        """Returns the rows as a checkpoint holds them: in one part, which is short to write.

        Where that copy would be large, each group is a part instead, as it is: no round changes
        rows in place. Where rows are on a GPU, they are copied from there in any case.
        """
        rows = [group.rows.to(torch.device("cpu")) for group in self.groups]
        vectors = sum(len(part) * (1 + len(part.state)) for part in rows)
        if vectors * self._problem.parameter_count > JOINED:
            return tuple(rows)
        return (joined(rows),)

    def resume(self, state: TrainerState) -> None:
        """Goes on from a state. Raises Unfit where its rows are none of this trainer's."""
        self.bead_steps, self.groups = state.bead_steps, []
        for part in state.rows:
            self._check(part)
        beads = iter(state.beads)
        parts = [rows for part in state.parts for rows in part]
        doublings = state.doublings or (0,) * len(parts)
        self.groups = [
            Group(tuple(islice(beads, len(rows))), rows.to(self._problem.device), often)
            for rows, often in zip(parts, doublings, strict=True)
        ]

    def _check(self, rows: Rows) -> None:
        """Raises Unfit for rows of another optimizer or another problem."""
        if set(rows.state) != set(self.slots):
            raise Unfit(f"rows have {sorted(rows.state)} of an optimizer, not {list(self.slots)}")
        wanted, found = self._problem.parameter_count, rows.theta.shape[1]
        if found != wanted or rows.theta.dtype != self._problem.dtype:
            raise Unfit(f"rows have {found} weights each, but the problem has {wanted}")


@dataclass(frozen=True)
class TrainerState:
    """Groups of rows in training, as a checkpoint holds them.

    Raises ValueError where its parts contradict each other.
    """

    bead_steps: Count
    """Steps that all rows have taken, those of retired groups included."""
    beads: tuple[Count, ...] = ()
    """(row,) The ids of the beads that the rows are."""
    sizes: tuple[Annotated[int, Range(1)], ...] = ()
    """Number of rows in each group, in order."""
    rows: tuple[Rows, ...] = ()
    """The rows of all groups one after another, in parts that hold one or more groups each."""
    doublings: tuple[Annotated[int, Range(0, MOST_DOUBLINGS)], ...] = ()
    """The number of times that the mini-batch of each group has doubled; empty for none, as in
    checkpoints that were written before mini-batches could grow."""

    def __post_init__(self) -> None:
        """Raises ValueError where the numbers of rows, beads and groups contradict each other."""
        count = sum(map(len, self.rows))
        if not len(self.beads) == sum(self.sizes) == count:
            raise ValueError(
                f"there are {count} rows, but {len(self.beads)} beads and groups of "
                f"{sum(self.sizes)}"
            )
        if self.doublings and len(self.doublings) != len(self.sizes):
            raise ValueError(
                f"doublings are of {len(self.doublings)} groups, not {len(self.sizes)}"
            )
        if len(set(self.beads)) < count:
            raise ValueError("beads names a bead twice")
        for part in self.rows:
            check_columns(part)
        self.parts  # noqa: B018, which raises ValueError

    @property
    def parts(self) -> list[list[Rows]]:
        """The rows of each group, for each part. Raises ValueError where a part cuts a group."""
        sizes, found = iter(self.sizes), []
        for part in self.rows:
            counts: list[int] = []
            while sum(counts) < len(part):
                counts.append(next(sizes))
            if sum(counts) > len(part):
                raise ValueError("sizes cut a group into two parts")
            found.append(part.split(counts) if len(counts) > 1 else [part])
        return found
