"""Samples on a device, kept compact: pixels stay bytes until a batch of them is used."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from engine.data import Dataset
from engine.data.base import Scaling
from engine.problem.losses import targets
from engine.spec.problem import CustomLoss, LossName


@dataclass(frozen=True)
class Samples:
    x: Tensor
    """(sample, …) values, uint8 pixels (sample, channel, height, width), or token numbers."""
    y: Tensor
    """(sample, output) values, (sample,) classes, or (sample, time) tokens."""
    scaling: Scaling | None

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, which: slice | Tensor) -> Samples:
        """Returns some of the samples, kept as compactly as all; `which` has one axis."""
        return Samples(self.x[which], self.y[which], self.scaling)

    def to(self, device: torch.device) -> Samples:
        return Samples(self.x.to(device), self.y.to(device), self.scaling)

    def pieces(
        self, size: int, dtype: torch.dtype, least: int = 1
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Contiguous parts of at most that many samples, as the network and the loss see them.

        A last part of fewer than `least` joins the one before it.
        """
        starts = [*range(0, len(self), size)]
        if len(starts) > 1 and len(self) - starts[-1] < least:
            starts.pop()
        ends = [*starts[1:], len(self)]
        return (self.part(slice(*part), dtype) for part in zip(starts, ends, strict=True))

    def part(self, which: slice | Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """Some samples as the network and the loss see them; `which` may have several axes."""
        y = self.y[which]
        return self._seen(self.x[which], dtype), y.to(dtype) if y.is_floating_point() else y

    def _seen(self, x: Tensor, dtype: torch.dtype) -> Tensor:
        if x.dtype == torch.uint8:
            return self._scaled(x.to(dtype) / 255)
        return x.to(dtype) if x.is_floating_point() else x.long()

    def _scaled(self, pixels: Tensor) -> Tensor:
        if self.scaling is None:
            return pixels
        mean, std = (
            torch.tensor(values, dtype=pixels.dtype, device=pixels.device)[:, None, None]
            for values in (self.scaling.mean, self.scaling.std)
        )
        return (pixels - mean) / std


def samples_of(data: Dataset, loss: LossName | CustomLoss, *, held_out: bool) -> Samples:
    """One of the two splits of a data set; `loss` decides how classes are given to it."""
    x, y = (data.x_held_out, data.y_held_out) if held_out else (data.x, data.y)
    y_seen = targets(loss, torch.as_tensor(y), data.classes)
    return Samples(torch.as_tensor(x), y_seen, data.scaling)
