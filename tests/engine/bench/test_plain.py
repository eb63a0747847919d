"""The plain loops do the same work as the engine."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn.utils import parameters_to_vector

from engine.bench.plain import PlainProfiles, PlainTraining
from engine.bench.throughput import (
    pairs_of,
)
from engine.path.segments import along, search_grid
from engine.steps.recipe import Recipe
from engine.training.trainer import Job, Trainer
from engine.workers.pool import open_pool
from tests.support.benches import prepared
from tests.support.workers import Here


@pytest.mark.parametrize(
    ("preset", "optimizer"),
    [
        ("quadratic", "{kind: rmsprop, lr: 1e-3, momentum: 0.3}"),
        ("quadratic-paper", "{kind: adam, lr: 2e-3, betas: [0.8, 0.99]}"),
        ("linear", "{kind: sgd, lr: 0.02, momentum: 0.7}"),
        ("digits", "{kind: adam, lr: 3e-3}"),
    ],
)
def test_the_plain_loop_takes_the_same_steps(preset: str, optimizer: str) -> None:
    """mse of one output and of three, l1, cross-entropy; each optimizer."""
    spec, backend = prepared(
        preset, f"endpoints.optimizer={optimizer}", "endpoints.batch_size=full"
    )
    problem = backend.problem
    training = spec.endpoints.model_copy(update={"check_every": 12})
    plain = PlainTraining(problem, training, spec.problem.loss, seed=3)
    assert plain(11)() == 11  # after the one that makes the state
    with open_pool(backend, spec) as pool:
        trainer = Trainer(Recipe(training), pool)
        trainer.admit(Job(3, -1.0, 3), problem.initial(3))
        trainer.advance()
    moved = trainer.rows[0].theta - problem.initial(3)
    torch.testing.assert_close(
        parameters_to_vector(plain.module.parameters()) - problem.initial(3),
        moved,
        rtol=1e-3,
        atol=1e-4 * float(moved.abs().max()),
    )


def test_each_call_begins_anew() -> None:
    spec, backend = prepared("quadratic")
    problem = backend.problem
    plain = PlainTraining(problem, spec.endpoints, spec.problem.loss)
    plain(4)()
    first = parameters_to_vector(plain.module.parameters())
    plain(9)()
    plain(4)()
    assert torch.equal(parameters_to_vector(plain.module.parameters()), first)


def test_plain_steps_see_as_many_samples_as_ours() -> None:
    spec, backend = prepared("digits", "endpoints.batch_size=70")
    problem = backend.problem
    plain = PlainTraining(problem, spec.endpoints, spec.problem.loss)
    steps = plain(25)
    seen: list[torch.Tensor] = []
    plain.module.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    steps()
    assert [len(x) for x in seen] == [70] * 25
    assert len({x.numpy().tobytes() for x in seen}) == 25


@pytest.mark.parametrize(
    "judge",
    [
        "{metric: loss, split: train}",
        "{metric: error_rate, split: held_out}",
        "{metric: perplexity, split: held_out}",
    ],
)
def test_the_plain_profile_is_ours(judge: str) -> None:
    """Along more than one segment, in pieces of the samples."""
    spec, backend = prepared("digits", f"search.level_on={judge}", "search.level=0.9")
    problem = backend.problem
    problem = replace(problem, cost=replace(problem.cost, values=2**15))  # pieces of 256
    pairs, t = pairs_of(problem, 2), search_grid(5)
    plain = PlainProfiles(problem, spec.problem.loss, pairs, t)
    assert plain(10)() == 10
    ours = along(Here(backend), pairs, t, problem.objective_samples)
    np.testing.assert_allclose(plain.values, np.concatenate(ours), rtol=1e-5)
    assert plain(3)() == 3 and len(plain.values) == 3
