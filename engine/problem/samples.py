"""Samples on a device, kept compact. Pixels stay bytes until a batch of them is used."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.utils._pytree import tree_map

from engine.data import Dataset, fields
from engine.data.base import Scaling
from engine.networks.modules.calls import Inputs
from engine.problem.losses import targets
from engine.spec.problem import CustomLoss, LossName


@dataclass(frozen=True, eq=False)
class Samples:
    """The samples of one split, on one device."""

    x: Inputs
    """The inputs: values (sample, …), uint8 pixels (sample, channel, height, width), tokens, or
    several of these by name."""
    y: Tensor
    """The targets: values (sample, output), classes (sample,), or tokens (sample, time)."""
    scaling: Scaling | None
    """The scaling of uint8 pixels. With None they are divided by 255."""

    def __len__(self) -> int:
        """Returns the number of samples."""
        return len(self.y)

    @property
    def device(self) -> torch.device:
        """The device that holds the samples."""
        return self.y.device

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of a sample's input, or of all its inputs one after another."""
        parts = self.x.values() if isinstance(self.x, dict) else [self.x]
        return tuple(size for part in parts for size in part.shape[1:])

    @property
    def nbytes(self) -> int:
        """The bytes that inputs and targets take."""
        parts = self.x.values() if isinstance(self.x, dict) else [self.x]
        return sum(part.nbytes for part in (*parts, self.y))

    def __getitem__(self, which: slice | Tensor) -> Samples:
        """Returns some of the samples, by a slice or by their numbers (sample,)."""
        return Samples(_taken(self.x, which), self.y[which], self.scaling)

    def to(self, device: torch.device) -> Samples:
        """Returns the samples on a device."""
        x = tree_map(lambda part: part.to(device), self.x)
        return Samples(x, self.y.to(device), self.scaling)

    def pieces(
        self, size: int, dtype: torch.dtype, least: int = 1
    ) -> Iterator[tuple[Inputs, Tensor]]:
        """Returns contiguous parts of at most `size` samples as network and loss take them.

        Each part is (x, y). A last part of fewer than `least` samples joins the one before it.
        """
        starts = [*range(0, len(self), size)]
        if len(starts) > 1 and len(self) - starts[-1] < least:
            starts.pop()
        ends = [*starts[1:], len(self)]
        return (self.part(slice(*part), dtype) for part in zip(starts, ends, strict=True))

    def part(self, which: slice | Tensor, dtype: torch.dtype) -> tuple[Inputs, Tensor]:
        """Returns x and y of some samples as network and loss take them.

        `which` is a slice, or numbers with any number of axes, which x and y then have too.
        """
        y = self.y[which]
        x = tree_map(lambda part: self._seen(part, dtype), _taken(self.x, which))
        return x, y.to(dtype) if y.is_floating_point() else y

    def _seen(self, x: Tensor, dtype: torch.dtype) -> Tensor:
        """Returns an input as a network takes it: values in `dtype`, token numbers, or a mask."""
        if x.dtype == torch.uint8:
            return self._scaled(x.to(dtype) / 255)
        if x.dtype == torch.bool:
            return x
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
    return Samples(tree_map(torch.as_tensor, fields.parts(x)), y_seen, data.scaling)


def _taken(x: Inputs, which: slice | Tensor) -> Inputs:
    """Returns the inputs of some samples."""
    return tree_map(lambda part: part[which], x)
