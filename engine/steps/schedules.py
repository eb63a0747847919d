"""The factor of the learning rate at each step of each row, by the schedule of its training.

It is a function of the row's own steps alone, so nothing about it is kept in a checkpoint.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from engine.shapes import Steps
from engine.spec.schedules import Constant, Cosine, Linear, Piecewise, Schedule, Step
from engine.spec.training import Training
from engine.steps.epochs import Epochs, epochs_of


@dataclass(frozen=True)
class Pace:
    """A schedule, with what it needs to count epochs."""

    schedule: Schedule
    epochs: Epochs
    """The lengths by which epochs are counted."""

    def factors(self, steps: Steps) -> Tensor:
        """Returns the factor of the learning rate of each row's next step, float64 (row,).

        `steps` (row,) counts the steps that each row took before it.
        """
        schedule = self.schedule
        places = steps if schedule.unit == "steps" else self.epochs.after(steps)
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
    return Pace(schedule, epochs_of(training, batch, samples))


def _course(schedule: Schedule, at: Tensor) -> Tensor:
    """Returns the factors at places (row,) of a schedule, its warm-up left out."""
    match schedule:
        case Constant():
            return torch.ones_like(at)
        case Step():
            passed = sum((at >= milestone).long() for milestone in schedule.milestones)
            return torch.pow(torch.full_like(at, schedule.gamma), passed)
        case Linear():
            return 1 - (1 - schedule.floor) * _share(schedule, at)
        case Cosine():
            wave = (1 + torch.cos(torch.pi * _share(schedule, at))) / 2
            return schedule.floor + (1 - schedule.floor) * wave
        case Piecewise():
            return _on_lines(schedule, at / schedule.length)


def _on_lines(schedule: Piecewise, at: Tensor) -> Tensor:
    """Returns the factors at shares (row,) of the length, on the lines through the points.

    The operations are those of numpy.interp, without a wait for the device.
    """
    found = torch.full_like(at, schedule.points[-1][1])
    for (left, low), (right, high) in reversed(list(pairwise(schedule.points))):
        line = (high - low) / (right - left) * (at - left) + low
        found = torch.where(at < right, line, found)
    return found


def _share(schedule: Linear | Cosine, at: Tensor) -> Tensor:
    """Returns how much of a falling schedule has passed at places (row,), from 0 to 1."""
    passed = (at - schedule.warmup) / (schedule.length - schedule.warmup)
    return passed.clamp(0, 1)
