"""The settings by which rows take their steps. A round needs nothing else but the rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

import torch

from engine.problem.problem import Problem
from engine.shapes import Rounds
from engine.spec.keys import Precision, Spec
from engine.spec.training import BatchSize, Training
from engine.steps.averages import Average
from engine.steps.growth import batch_size
from engine.steps.linear_map import Identity, LinearMap
from engine.steps.mini_batches import hashed_batches, mini_batches, walked_batches
from engine.steps.optimizers import build_optimizer
from engine.steps.practice import PLAIN, Practice, practice_of
from engine.steps.rows import AVERAGE
from engine.steps.tethers import Off, Tether
from engine.steps.walks import Walks, walks


@dataclass(frozen=True)
class Recipe:
    """The settings of a round of training.

    Equal recipes do the same, so that rows of several searches may share a round.
    """

    training: Training
    """The optimizer, the batch size, and the numbers of steps of a round and of a row."""
    tether: Tether = field(default_factory=Off)
    """The tether between the rows of a group."""
    at: LinearMap = field(default_factory=Identity)
    """The map from the rows of a string to the points at which gradients are computed."""
    evaluate: Literal["before", "after"] = "before"
    """Whether the objective is evaluated before or after the steps of a round, where the steps do
    not see it. Strings are evaluated after a round in any case, since the next step of a bead
    depends on all beads."""
    average: Average | None = None
    """The average over a row's steps that is judged in place of its weights; None: none."""
    precision: Precision = "float32"
    """The precision of the network's products in steps."""
    hashed: bool = False
    """Whether the samples of steps are hashed orders, which the device computes, or shuffled."""
    round_samples: int = 0
    """About how many samples a round passes through the network for a row that walks. In a round
    such a row may be judged, and take `check_every` steps, several times; other rows do so once."""

    @property
    def binds(self) -> bool:
        """Whether the steps of a row depend on other rows of its group."""
        return self.tether.ties or not self.at.own

    @property
    def slots(self) -> tuple[str, ...]:
        """The names of the tensors that a row has besides its weights."""
        averaged = () if self.average is None else (AVERAGE,)
        return (*build_optimizer(self.training.optimizer).slots, *averaged)

    def practice(self, problem: Problem) -> Practice:
        """Returns what steps compute otherwise than the training loss of a problem."""
        return practice_of(self.training, problem.drops, self.precision)

    def is_plain(self, problem: Problem) -> bool:
        """Returns whether rows take their steps on the training loss, by which they are judged.

        Nothing comes between a row's weights and that loss: no draws, no map and no average.
        """
        plain = self.practice(problem) == PLAIN and self.average is None
        return plain and self.at.own and problem.steps_see_objective

    def sees_objective(self, problem: Problem) -> bool:
        """Returns whether each step computes, on its way, what rows are judged by."""
        whole = self.training.batch_size == "full" and self.average is None
        as_judged = self.practice(problem).as_judged and self.at.own
        return whole and as_judged and problem.steps_see_objective

    def grown(self, doublings: int, data: int) -> Recipe:
        """Returns the recipe of a mini-batch that has doubled so often, of `data` samples."""
        if not doublings:
            return self
        size = batch_size(self.training, doublings, data)
        if size not in self._of_size:
            training = self.training.model_copy(update={"batch_size": size})
            self._of_size[size] = replace(self, training=training)
        return self._of_size[size]

    @cached_property
    def _of_size(self) -> dict[BatchSize, Recipe]:
        """The recipes with other mini-batches that were asked for before, by their size."""
        return {}

    def samples(self, data: int, doublings: int = 0) -> int:
        """Returns the number of samples that a step sees, where the data hold `data` of them.

        Its mini-batch has doubled so often.
        """
        size = batch_size(self.training, doublings, data)
        return data if size == "full" else size

    @property
    def walks(self) -> bool:
        """Whether the mini-batches of a row are walks round one order of the samples."""
        training = self.training
        return training.grow_batch and training.batch_size != "full" and not self.hashed

    def checks(self, data: int) -> int:
        """Returns how often a row is judged in a round, before `check_every` steps each time.

        Where steps see the objective, they judge the row themselves.
        """
        if not self.walks:
            return 1
        return max(1, self.round_samples // (data + self.training.check_every * self.samples(data)))

    def places(self, seeds: Sequence[int], steps: Sequence[int], data: int) -> Walks:
        """Returns the walks of rows with these seeds, which have taken so many steps."""
        return walks(seeds, steps, self.samples(data), data)

    def drawn(self, seeds: Sequence[int], steps: Sequence[int], data: int) -> Rounds | None:
        """Returns the samples of the steps of a round in main memory, (row, step, sample).

        Rows have these seeds and have taken so many steps. Returns None where each step sees all of
        the `data` training samples.
        """
        training, size = self.training, self.samples(data)
        if training.batch_size == "full":
            return None
        count, drop_last = training.check_every, training.drop_last
        if self.hashed:
            each = torch.tensor(seeds), torch.tensor(steps)
            return hashed_batches(*each, count, size, data, drop_last)
        if self.walks:
            return walked_batches(seeds, steps, count, size, data)
        return mini_batches(seeds, steps, count, size, data, drop_last)


def recipe_of(spec: Spec, training: Training, **others: Any) -> Recipe:
    """Returns the recipe of a training block with what a resolved spec says of all its steps.

    `others` are the other fields of the recipe. A CPU has no TF32, and computes in float32 there.
    """
    precision = spec.precision if spec.device != "cpu" or spec.precision != "tf32" else "float32"
    hashed = spec.mini_batches == "hashed"
    return Recipe(training, precision=precision, hashed=hashed, **others)
