"""Symmetries of fully connected networks."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
import torch
from torch import Tensor

from dss_tui.cli import main
from engine.data.linear_map import LinearMapData
from engine.networks.linear import LinearNetwork
from engine.networks.mlp import MlpNetwork
from engine.problem.copies import Parameter
from engine.problem.problem import Problem, build_problem
from engine.problem.symmetry import Relabelling, layers_of, relabelling, swapped
from engine.spec.problem import ProblemSpec


def problem_for(network: LinearNetwork | MlpNetwork) -> Problem:
    features, outputs = network.sizes[0], network.sizes[-1]
    data = LinearMapData(kind="linear_map", features=features, outputs=outputs, samples=40)
    return build_problem(ProblemSpec(data=data, network=network, loss="mse"))


def mlp(*sizes: int, activation: str = "relu", bias: bool = True) -> Problem:
    network = {"kind": "mlp", "sizes": sizes, "activation": activation, "bias": bias}
    return problem_for(MlpNetwork.model_validate(network))


def outputs(problem: Problem, theta: Tensor) -> Tensor:
    named = {name: weights[0] for name, weights in problem.named(theta[None]).items()}
    result = torch.func.functional_call(problem.network, named, (problem.train.x,))
    assert isinstance(result, Tensor)
    return result


def relabelled(
    problem: Problem, theta: Tensor, seed: int, scale: bool = False
) -> tuple[Tensor, tuple[tuple[int, ...], ...]]:
    """The same function with every hidden layer in a random order, and that order.

    Done parameter by parameter on the named tensors. With `scale`, units are multiplied too.
    """
    random = torch.Generator().manual_seed(seed)
    named = {name: weights[0].double() for name, weights in problem.named(theta[None]).items()}
    depth = 1 + max(int(name.split(".")[1]) for name in named)
    orders = []
    for layer in range(depth - 1):
        here, after = f"layers.{layer}.weight", f"layers.{layer + 1}.weight"
        width = len(named[here])
        order = torch.randperm(width, generator=random)
        factor = torch.rand(width, generator=random, dtype=torch.float64) * 3 + 0.2
        factor = factor if scale else torch.ones_like(factor)
        named[here] = named[here][order] * factor[:, None]
        if f"layers.{layer}.bias" in named:
            named[f"layers.{layer}.bias"] = named[f"layers.{layer}.bias"][order] * factor
        named[after] = named[after][:, order] / factor
        orders.append(tuple(order.tolist()))
    parts = [named[parameter.name].flatten() for parameter in problem.parameters]
    return torch.cat(parts).to(theta), tuple(orders)


# ---------------------------------------------------------------- swapping two units


@pytest.mark.parametrize("activation", ["relu", "tanh"])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("sizes", [(2, 3, 2), (3, 5, 4, 2), (1, 6, 1)])
def test_a_swap_keeps_the_function_and_moves_the_weights(
    activation: str, bias: bool, sizes: tuple[int, ...]
) -> None:
    problem = mlp(*sizes, activation=activation, bias=bias)
    theta = problem.initial(5)
    other = swapped(theta, problem.parameters, (0, 2))
    assert other.dtype == theta.dtype
    torch.testing.assert_close(outputs(problem, other), outputs(problem, theta), atol=1e-6, rtol=0)
    assert (other - theta).norm() > 0.1
    assert torch.equal(swapped(other, problem.parameters, (2, 0)), theta)
    found = relabelling(theta, other, problem.parameters, scalable=False)
    assert found is not None
    assert found.units == ((1, 0, 2), (1, 2, 0))


def test_a_unit_swapped_with_itself_stays() -> None:
    problem = mlp(2, 3, 2)
    theta = problem.initial(5)
    assert torch.equal(swapped(theta, problem.parameters, (1, 1)), theta)


@pytest.mark.parametrize(
    ("overrides", "key"),
    [
        (["endpoints.swap=[0, 3]"], "endpoints.swap"),
        (["endpoints.swap=[7, 1]"], "endpoints.swap"),
        (["problem.network.sizes=[2, 2]"], "endpoints.kind"),
    ],
    ids=["too high", "first too high", "no hidden layer"],
)
def test_swaps_that_a_network_has_not_are_refused_before_anything_is_written(
    overrides: list[str], key: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    sets = [part for line in (*overrides, "limits.steps=1") for part in ("--set", line)]
    assert main(["run", "permutation-disconnect", *sets, "--headless", "--out", str(out)]) == 2
    assert key in capsys.readouterr().err
    assert not out.exists()


# ---------------------------------------------------------------- finding it again


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("activation", ["relu", "tanh"])
@pytest.mark.parametrize("seed", range(5))
def test_random_orders_of_all_hidden_layers_are_found(
    seed: int, activation: str, bias: bool
) -> None:
    problem = mlp(4, 7, 6, 5, 3, activation=activation, bias=bias)
    theta = problem.initial(seed)
    other, orders = relabelled(problem, theta, 100 + seed)
    torch.testing.assert_close(outputs(problem, other), outputs(problem, theta), atol=1e-6, rtol=0)
    for scalable in (True, False):
        found = relabelling(theta, other, problem.parameters, scalable=scalable)
        assert found == Relabelling(orders, rescaled=False)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("seed", range(5))
def test_rescaled_units_are_found_where_the_function_allows_it(seed: int, bias: bool) -> None:
    problem = mlp(4, 7, 6, 3, bias=bias)
    theta = problem.initial(seed)
    other, orders = relabelled(problem, theta, 100 + seed, scale=True)
    torch.testing.assert_close(outputs(problem, other), outputs(problem, theta), atol=1e-5, rtol=0)
    assert relabelling(theta, other, problem.parameters, scalable=True) == Relabelling(
        orders, rescaled=True
    )
    assert relabelling(theta, other, problem.parameters, scalable=False) is None


def test_a_model_is_its_own_copy_with_no_unit_moved() -> None:
    problem = mlp(3, 5, 4, 2)
    theta = problem.initial(1)
    found = relabelling(theta, theta, problem.parameters, scalable=True)
    assert found is not None
    assert found.units == ()
    assert not found.rescaled


@pytest.mark.parametrize("scalable", [True, False])
def test_other_models_are_no_copies(scalable: bool) -> None:
    problem = mlp(3, 5, 4, 2)
    for seed in range(10):
        ends = problem.initial(seed), problem.initial(seed + 50)
        assert relabelling(*ends, problem.parameters, scalable=scalable) is None
    theta = problem.initial(1)
    other, _ = relabelled(problem, theta, 3)
    other[-3] += 0.05  # a single weight of the last layer
    assert relabelling(theta, other, problem.parameters, scalable=scalable) is None


def test_negated_units_are_no_copies() -> None:
    """For ReLU only a positive factor leaves the function as it is."""
    problem = mlp(3, 4, 2, bias=False)
    theta = problem.initial(1)
    assert relabelling(theta, -theta, problem.parameters, scalable=True) is None


def test_dead_units_do_no_harm() -> None:
    """Units whose weights are all zero cannot be told apart, nor scaled."""
    problem = mlp(3, 4, 2, bias=False)
    named = problem.named(problem.initial(1)[None])
    named["layers.0.weight"][0, 1:3] = 0
    named["layers.1.weight"][0, :, 1:3] = 0
    theta = torch.cat([named[p.name].flatten() for p in problem.parameters])
    other = swapped(theta, problem.parameters, (0, 3))
    found = relabelling(theta, other, problem.parameters, scalable=True)
    assert found is not None
    assert {(1, 0, 3), (1, 3, 0)} <= set(found.units)


# ---------------------------------------------------------------- which networks these are


@pytest.mark.parametrize("sizes", [(2, 3, 2), (4, 5, 6, 1), (3, 2), (1, 1, 1)])
@pytest.mark.parametrize("bias", [True, False])
def test_layers_hold_every_weight_once(sizes: tuple[int, ...], bias: bool) -> None:
    problem = mlp(*sizes, bias=bias)
    theta = problem.initial(2)
    layers = layers_of(theta, problem.parameters)
    assert [tuple(layer.weight.shape) for layer in layers] == [
        (after, before) for before, after in pairwise(sizes)
    ]
    assert all((layer.bias is not None) == bias for layer in layers)
    values = [t.flatten() for layer in layers for t in (layer.weight, layer.bias) if t is not None]
    assert torch.equal(torch.cat(values).float(), theta)


def test_deep_linear_networks_have_layers_too() -> None:
    problem = problem_for(LinearNetwork(kind="linear", sizes=(4, 5, 2)))
    assert len(layers_of(problem.initial(2), problem.parameters)) == 2


@pytest.mark.parametrize(
    "shapes",
    [[(5,)], [(2, 3, 3, 3), (2,)], [(3, 2), (4,)], [(3, 2), (2, 4)], [(3, 2), ()]],
    ids=["a vector", "a convolution", "foreign bias", "sizes that do not meet", "a scalar"],
)
def test_what_is_no_fully_connected_network_has_no_layers(shapes: list[tuple[int, ...]]) -> None:
    parameters = [Parameter(str(n), shape) for n, shape in enumerate(shapes)]
    count = sum(int(torch.Size(shape).numel()) for shape in shapes)
    theta = torch.randn(count)
    assert layers_of(theta, parameters) == []
    assert relabelling(theta, theta, parameters, scalable=True) is None


def test_a_network_without_hidden_units_is_no_relabelling() -> None:
    problem = mlp(3, 2)
    theta = problem.initial(1)
    assert relabelling(theta, theta, problem.parameters, scalable=True) is None
