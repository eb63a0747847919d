"""Modules that are computed again give the same gradients and keep fewer values."""

from __future__ import annotations

from contextlib import nullcontext

import pytest
import torch
from torch import Tensor, nn

from engine.errors import InputError
from engine.networks.modules.dropout import Dropping
from engine.networks.modules.recomputed import check_recomputes, recomputing


class Counted(nn.Linear):
    """A linear layer that counts its calls."""

    calls = 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        return super().forward(x)


def network(*more: nn.Module) -> nn.Sequential:
    torch.manual_seed(4)
    body = nn.Sequential(*(nn.Sequential(Counted(6, 6), nn.Tanh(), *more) for _ in range(3)))
    return nn.Sequential(nn.Linear(4, 6), body, nn.Linear(6, 2))


def gradient(
    net: nn.Module, names: tuple[str, ...], keys: Tensor | None = None
) -> tuple[Tensor, int]:
    """The gradient of a sum, and the number of values that were kept for it."""
    x = torch.randn(5, 4, generator=torch.Generator().manual_seed(2))
    kept: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        kept[tensor.data_ptr()] = tensor.numel()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        dropping = Dropping(keys) if keys is not None else None
        with dropping or nullcontext():
            again = nullcontext if dropping is None else dropping.again
            with recomputing(net, names, again):
                outputs = net(x)
    outputs.square().sum().backward()
    found = torch.cat([p.grad.flatten() for p in net.parameters() if p.grad is not None])
    return found, sum(kept.values())


def test_gradients_are_the_same_and_values_are_computed_twice() -> None:
    plain, twice = network(), network()
    expected, kept = gradient(plain, ())
    found, fewer = gradient(twice, ("1",))
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-8)
    assert fewer < kept
    assert [layer.calls for layer in plain.modules() if isinstance(layer, Counted)] == [1, 1, 1]
    assert [layer.calls for layer in twice.modules() if isinstance(layer, Counted)] == [2, 2, 2]
    assert all("forward" not in vars(module) for module in twice.modules())


def test_only_the_named_modules_are_computed_again() -> None:
    net = network()
    gradient(net, ("1.0.0", "1.2"))
    assert [layer.calls for layer in net.modules() if isinstance(layer, Counted)] == [2, 1, 2]


def test_dropout_drops_the_same_values_again() -> None:
    keys = torch.arange(5)
    expected, _ = gradient(network(nn.Dropout(0.5)).train(), (), keys)
    for names in (("1",), ("1.1", "1.2.0")):
        found, _ = gradient(network(nn.Dropout(0.5)).train(), names, keys)
        torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-8)
    other, _ = gradient(network(nn.Dropout(0.5)).train(), (), keys + 9)
    assert not torch.allclose(other, expected)


class InPlace(nn.Module):
    """A module that changes its input, and whose gradient depends on it."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mul_(2).exp()


def test_names_of_no_module_and_modules_that_change_their_input_are_refused() -> None:
    x = torch.randn(3, 4)
    check_recomputes(network(), ["1", "0"], x)
    with pytest.raises(InputError, match=r"problem\.network\.recompute: names 'body', but the mod"):
        check_recomputes(network(), ["body"], x)
    changing = nn.Sequential(nn.Linear(4, 3), InPlace(), nn.Linear(3, 2))
    with pytest.raises(InputError, match="change their input in place"):
        check_recomputes(changing, ["1"], x)
    check_recomputes(changing, ["2"], x)
