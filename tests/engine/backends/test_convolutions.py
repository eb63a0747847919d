"""Convolutions a few samples at a time: the same bits, and the same gradients."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from engine.backends import convolutions
from engine.backends.convolutions import take_few_at_once

LAYERS = {
    "plain": (nn.Conv2d(3, 8, 3, padding=1), (3, 16, 16)),
    "strided, in groups": (nn.Conv2d(4, 8, 5, stride=2, groups=2, bias=False), (4, 17, 13)),
    "dilated, circular": (
        nn.Conv2d(2, 4, 3, dilation=2, padding=2, padding_mode="circular"),
        (2, 9, 9),
    ),
    "of sequences": (nn.Conv1d(5, 6, 3), (5, 40)),
    "of volumes": (nn.Conv3d(2, 3, 2), (2, 5, 6, 7)),
    "points": (nn.Conv2d(3, 8, 1), (3, 16, 16)),
    "transposed": (nn.ConvTranspose2d(3, 4, 3), (3, 6, 6)),
}


@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.parametrize("samples", [1, 7, 50])
def test_outputs_and_gradients_are_the_same(
    kind: str, samples: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(convolutions, "PATCHES", 2**14)
    layer, shape = LAYERS[kind]
    plain = copy.deepcopy(layer).double()
    ours = nn.Sequential(copy.deepcopy(plain))
    take_few_at_once(ours)
    x = torch.randn(
        samples, *shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1)
    )
    expected, found = plain(x), ours(x)
    assert torch.equal(found, expected)
    for output in (expected, found):
        output.square().sum().backward()
    for one, other in zip(plain.parameters(), ours.parameters(), strict=True):
        torch.testing.assert_close(other.grad, one.grad, rtol=1e-12, atol=1e-12)


def test_pieces_are_small_in_double_precision_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    layer = nn.Conv2d(3, 8, 3)
    calls: list[int] = []
    before = layer._conv_forward

    def counted(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
        calls.append(len(x))
        output: torch.Tensor = before(x, weight, bias)
        return output

    monkeypatch.setattr(layer, "_conv_forward", counted)
    take_few_at_once(layer)
    x = torch.randn(100, 3, 32, 32)
    layer(x)
    assert calls == [100]
    layer.double()(x.double())
    largest = convolutions.PATCHES // (3 * 32 * 32 * 9 * 8)
    assert sum(calls[1:]) == 100 and max(calls[1:]) == largest == 4


def test_one_sample_without_a_batch_is_taken_as_it_is() -> None:
    layer = nn.Conv2d(3, 8, 3).double()
    x = torch.randn(3, 64, 64, dtype=torch.float64)
    expected = layer(x)
    take_few_at_once(layer)
    assert torch.equal(layer(x), expected)
