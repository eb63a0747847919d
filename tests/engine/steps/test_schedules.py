"""The factors of the learning rate: their places, their warm-up, and epochs."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from engine.spec.optimizers import Sgd
from engine.spec.schedules import Constant, Cosine, Linear, Piecewise, Schedule, Step
from engine.spec.training import Training
from engine.steps.schedules import pace_of


def factors(schedule: Schedule, count: int, batch: int = 1, samples: int = 1) -> list[float]:
    """Those of the first steps, with `batch` of `samples` samples a step."""
    training = Training(optimizer=Sgd(kind="sgd"), schedule=schedule)
    pace = pace_of(training, batch, samples)
    assert pace is not None
    return [float(each) for each in pace.factors(torch.arange(count))]


def test_a_constant_rate_has_no_schedule() -> None:
    assert pace_of(Training(), 8, 80) is None


def test_the_rate_rises_in_equal_parts() -> None:
    found = factors(Constant(kind="constant", warmup=4), 6)
    assert found == pytest.approx([0.25, 0.5, 0.75, 1, 1, 1])


def test_milestones_count_from_the_beginning() -> None:
    found = factors(Step(kind="step", milestones=(3, 5), gamma=0.1, warmup=2), 7)
    assert found == pytest.approx([0.5, 1, 1, 0.1, 0.1, 0.01, 0.01])


def test_falling_schedules_end_at_their_floor_and_stay_there() -> None:
    linear = factors(Linear(kind="linear", length=6, warmup=2, floor=0.2), 8)
    assert linear == pytest.approx([0.5, 1, 1, 0.8, 0.6, 0.4, 0.2, 0.2])
    cosine = factors(Cosine(kind="cosine", length=4, floor=0.1), 6)
    wave = [0.1 + 0.9 * (1 + math.cos(math.pi * step / 4)) / 2 for step in range(5)]
    assert cosine == pytest.approx([*wave, 0.1])


def test_lines_go_through_the_points() -> None:
    points = ((0.0, 0.0), (0.25, 1.0), (1.0, 0.1))
    found = factors(Piecewise(kind="piecewise", length=8, points=points), 10)
    assert found == pytest.approx([0, 0.5, 1, 0.85, 0.7, 0.55, 0.4, 0.25, 0.1, 0.1])


def test_epochs_are_passes_over_the_samples() -> None:
    schedule = Step(kind="step", milestones=(1, 2), gamma=0.5, unit="epochs")
    # Five samples in twos: the passes end within step 2, and with step 4.
    assert factors(schedule, 6, batch=2, samples=5) == [1, 1, 1, 0.5, 0.5, 0.25]


def test_a_pass_without_its_last_samples_is_shorter() -> None:
    schedule = Step(kind="step", milestones=(1, 2), gamma=0.5, unit="epochs")
    training = Training(optimizer=Sgd(kind="sgd"), schedule=schedule, drop_last=True)
    pace = pace_of(training, 2, 5)
    assert pace is not None
    assert pace.factors(torch.arange(6)).tolist() == [1, 1, 0.5, 0.5, 0.25, 0.25]


def test_lines_are_those_of_numpy_to_the_bit() -> None:
    points = ((0.0, 0.2), (0.1, 1.0), (0.37, 0.9), (1.0, 0.013))
    found = factors(Piecewise(kind="piecewise", length=97, points=points), 120)
    at = np.arange(120) / 97
    assert found == np.interp(at, *np.array(points).T).tolist()
