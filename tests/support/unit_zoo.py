"""Tiny networks of many makes whose hidden units may change places, and problems with them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from engine.alignment.relabelling import Relabelling
from engine.data import Dataset
from engine.networks.modules.units.groups import Group, Units
from engine.problem.problem import Problem, build_problem
from engine.spec.problem import ProblemSpec

#: Samples of each data set, and classes.
SAMPLES, CLASSES = 12, 3


class Skip(nn.Module):
    """Adds a module's input to its output, where need be by another module."""

    def __init__(self, inner: nn.Module, shortcut: nn.Module | None = None) -> None:
        super().__init__()
        self.inner, self.shortcut = inner, shortcut or nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.inner(x) + self.shortcut(x))


class Padded(nn.Module):
    """Adds an image at half the size, its channels padded with zeros."""

    def __init__(self, channels: int, out: int) -> None:
        super().__init__()
        self.more = out - channels
        self.conv = nn.Conv2d(channels, out, 3, stride=2, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        half = self.more // 2
        short = functional.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, half, self.more - half))
        return torch.relu(self.conv(x) + short)


class Concatenated(nn.Module):
    """Puts a layer's input behind its output, as DenseNets do."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([torch.relu(self.inner(x)), x], 1)


class Recurrent(nn.Module):
    """Embeds tokens and predicts the next ones from a recurrent layer's states."""

    def __init__(
        self, layer: Callable[..., nn.Module], layers: int = 1, both: bool = False
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(7, 4)
        self.layer = layer(4, 5, layers, batch_first=True, bidirectional=both)
        self.output = nn.Linear(5 * (1 + both), 7)

    def forward(self, x: Tensor) -> Tensor:
        states, _ = self.layer(self.embedding(x))
        scores: Tensor = self.output(states)
        return scores.transpose(1, 2)


class Transformer(nn.Module):
    """A transformer's encoder over tokens, with learned places, and its embedding tied."""

    def __init__(self, norm_first: bool = False, tied: bool = False) -> None:
        super().__init__()
        self.embedding = nn.Embedding(7, 8)
        self.places = nn.Parameter(torch.randn(5, 8))
        layer = nn.TransformerEncoderLayer(8, 2, 6, batch_first=True, norm_first=norm_first)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.output = nn.Linear(8, 7, bias=False)
        if tied:
            self.output.weight = self.embedding.weight
        for weight in self.parameters():
            nn.init.normal_(weight, std=0.5)

    def forward(self, x: Tensor) -> Tensor:
        mask = nn.Transformer.generate_square_subsequent_mask(x.shape[1], dtype=self.places.dtype)
        states = self.encoder(self.embedding(x) + self.places, mask=mask)
        scores: Tensor = self.output(states)
        return scores.transpose(1, 2)


class Deciding(nn.Module):
    """Computes in one of two ways, as its values are."""

    def __init__(self) -> None:
        super().__init__()
        self.inner, self.output = nn.Linear(36, 4), nn.Linear(4, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = self.inner(x.flatten(1))
        scores: Tensor = self.output(x if x.sum() > 0 else -x)
        return scores


def conv(i: int, o: int, k: int = 3, groups: int = 1) -> nn.Module:
    """A convolution that keeps the image's size."""
    return nn.Conv2d(i, o, k, padding=k // 2, groups=groups)


def block(i: int, o: int, norm: Callable[[int], nn.Module]) -> nn.Module:
    """A residual block with two convolutions."""
    inner = nn.Sequential(
        nn.Conv2d(i, o, 3, padding=1, bias=False), norm(o), nn.ReLU(), conv(o, o), norm(o)
    )
    return Skip(inner, nn.Conv2d(i, o, 1) if i != o else None)


def resnet(norm: Callable[[int], nn.Module]) -> nn.Module:
    """A residual network with a skip across shapes."""
    return nn.Sequential(
        conv(1, 4),
        norm(4),
        nn.ReLU(),
        block(4, 4, norm),
        block(4, 6, norm),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(6, CLASSES),
    )


def layer_norm(channels: int) -> nn.Module:
    """Layer normalization of all channels of an image."""
    return nn.GroupNorm(1, channels)


IMAGES: dict[str, Callable[[], nn.Module]] = {
    "mlp": lambda: nn.Sequential(
        nn.Flatten(), nn.Linear(36, 5), nn.ReLU(), nn.Linear(5, 6), nn.ReLU(), nn.Linear(6, CLASSES)
    ),
    "mlp-tanh": lambda: nn.Sequential(
        nn.Flatten(),
        nn.Linear(36, 5),
        nn.Tanh(),
        nn.Linear(5, 6),
        nn.LayerNorm(6),
        nn.GELU(),
        nn.Linear(6, CLASSES),
    ),
    "residual": lambda: nn.Sequential(
        nn.Flatten(),
        nn.Linear(36, 30),
        Skip(nn.Sequential(nn.Linear(30, 50), nn.ReLU(), nn.Linear(50, 30))),
        nn.Linear(30, CLASSES),
    ),
    "cnn": lambda: nn.Sequential(
        conv(1, 4),
        nn.ReLU(),
        nn.MaxPool2d(2),
        conv(4, 5),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(45, 6),
        nn.ReLU(),
        nn.Linear(6, CLASSES),
    ),
    "resnet-bn": lambda: resnet(nn.BatchNorm2d),
    "resnet-ln": lambda: resnet(layer_norm),
    "vgg": lambda: nn.Sequential(
        conv(1, 4),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        conv(4, 4),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.MaxPool2d(2),
        conv(4, 6),
        nn.BatchNorm2d(6),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(6, 8),
        nn.ReLU(),
        nn.Dropout(),
        nn.Linear(8, CLASSES),
    ),
    "depthwise": lambda: nn.Sequential(
        conv(1, 6),
        nn.ReLU(),
        conv(6, 6, groups=6),
        nn.ReLU(),
        conv(6, 5, 1),
        nn.ReLU6(),
        conv(5, 10, groups=5),
        nn.Hardswish(),
        conv(10, 4, 1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(4, CLASSES),
    ),
    "grouped": lambda: nn.Sequential(
        conv(1, 6),
        nn.ReLU(),
        conv(6, 9, groups=3),
        nn.GroupNorm(3, 9),
        nn.ReLU(),
        conv(9, 4),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(4, CLASSES),
    ),
    "padded": lambda: nn.Sequential(
        conv(1, 4),
        nn.ReLU(),
        Padded(4, 8),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, CLASSES),
    ),
    "concatenated": lambda: nn.Sequential(
        conv(1, 4),
        nn.ReLU(),
        Concatenated(conv(4, 3)),
        Concatenated(conv(7, 5)),
        nn.Flatten(),
        nn.Linear(12 * 36, 6),
        nn.ReLU(),
        nn.Linear(6, CLASSES),
    ),
}
"""Makers of networks for images (sample, 1, 6, 6)."""

TOKENS: dict[str, Callable[[], nn.Module]] = {
    "lstm": lambda: Recurrent(nn.LSTM, layers=2),
    "lstm-both": lambda: Recurrent(nn.LSTM, both=True),
    "gru": lambda: Recurrent(nn.GRU),
    "rnn": lambda: Recurrent(nn.RNN),
    "transformer": Transformer,
    "transformer-tied": lambda: Transformer(norm_first=True, tied=True),
}
"""Makers of networks for tokens (sample, 5)."""


OTHERS: dict[str, Callable[[], nn.Module]] = {
    "deciding": Deciding,
    "single": lambda: nn.Sequential(nn.Flatten(), nn.Linear(36, CLASSES)),
}
"""Makers of networks for images whose units cannot be aligned."""


def made(name: str) -> nn.Module:
    """Makes one of these networks; presets call it by args: {name: …}."""
    return (IMAGES | TOKENS | OTHERS)[name]()


def problem_of(name: str) -> Problem:
    """Returns a problem with one of these networks, and a few random samples."""
    draws = np.random.default_rng(3)
    if name in TOKENS:
        x = draws.integers(7, size=(SAMPLES, 5))
        data = Dataset(x, np.roll(x, 1, 0), x[:0], x[:0], 7)
    else:
        x = draws.standard_normal((SAMPLES, 1, 6, 6)).astype(np.float32)
        y = draws.integers(CLASSES, size=SAMPLES)
        data = Dataset(x, y, x[:0], y[:0], CLASSES)
    spec = {
        "data": {"kind": "digits"},
        "network": {"kind": "custom", "factory": f"{__name__}:made", "args": {"name": name}},
        "loss": "cross_entropy",
    }
    return build_problem(ProblemSpec.model_validate(spec), data)


def planted(units: Units, seed: int) -> Relabelling:
    """Returns a random order of every group, and random scales."""
    draws = torch.Generator().manual_seed(seed)

    def order(group: Group) -> Tensor:
        if group.frozen:
            return torch.arange(group.size)
        if group.parent is None:
            return torch.randperm(group.size, generator=draws)
        rows = range(units.groups[group.parent].size)
        return torch.stack([torch.randperm(group.size, generator=draws) for _ in rows])

    scales = [torch.rand(each.size, generator=draws).double() + 0.5 for each in units.scales]
    return Relabelling(tuple(map(order, units.groups)), tuple(scales))


def images() -> tuple[Tensor, Tensor]:
    """Returns the random images and classes of `problem_of`; presets call it."""
    draws = np.random.default_rng(3)
    x = draws.standard_normal((SAMPLES, 1, 6, 6)).astype(np.float32)
    return torch.from_numpy(x), torch.from_numpy(draws.integers(CLASSES, size=SAMPLES))


def preset_of(name: str) -> dict[str, object]:
    """Returns the keys of a preset with one of the networks for images."""
    return {
        "problem": {
            "data": {"kind": "custom", "factory": f"{__name__}:images"},
            "network": {"kind": "custom", "factory": f"{__name__}:made", "args": {"name": name}},
            "loss": "cross_entropy",
        },
        "search": {"level": 0.5},
    }
