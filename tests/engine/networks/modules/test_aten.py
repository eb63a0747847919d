"""Forwards as operations of ATen: what is taken apart, and what cannot be seen."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, fx, nn

from engine.networks.modules.aten import Unseen, traced
from tests.support import unit_zoo


def graph_of(network: nn.Module, x: Tensor) -> fx.GraphModule:
    named = {name: each.detach() for name, each in network.eval().named_parameters()}
    return traced(network, {name: name for name in named}, named, {}, x)


@pytest.mark.parametrize("name", ["lstm", "transformer"])
def test_what_fx_sees_as_one_call_is_taken_apart(name: str) -> None:
    """The graph, run on other weights and samples, gives what the module gives."""
    network = unit_zoo.made(name).double()
    graph = graph_of(network, torch.zeros(3, 5, dtype=torch.int64))
    called = {
        str(node.target).split(".")[1] for node in graph.graph.nodes if "aten" in str(node.target)
    }
    assert not called & {"lstm", "_transformer_encoder_layer_fwd", "_native_multi_head_attention"}
    assert "addmm" in called or "mm" in called
    with torch.no_grad():
        weights = [torch.randn_like(each) for each in network.parameters()]
        torch.nn.utils.vector_to_parameters(
            torch.cat([each.flatten() for each in weights]), network.parameters()
        )
        x = torch.randint(7, (3, 5), generator=torch.Generator().manual_seed(1))
        assert torch.allclose(graph(weights, [], x), network(x), atol=1e-12)


class Computing(nn.Module):
    """Applies a function to the values of a layer."""

    def __init__(self, body: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 4)
        self.body = body

    def forward(self, x: Tensor) -> Tensor:
        return self.body(self.layer(x))


def test_a_decision_by_what_is_always_the_same_is_followed() -> None:
    def body(x: Tensor) -> Tensor:
        mask = torch.ones(4, 4).triu()
        return x.relu() if bool((mask == torch.ones(4, 4).triu()).all()) else x.tanh()

    graph = graph_of(Computing(body), torch.zeros(2, 3))
    assert any("relu" in str(node.target) for node in graph.graph.nodes)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (lambda x: x if x.sum() > 0 else -x, "decides by the values"),
        (lambda x: x + torch.from_numpy(x.detach().numpy()), "cannot be traced"),
    ],
)
def test_what_goes_by_values_is_not_traced(body: Callable[[Tensor], Tensor], why: str) -> None:
    with pytest.raises(Unseen, match=why):
        graph_of(Computing(body), torch.zeros(2, 3))


def test_what_is_thrown_away_leaves_no_trace() -> None:
    def body(x: Tensor) -> Tensor:
        _ = x.exp().sum()
        return x.relu()

    graph = graph_of(Computing(body), torch.zeros(2, 3))
    assert not any("exp" in str(node.target) for node in graph.graph.nodes)
