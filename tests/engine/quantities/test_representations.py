"""What goes into the layers of networks: which layers there are, in groups and pieces."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from engine.quantities import representations
from engine.quantities.models import OneByOne
from engine.quantities.representations import centred_grams, layers_of, watching
from tests.support.paths import LSTM, MLP, NORMALIZED, drawn_problem


@pytest.mark.parametrize(
    ("network", "expected"),
    [
        (MLP, {"layers.1": 7, "layers.2": 5, "": 3}),
        ({"kind": "linear", "sizes": [6, 3]}, {"": 3}),
        (LSTM, {"lstm": 21, "output": 28, "": 35}),
    ],
    ids=["mlp", "linear", "tokens"],
)
def test_the_layers_of_networks(network: dict[str, Any], expected: dict[str, int]) -> None:
    assert layers_of(OneByOne(drawn_problem(network))) == expected


def test_groups_and_pieces_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = drawn_problem(NORMALIZED)
    theta, samples = problem.initial(3), torch.arange(0, 37, 2)
    backend = OneByOne(problem).to(torch.float64)
    layers = layers_of(backend)
    assert len(layers) > 2
    whole = centred_grams(backend, theta, layers, samples)
    assert [float(torch.linalg.matrix_norm(each)) for each in whole] == pytest.approx(
        [1] * len(whole)
    )
    monkeypatch.setattr(representations, "HELD_BYTES", 1)
    small = backend.within(3 * 8 * problem.cost.values)
    for one, other in zip(whole, centred_grams(small, theta, layers, samples), strict=True):
        torch.testing.assert_close(one, other)


class Twice(nn.Module):
    """Calls a layer twice, and another one with a keyword."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.last = nn.Linear(4, 4), nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.last(input=self.layer(self.layer(x)))
        return found


def test_a_layer_that_is_called_twice_has_what_it_takes_last() -> None:
    network, x = Twice(), torch.ones(3, 4)
    with watching(network, None) as seen:
        network(x)
    assert list(seen) == ["layer"]
    torch.testing.assert_close(seen["layer"], network.layer(x))
    with watching(network, ["last"]) as seen:
        network(x)
    assert not seen
    assert not any(each._forward_pre_hooks for each in network.modules())
