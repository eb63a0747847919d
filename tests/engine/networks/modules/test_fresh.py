"""Fresh weights, drawn as torch's layers draw theirs or as He et al. do."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from engine.networks import build_network
from tests.support.networks import spec_of

WIDE = {"kind": "conv", "channels": 64}

TREES: dict[str, dict[str, Any]] = {
    "cnn": {"kind": "cnn", "input": [8, 5, 5], "layers": [WIDE, WIDE | {"norm": "batch"}]},
    "resnet": {"kind": "resnet", "input": [8, 5, 5], "widths": [32, 64]},
}


def made(name: str, init: str) -> list[nn.Conv2d | nn.Linear]:
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
