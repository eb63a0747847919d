"""Small networks of every kind, their samples, and their losses one by one."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import torch
from pydantic import TypeAdapter
from torch import Tensor, nn
from torch.func import functional_call, vmap
from torch.nn import functional

from engine.networks import build_network
from engine.problem.batch_norm import Mode, batch_norms, explicit
from engine.spec.problem import Network

CONV5 = {"kind": "conv", "kernel": 5}


POOL = {"kind": "pool"}


PAPER = {
    "kind": "cnn",
    "input": [1, 28, 28],
    "layers": [
        CONV5 | {"channels": 32},
        POOL,
        CONV5 | {"channels": 64},
        POOL,
        {"kind": "dense", "units": 1024},
    ],
    "outputs": 10,
}


SPECS: dict[str, dict[str, Any]] = {
    "linear": {"kind": "linear", "sizes": [24, 5, 3]},
    "mlp": {"kind": "mlp", "sizes": [24, 7, 3]},
    "mlp-plain": {"kind": "mlp", "sizes": [24, 7, 6, 3], "bias": False, "activation": "tanh"},
    "cnn": {
        "kind": "cnn",
        "input": [2, 9, 8],
        "layers": [
            {"kind": "conv", "channels": 4},
            POOL,
            {"kind": "conv", "channels": 3, "kernel": 2, "stride": 2, "padding": 1},
            {"kind": "dense", "units": 6},
            {"kind": "dense", "units": 5},
        ],
        "outputs": 3,
    },
    "cnn-average": {
        "kind": "cnn",
        "input": [1, 7, 8],
        "layers": [
            CONV5 | {"channels": 3, "stride": 2},
            {"kind": "pool", "size": 3, "by": "average"},
            {"kind": "conv", "channels": 2, "kernel": 1, "padding": 0},
        ],
        "outputs": 4,
        "activation": "tanh",
    },
    "cnn-lrn": {
        "kind": "cnn",
        "input": [2, 8, 7],
        "layers": [
            CONV5 | {"channels": 6},
            {"kind": "pool", "size": 3, "stride": 2, "ceil_mode": True},
            {"kind": "lrn", "size": 5, "alpha": 0.3},
            {"kind": "conv", "channels": 5},
            {"kind": "lrn", "size": 4, "alpha": 0.2, "beta": 0.5, "k": 2.0},
            {"kind": "pool", "size": 3, "stride": 2, "by": "average"},
        ],
        "outputs": 3,
        "init": "he",
    },
    "cnn-norm": {
        "kind": "cnn",
        "input": [2, 7, 7],
        "layers": [
            {"kind": "conv", "channels": 4, "norm": "batch"},
            {"kind": "conv", "channels": 4, "norm": "layer"},
            POOL,
            {"kind": "dense", "units": 5},
        ],
        "outputs": 3,
    },
    "cnn-softmax": {
        "kind": "cnn",
        "input": [1, 6, 5],
        "layers": [{"kind": "conv", "channels": 3}, POOL, {"kind": "dense", "units": 5}],
        "outputs": 4,
        "output_activation": "softmax",
    },
    "cnn-dense": {
        "kind": "cnn",
        "input": [2, 3, 4],
        "layers": [{"kind": "dense", "units": 5}],
        "outputs": 3,
        "activation": "sigmoid",
    },
    "resnet": {
        "kind": "resnet",
        "input": [3, 7, 6],
        "widths": [4, 6, 6],
        "blocks": 2,
        "outputs": 3,
    },
    # Odd sides: on some processors, oneDNN's float32 gradient of a strided convolution over even
    # ones writes beyond its memory.
    "resnet-layer": {
        "kind": "resnet",
        "input": [1, 7, 7],
        "widths": [4, 3],
        "norm": "layer",
        "outputs": 5,
    },
    "lstm": {"kind": "lstm", "vocabulary": 11, "embedding": 5, "hidden": 4},
    "lstm-two": {"kind": "lstm", "vocabulary": 6, "embedding": 3, "hidden": 7, "layers": 2},
}


BEADS, SAMPLES, TIME = 3, 5, 9


TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-12}


def spec_of(tree: dict[str, Any]) -> Network:
    return TypeAdapter[Network](Network).validate_json(json.dumps(tree))


def draw(seed: int = 3) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def network_of(name: str, mode: Mode = "batch") -> nn.Module:
    network = explicit(build_network(spec_of(SPECS[name])))
    for _, norm in batch_norms(network):
        norm.mode = mode
    return network.eval()


def samples(spec: Network, count: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """x (…, feature), classes y (…); or tokens (…, time) and the tokens after them."""
    assert spec.gives is not None
    outputs = spec.gives.size
    if spec.takes is None:
        x = torch.randint(outputs, (*count, TIME), generator=draw())
        return x, torch.randint(outputs, (*count, TIME), generator=draw(4))
    return (
        torch.randn(*count, spec.takes.size, generator=draw()),
        torch.randint(outputs, count, generator=draw(4)),
    )


def weights_of(network: nn.Module, dtype: torch.dtype) -> dict[str, Tensor]:
    """Random weights (bead, …) of the sizes that networks begin with."""
    random = draw(5)
    weights = {}
    for name, parameter in network.named_parameters():
        shape = (BEADS, *parameter.shape)
        centre = 1.0 if "norm" in name and name.endswith("weight") else 0.0
        weights[name] = (centre + 0.3 * torch.randn(shape, generator=random)).to(dtype)
    return weights


Named = dict[str, Tensor]


Loss = Callable[[Named, Tensor, Tensor], Tensor]


def loss_of(network: nn.Module) -> Loss:
    def loss(weights: dict[str, Tensor], x: Tensor, y: Tensor) -> Tensor:
        return functional.cross_entropy(functional_call(network, weights, (x,)), y)

    return loss


def one_by_one(
    loss: Loss, weights: Named, x: Tensor, y: Tensor, own: bool, fixed: Named | None = None
) -> list[Tensor]:
    """Losses (bead,), then gradients (bead, …), from one plain call for each bead.

    `own`: x and y have a bead axis; `fixed`: buffers with one, without gradients.
    """
    losses, grads = [], []
    for bead in range(BEADS):
        leaves = {name: part[bead].clone().requires_grad_() for name, part in weights.items()}
        buffers = {name: part[bead] for name, part in (fixed or {}).items()}
        of_bead = loss(leaves | buffers, *((x[bead], y[bead]) if own else (x, y)))
        losses.append(of_bead.detach())
        grads.append(torch.autograd.grad(of_bead, list(leaves.values())))
    return [torch.stack(losses), *map(torch.stack, zip(*grads, strict=True))]


def together(
    loss: Loss, weights: Named, x: Tensor, y: Tensor, own: bool, fixed: Named | None = None
) -> list[Tensor]:
    """The same from one call under vmap."""
    leaves = {name: part.clone().requires_grad_() for name, part in weights.items()}
    axis = 0 if own else None
    losses = vmap(loss, in_dims=(0, axis, axis))(leaves | (fixed or {}), x, y)
    return [losses.detach(), *torch.autograd.grad(losses.sum(), list(leaves.values()))]


def assert_same(found: list[Tensor], expected: list[Tensor], tolerance: float) -> None:
    """Losses, and gradients beside the largest of their entries."""
    scale = max(grad.abs().max().item() for grad in expected[1:])
    assert scale > 1e-3
    for a, b in zip(found, expected, strict=True):
        assert a.dtype == b.dtype
        torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance * scale)


def outputs_of(name: str, x: Tensor) -> tuple[dict[str, Tensor], Tensor]:
    network = network_of(name)
    weights = {key: part[1] for key, part in weights_of(network, torch.float64).items()}
    return weights, functional_call(network, weights, (x,))
