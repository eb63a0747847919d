"""Slopes of the training loss on all samples, and on a part that every search draws alike."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from engine.path.slope import SEED, Slope
from engine.problem.problem import Problem
from engine.record.costs import Costs
from engine.seeds import permutation
from tests.support.small_problem import small_problem
from tests.support.workers import vmapped


@pytest.fixture
def problem() -> Problem:
    return small_problem()


def test_all_samples_give_the_gradient_of_the_loss(problem: Problem) -> None:
    backend = vmapped(problem)
    items = [problem.initial(seed) for seed in range(3)]
    count = len(problem.train)
    found = Slope(count, None)(backend, items)
    losses, gradients = backend.loss_and_grad(torch.stack(items))
    assert [loss for loss, _ in found] == losses.tolist()
    torch.testing.assert_close(torch.stack([each for _, each in found]), gradients)


def test_a_part_is_drawn_by_its_number_without_repeats(problem: Problem) -> None:
    backend, count = vmapped(problem), len(problem.train)
    item = problem.initial(0)
    for draw in (0, 7):
        drawn = torch.from_numpy(np.sort(permutation(SEED, draw, count)[: count // 2]))
        assert len(set(drawn.tolist())) == count // 2
        losses, gradients = backend.loss_and_grad_on(item[None], drawn[None])
        ((loss, gradient),) = Slope(count // 2, draw)(backend, [item])
        assert loss == losses.item()
        torch.testing.assert_close(gradient, gradients[0])


def test_equal_slopes_share_a_call_and_cost_their_samples(problem: Problem) -> None:
    assert {Slope(5, 1), Slope(5, 1), Slope(5, 2)} == {Slope(5, 1), Slope(5, 2)}
    item = problem.initial(0)
    assert Slope(5, 1).size(item) == 15
    assert Slope(5, 1).cost(problem, item, (0.0, item)) == Costs(sample_gradients=5)
