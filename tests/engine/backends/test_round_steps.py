"""The steps of a round on GPUs: as on the CPU, in one recording, with one wait for the device."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from engine.backends import round_steps
from engine.backends.backend import Backend
from engine.backends.cuda_graphs import CudaGraphsBackend
from engine.backends.vmapped import VmappedBackend
from engine.data.base import Scaling
from engine.methods.tied_string import tether_of
from engine.problem.problem import Problem, build_problem
from engine.spec.problem import ProblemSpec
from engine.spec.search import Constrained
from engine.spec.training import Training
from engine.spec.validation import validated
from engine.steps.averages import Ema
from engine.steps.groups import Group
from engine.steps.recipe import Recipe
from engine.steps.rows import Rows, fresh
from engine.workers.pool import Pool
from tests.support.gpus import Gpus, gpus_for_a_test

CPU = torch.device("cpu")
BEADS, ROUNDS = 4, 3
CURVE = {
    "data": {"kind": "polynomial", "coefficients": [0.1, 0.3, 0.4], "points": 12},
    "network": {"kind": "mlp", "sizes": [1, 3, 1], "activation": "tanh"},
    "loss": "mse",
}
IMAGES = {
    "data": {"kind": "digits"},
    "network": {
        "kind": "cnn",
        "input": [1, 8, 8],
        "outputs": 10,
        "layers": [{"kind": "conv", "channels": 2, "stride": 3}],
    },
    "loss": "cross_entropy",
}


def training(**keys: Any) -> Training:
    return validated(Training, {"check_every": 3, "patience": 8, "max_steps": 8} | keys)


def constrained(**keys: Any) -> Recipe:
    settings = validated(Constrained, {"check_every": 3, "zeta": 0.01} | keys)
    return Recipe(settings, tether_of(settings), evaluate="after")


PIECES = {"kind": "piecewise", "length": 20, "points": [[0, 0.2], [0.3, 1], [1, 0.1]]}
STEPS = {"kind": "step", "milestones": [2, 5]}
RECIPES: dict[str, tuple[dict[str, Any], Recipe]] = {
    "all": (CURVE, Recipe(training())),
    "adam": (CURVE, Recipe(training(optimizer={"kind": "adam", "lr": 0.02}, batch_size=4))),
    "scheduled": (CURVE, Recipe(training(schedule=PIECES, batch_size=4))),
    "milestones": (
        CURVE,
        Recipe(training(optimizer={"kind": "adamw"}, schedule=STEPS), average=Ema(0.8)),
    ),
    "hashed": (CURVE, Recipe(training(batch_size=5, drop_last=True), hashed=True)),
    "images": (
        IMAGES,
        Recipe(
            training(batch_size=6, augment={"crop": 1, "flip": 0.5}, label_smoothing=0.1),
            hashed=True,
        ),
    ),
    "string": (CURVE, constrained()),
    "soft string": (CURVE, constrained(hyperplane="soft", batch_size=4)),
}


def problem_of(tree: dict[str, Any]) -> Problem:
    """A problem whose images are scaled by channel."""
    problem = build_problem(validated(ProblemSpec, tree)).cut("train", 12)
    if tree is not IMAGES:
        return problem
    pixels = (problem.train.x * 15).to(torch.uint8).view(-1, 1, 8, 8)
    scaling = Scaling(mean=(0.3,), std=(0.7,))
    train = replace(problem.train, x=pixels, scaling=scaling, holds="pixels")
    return replace(problem, train=train)


def begun(problem: Problem, recipe: Recipe) -> list[Group]:
    """Groups of rows that are judged already; the last one has little patience left."""
    theta = torch.stack([problem.initial(seed) for seed in range(BEADS)])
    rows = fresh(theta, recipe.slots, 0.02, 9, range(70, 70 + BEADS))
    if recipe.evaluate == "after":
        loss = VmappedBackend(problem).objective(theta)
        return [Group(tuple(range(BEADS)), rows.with_loss(loss).aimed(rows.target))]
    rows = replace(rows, patience=torch.tensor([9, 9, 9, 5]))
    parts = rows.split([1] * BEADS)
    return [Group((number,), part) for number, part in enumerate(parts)]


def trained(backend: Backend, recipe: Recipe, groups: list[Group], device: torch.device) -> Rows:
    """The rows after some rounds on a device."""
    rounds = [group.to(device) for group in groups]
    with Pool(backend, [device]) as pool:
        for _ in range(ROUNDS):
            rounds = pool.run(OneRound(recipe), rounds)
    ends = [group.rows.to(CPU) for group in rounds]
    return replace(
        ends[0],
        theta=torch.cat([rows.theta for rows in ends]),
        loss=torch.cat([rows.loss for rows in ends]),
        steps=torch.cat([rows.steps for rows in ends]),
        end=torch.cat([rows.end for rows in ends]),
    )


class OneRound:
    """A round of training as a task."""

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe

    def size(self, group: Group) -> int:
        return len(group)

    def __call__(self, backend: Backend, groups: Any) -> list[Group]:
        return backend.advance(self.recipe, groups)


@pytest.mark.parametrize("name", RECIPES)
def test_rounds_on_a_gpu_are_those_of_the_cpu(name: str) -> None:
    tree, recipe = RECIPES[name]
    problem = problem_of(tree)
    groups = begun(problem, recipe)
    here = trained(VmappedBackend(problem), recipe, groups, CPU)
    moved = (here.theta - groups[0].rows.theta[0]).abs().max()
    assert float(moved) > 0.01
    for way in (VmappedBackend, CudaGraphsBackend):
        with gpus_for_a_test(1) as gpus:
            there = trained(way(problem), recipe, groups, gpus.devices[0])
            gpus.check()
            if gpus.machine is not None and way is CudaGraphsBackend:
                assert gpus.machine.counts.captures and not gpus.machine.counts.refused
        torch.testing.assert_close(there.theta, here.theta, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(there.loss, here.loss, rtol=1e-4, atol=1e-5)
        assert torch.equal(there.steps, here.steps) and torch.equal(there.end, here.end)


@pytest.mark.parametrize("name", ["adam", "milestones", "string", "soft string"])
def test_large_rows_take_their_steps_a_few_at_a_time(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree, recipe = RECIPES[name]
    problem = problem_of(tree)
    groups = begun(problem, recipe)
    here = trained(VmappedBackend(problem), recipe, groups, CPU)
    monkeypatch.setattr("engine.steps.pieces.GPU_PIECE", 2 * groups[0].rows.theta[0].nbytes)
    rows_of_a_step: list[int] = []
    step = round_steps.RoundSteps._step

    def noted(self: Any, rows: Rows, *rest: Any) -> Rows:
        rows_of_a_step.append(len(rows))
        return step(self, rows, *rest)

    monkeypatch.setattr(round_steps.RoundSteps, "_step", noted)
    for way in (VmappedBackend, CudaGraphsBackend):
        with gpus_for_a_test(1) as gpus:
            there = trained(way(problem), recipe, groups, gpus.devices[0])
            gpus.check()
        torch.testing.assert_close(there.theta, here.theta, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(there.loss, here.loss, rtol=1e-4, atol=1e-5)
        assert torch.equal(there.steps, here.steps) and torch.equal(there.end, here.end)
    assert max(rows_of_a_step) == 2


#: The most waits for the device of a round, and the most launches, without a graph and with one. A
#: round has three steps; a graph's own kernels do not count.
BUDGETS = {
    "all": (2, 340, 40),
    "adam": (2, 330, 100),
    "milestones": (2, 470, 100),
    "hashed": (2, 650, 100),
    "images": (2, 940, 110),
    "string": (2, 620, 190),
    "soft string": (2, 480, 140),
}


@pytest.mark.parametrize("name", BUDGETS)
def test_a_round_waits_for_its_device_at_its_end_alone(name: str) -> None:
    tree, recipe = RECIPES[name]
    recipe = replace(
        recipe, training=recipe.training.model_copy(update={"max_steps": 999, "patience": 999})
    )
    problem = problem_of(tree)
    syncs, *launches = BUDGETS[name]
    for way, most in zip((VmappedBackend, CudaGraphsBackend), launches, strict=True):
        with gpus_for_a_test(1) as gpus:
            if gpus.machine is None:
                pytest.skip("launches are counted on acted devices")
            sums = _of_a_round(gpus, way(problem), recipe, begun(problem, recipe))
        assert sums["syncs"] <= syncs, (way, sums)
        assert sums["launches"] <= most, (way, sums)
        assert sums["replays"] == (way is CudaGraphsBackend)


def _of_a_round(
    gpus: Gpus, backend: Backend, recipe: Recipe, groups: list[Group]
) -> dict[str, int]:
    """What is counted in a round, after some others."""
    assert gpus.machine is not None
    with Pool(backend, gpus.devices) as pool:
        groups = [group.to(gpus.devices[0]) for group in groups]
        groups = [replace(group, rows=_endless(group.rows)) for group in groups]
        for _ in range(3):
            groups = pool.run(OneRound(recipe), groups)
        gpus.machine.count_anew()
        groups = pool.run(OneRound(recipe), groups)
        assert all(group.going and group.each() and group.bead_steps for group in groups)
        return gpus.machine.counts.sums


def _endless(rows: Rows) -> Rows:
    """Rows that take steps for ever."""
    endless = rows.aimed(torch.full_like(rows.target, -1.0))
    return replace(endless, patience=rows.patience + 999)


def test_many_steps_are_recorded_in_equal_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a round of a thousand steps makes no graph of a thousand steps."""
    monkeypatch.setattr(round_steps, "AT_ONCE", 5)
    recipe = Recipe(training(check_every=12, max_steps=999, patience=999, batch_size=3))
    problem = problem_of(CURVE)
    groups = [replace(group, rows=_endless(group.rows)) for group in begun(problem, recipe)]
    here = VmappedBackend(problem).advance(recipe, groups)
    with gpus_for_a_test(1) as gpus:
        backend = CudaGraphsBackend(problem)
        with Pool(backend, gpus.devices) as pool:
            there = pool.run(OneRound(recipe), [group.to(gpus.devices[0]) for group in groups])
            # The first part is computed, the second recorded and compared, the third replayed.
            if gpus.machine is not None:
                assert (gpus.machine.counts.captures, gpus.machine.counts.replays) == (1, 2)
        ours, theirs = (torch.cat([g.rows.theta.cpu() for g in each]) for each in (there, here))
    torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-4)


def test_shuffled_and_hashed_orders_are_different_streams() -> None:
    problem, found = problem_of(CURVE), list[Tensor]()
    for hashed in (False, True):
        recipe = Recipe(training(batch_size=3, max_steps=999), hashed=hashed)
        start = [replace(group, rows=_endless(group.rows)) for group in begun(problem, recipe)]
        short = replace(recipe, training=recipe.training.model_copy(update={"check_every": 1}))
        backend = VmappedBackend(problem)
        whole = backend.advance(recipe, start)
        parts = start
        for _ in range(3):
            parts = backend.advance(short, parts)
        for one, other in zip(whole, parts, strict=True):
            assert torch.equal(one.rows.theta, other.rows.theta)
        found.append(torch.cat([group.rows.theta for group in whole]))
    assert not torch.equal(*found)
