"""Averages of a row's weights are those of torch.optim.swa_utils, whenever the row began."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn, get_swa_multi_avg_fn

from engine.backends.vmapped import VmappedBackend
from engine.problem.problem import Problem
from engine.record.packing import pack, unpack
from engine.spec.training import Endpoints, Training
from engine.spec.validation import validated
from engine.steps.averages import Average, Ema, Swa, average_of
from engine.steps.groups import Row
from engine.steps.recipe import Recipe
from engine.training.trainer import Job, Trainer, TrainerState
from tests.support.more import always, more
from tests.support.small_problem import small_problem
from tests.support.workers import Here

#: Nine steps make less than three passes: 50 samples, of which a step sees 16.
SIZE, SAMPLES, STEPS = 16, 50, 37


@cache
def small() -> Problem:
    return small_problem().to(dtype=torch.float64)


@pytest.fixture
def problem() -> Problem:
    return small()


def training(**keys: object) -> Training:
    tree = {
        "optimizer": {"kind": "adam", "lr": 0.03},
        "batch_size": SIZE,
        "check_every": 5,
        "max_steps": STEPS,
    }
    return validated(Training, tree | keys)


class Vector(nn.Module):
    """A model that is one vector of weights."""

    def __init__(self, theta: torch.Tensor) -> None:
        super().__init__()
        self.theta = nn.Parameter(theta.clone())


def averaged(average: Average, weights: list[torch.Tensor], pass_of: int) -> torch.Tensor:
    """The average that torch has after steps that led to these weights, each as they are before."""
    model = Vector(weights[0])
    if isinstance(average, Ema):
        running = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(average.decay))  # type: ignore[no-untyped-call]
    else:
        running = AveragedModel(model, multi_avg_fn=get_swa_multi_avg_fn())  # type: ignore[no-untyped-call]
    seen = 0
    for steps, theta in enumerate(weights, 1):
        model.theta.data = theta.clone()
        before, epoch = ((steps - back) * SIZE // pass_of for back in (1, 0))
        if isinstance(average, Ema) or (epoch > before and epoch > average.start):
            running.update_parameters(model)
            seen += 1
    (found,) = (running.module if seen else model).parameters()
    return found.detach()


def trained(recipe: Recipe, problem: Problem, steps: int, seed: int) -> Row:
    """A row after so many steps."""
    how = recipe.training.model_copy(update={"max_steps": steps})
    trainer = Trainer(Recipe(how, average=recipe.average), Here(VmappedBackend(problem)))
    trainer.admit(Job(1, 0.0, seed), problem.initial(seed))
    while not (ended := trainer.retire()):
        trainer.advance()
    return ended[0]


@cache
def weights_of(seed: int, drop_last: bool) -> list[torch.Tensor]:
    """The weights of a row that has no average, after each of its steps."""
    plain = Recipe(training(drop_last=drop_last))
    return [trained(plain, small(), steps, seed).theta for steps in range(1, STEPS + 1)]


@pytest.mark.parametrize(
    "average",
    always([Ema(0.8), Swa(4)], [Ema(0.8), Ema(0.995), Swa(0), Swa(4), Swa(500)]),
    ids=str,
)
@pytest.mark.parametrize("drop_last", [False, more(True)], ids=["all samples", "whole batches"])
def test_rows_are_judged_by_torchs_average(
    average: Average, drop_last: bool, problem: Problem
) -> None:
    recipe = Recipe(training(drop_last=drop_last), average=average)
    pool = Here(VmappedBackend(problem))
    trainer = Trainer(recipe, pool)
    ended: dict[int, Row] = {}
    for seed in range(9):
        trainer.admit(Job(seed, 0.0, seed), problem.initial(seed))
        trainer.advance()
    while trainer.groups:
        trainer.advance()
        ended |= {row.bead: row for row in trainer.retire()}
    for seed in (0, 7):
        weights = weights_of(seed, drop_last)
        expected = averaged(average, weights, SIZE * 3 if drop_last else SAMPLES)
        # Torch reckons 1 / n of a mean in float32.
        most = 1e-12 if isinstance(average, Ema) else 1e-8
        torch.testing.assert_close(ended[seed].theta, expected, rtol=0, atol=most)
        loss = VmappedBackend(problem).losses(expected[None]).item()
        assert ended[seed].loss == pytest.approx(loss, rel=1e-6)
        if average != Swa(500):
            assert (expected - weights[-1]).abs().max() > 1e-4


def test_the_mean_over_epochs_is_the_plain_mean(problem: Problem) -> None:
    recipe = Recipe(training(batch_size=25), average=Swa(2))  # two steps a pass
    ends = [trained(Recipe(recipe.training), problem, steps, 5).theta for steps in (6, 8, 10)]
    found = trained(recipe, problem, 11, 5).theta
    torch.testing.assert_close(found, torch.stack(ends).mean(0), rtol=0, atol=1e-14)


def test_a_row_ends_where_its_average_is_at_the_target(problem: Problem) -> None:
    """Steps on all the data would see their own loss, which is not the one that is judged."""
    how = training(batch_size="full", max_steps=400)
    start, target = problem.initial(3), 0.02
    rows = {}
    for average in (None, Ema(0.97)):
        trainer = Trainer(Recipe(how, average=average), Here(VmappedBackend(problem)))
        trainer.admit(Job(1, target, 3), start)
        while not (ended := trainer.retire()):
            trainer.advance()
        (rows[average],) = ended
    ours = rows[Ema(0.97)]
    assert ours.steps > rows[None].steps
    loss = VmappedBackend(problem).losses(ours.theta[None]).item()
    assert loss == pytest.approx(ours.loss, rel=1e-12) and loss <= target


@pytest.mark.parametrize("average", [Ema(0.9), Swa(2)], ids=str)
def test_a_resumed_average_has_the_same_bits(average: Average, problem: Problem) -> None:
    pool, recipe = Here(VmappedBackend(problem)), Recipe(training(), average=average)
    whole, cut = Trainer(recipe, pool), Trainer(recipe, pool)
    for trainer in (whole, cut):
        trainer.admit(Job(4, 0.0, 9), problem.initial(9))
        for _ in range(4):
            trainer.advance()
    resumed = Trainer(recipe, pool)
    resumed.resume(unpack(TrainerState, pack(cut.state), Path("a file")))
    found = []
    for trainer in (whole, resumed):
        while not (ended := trainer.retire()):
            trainer.advance()
        found.append(ended[0].theta)
    assert torch.equal(*found)


def test_averages_are_those_of_the_keys() -> None:
    assert average_of(Endpoints()) is None
    assert average_of(Endpoints(ema=0.99)) == Ema(0.99)
    assert average_of(Endpoints(swa=0)) == Swa(0)
