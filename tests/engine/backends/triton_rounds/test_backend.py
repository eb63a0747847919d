"""What goes to kernels and what to torch. Compiled code stands in for the kernels."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from engine.backends.fused.backend import FusedBackend
from engine.backends.fused.layout import Layout
from engine.backends.rounds import advance
from engine.backends.triton_rounds.backend import MOST_STEPS, TritonBackend
from engine.problem.problem import HELD_OUT_LOSS, Problem
from engine.spec.optimizers import Adam, AdamW
from engine.spec.training import Training
from engine.steps.averages import Ema
from engine.steps.groups import Group
from engine.steps.recipe import Recipe
from engine.steps.rows import fresh
from engine.steps.tethers import Hard
from tests.support.small_problem import small_problem
from tests.support.triton_twin import Twin
from tests.support.workers import vmapped

pytest.importorskip("numba")

LAYOUT = Layout((1, 4, 4, 1), True, "tanh", "identity", "mse")


@pytest.fixture(autouse=True)
def twin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.backends.triton_rounds.backend.TritonProblem", Twin)


@pytest.fixture
def no_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(Twin, "advance")


def training(**keys: Any) -> Training:
    return Training(optimizer=Adam(kind="adam", lr=0.01), check_every=4, **keys)


def groups_of(problem: Problem, recipe: Recipe, *sizes: int) -> list[Group]:
    found, seed = [], 0
    for size in sizes:
        theta = torch.stack([problem.initial(seed + bead) for bead in range(size)])
        beads = tuple(range(seed, seed + size))
        found.append(Group(beads, fresh(theta, recipe.slots, 1e-4, 50, beads)))
        seed += size
    return found


@pytest.mark.parametrize("batch_size", ["full", 8])
@pytest.mark.parametrize("exempt", [(), ("bias",)])
def test_rounds_are_the_kernels(batch_size: Any, exempt: tuple[str, ...]) -> None:
    problem = small_problem()
    optimizer = AdamW(kind="adamw", lr=0.01, weight_decay=0.3, decay_exempt=exempt)
    recipe = Recipe(training(batch_size=batch_size).model_copy(update={"optimizer": optimizer}))
    groups = groups_of(problem, recipe, 1, 2, 1)
    ours = TritonBackend(problem, LAYOUT).advance(recipe, groups)
    theirs = FusedBackend(problem, LAYOUT).advance(recipe, groups)
    assert [group.beads for group in ours] == [(0,), (1, 2), (3,)]
    for one, other, before in zip(ours, theirs, groups, strict=True):
        assert torch.equal(one.rows.theta, other.rows.theta)
        assert torch.equal(one.rows.steps, other.rows.steps)
        assert not torch.equal(one.rows.theta, before.rows.theta)


@pytest.mark.parametrize(
    "recipe",
    [
        Recipe(training(), Hard()),
        Recipe(training(batch_size=8), evaluate="after"),
        Recipe(training(), average=Ema(0.9)),
        Recipe(training(micro_batch=5)),
    ],
)
def test_what_has_no_kernel_is_computed_by_torch(no_rounds: None, recipe: Recipe) -> None:
    problem = small_problem()
    groups = groups_of(problem, recipe, 3)
    (ours,) = TritonBackend(problem, LAYOUT).advance(recipe, groups)
    (theirs,) = advance(vmapped(problem), recipe, groups)
    assert torch.equal(ours.rows.theta, theirs.rows.theta)
    assert ours.rows.steps.tolist() == [4, 4, 4]


def test_other_precisions_are_computed_by_torch(
    no_rounds: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(Twin, "losses")
    problem, recipe = small_problem().to(dtype=torch.float64), Recipe(training())
    backend = TritonBackend(small_problem(), LAYOUT).to(torch.float64)
    (ours,) = backend.advance(recipe, groups_of(problem, recipe, 2))
    (theirs,) = advance(vmapped(problem), recipe, groups_of(problem, recipe, 2))
    assert torch.equal(ours.rows.theta, theirs.rows.theta)
    assert torch.equal(backend.losses(ours.rows.theta), vmapped(problem).losses(ours.rows.theta))


def test_losses_are_those_of_their_split() -> None:
    problem = small_problem()
    theta = torch.stack([problem.initial(seed) for seed in range(3)])
    backend, plain = TritonBackend(problem, LAYOUT), vmapped(problem)
    for split in ("train", "held_out"):
        torch.testing.assert_close(backend.losses(theta, split), plain.losses(theta, split))
    few = problem.with_objective(HELD_OUT_LOSS, 5)
    some, expected = backend.on(few), plain.on(few).objective(theta)
    torch.testing.assert_close(some.objective(theta), expected)
    nothing = replace(problem, held_out=problem.held_out[:0])
    assert TritonBackend(nothing, LAYOUT).losses(theta, "held_out").isnan().all()


def test_variants_keep_the_network() -> None:
    backend = TritonBackend(small_problem(), LAYOUT)
    cpu = torch.device("cpu")
    variants = [backend.replica(cpu), backend.within(1000), backend.to(torch.float64)]
    assert [variant.layout for variant in variants] == [LAYOUT] * 3
    assert [variant.name for variant in variants] == ["triton"] * 3
    assert variants[1].piece_bytes == 1000
    assert variants[2].problem.dtype == torch.float64


def test_rounds_are_long_where_rows_do_not_wait() -> None:
    backend = TritonBackend(small_problem(), LAYOUT)
    assert backend.paced(Recipe(training())).training.check_every == MOST_STEPS
    for recipe in (
        Recipe(training(batch_size=8)),
        Recipe(training(), Hard(), evaluate="after"),
        Recipe(training(), average=Ema(0.9)),
    ):
        assert backend.paced(recipe) == recipe
