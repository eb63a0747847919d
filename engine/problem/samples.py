"""Samples on a device, kept compact. Pixels stay bytes until a batch of them is used."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from math import prod

import torch
from torch import Tensor

from engine.data import Dataset
from engine.data.base import ByImage, Scaling
from engine.problem.losses import targets
from engine.spec.problem import Loss

View = Callable[[Tensor], Tensor]
"""Takes inputs as they are kept, (…, channel, height, width), and returns what a network is shown
of them, in the same unit."""


@dataclass(frozen=True)
class Samples:
    """The samples of one split, on one device."""

    x: Tensor
    """The inputs: values (sample, …), uint8 pixels (sample, channel, height, width), or tokens."""
    y: Tensor
    """The targets: values (sample, output), classes (sample,), or tokens (sample, time)."""
    scaling: Scaling | ByImage | None
    """The scaling of uint8 pixels. With None they are divided by 255."""
    crop: int | None = None
    """The side of the square in the middle of each image that networks take; None: all of it."""

    def __len__(self) -> int:
        """Returns the number of samples."""
        return len(self.x)

    def __getitem__(self, which: slice | Tensor) -> Samples:
        """Returns some of the samples, by a slice or by their numbers (sample,)."""
        return replace(self, x=self.x[which], y=self.y[which])

    def to(self, device: torch.device) -> Samples:
        """Returns the samples on a device."""
        return replace(self, x=self.x.to(device), y=self.y.to(device))

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

    def part(
        self, which: slice | Tensor, dtype: torch.dtype, view: View | None = None
    ) -> tuple[Tensor, Tensor]:
        """Returns x and y of some samples as network and loss take them.

        `which` is a slice, or numbers with any number of axes, which x and y then have too. A
        `view` is taken in place of the middle of each image.
        """
        x, y = self.x[which], self.y[which]
        x = central(x, self.crop) if view is None else view(x)
        return self._seen(x, dtype), y.to(dtype) if y.is_floating_point() else y

    def _seen(self, x: Tensor, dtype: torch.dtype) -> Tensor:
        """Returns x as a network takes it: values in `dtype`, or token numbers."""
        if self.x.dtype == torch.uint8:
            return self._scaled(x.to(dtype) / 255)
        return x.to(dtype) if x.is_floating_point() else x.long()

    def _scaled(self, pixels: Tensor) -> Tensor:
        """Returns pixels / 255 with mean and deviation of each channel, or image, taken out."""
        if self.scaling is None:
            return pixels
        if isinstance(self.scaling, ByImage):
            return standardized(pixels)
        mean, std = (
            torch.tensor(values, dtype=pixels.dtype, device=pixels.device)[:, None, None]
            for values in (self.scaling.mean, self.scaling.std)
        )
        return (pixels - mean) / std


def central(x: Tensor, side: int | None) -> Tensor:
    """Returns the square of that side in the middle of images (…, height, width), all for None."""
    if side is None:
        return x
    top, left = ((length - side) // 2 for length in x.shape[-2:])
    return x[..., top : top + side, left : left + side]


def standardized(pixels: Tensor) -> Tensor:
    """Returns images (…, channel, height, width) of pixels / 255 with mean 0 and deviation 1 each.

    The deviation is taken as 1/√values of a byte at least.
    """
    var, mean = torch.var_mean(pixels, (-3, -2, -1), correction=0, keepdim=True)
    least = prod(pixels.shape[-3:]) ** -0.5 / 255
    return (pixels - mean) / var.sqrt().clamp(min=least)


def samples_of(data: Dataset, loss: Loss, *, held_out: bool) -> Samples:
    """Returns one of the two splits of a data set, with y as this loss takes it."""
    x, y = (data.x_held_out, data.y_held_out) if held_out else (data.x, data.y)
    y_seen = targets(loss, torch.as_tensor(y), data.classes)
    return Samples(torch.as_tensor(x), y_seen, data.scaling, data.crop)
