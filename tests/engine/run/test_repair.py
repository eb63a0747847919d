"""Repaired models, held against networks into whose weights plain torch has folded the repair."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import engine
from engine.run.barrier import barrier
from tests.support.pairs import Vector, between, digits, drawn, estimating, mlp, saved, scores

Layer = tuple[Tensor, Tensor]


def affine(x: Tensor, layer: Layer) -> Tensor:
    """A layer's output, of a convolution with zeros around the image or of a linear layer."""
    weight, bias = layer
    if weight.ndim == 4:
        side = round(x.shape[-1] ** 0.5) if x.ndim == 2 else x.shape[-1]
        image = x.reshape(len(x), -1, side, side)
        return functional.conv2d(image, weight, bias, padding=weight.shape[-1] // 2)
    return functional.linear(x.flatten(1), weight, bias)


def after(output: Tensor) -> Tensor:
    """What a hidden layer hands on: convolutions are followed by a pool."""
    output = torch.relu(output)
    return functional.max_pool2d(output, 2) if output.ndim == 4 else output


def output_of(layers: list[Layer], x: Tensor) -> Tensor:
    *hidden, last = layers
    for layer in hidden:
        x = after(affine(x, layer))
    return affine(x, last)


def moments(output: Tensor) -> tuple[Tensor, Tensor]:
    rows = output.movedim(1, -1).reshape(-1, output.shape[1])
    return rows.mean(0), rows.std(0, correction=0)


def all_moments(layers: list[Layer], x: Tensor) -> list[tuple[Tensor, Tensor]]:
    found = []
    for layer in layers[:-1]:
        output = affine(x, layer)
        found.append(moments(output))
        x = after(output)
    return found


def repaired(ends: list[list[Layer]], middle: list[Layer], t: float, x: Tensor) -> list[Layer]:
    """The layers in between with new weights, so that each unit has its wanted moments."""
    goals = zip(*(all_moments(end, x) for end in ends), strict=True)
    layers = []
    for layer, (at_a, at_b) in zip(middle, goals, strict=False):
        mean, deviation = moments(affine(x, layer))
        wanted, wide = ((1 - t) * a + t * b for a, b in zip(at_a, at_b, strict=True))
        factor = wide / deviation
        weight, bias = layer
        layers.append(
            (weight * factor.reshape(-1, *[1] * (weight.ndim - 1)), (bias - mean) * factor + wanted)
        )
        x = after(affine(x, layers[-1]))
    return [*layers, middle[-1]]


def layers_of(weights: dict[str, Tensor]) -> list[Layer]:
    values = list(weights.values())
    return list(zip(values[::2], values[1::2], strict=True))


def cnn() -> nn.Module:
    network = nn.Module()
    network.layers = nn.ModuleList(
        [nn.Conv2d(1, 3, 3), nn.Identity(), nn.Conv2d(3, 4, 3), nn.Identity(), nn.Linear(16, 7)]
    )
    network.output = nn.Linear(7, 10)
    return network


CNN = {
    "kind": "cnn",
    "input": [1, 8, 8],
    "layers": [
        {"kind": "conv", "channels": 3, "kernel": 3},
        {"kind": "pool", "size": 2},
        {"kind": "conv", "channels": 4, "kernel": 3},
        {"kind": "pool", "size": 2},
        {"kind": "dense", "units": 7},
    ],
    "outputs": 10,
}
MLP = {"kind": "mlp", "sizes": [64, 16, 12, 10]}


@pytest.mark.parametrize("kind", ["mlp", "cnn"])
def test_repaired_models_are_those_of_plain_torch(kind: str, tmp_path: Path) -> None:
    make = cnn if kind == "cnn" else lambda: mlp((64, 16, 12, 10))
    torch.manual_seed(1)
    models = make(), make()
    network = CNN if kind == "cnn" else MLP
    spec = engine.load_preset("digits", {"problem.network": network})
    found = barrier(*saved(models, tmp_path), spec, 5, repair=True)
    splits = digits()
    x = estimating(splits[0][0])
    ends = [layers_of(between(*models, t)) for t in (0.0, 1.0)]
    for number, t in enumerate(found.t):
        layers = repaired(ends, layers_of(between(*models, t)), t, x)
        expected = scores(partial(output_of, layers), splits)
        at = [line.values[number] for line in found.lines]
        np.testing.assert_allclose(at, expected, rtol=1e-8)
    plain = barrier(*saved(models, tmp_path), spec, 5, certify=False)
    for one, other in zip(found.lines, plain.lines, strict=True):
        assert one.ends == pytest.approx(other.ends, rel=1e-12)  # the ends are as they were
        assert one.measure.metric == "error_rate" or one.values[2] != other.values[2]
    assert found.repaired and not plain.repaired
    assert {line.unproven for line in found.lines} == {"repaired models are not on the line"}


def test_a_layer_that_forward_calls_twice_is_repaired_in_each_call(tmp_path: Path) -> None:
    """And what follows a repaired layer finds its statistics of batch normalization after that."""
    (tmp_path / "twice.py").write_text(
        "import torch\nfrom torch import nn\n\n\nclass Twice(nn.Module):\n"
        "    def __init__(self):\n        super().__init__()\n"
        "        self.first, self.inner = nn.Linear(64, 6), nn.Linear(6, 6)\n"
        "        self.norm, self.last = nn.BatchNorm1d(6), nn.Linear(6, 10)\n\n"
        "    def forward(self, x):\n        x = torch.relu(self.inner(torch.tanh(self.first(x))))\n"
        "        return self.last(self.norm(torch.relu(self.inner(x))))\n"
    )
    factory = f"{tmp_path / 'twice.py'}:Twice"
    spec = engine.load_preset("digits", {"problem.network": {"kind": "custom", "factory": factory}})
    ends = drawn(64 * 6 + 6 + 42 + 12 + 70, 0.4)
    found = barrier(*ends, spec, 5, repair=True)
    x, y = digits()[0]
    chosen, t = estimating(x), 0.25

    def layers(theta: Vector) -> list[Tensor]:
        sizes = [(6, 64), (6,), (6, 6), (6,), (6,), (6,), (10, 6), (10,)]
        flat = torch.split(torch.from_numpy(theta), [int(np.prod(size)) for size in sizes])
        return [part.reshape(size) for part, size in zip(flat, sizes, strict=True)]

    def passed(w: list[Tensor], x: Tensor, change: Callable[[object, Tensor], Tensor]) -> Tensor:
        x = torch.tanh(change(0, functional.linear(x, w[0], w[1])))
        x = torch.relu(change(1, functional.linear(x, w[2], w[3])))
        x = torch.relu(change(2, functional.linear(x, w[2], w[3])))
        x = change("norm", x) * w[4] + w[5]
        return functional.linear(x, w[6], w[7])

    def seen(theta: Vector) -> dict[object, tuple[Tensor, Tensor]]:
        kept: dict[object, tuple[Tensor, Tensor]] = {}

        def watch(where: object, z: Tensor) -> Tensor:
            if where == "norm":
                return (z - z.mean(0)) / (z.var(0, correction=0) + 1e-5).sqrt()
            kept[where] = (z.mean(0), z.std(0, correction=0))
            return z

        passed(layers(theta), chosen, watch)
        return kept

    one, other = (seen(end) for end in ends)
    middle = layers((1 - t) * ends[0] + t * ends[1])
    scale: dict[object, tuple[Tensor, Tensor]] = {}

    def correct(where: object, z: Tensor) -> Tensor:
        if where not in scale:  # the pass over the samples that statistics are taken from
            scale[where] = (z.mean(0), z.std(0, correction=0))
            if where == "norm":
                scale[where] = (z.mean(0), (z.var(0) + 1e-5).sqrt())
                return (z - z.mean(0)) / (z.var(0, correction=0) + 1e-5).sqrt()
        mean, deviation = scale[where]
        if where == "norm":
            return (z - mean) / deviation
        wanted, wide = ((1 - t) * a + t * b for a, b in zip(one[where], other[where], strict=True))
        return (z - mean) / deviation * wide + wanted

    passed(middle, chosen, correct)
    expected = functional.cross_entropy(passed(middle, x, correct), y).item()
    assert found.train.loss.values[1] == pytest.approx(expected, rel=1e-8)


def test_a_unit_that_does_not_vary_is_moved_and_not_rescaled() -> None:
    """Both ends have a unit that no sample reaches; a quotient of nothing would be no number."""
    spec = engine.load_preset("digits", {"problem.network": {"kind": "mlp", "sizes": [64, 4, 10]}})
    ends = drawn(64 * 4 + 4 + 50)
    for end in ends:
        end[:64] = 0.0  # all weights into the first unit
    found = barrier(*ends, spec, 5, repair=True)
    assert all(np.isfinite(line.values).all() for line in found.lines)


def test_a_network_without_hidden_layers_is_refused() -> None:
    spec = engine.load_preset("digits", {"problem.network": {"kind": "mlp", "sizes": [64, 10]}})
    with pytest.raises(engine.InputError, match=r"^repair: the network has no hidden linear"):
        barrier(*drawn(650), spec, 5, repair=True)
