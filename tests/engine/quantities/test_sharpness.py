"""The Hessian of the training loss, held against the dense one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.func import functional_call, hessian

from engine.problem.problem import Problem
from engine.quantities import quantity, spectrum
from engine.quantities.models import OneByOne
from tests.support.paths import (
    LSTM,
    NORMALIZED,
    drawn_beads,
    drawn_problem,
    found_of,
    inputs,
    values,
)
from tests.support.small_problem import small_problem


def dense(problem: Problem, theta: Any, network: nn.Module | None = None) -> NDArray[np.float64]:
    """The Hessian of the mean training loss by torch.func, (param, param)."""
    network = (network or problem.make_network()).double()
    shapes = {name: each.shape for name, each in network.named_parameters()}
    x, y = inputs(problem, "train")

    def loss(theta: Tensor) -> Tensor:
        parts = torch.split(theta, [shape.numel() for shape in shapes.values()])
        named = {n: p.view(shape) for (n, shape), p in zip(shapes.items(), parts, strict=True)}
        return problem.sample_loss(functional_call(network, named, (x,)), y).mean()

    found: Any = hessian(loss)(torch.tensor(np.asarray(theta), dtype=torch.float64))
    return np.asarray(found.detach())


@pytest.mark.parametrize("whole", [True, False], ids=["all columns", "Lanczos"])
def test_eigenvalues_and_trace_of_a_small_network(
    whole: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """1-4-4-1 with tanh: 33 weights."""
    if not whole:
        monkeypatch.setattr(spectrum, "WHOLE", 0)
    problem = small_problem()
    beads = drawn_beads(problem, 3)
    found = found_of("sharpness", problem, beads)
    for number, bead in enumerate(beads):
        expected = np.linalg.eigvalsh(dense(problem, bead))
        largest = [values(found, f"eigenvalue_{k}")[number] for k in (1, 2, 3)]
        np.testing.assert_allclose(largest, expected[:-4:-1], rtol=1e-4)
        trace = values(found, "trace")[number]
        error = 0.0 if whole else values(found, "trace_error")[number]
        assert abs(trace - expected.sum()) <= 4 * error + 1e-9
        assert whole or 0 < error < 0.2 * abs(expected.sum())


@pytest.mark.parametrize("piece", [None, 3], ids=["whole", "in pieces"])
def test_products_of_a_classifier(piece: int | None) -> None:
    loss = {"kind": "cross_entropy", "class_weights": [1.0, 0.25, 3.0]}
    problem = drawn_problem(loss=loss)
    theta = problem.initial(3).double()
    backend = OneByOne(problem).to(torch.float64)
    if piece is not None:
        backend = backend.within(6 * 8 * problem.cost.values * piece)
    times = backend.hessian(theta)
    _, y = inputs(problem, "train")
    scale = float(len(y) / backend.problem.weights(y).sum())
    vector = torch.randn(len(theta), generator=torch.Generator().manual_seed(3)).double()
    expected = scale * dense(problem, theta) @ vector.numpy()
    for _ in range(2):  # a graph that is kept serves again
        np.testing.assert_allclose(times(vector).numpy(), expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("network", [NORMALIZED, LSTM], ids=["batch norm", "LSTM"])
def test_products_are_differences_of_gradients(network: dict[str, Any]) -> None:
    """Those of batch normalization too, whose statistics are a function of the weights."""
    problem = drawn_problem(network)
    backend = OneByOne(problem).to(torch.float64)
    theta, vector = problem.initial(3).double(), problem.initial(4).double()
    if network is NORMALIZED:  # away from the kinks of ReLU at zero biases
        theta = theta + 0.05
    found = backend.hessian(theta)(vector)
    step = 1e-5
    (_, after), (_, before) = (backend.slope(theta + sign * step * vector) for sign in (1, -1))
    expected = (after - before)[0] / (2 * step)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)


def test_a_linear_network_has_a_hessian_in_closed_form() -> None:
    """Of a mean squared error it is 2 XᵀX / n for each output, whatever the weights."""
    problem = drawn_problem({"kind": "linear", "sizes": [6, 3]}, loss="mse")
    beads = drawn_beads(problem, 2)
    x = inputs(problem, "train")[0].numpy()
    rows = x if problem.parameter_count == 18 else np.hstack([x, np.ones((len(x), 1))])
    expected = np.linalg.eigvalsh(2 * rows.T @ rows / len(x))
    found = found_of("sharpness", problem, beads)
    for k in (1, 2, 3):  # each thrice, for three outputs
        assert values(found, f"eigenvalue_{k}") == pytest.approx([expected[-1]] * 2)
    assert values(found, "trace") == pytest.approx([3 * expected.sum()] * 2)


class Once(torch.autograd.Function):
    """A square that torch differentiates once."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        squares: Tensor = x * x
        return squares

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, slope: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        slopes: Tensor = 2 * x * slope
        return slopes


def test_a_network_without_second_derivatives_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = drawn_problem()
    assert quantity("sharpness").refusal(problem) is None
    monkeypatch.setattr(OneByOne, "_summed_loss", summed_once)
    said = quantity("sharpness").refusal(problem)
    assert said is not None and said.startswith("torch has no second derivative of the network")


def summed_once(self: OneByOne, model: Any, x: Tensor, y: Tensor) -> Tensor:
    squares: Tensor = Once.apply(model(x))  # type: ignore[no-untyped-call]
    return squares.square().sum()
