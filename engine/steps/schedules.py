"""The factor of the learning rate at each step of each row, by the schedule of its training.

It is a function of the row's own steps alone, so nothing about it is kept in a checkpoint.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from engine.shapes import Steps
from engine.spec.schedules import Constant, Cosine, Linear, Piecewise, Schedule, Step
from engine.spec.training import Training
from engine.steps.mini_batches import samples_of_a_pass


@dataclass(frozen=True)
class Pace:
    """A schedule, with what it needs to count epochs."""

    schedule: Schedule
    batch: int
    """The number of samples of a step."""
    samples: int
    """The number of samples of a pass."""

    def factors(self, steps: Steps) -> Tensor:
        """Returns the factor of the learning rate of each row's next step, float64 (row,).

        `steps` (row,) counts the steps that each row took before it.
        """
        schedule = self.schedule
        places = steps if schedule.unit == "steps" else steps * self.batch // self.samples
        at = places.to(torch.float64)
        course = _course(schedule, at)
        if not schedule.warmup:
            return course
        return course * ((at + 1) / schedule.warmup).clamp(max=1)


def pace_of(training: Training, batch: int, samples: int) -> Pace | None:
    """Returns the schedule of a training block, or None where the rate never changes.

    A step sees `batch` of the `samples` training samples.
    """
    schedule = training.schedule
    if isinstance(schedule, Constant) and not schedule.warmup:
        return None
    return Pace(schedule, batch, samples_of_a_pass(batch, samples, training.drop_last))


def steps_of_epochs(training: Training, epochs: int, samples: int) -> int:
    """Returns the least number of steps that see so many passes over `samples` training samples.

    The schedule of a training block counts its epochs alike.
    """
    size = training.batch_size
    batch = samples if size == "full" else min(size, samples)
    return -(-epochs * samples_of_a_pass(batch, samples, training.drop_last) // batch)


def _course(schedule: Schedule, at: Tensor) -> Tensor:
    """Returns the factors at places (row,) of a schedule, its warm-up left out."""
    match schedule:
        case Constant():
            return torch.ones_like(at)
        case Step():
            milestones = torch.tensor(schedule.milestones, dtype=at.dtype, device=at.device)
            passed = (at[:, None] >= milestones).sum(1)
            return torch.pow(torch.full_like(at, schedule.gamma), passed)
        case Linear():
            return 1 - (1 - schedule.floor) * _share(schedule, at)
        case Cosine():
            wave = (1 + torch.cos(torch.pi * _share(schedule, at))) / 2
            return schedule.floor + (1 - schedule.floor) * wave
        case Piecewise():
            shares, factors = np.array(schedule.points).T
            lines = np.interp(at.cpu().numpy() / schedule.length, shares, factors)
            return torch.from_numpy(lines).to(at.device)


def _share(schedule: Linear | Cosine, at: Tensor) -> Tensor:
    """Returns how much of a falling schedule has passed at places (row,), from 0 to 1."""
    passed = (at - schedule.warmup) / (schedule.length - schedule.warmup)
    return passed.clamp(0, 1)
