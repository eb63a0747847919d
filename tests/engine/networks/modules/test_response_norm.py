"""Local response normalization against torch's own module, with its gradients."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from engine.networks.modules.response_norm import ResponseNorm
from tests.support.networks import draw

KEYS = (0.3, 0.75, 1.5)


def values_and_gradients(module: nn.Module, x: Tensor) -> tuple[Tensor, Tensor]:
    """The outputs, and the gradient of a weighted sum of them."""
    x.requires_grad_()
    outputs: Tensor = module(x)
    (gradient,) = torch.autograd.grad(outputs, x, torch.arange(x.numel()).reshape(x.shape).cos())
    return outputs, gradient


@pytest.mark.parametrize("size", [1, 2, 5, 6, 7, 20])
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_it_computes_what_torch_computes(size: int, memory_format: torch.memory_format) -> None:
    x = torch.randn(3, 7, 4, 5, generator=draw(), dtype=torch.float64)
    x = x.to(memory_format=memory_format)
    ours, theirs = (
        values_and_gradients(kind(size, *KEYS), x) for kind in (ResponseNorm, nn.LocalResponseNorm)
    )
    torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)


def test_many_models_at_once_are_normalized_as_one_by_one() -> None:
    x = torch.randn(2, 3, 7, 4, 5, generator=draw(), dtype=torch.float64)
    module = ResponseNorm(5, *KEYS)
    torch.testing.assert_close(torch.vmap(module)(x), torch.stack([module(each) for each in x]))
