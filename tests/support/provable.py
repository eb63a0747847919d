"""Small random networks between two weight vectors, for certificates."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from hypothesis import strategies as st
from torch import Tensor, nn

from engine.networks.modules.tracing import taken_apart
from engine.path.certificate.network import Provable, Segment
from engine.problem.samples import Samples

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "identity": nn.Identity,
    "relu": nn.ReLU,
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
}
MEASURES = ("mse", "l1", "cross_entropy", "error_rate")


@dataclass(frozen=True)
class Case:
    """A network's objective, a segment of its weights, and a cell of it."""

    net: Provable
    segment: Segment
    u: float
    v: float
    x: Tensor
    y: Tensor


class Added(nn.Module):
    """A layer, and its input past it."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layer = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        return x + torch.relu(self.layer(x))


def provable_of(network: nn.Module, measure: str, x: Tensor, y: Tensor) -> Provable:
    """Returns a module's objective on data x (sample, …) and y, ready to be bounded."""
    network = network.eval()
    shapes = {name: p.shape for name, p in network.named_parameters()}

    def named(theta: Tensor) -> dict[str, Tensor]:
        parts = torch.split(theta, [shape.numel() for shape in shapes.values()], dim=1)
        return {
            name: part.reshape(len(theta), *shape)
            for (name, shape), part in zip(shapes.items(), parts, strict=True)
        }

    taken = taken_apart(network, x)
    return Provable(taken, measure, 64, Samples(x, y, None), named, weight_count(network))


def weight_count(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


@st.composite
def networks(draw: st.DrawFn) -> tuple[nn.Module, tuple[int, ...], int]:
    """Draws a module, the shape of its samples and its number of outputs."""
    activation = ACTIVATIONS[draw(st.sampled_from(list(ACTIVATIONS)))]
    outputs = draw(st.integers(2, 4))
    layers: list[nn.Module] = []
    if draw(st.booleans()):
        channels, side = draw(st.integers(1, 2)), draw(st.integers(4, 6))
        shape: tuple[int, ...] = (channels, side, side)
        for _ in range(draw(st.integers(1, 2))):
            new = draw(st.integers(1, 3))
            kernel, padding = draw(st.sampled_from([(1, 0), (3, 1), (2, 1)]))
            stride = draw(st.integers(1, 2))
            layers += [nn.Conv2d(channels, new, kernel, stride, padding), activation()]
            side = (side + 2 * padding - kernel) // stride + 1
            channels = new
            if side >= 2 and draw(st.booleans()):
                layers.append(draw(st.sampled_from([nn.MaxPool2d, nn.AvgPool2d]))(2))
                side //= 2
        layers.append(nn.Flatten())
        width = channels * side * side
    else:
        width = draw(st.integers(1, 5))
        shape = (width,)
    for _ in range(draw(st.integers(0, 3))):
        new = draw(st.integers(1, 6))
        layers += [nn.Linear(width, new, bias=draw(st.booleans())), activation()]
        width = new
        if draw(st.integers(0, 3)) == 0:
            layers.append(Added(width))
    layers.append(nn.Linear(width, outputs))
    if draw(st.integers(0, 3)) == 0:
        layers.append(ACTIVATIONS[draw(st.sampled_from(["sigmoid", "tanh"]))]())
    return nn.Sequential(*layers), shape, outputs


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Draws a network, a measure, data, two weight vectors near or far, and a cell."""
    network, shape, outputs = draw(networks())
    measure = draw(st.sampled_from(MEASURES))
    rng = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    count = draw(st.integers(1, 6))

    def normal(*size: int) -> Tensor:
        return torch.randn(*size, generator=rng, dtype=torch.float64)

    x = normal(count, *shape)
    y: Any = torch.randint(0, outputs, (count,), generator=rng)
    if measure in ("mse", "l1"):
        y = normal(count, outputs)
    size = 10 ** draw(st.floats(-1.5, 0.7))
    left = (size * normal(weight_count(network))).float().double()
    apart = 10 ** draw(st.floats(-3, 0.5)) * size
    right = (left + apart * normal(len(left))).float().double()
    width = 2.0 ** -draw(st.integers(0, 12))
    u = width * draw(st.integers(0, int(1 / width) - 1))
    return Case(provable_of(network, measure, x, y), Segment(left, right), u, u + width, x, y)
