"""Ends that are taken as they are: measured once, and told where no path can begin at them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from engine.backends.backend import Backend
from engine.methods.base import Verdict
from engine.path.chain import Chain
from engine.problem.problem import Problem
from engine.record.costs import Costs
from engine.record.events import Outcome
from engine.shapes import Weights
from engine.spec.keys import Spec
from engine.steps.groups import Row
from engine.steps.rows import End
from engine.workers.pool import Workers


@dataclass(frozen=True)
class Objective:
    """A task for the pool: the objective at single models."""

    samples: int
    """Number of samples that the objective is averaged over."""

    def size(self, model: Weights) -> int:
        """Returns the number of samples that a model (param,) is computed on."""
        return self.samples

    def cost(self, problem: Problem, model: Weights, value: float) -> Costs:
        """Returns what a model has cost."""
        return Costs(forward_samples=problem.passed(self.samples))

    def __call__(self, backend: Backend, models: Sequence[Weights]) -> list[float]:
        """Returns the objective at each model (param,)."""
        theta = torch.stack([model.to(backend.problem.device) for model in models])
        return [float(value) for value in backend.objective(theta)]


def judged(pool: Workers, models: Sequence[Weights]) -> list[float]:
    """Returns the objective at each model (param,), over all its samples."""
    return pool.run(Objective(pool.backend.problem.objective_samples), list(models))


def trained_to(chain: Chain, row: Row) -> float | None:
    """Returns the objective of a row that is good enough for a bead, None for one that is not.

    It is where it reached its target, or came no lower than what the chain's goal calls enough.
    """
    if row.end is End.REACHED:
        return row.loss
    if row.end is End.DIVERGED or chain.goal.enough < chain.goal.target:
        return None
    (loss,) = judged(chain.pool, [row.theta])  # the last evaluation may have been cut short
    return loss if loss <= chain.goal.enough else None


def above_the_level(
    spec: Spec, chain: Chain, ends: Mapping[str, float], note: str = ""
) -> Verdict | None:
    """Returns the verdict that an end is above the level, below which no path can then be.

    `ends` holds the objective of each end by what the end is called, and `note` is a clause to say
    of each. Returns None where every end is at or below the level, or above it by no more than its
    tolerance.
    """
    search, level = spec.search, chain.goal.level
    above = [
        f"{name} has {search.level_on.words} {value:.4g}{note}"
        for name, value in ends.items()
        if not value <= chain.bound
    ]
    if not above:
        return None
    tolerance = f" by more than its tolerance {search.tolerance:g}" if search.tolerance else ""
    return Verdict(
        Outcome.ENDPOINT_NOT_TRAINED,
        f"Above the level {level:g}{tolerance}: {' and '.join(above)}; train it "
        "further or raise search.level.",
    )
