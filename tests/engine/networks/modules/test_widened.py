"""Forward passes that were written for float32, in float64."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from engine.networks.modules.widened import Widened


@contextmanager
def double_by_default() -> Iterator[None]:
    """What torch itself has to offer, for all threads."""
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


class States(nn.Module):
    """Makes the first states of an LSTM in the default precision."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(1, 4, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        states = torch.zeros(1, len(x), 4), torch.zeros(1, len(x), 4)
        return self.lstm(x[:, :, None], states)[0][:, -1]  # type: ignore[no-any-return]


class Eye(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(5, 5)

    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(self.first(x)) @ (torch.eye(5) + torch.full((5, 5), 0.25))


class Filled(nn.Module):
    """Writes into a tensor that it has made."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(5, 3)

    def forward(self, x: Tensor) -> Tensor:
        out = torch.zeros(len(x), 4)
        out[:, :3] = self.first(x)
        out[:, 3].add_(x[:, 0])
        return out


class OneHot(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(2, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.first(functional.one_hot((x[:, 0] > 0).long(), 2).float())  # type: ignore[no-any-return]


class Casting(nn.Module):
    """Casts in three ways."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(5, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x.float()).to(torch.float32)
        return x.type(torch.float32) + torch.ones(5, dtype=torch.float32)


MODULES: dict[str, Callable[[], nn.Module]] = {
    each.__name__: each for each in (States, Eye, Filled)
}


def samples() -> Tensor:
    return torch.randn(6, 5, generator=torch.Generator().manual_seed(3), dtype=torch.float64)


@pytest.mark.parametrize("name", MODULES)
def test_outputs_are_those_of_double_by_default(name: str) -> None:
    module = MODULES[name]().double()
    with torch.no_grad():
        with double_by_default():
            right = module(samples())
        with Widened():
            found = module(samples())
    assert found.dtype == torch.float64
    torch.testing.assert_close(found, right, rtol=1e-14, atol=1e-14)


def test_casts_to_float32_are_left_out() -> None:
    module = Casting().double()
    with torch.no_grad(), Widened():
        found = module(samples())
        right = module.first(samples()) + 1
    torch.testing.assert_close(found, right, rtol=1e-14, atol=1e-14)


def test_whole_numbers_become_float64() -> None:
    module, classes = OneHot().double(), (samples()[:, 0] > 0).long()
    with torch.no_grad(), Widened():
        right = module.first(functional.one_hot(classes, 2).double())
        torch.testing.assert_close(module(samples()), right, rtol=1e-14, atol=1e-14)


def test_a_loss_may_hold_float32_weights() -> None:
    weights = torch.tensor([0.25, 0.75])
    output, labels = samples()[:, :2], torch.tensor([0, 1, 1, 0, 1, 0])
    right = functional.cross_entropy(output, labels, weight=weights.double(), reduction="none")
    with Widened():
        found = functional.cross_entropy(output, labels, weight=weights, reduction="none")
    torch.testing.assert_close(found, right, rtol=1e-14, atol=1e-14)


def test_what_is_written_into_stays_as_it_is() -> None:
    held = torch.zeros(3)
    with Widened():
        held.copy_(torch.full((3,), 0.1, dtype=torch.float64))
        held[0] = samples()[0, 0]
    assert held.dtype == torch.float32
    torch.testing.assert_close(held, torch.tensor([samples()[0, 0].item(), 0.1, 0.1]))


def test_float32_alone_and_whole_numbers_stay_so() -> None:
    with Widened():
        assert (torch.arange(3) + 1).dtype == torch.int64
        assert torch.tensor([1, 2]).dtype == torch.int64
    assert torch.zeros(3).dtype == torch.float32  # it ends with the context
