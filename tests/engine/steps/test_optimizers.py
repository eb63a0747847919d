"""Each row of a batch behaves like a torch.optim instance of its own."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from engine.spec.training import Adam, Optimizer, RmsProp, Sgd
from engine.steps import optimizers

SPECS: dict[str, Optimizer] = {
    "sgd": Sgd(kind="sgd", lr=0.01),
    "sgd-momentum": Sgd(kind="sgd", lr=0.003, momentum=0.8),
    "rmsprop": RmsProp(kind="rmsprop", lr=0.02, smoothing=0.95),
    "rmsprop-momentum": RmsProp(kind="rmsprop", lr=0.004, momentum=0.7),
    "adam": Adam(kind="adam", lr=0.02, betas=(0.8, 0.99)),
}


def reference(spec: Optimizer, parameter: Tensor) -> torch.optim.Optimizer:
    match spec:
        case Sgd():
            return torch.optim.SGD([parameter], lr=spec.lr, momentum=spec.momentum)
        case RmsProp():
            return torch.optim.RMSprop(
                [parameter],
                lr=spec.lr,
                alpha=spec.smoothing,
                eps=spec.eps,
                momentum=spec.momentum,
            )
        case Adam():
            return torch.optim.Adam([parameter], lr=spec.lr, betas=spec.betas, eps=spec.eps)


def loss(theta: Tensor) -> Tensor:
    """Of each row: a narrow curved valley (Rosenbrock's, scaled), (bead, 6) -> (bead,)."""
    a, b = theta[..., :3], theta[..., 3:]
    return ((1.3 - a).square() + 4 * (b - a.square()).square()).sum(-1)


@pytest.mark.parametrize("name", SPECS)
def test_rows_admitted_at_different_times_follow_torch_optim(name: str) -> None:
    spec = SPECS[name]
    admitted = [0, 17, 60]
    starts = torch.randn(3, 6, generator=torch.Generator().manual_seed(5))
    references = [row.clone().requires_grad_() for row in starts]
    theirs = [reference(spec, parameter) for parameter in references]

    ours = optimizers.build_optimizer(spec)
    theta = starts.clone()
    state = {slot: torch.zeros_like(theta) for slot in ours.slots}
    steps = torch.zeros(3, dtype=torch.int64)
    for now in range(160):
        active = torch.tensor([begin <= now < begin + 100 for begin in admitted])
        leaf = theta.clone().requires_grad_()
        (grad,) = torch.autograd.grad(loss(leaf).sum(), leaf)
        moved, new_state = ours.step(theta, grad, state, steps)
        theta = torch.where(active[:, None], moved, theta)
        state = {slot: torch.where(active[:, None], new_state[slot], state[slot]) for slot in state}
        steps = steps + active
        for row, optimizer in enumerate(theirs):
            if active[row]:
                optimizer.zero_grad()
                loss(references[row]).backward()  # type: ignore[no-untyped-call]
                optimizer.step()
        for row, parameter in enumerate(references):
            torch.testing.assert_close(theta[row], parameter.detach(), rtol=0, atol=1e-6)
    assert steps.tolist() == [100, 100, 100]
    assert (theta - starts).abs().max() > 0.1  # they did move
