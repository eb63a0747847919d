"""Residual networks, built once more by hand."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from tests.support.networks import SAMPLES, SPECS, draw, outputs_of


@pytest.mark.parametrize("norm", ["resnet", "resnet-layer"])
def test_a_resnet_is_stem_blocks_mean_and_a_linear_layer(norm: str) -> None:
    tree = SPECS[norm]
    x = torch.randn(SAMPLES, *tree["input"], generator=draw(), dtype=torch.float64)
    w, found = outputs_of(norm, x)

    def normalized(x: Tensor, name: str) -> Tensor:
        axes = (0, 2, 3) if norm == "resnet" else (1, 2, 3)
        x = x - x.mean(axes, keepdim=True)
        x = x / (x.square().mean(axes, keepdim=True) + 1e-5).sqrt()
        return x * w[f"{name}.weight"][:, None, None] + w[f"{name}.bias"][:, None, None]

    def conv(x: Tensor, name: str, stride: int = 1) -> Tensor:
        weight = w[f"{name}.weight"]
        return functional.conv2d(x, weight, stride=stride, padding=weight.shape[-1] // 2)

    y = normalized(conv(x, "conv"), "norm").relu()
    at = 0
    for stage in range(len(tree["widths"])):
        for block in range(tree.get("blocks", 1)):
            name, stride = f"blocks.{at}", 2 if stage and not block else 1
            inner = normalized(conv(y, f"{name}.conv1", stride), f"{name}.norm1").relu()
            inner = normalized(conv(inner, f"{name}.conv2"), f"{name}.norm2")
            if f"{name}.shortcut.0.weight" in w:
                y = normalized(conv(y, f"{name}.shortcut.0", stride), f"{name}.shortcut.1")
            y = (y + inner).relu()
            at += 1
    assert not any(name.startswith(f"blocks.{at}") for name in w)
    torch.testing.assert_close(
        found, functional.linear(y.mean((2, 3)), w["output.weight"], w["output.bias"])
    )
