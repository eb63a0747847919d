"""Data and a module for the checks of a machine, made as a user's own functions make theirs."""

from __future__ import annotations

import torch
from torch import Tensor, nn

#: The number of samples, classes and tokens of a sample, and the side of an image.
SAMPLES, CLASSES, LENGTH, SIDE = 48, 3, 7, 7
#: The number of tokens that are told apart, and of the values of a sample for the module.
VOCABULARY, FEATURES = 9, 5


def images() -> tuple[Tensor, Tensor]:
    """Returns images (sample, 1, row, column) and classes (sample,).

    The side is odd: on some processors oneDNN's float32 gradient of a strided convolution over an
    even one writes beyond its memory.
    """
    return torch.randn(SAMPLES, 1, SIDE, SIDE, generator=_draw()), _classes()


def tokens() -> tuple[Tensor, Tensor]:
    """Returns tokens (sample, time) and the tokens that come after them."""
    text = torch.randint(VOCABULARY, (SAMPLES, LENGTH + 1), generator=_draw())
    return text[:, :-1].contiguous(), text[:, 1:].contiguous()


def values() -> tuple[Tensor, Tensor]:
    """Returns values (sample, feature) and classes (sample,)."""
    return torch.randn(SAMPLES, FEATURES, generator=_draw()), _classes()


class OwnModule(nn.Module):
    """A module as a user may write one: a shortcut around two layers, normalized by sample."""

    def __init__(self) -> None:
        """Draws fresh weights."""
        super().__init__()
        self.inner = nn.Sequential(nn.Linear(FEATURES, 8), nn.GELU(), nn.Linear(8, FEATURES))
        self.norm = nn.LayerNorm(FEATURES)
        self.last = nn.Linear(FEATURES, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        """Returns logits (sample, class)."""
        logits: Tensor = self.last(self.norm(x + self.inner(x)).tanh())
        return logits


def module() -> nn.Module:
    """Returns the module with fresh random weights."""
    return OwnModule()


def _classes() -> Tensor:
    """Returns classes (sample,)."""
    return torch.arange(SAMPLES) % CLASSES


def _draw() -> torch.Generator:
    """Returns the generator of all samples."""
    return torch.Generator().manual_seed(1)
