"""The one trainer: groups of rows that are admitted, advanced together, and retired.

It knows nothing of paths. What becomes of a group depends on its own rows and their seeds, never
on which groups share its batch, up to rounding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from engine.backends.backend import Backend
from engine.shapes import Beads, Weights
from engine.spec.training import Training
from engine.steps.optimizers import build_optimizer
from engine.steps.recipe import Recipe
from engine.steps.rows import COLUMNS, End, Group, Row, Rows, fresh, joined
from engine.workers.pool import Workers


@dataclass(frozen=True)
class Job:
    """A weight vector to train until the objective is at most `target`."""

    bead: int
    target: float
    seed: int
    """The seed of its stream of mini-batches."""
    patience: int | None = None
    """Steps without a lower loss after which it is stuck; null: the training's."""


@dataclass(frozen=True)
class Round:
    """One round of training for each group; a task for the pool."""

    recipe: Recipe
    samples: int
    """How many samples a row computes with before the interpreter is back."""

    def size(self, group: Group) -> int:
        """Returns how many samples are computed for a group."""
        return self.samples * len(group)

    def __call__(self, backend: Backend, groups: Sequence[Group]) -> list[Group]:
        """Returns the groups after the round."""
        return backend.advance(self.recipe, groups)


class Trainer:
    """Groups in training, all by one recipe."""

    def __init__(self, recipe: Recipe, pool: Workers) -> None:
        self.groups: list[Group] = []
        self.bead_steps = 0
        """Steps that all rows have taken, those of retired groups included."""
        self.training: Training = recipe.training
        self.slots = build_optimizer(recipe.training.optimizer).slots
        self._pool = pool
        paced = pool.backend.paced(recipe)
        steps = paced.training.check_every if pool.backend.steps_at_once else 1
        samples = paced.samples(len(pool.backend.problem.train))
        self._round = Round(paced, samples * steps)

    # ------------------------------------------------------------ groups

    def rows_for(self, theta: Beads, target: float, seeds: Sequence[int]) -> Rows:
        """Returns rows for these weights that have taken no step, for a group."""
        return fresh(theta, self.slots, target, self.training.patience, seeds)

    def admit(self, job: Job, start: Weights) -> None:
        """Puts one weight vector into training, a group of its own."""
        patience = job.patience or self.training.patience
        rows = fresh(start[None], self.slots, job.target, patience, [job.seed])
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
        """Takes out the groups in which no row goes on; returns their rows."""
        ended = [group for group in self.groups if not group.going]
        self.groups = [group for group in self.groups if group.going]
        rows = [row for group in ended for row in group.each()]
        # A view would keep the weights of a whole batch in memory.
        return [replace(row, theta=row.theta.clone()) for row in rows]

    @property
    def rows(self) -> list[Row]:
        """The rows in training, one by one."""
        return [row for group in self.groups for row in group.each()]

    # ------------------------------------------------------------ checkpoint

    def save(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Returns tensors and plain values from which `restore` makes the same trainer."""
        if not self.groups:
            return {"theta": torch.zeros(0, 0)}, {"rows": [], "bead_steps": self.bead_steps}
        rows = joined([group.rows for group in self.groups])
        columns = {name: getattr(rows, name).tolist() for name in PLAIN}
        beads = [bead for group in self.groups for bead in group.beads]
        columns |= {"bead": beads, "seed": list(rows.seeds)}
        values = zip(*columns.values(), strict=True)
        plain = [dict(zip(columns, each, strict=True)) for each in values]
        sizes = [len(group) for group in self.groups]
        tensors = {"theta": rows.theta, **rows.state}
        return tensors, {"rows": plain, "groups": sizes, "bead_steps": self.bead_steps}

    def restore(self, tensors: dict[str, Tensor], plain: dict[str, Any]) -> None:
        """Makes this the trainer that was saved."""
        self.bead_steps = plain["bead_steps"]
        self.groups = []
        if not plain["rows"]:
            return
        rows = restored(tensors, plain["rows"], self.slots, self.training.patience)
        sizes = plain.get("groups", [1] * len(rows))
        beads = iter([row["bead"] for row in plain["rows"]])
        self.groups = [
            Group(tuple(next(beads) for _ in range(size)), part)
            for size, part in zip(sizes, rows.split(sizes), strict=True)
        ]


#: The columns of rows that a checkpoint holds as plain values.
PLAIN = tuple(name for name in COLUMNS if name != "theta")


def restored(
    tensors: dict[str, Tensor], plain: Sequence[dict[str, Any]], slots: Sequence[str], patience: int
) -> Rows:
    """Returns the rows of a checkpoint; `patience` is that of rows that name none."""
    theta = tensors["theta"].clone()

    def column(name: str, dtype: torch.dtype, missing: int = 0) -> Tensor:
        values = [missing if row.get(name) is None else row[name] for row in plain]
        return torch.tensor(values, dtype=dtype)

    return Rows(
        theta=theta,
        state={slot: tensors[slot].clone() for slot in slots},
        target=column("target", theta.dtype),
        patience=column("patience", torch.int64, patience),
        steps=column("steps", torch.int64),
        loss=column("loss", theta.dtype),
        best=column("best", theta.dtype),
        best_step=column("best_step", torch.int64),
        end=column("end", torch.int8, End.GOING),
        seeds=tuple(row["seed"] for row in plain),
    )
