"""Each row of a batch behaves like a torch.optim instance of its own."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from engine.spec.optimizers import Adam
from engine.spec.training import Training
from engine.steps.descent import build_descent
from engine.steps.optimizers import RowAdam
from tests.support.more import more
from tests.support.torch_recipes import BLOCKS, OPTIMIZERS, TorchRecipe


def loss(theta: Tensor) -> Tensor:
    """Of each row: a narrow curved valley (Rosenbrock's, scaled), (bead, 6) -> (bead,)."""
    a, b = theta[..., :3], theta[..., 3:]
    return ((1.3 - a).square() + 4 * (b - a.square()).square()).sum(-1)


def gradient(theta: Tensor) -> Tensor:
    leaf = theta.detach().clone().requires_grad_()
    (grad,) = torch.autograd.grad(loss(leaf).sum(), leaf)
    return grad


@pytest.mark.parametrize("exempt", [more(False), True], ids=["all decay", "some decay"])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_rows_admitted_at_different_times_follow_torch_optim(name: str, exempt: bool) -> None:
    check_against_torch(Training(optimizer=OPTIMIZERS[name]), exempt, torch.float32, 1e-6)


@pytest.mark.parametrize("name", BLOCKS)
def test_schedules_and_clipping_are_those_of_torch(name: str) -> None:
    """In float64, since a rounding in the first steps grows in the valley."""
    optimizer, keys = BLOCKS[name]
    training = Training(optimizer=optimizer, **keys)
    check_against_torch(training, True, torch.float64, 1e-9)


def check_against_torch(training: Training, exempt: bool, dtype: torch.dtype, most: float) -> None:
    """200 steps of three rows, two of which begin later; half of the weights may not decay."""
    admitted, taken = [0, 17, 60], 140
    starts = torch.randn(3, 6, generator=torch.Generator().manual_seed(5)).to(dtype)
    references = [[row[:3].clone(), row[3:].clone()] for row in starts]
    theirs = [TorchRecipe(training, parts, [True, not exempt]) for parts in references]

    decays = torch.tensor([1.0] * 3 + [0.0] * 3, dtype=dtype) if exempt else None
    ours = build_descent(training, batch=8, samples=8, decays=decays)
    theta = starts.clone()
    state = {slot: torch.zeros_like(theta) for slot in ours.rule.slots}
    steps = torch.zeros(3, dtype=torch.int64)
    for now in range(200):
        active = torch.tensor([begin <= now < begin + taken for begin in admitted])
        moved, new_state = ours.step(theta, gradient(theta), state, steps)
        theta = torch.where(active[:, None], moved, theta)
        state = {slot: torch.where(active[:, None], new_state[slot], state[slot]) for slot in state}
        steps = steps + active
        for row, parts in enumerate(references):
            if active[row]:
                grad = gradient(torch.cat(parts))
                theirs[row].step(grad[:3], grad[3:])
            torch.testing.assert_close(theta[row], torch.cat(parts), rtol=0, atol=most)
    assert steps.tolist() == [taken] * 3
    assert (theta - starts).abs().max() > 0.01  # they did move


RATES = torch.tensor([0.01, 0.002, 0.5], dtype=torch.float64)


@pytest.mark.skipif(
    torch.__version__ < "2.4", reason="torch has the kernel for the CPU since version 2.4"
)
@pytest.mark.parametrize("rate", [0.01, RATES], ids=["one rate", "a rate for each"])
def test_the_fused_kernel_takes_the_step_of_adam(rate: float | Tensor) -> None:
    """Each row at its own number of steps, and with a schedule at its own rate."""
    random = torch.Generator().manual_seed(3)
    theta, grad, mean, square = (torch.randn(3, 40, generator=random) for _ in range(4))
    rule = RowAdam(Adam(kind="adam", lr=0.01, betas=(0.8, 0.99)))
    state = {"mean": mean / 10, "square": square.square()}
    start = theta.clone(), {name: tensor.clone() for name, tensor in state.items()}
    steps = torch.tensor([0, 5, 1000])
    expected = rule.step(theta, grad, state, steps, rate)
    found = rule.fused(theta, grad, state, steps, rate)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-7)
    assert torch.equal(theta, start[0])
    assert all(torch.equal(state[name], start[1][name]) for name in state)
