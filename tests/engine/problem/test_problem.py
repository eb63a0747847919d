"""Losses and gradients of many weight vectors at once, against one module at a time."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from engine.errors import InputError
from engine.problem.problem import Problem, build_problem
from engine.spec.problem import ProblemSpec
from engine.spec.validation import validated
from tests.support.workers import vmapped

CASES: dict[str, dict[str, Any]] = {
    "relu-mse": {
        "data": {"kind": "polynomial", "coefficients": [0.1, 0.3, 0.4], "points": 37},
        "network": {"kind": "mlp", "sizes": [1, 4, 4, 1]},
        "loss": "mse",
    },
    "sigmoid-l1": {
        "data": {"kind": "polynomial", "coefficients": [0.1, 0.3], "points": 29},
        "network": {
            "kind": "mlp",
            "sizes": [1, 4, 3, 1],
            "activation": "sigmoid",
            "output_activation": "sigmoid",
            "bias": False,
            "init": "paper",
        },
        "loss": "l1",
    },
    "tanh-cross-entropy": {
        "data": {"kind": "digits"},
        "network": {"kind": "mlp", "sizes": [64, 7, 10], "activation": "tanh"},
        "loss": "cross_entropy",
    },
    "linear-mse-one-hot": {
        "data": {"kind": "digits"},
        "network": {"kind": "linear", "sizes": [64, 5, 10]},
        "loss": "mse",
    },
}


def make(case: str) -> Problem:
    return build_problem(validated(ProblemSpec, CASES[case]))


def beads(problem: Problem, count: int) -> Tensor:
    return torch.stack([problem.initial(seed) for seed in range(count)])


def alone(problem: Problem, theta: Tensor, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Mean loss and gradient of one weight vector, by a plain module and autograd."""
    module = problem.make_network()
    nn.utils.vector_to_parameters(theta, module.parameters())
    module.requires_grad_()
    loss = problem.sample_loss(module(x), y).mean()
    grads = torch.autograd.grad(loss, list(module.parameters()))
    return loss.detach(), torch.cat([grad.flatten() for grad in grads])


@pytest.mark.parametrize("case", CASES)
def test_losses_and_gradients_are_those_of_single_modules(case: str) -> None:
    problem = make(case)
    theta = beads(problem, 5)
    losses, grads = vmapped(problem).loss_and_grad(theta)
    for row in range(5):
        loss, grad = alone(problem, theta[row], *problem.train.part(slice(None), theta.dtype))
        torch.testing.assert_close(losses[row], loss, rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(grads[row], grad, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(vmapped(problem).losses(theta), losses, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("case", CASES)
def test_each_bead_has_its_own_mini_batch(case: str) -> None:
    problem = make(case)
    theta = beads(problem, 3)
    draw = torch.Generator().manual_seed(2)
    batches = torch.randint(0, len(problem.train), (3, 11), generator=draw)
    losses, grads = vmapped(problem).loss_and_grad_on(theta, batches)
    for row in range(3):
        x, y = problem.train.part(batches[row], theta.dtype)
        loss, grad = alone(problem, theta[row], x, y)
        torch.testing.assert_close(losses[row], loss, rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(grads[row], grad, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("size", [1, 20_000])
def test_pieces_do_not_change_the_result(case: str, size: int) -> None:
    """Pieces of single samples, and pieces that end raggedly."""
    problem = make(case)
    theta = beads(problem, 3)
    if size == 1 and len(problem.train) > 100:
        problem = replace(problem, train=problem.held_out)
    whole, whole_grad = vmapped(problem).loss_and_grad(theta)
    backend = vmapped(problem).within(size)
    losses, grads = backend.loss_and_grad(theta)
    torch.testing.assert_close(losses, whole, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(grads, whole_grad, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(backend.losses(theta), whole, rtol=1e-5, atol=1e-6)


def test_accuracy_is_the_share_of_right_answers() -> None:
    problem = make("linear-mse-one-hot")
    theta = beads(problem, 2)
    module = problem.make_network()
    nn.utils.vector_to_parameters(theta[1], module.parameters())
    right = module(problem.held_out.x).argmax(1) == problem.held_out.y
    wrong = vmapped(problem).error_rates(theta, "held_out")
    assert wrong[1].item() == pytest.approx(1 - right.float().mean().item())


def test_a_bead_is_the_parameters_in_order_row_major() -> None:
    problem = make("relu-mse")
    assert [p.name for p in problem.parameters] == [
        f"layers.{layer}.{part}" for layer in range(3) for part in ("weight", "bias")
    ]
    theta = torch.arange(2.0 * 33).view(2, 33)
    named = problem.named(theta)
    assert named["layers.1.weight"][1].tolist() == (33 + 8 + torch.arange(16.0)).view(4, 4).tolist()
    assert torch.equal(torch.cat([part.flatten(1) for part in named.values()], 1), theta)


def test_initial_weights_depend_on_the_seed_alone() -> None:
    problem = make("sigmoid-l1")
    torch.manual_seed(1)
    first = problem.initial(7)
    torch.manual_seed(2)
    assert torch.equal(problem.initial(7), first)
    assert not torch.equal(problem.initial(8), first)
    assert first.abs().max() <= 1  # paper: uniform in [-1, 1]


def test_double_precision_sees_the_same_data() -> None:
    problem = make("relu-mse")
    theta = beads(problem, 2)
    exact = problem.to(dtype=torch.float64)
    losses = vmapped(exact).losses(theta.double())
    assert losses.dtype == torch.float64
    torch.testing.assert_close(losses.float(), vmapped(problem).losses(theta), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(
    ("case", "change", "message"),
    [
        ("relu-mse", {"network": {"kind": "mlp", "sizes": [2, 3, 1]}}, "first size is 2.* 1 feat"),
        ("relu-mse", {"network": {"kind": "mlp", "sizes": [1, 3]}}, "last size is 3.* 1 outputs"),
        ("relu-mse", {"loss": "cross_entropy"}, "problem.loss: .* choose mse or l1"),
        (
            "tanh-cross-entropy",
            {"network": {"kind": "linear", "sizes": [64, 9]}},
            "problem.network.sizes: the last size is 9, but the data have 10 outputs; make it 10",
        ),
    ],
)
def test_what_does_not_fit_is_refused(case: str, change: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        build_problem(validated(ProblemSpec, CASES[case] | change))
