"""Batch normalization in place of torch's own: its modes, its statistics, what is refused."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from engine.errors import InputError
from engine.problem.batch_norm import STATISTICS, BatchNorm, Mode, batch_norms, collect, explicit
from tests.support.networks import (
    BEADS,
    SAMPLES,
    SPECS,
    TOLERANCE,
    assert_same,
    draw,
    loss_of,
    network_of,
    one_by_one,
    samples,
    spec_of,
    together,
    weights_of,
)


class UsersOwn(nn.Module):
    """Layers that a user may have: without weights, without running statistics, used twice."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(2, eps=1e-3)
        self.inner = nn.Sequential(nn.Conv2d(2, 3, 2), nn.BatchNorm2d(3, affine=False))
        self.again = self.norm
        self.sides = nn.ModuleDict({"a": nn.BatchNorm1d(3, track_running_stats=False)})
        self.last = nn.Linear(3, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.inner(self.norm(x)).flatten(2)  # (sample, 3, place)
        return self.last(self.sides["a"](x).mean(2))  # type: ignore[no-any-return]


def users_own() -> tuple[UsersOwn, Tensor]:
    torch.manual_seed(8)
    network = UsersOwn()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn_like(parameter))
    return network, 2 + 3 * torch.randn(6, 2, 4, 5)


def test_names_and_weights_stay_when_batch_norm_is_replaced() -> None:
    network, x = users_own()
    ours = explicit(copy.deepcopy(network))
    before, after = list(network.named_parameters()), list(ours.named_parameters())
    assert [name for name, _ in after] == [name for name, _ in before]
    for (_, a), (_, b) in zip(after, before, strict=True):
        assert a is not b and torch.equal(a, b)
    assert [name for name, _ in batch_norms(ours)] == ["norm", "inner.1", "sides.a"]
    assert [norm.num_features for _, norm in batch_norms(ours)] == [2, 3, 3]
    assert ours.again is ours.norm
    assert not batch_norms(network) and isinstance(network.norm, nn.BatchNorm2d)
    for _, norm in batch_norms(ours):
        norm.mode = "batch"
    torch.testing.assert_close(ours(x), network.train()(x))


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (nn.BatchNorm1d(3), (7, 3)),
        (nn.BatchNorm1d(3, affine=False), (7, 3, 4)),
        (nn.BatchNorm2d(3, eps=0.1), (7, 3, 2, 5)),
        (nn.BatchNorm2d(3), (1, 3, 2, 1)),
        (nn.BatchNorm3d(3), (4, 3, 2, 1, 2)),
    ],
)
def test_each_mode_is_torch_s(layer: nn.Module, shape: tuple[int, ...]) -> None:
    """torch's running statistics with momentum 1 are those of the last batch."""
    assert isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d)
    layer.momentum = 1.0
    x = 1 + 2 * torch.randn(shape, generator=draw())
    other = -1 + 0.5 * torch.randn(shape, generator=draw(9))
    ours = explicit(copy.deepcopy(layer))
    assert isinstance(ours, BatchNorm)
    trained = layer.train()(x)
    ours.mode = "batch"
    torch.testing.assert_close(ours(x), trained)
    assert list(ours.collected) == []
    ours.mode = "collect"
    torch.testing.assert_close(ours(x), trained)
    mean, var = ours.statistics()
    torch.testing.assert_close(mean, layer.running_mean)
    torch.testing.assert_close(var, layer.running_var)
    ours.mode = "given"
    layer.eval()
    found = functional_call(ours, {"running_mean": mean, "running_var": var}, (other,))
    torch.testing.assert_close(found, layer(other))
    known = explicit(copy.deepcopy(layer))
    torch.testing.assert_close(known(other), layer(other))  # statistics come along


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_statistics_are_collected_and_given_bead_by_bead(dtype: torch.dtype) -> None:
    """Estimated on some samples and used on others, in one call under vmap and in a loop."""
    network = network_of("resnet")
    norms = batch_norms(network)
    assert len(norms) == 1 + 2 * 6 + 2
    weights = weights_of(network, dtype)
    x, y = samples(spec_of(SPECS["resnet"]), (SAMPLES,))
    x = x.to(dtype)

    def collected(weights: dict[str, Tensor]) -> list[Tensor]:
        def model(x: Tensor) -> Tensor:
            return functional_call(network, weights, (x,))  # type: ignore[no-any-return]

        return [*collect(model, [norm for _, norm in norms], x)]

    for _, norm in norms:
        norm.mode = "collect"
    batched = vmap(collected)(weights)
    looped = [collected({k: part[bead] for k, part in weights.items()}) for bead in range(BEADS)]
    for found, expected in zip(batched, zip(*looped, strict=True), strict=True):
        torch.testing.assert_close(
            found, torch.stack(expected), rtol=10 * TOLERANCE[dtype], atol=TOLERANCE[dtype]
        )
    for _, norm in norms:
        norm.mode = "given"
    names = [f"{name}.{part}" for name, _ in norms for part in STATISTICS]
    statistics = dict(zip(names, batched, strict=True))
    loss = loss_of(network)
    x, y = x[:3] + 0.1, y[:3]
    alone = one_by_one(loss, weights, x, y, own=False, fixed=statistics)
    batched = together(loss, weights, x, y, own=False, fixed=statistics)
    assert_same(batched, alone, TOLERANCE[dtype])
    for _, norm in norms:
        norm.mode = "batch"
    by_batch = torch.stack(
        [loss({k: part[b] for k, part in weights.items()}, x, y) for b in range(BEADS)]
    )
    assert (by_batch - alone[0]).abs().min() > 1e-3


def test_one_value_a_channel_is_refused() -> None:
    norm = explicit(nn.BatchNorm1d(3))
    assert isinstance(norm, BatchNorm)
    torch.testing.assert_close(norm(torch.ones(1, 3)), torch.full((1, 3), (1 + 1e-5) ** -0.5))
    modes: tuple[Mode, ...] = ("batch", "collect")
    for mode in modes:
        norm.mode = mode
        with pytest.raises(InputError, match=r"problem.batch_norm: .* two or more samples"):
            norm(torch.ones(1, 3))


class WithActivation(nn.BatchNorm2d):
    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input).relu()


class InName(nn.BatchNorm2d):
    """Behaves as its parent does."""


@pytest.mark.parametrize("layer", [WithActivation(2), InName(2), nn.SyncBatchNorm(2)])
def test_layers_of_other_classes_stay_what_they_are(layer: nn.BatchNorm2d) -> None:
    """Their own forward, their class, their hooks and their attributes."""
    layer.momentum = 1.0
    layer.register_forward_hook(lambda module, inputs, output: output + 3)
    x = 1 + 2 * torch.randn(7, 2, 3, 3, generator=draw())
    ours = explicit(copy.deepcopy(layer))
    assert isinstance(ours, BatchNorm) and isinstance(ours, type(layer))
    assert type(ours).__name__ == type(layer).__name__
    trained = layer.train()(x)
    for mode in ("batch", "collect"):
        ours.mode = mode
        torch.testing.assert_close(ours.eval()(x), trained)
    mean, var = ours.statistics()
    torch.testing.assert_close(mean, layer.running_mean)
    torch.testing.assert_close(var, layer.running_var)
    ours.mode = "given"
    found = functional_call(ours, {"running_mean": mean, "running_var": var}, (x,))
    torch.testing.assert_close(found, layer.eval()(x))
    kept = ours.running_mean
    assert kept is not None and torch.equal(kept, torch.zeros(2))
