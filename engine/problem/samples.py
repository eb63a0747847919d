"""Samples on a device, kept compact. Pixels stay bytes until a batch of them is used."""

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
    """The samples of one split, on one device."""

    x: Tensor
    """The inputs: values (sample, …), uint8 pixels (sample, channel, height, width), or tokens."""
    y: Tensor
    """The targets: values (sample, output), classes (sample,), or tokens (sample, time)."""
    scaling: Scaling | None
    """The scaling of uint8 pixels. With None they are divided by 255."""

    def __len__(self) -> int:
        """Returns the number of samples."""
        return len(self.x)

    def __getitem__(self, which: slice | Tensor) -> Samples:
        """Returns some of the samples, by a slice or by their numbers (sample,)."""
        return Samples(self.x[which], self.y[which], self.scaling)

    def to(self, device: torch.device) -> Samples:
        """Returns the samples on a device."""
        return Samples(self.x.to(device), self.y.to(device), self.scaling)

    def pieces(
        self, size: int, dtype: torch.dtype, least: int = 1
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Returns contiguous parts of at most `size` samples as network and loss take them.

        Each part is (x, y). A last part of fewer than `least` samples joins the one before it.
        """
        starts = [*range(0, len(self), size)]
        if len(starts) > 1 and len(self) - starts[-1] < least:
            starts.pop()
        ends = [*starts[1:], len(self)]
        return (self.part(slice(*part), dtype) for part in zip(starts, ends, strict=True))

    def part(self, which: slice | Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """Returns x and y of some samples as network and loss take them.

        `which` is a slice, or numbers with any number of axes, which x and y then have too.
        """
        y = self.y[which]
        return self._seen(self.x[which], dtype), y.to(dtype) if y.is_floating_point() else y

    def _seen(self, x: Tensor, dtype: torch.dtype) -> Tensor:
        """Returns x as a network takes it: values in `dtype`, or token numbers."""
        if x.dtype == torch.uint8:
            return self._scaled(x.to(dtype) / 255)
        return x.to(dtype) if x.is_floating_point() else x.long()

    def _scaled(self, pixels: Tensor) -> Tensor:
        """Returns pixels / 255 with mean and deviation of each channel taken out."""
        if self.scaling is None:
            return pixels
        mean, std = (
            torch.tensor(values, dtype=pixels.dtype, device=pixels.device)[:, None, None]
            for values in (self.scaling.mean, self.scaling.std)
        )
        return (pixels - mean) / std


def samples_of(data: Dataset, loss: LossName | CustomLoss, *, held_out: bool) -> Samples:
    """Returns one of the two splits of a data set, with y as this loss takes it."""
    x, y = (data.x_held_out, data.y_held_out) if held_out else (data.x, data.y)
    y_seen = targets(loss, torch.as_tensor(y), data.classes)
    return Samples(torch.as_tensor(x), y_seen, data.scaling)
