"""Dropout by keys does what torch's functions do, wherever a sample stands in a batch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from engine.errors import InputError
from engine.networks.modules.dropout import (
    DROPOUTS,
    Dropping,
    NotBySample,
    check_drops,
    draws_within,
    generator_of,
    in_training_mode,
)
from tests.support.torch_recipes import key_below, numbers_of

KEYS = torch.tensor([11, 12, 15, 3, 2**60])
LAYERS: dict[str, tuple[nn.Module, tuple[int, ...]]] = {
    "Dropout": (nn.Dropout(0.3), (4, 6)),
    "Dropout1d": (nn.Dropout1d(0.4), (200, 3)),
    "Dropout2d": (nn.Dropout2d(0.4), (200, 3, 2)),
    "Dropout3d": (nn.Dropout3d(0.4), (200, 2, 3, 2)),
    "AlphaDropout": (nn.AlphaDropout(0.3), (40, 6)),
    "FeatureAlphaDropout": (nn.FeatureAlphaDropout(0.3), (200, 3)),
}


def dropped(layer: nn.Module, x: Tensor, keys: Tensor = KEYS) -> Tensor:
    with Dropping(keys):
        found: Tensor = layer.train()(x)
    return found


def test_a_mask_is_drawn_from_the_samples_key_and_the_number_of_the_call() -> None:
    x = torch.rand(5, 4, 6) + 1
    with Dropping(KEYS):
        for call in (1, 2, 3):
            found = functional.dropout(x, 0.3)
            for row, key in enumerate(KEYS.tolist()):
                drawn = torch.tensor(numbers_of(key_below(key, call), 24)).view(4, 6)
                expected = x[row] * (drawn >= 0.3) / 0.7
                torch.testing.assert_close(found[row], expected, rtol=1e-6, atol=0)


@pytest.mark.parametrize("name", LAYERS)
def test_layers_give_the_values_that_torch_gives(name: str) -> None:
    """Torch's masks are others, but what it makes of kept and of dropped values is the same."""
    layer, shape = LAYERS[name]
    ones = torch.ones(5, *shape)
    torch.manual_seed(1)
    theirs, ours = layer.train()(ones), dropped(layer, ones)
    values = theirs.unique(sorted=True)
    torch.testing.assert_close(ours.unique(sorted=True), values)  # type: ignore[no-untyped-call]
    assert len(values) == 2
    share = (ours == ours.max()).double().mean().item()
    assert isinstance(layer, nn.modules.dropout._DropoutNd)
    assert abs(share - (1 - layer.p)) < 0.1
    if "1d" in name or "2d" in name or "3d" in name or "Feature" in name:
        assert ((ours.flatten(2) == ours.flatten(2)[..., :1]).all(2)).all()


@pytest.mark.parametrize("name", LAYERS)
def test_a_samples_mask_does_not_depend_on_its_batch(name: str) -> None:
    layer, shape = LAYERS[name]
    x = torch.randn(5, *shape)
    whole = dropped(layer, x)
    assert torch.equal(dropped(layer, x[3:], KEYS[3:]), whole[3:])
    assert torch.equal(dropped(layer, x.flip(0), KEYS.flip(0)), whole.flip(0))

    def one(x: Tensor, keys: Tensor) -> Tensor:
        return dropped(layer, x, keys)

    beads = torch.stack([KEYS, KEYS + 1])
    batched = torch.func.vmap(one, in_dims=(None, 0))(x, beads)
    assert torch.equal(batched, torch.stack([dropped(layer, x, keys) for keys in beads]))
    assert not torch.equal(batched[0], batched[1])


def test_gradients_pass_where_values_do() -> None:
    x = torch.randn(5, 7, requires_grad=True)
    found = dropped(nn.Dropout(0.5), x)
    found.sum().backward()  # type: ignore[no-untyped-call]
    assert x.grad is not None
    assert torch.equal(x.grad, torch.where(found == 0, 0.0, 2.0))


def test_nothing_is_dropped_in_evaluation_or_without_keys() -> None:
    x = torch.randn(5, 7)
    with Dropping(KEYS) as dropping:
        assert torch.equal(nn.Dropout(0.5).eval()(x), x)
        assert torch.equal(functional.dropout(x, 0.0), x)
    assert dropping.calls == 0
    with Dropping(None) as dropping:
        assert torch.equal(functional.dropout(x, 0.5), x)
    assert dropping.calls == 1


@pytest.mark.parametrize("function", DROPOUTS, ids=lambda each: each.__name__)
def test_samples_that_are_not_on_the_first_axis_are_refused(function: Callable[..., Any]) -> None:
    with pytest.raises(NotBySample, match="were on their first axis"), Dropping(KEYS):
        function(torch.ones(3, 5, 2), 0.5, True)


def test_the_mode_of_training_ends_with_its_block() -> None:
    network = nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.5)).eval()
    with pytest.raises(KeyError), in_training_mode(network, True):
        assert network[1].training
        raise KeyError
    assert not network.training and not network[1].training
    with in_training_mode(network, False):
        assert not network.training


# ---------------------------------------------------------------- what can be done by keys


class Own(nn.Module):
    """A network of a user's own, by a function of its forward."""

    def __init__(self, forward: Callable[[Own, Tensor], Tensor], **parts: nn.Module) -> None:
        super().__init__()
        self.first = nn.Linear(4, 4)
        self._forward = forward
        for name, part in parts.items():
            self.add_module(name, part)

    def forward(self, x: Tensor) -> Tensor:
        return self._forward(self, self.first(x))


def by_flag(self: Own, x: Tensor) -> Tensor:
    return functional.dropout(x, 0.4, self.training)


def twice_in_training(self: Own, x: Tensor) -> Tensor:
    return functional.dropout(2 * x if self.training else x, 0.4, self.training)


def noisy(self: Own, x: Tensor) -> Tensor:
    x = functional.dropout(x, 0.4, self.training)
    return x + torch.randn_like(x) if self.training else x


REFUSED: dict[str, tuple[nn.Module, str]] = {
    "no dropout": (Own(lambda self, x: x), "drops nothing"),
    "another value": (Own(twice_in_training), "something else in training"),
}


ATTENTION = nn.MultiheadAttention(4, 2, dropout=0.4, batch_first=True)
GRU = nn.GRU(4, 4, num_layers=2, dropout=0.4, batch_first=True)
WITHIN = {
    "noise": Own(noisy),
    "samples second": Own(lambda self, x: functional.dropout(x.T, 0.4, self.training).T),
    "attention": Own(
        lambda self, x: ATTENTION(x[:, None], x[:, None], x[:, None])[0][:, 0], part=ATTENTION
    ),
    "gru": Own(lambda self, x: GRU(x[:, None])[0][:, 0], part=GRU),
}


@pytest.mark.parametrize("name", WITHIN)
def test_layers_that_draw_within_torch_are_drawn_by_the_first_samples_key(name: str) -> None:
    network, x = WITHIN[name].eval(), torch.randn(5, 4)
    check_drops(network, x, "endpoints.dropout")
    assert draws_within(network, x)
    before = torch.get_rng_state()

    def drawn(keys: Tensor) -> Tensor:
        with in_training_mode(network, True), generator_of(keys):
            found: Tensor = network(x)
        return found

    found = drawn(KEYS)
    assert torch.equal(torch.get_rng_state(), before)
    torch.randn(3)
    assert torch.equal(drawn(KEYS), found)
    assert not torch.equal(drawn(KEYS + 1), found)
    torch.manual_seed(int(KEYS[0]))
    with in_training_mode(network, True):
        assert torch.equal(network(x), found)


@pytest.mark.parametrize("name", REFUSED)
def test_networks_that_do_more_in_training_than_dropout_are_refused(name: str) -> None:
    network, why = REFUSED[name]
    with pytest.raises(InputError, match=why) as caught:
        check_drops(network.eval(), torch.randn(3, 4), "endpoints.dropout")
    assert "\n" not in str(caught.value) and str(caught.value).startswith("endpoints.dropout")
    assert not network.training


def test_layers_and_functions_that_drop_are_taken() -> None:
    layers = nn.Sequential(nn.Linear(4, 3), nn.Dropout(0.2), nn.ReLU(), nn.Linear(3, 2))
    for network in (Own(by_flag), layers):
        check_drops(network.eval(), torch.randn(3, 4), "endpoints.dropout")
        assert not draws_within(network, torch.randn(3, 4))
