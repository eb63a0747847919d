"""What a sample costs a network, against counts by hand."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch
from pydantic import TypeAdapter
from torch import Tensor, nn

from engine.networks import build_network
from engine.problem.cost import Cost, measured_cost
from engine.spec.problem import Network


def cost_of(tree: dict[str, Any], x: Tensor) -> Cost:
    spec = TypeAdapter[Network](Network).validate_json(json.dumps(tree))
    return measured_cost(build_network(spec), x)


@pytest.mark.parametrize("activation", ["relu", "tanh", "sigmoid"])
@pytest.mark.parametrize("samples", [1, 2, 5])
def test_a_fully_connected_network(samples: int, activation: str) -> None:
    """It keeps its input and each layer's output, twice over; a product for each weight, at least
    one for each number of the vector."""
    tree = {"kind": "mlp", "sizes": [7, 5, 4, 3], "activation": activation}
    cost = cost_of(tree, torch.randn(samples, 7))
    assert cost.values == 2 * (7 + 5 + 4 + 3)
    assert cost.products == 7 * 5 + 5 + 5 * 4 + 4 + 4 * 3 + 3
    plain = cost_of(tree | {"bias": False}, torch.randn(samples, 7))
    assert plain == Cost(values=cost.values, products=7 * 5 + 5 * 4 + 4 * 3)


def test_a_linear_network() -> None:
    cost = cost_of({"kind": "linear", "sizes": [6, 9, 2]}, torch.randn(3, 6))
    assert cost == Cost(values=2 * (6 + 9 + 2), products=6 * 9 + 9 * 2)


def test_a_convolutional_network() -> None:
    """A weight of a convolution is used once for each pixel of its output."""
    tree = {
        "kind": "cnn",
        "input": [1, 8, 6],
        "layers": [
            {"kind": "conv", "channels": 4, "kernel": 3},
            {"kind": "pool", "size": 2},
            {"kind": "conv", "channels": 5, "kernel": 3, "padding": 0, "stride": 2},
            {"kind": "dense", "units": 7},
        ],
        "outputs": 3,
    }
    cost = cost_of(tree, torch.randn(2, 48))
    conv, again = 4 * 8 * 6 * 9, 5 * 1 * 1 * 4 * 9  # the second leaves one pixel of 4×3
    assert cost.products == conv + again + 5 * 7 + 7 * 3
    pooled = 4 * 4 * 3
    images = 48 + 48  # as given, and with channels innermost
    places = 2 * pooled  # of each maximum, in eight bytes
    assert cost.values == 2 * (images + 4 * 48 + places + pooled + 5 + 7 + 3)


def test_average_pooling_keeps_no_places() -> None:
    pool = {"kind": "pool", "size": 2}
    conv = {"kind": "conv", "channels": 3, "kernel": 1}
    tree = {"kind": "cnn", "input": [1, 4, 4], "layers": [conv, pool], "outputs": 2}
    by_maximum = cost_of(tree, torch.randn(2, 16))
    by_average = cost_of(tree | {"layers": [conv, pool | {"by": "average"}]}, torch.randn(2, 16))
    assert by_maximum.values - by_average.values == 2 * (2 * 3 * 4)
    assert by_maximum.products == by_average.products == 3 * 16 + 12 * 2


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("time", [12, 40])
def test_a_recurrent_network(time: int, layers: int) -> None:
    """Four gates of each layer see its input and its state at every step; then come the scores."""
    v, e, h = 65, 32, 48
    tree = {"kind": "lstm", "vocabulary": v, "embedding": e, "hidden": h, "layers": layers}
    cost = cost_of(tree, torch.zeros(2, time, dtype=torch.int64))
    a_step = 4 * h * (e + h) + 4 * h * (h + h) * (layers - 1) + h * v
    weights = a_step + v * e + 8 * h * layers + v
    assert cost.products == max(time * a_step, weights)
    least = time * (e + 5 * h * layers + h + v)  # inputs, gates and cells, states, scores
    assert least <= cost.values <= 10 * least  # torch's kernel keeps as much again and more


def test_it_grows_with_the_text_and_not_with_the_number_of_texts() -> None:
    tree = {"kind": "lstm", "vocabulary": 65, "embedding": 32, "hidden": 48}
    short, long = (cost_of(tree, torch.zeros(4, t, dtype=torch.int64)) for t in (16, 48))
    assert long.values == pytest.approx(3 * short.values, rel=0.2)
    assert long.products == 3 * short.products
    more = cost_of(tree, torch.zeros(9, 16, dtype=torch.int64))
    assert more.products == short.products
    assert more.values == pytest.approx(short.values, rel=0.2)


class Shared(nn.Module):
    """One layer in two places, used three times."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4, bias=False)
        self.also = nn.ModuleList([self.layer])

    def forward(self, x: Tensor) -> Tensor:
        return self.also[0](torch.tanh(self.layer(torch.tanh(self.layer(x)))))  # type: ignore[no-any-return]


def test_a_layer_counts_as_often_as_it_is_used() -> None:
    cost = measured_cost(Shared(), torch.randn(3, 4))
    assert cost == Cost(values=2 * (4 + 4 + 4 + 4), products=3 * 16)


def test_the_network_is_left_as_it_was() -> None:
    network = Shared().requires_grad_(False)
    before = network.layer.weight
    values = before.clone()
    measured_cost(network, torch.randn(3, 4))
    assert network.layer.weight is network.also[0].weight is before
    assert not before.requires_grad and torch.equal(before, values)


class Recurrent(nn.Module):
    """What can neither be counted nor batched."""

    def __init__(self) -> None:
        super().__init__()
        self.gru = nn.GRU(3, 4, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.gru(x)[0][:, -1]  # type: ignore[no-any-return]


def test_where_nothing_is_known_each_weight_counts_once() -> None:
    network = Recurrent()
    cost = measured_cost(network, torch.randn(2, 5, 3))
    assert cost.products >= sum(parameter.numel() for parameter in network.parameters()) > 0
    assert cost.values >= 2 * (5 * 3 + 4)
