"""Fresh weights, drawn as torch's layers draw theirs, as He et al. do, or truncated."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from pydantic import ValidationError
from scipy import stats
from torch import nn

from engine.networks import build_network
from tests.support.networks import spec_of

WIDE = {"kind": "conv", "channels": 64}

TREES: dict[str, dict[str, Any]] = {
    "cnn": {"kind": "cnn", "input": [8, 5, 5], "layers": [WIDE, WIDE | {"norm": "batch"}]},
    "resnet": {"kind": "resnet", "input": [8, 5, 5], "widths": [32, 64]},
}


def made(name: str, init: str | dict[str, Any]) -> list[nn.Conv2d | nn.Linear]:
    torch.manual_seed(5)
    network = build_network(spec_of(TREES[name] | {"outputs": 40, "init": init}))
    return [each for each in network.modules() if isinstance(each, nn.Conv2d | nn.Linear)]


@pytest.mark.parametrize("name", TREES)
def test_as_he_draws_them_their_variance_is_two_by_the_inputs(name: str) -> None:
    """To four standard errors, and biases are zero."""
    for layer, plain in zip(made(name, "he"), made(name, "torch"), strict=True):
        inputs, count = layer.weight[0].numel(), layer.weight.numel()
        assert layer.weight.var().item() * inputs / 2 == pytest.approx(
            1, abs=4 * (2 / count) ** 0.5
        )
        assert layer.bias is None or not layer.bias.any()
        assert plain.weight.var() < 0.25 * layer.weight.var()


@pytest.mark.parametrize("name", TREES)
def test_a_truncated_normal_has_its_deviation_its_ends_and_its_biases(name: str) -> None:
    """scipy's truncated normal is the reference, by the test of Kolmogorov and Smirnov."""
    normal = {"kind": "truncated_normal", "deviation": 0.1, "biases": 0.25}
    for layer in made(name, normal):
        drawn = layer.weight.detach().double().flatten() / 0.1
        assert drawn.abs().max() <= 2
        assert stats.kstest(drawn.numpy(), stats.truncnorm(-2, 2).cdf).pvalue > 1e-3
        assert layer.bias is None or bool((layer.bias == 0.25).all())


def test_a_layer_may_be_drawn_in_a_way_of_its_own() -> None:
    own = {"kind": "truncated_normal", "deviation": 1e-3, "biases": 0.5}
    layers = [WIDE | {"init": own}, WIDE, {"kind": "dense", "units": 8, "init": "he"}]
    tree = {"kind": "cnn", "input": [8, 5, 5], "layers": layers, "outputs": 4}
    torch.manual_seed(5)
    network = build_network(spec_of(tree))
    drawn = {name: each.detach() for name, each in network.named_parameters()}
    assert drawn["layers.0.weight"].abs().max() <= 2e-3
    assert bool((drawn["layers.0.bias"] == 0.5).all())
    assert drawn["layers.1.weight"].abs().max() > 2e-3, "torch's, as the network says"
    assert not drawn["layers.2.bias"].any(), "zero, as He et al. have them"
    assert drawn["output.bias"].all(), "torch's, as the network says"


@pytest.mark.parametrize(
    ("init", "key"),
    [
        ({"kind": "truncated_normal"}, "deviation"),
        ({"kind": "truncated_normal", "deviation": 0}, "deviation"),
        ({"kind": "normal", "deviation": 1}, "kind"),
        ("xavier", "init"),
        (0.1, "init"),
    ],
)
def test_what_no_weights_can_be_drawn_by_is_refused(init: object, key: str) -> None:
    with pytest.raises(ValidationError) as refused:
        made("cnn", init)  # type: ignore[arg-type]
    assert refused.value.errors()[0]["loc"][-1] in (key, "a word")
