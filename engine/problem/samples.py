"""Samples on a device, kept compact. Pixels stay bytes until a batch of them is used."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.data import Dataset
from engine.data.base import Inputs, Scaling
from engine.spec.problem import CustomLoss, LossName


@dataclass(frozen=True)
class Samples:
    """The samples of one split, on one device."""

    x: Tensor
    """The inputs: values (sample, …), uint8 pixels (sample, channel, height, width), or whole
    numbers."""
    y: Tensor
    """The targets: values (sample, …), classes (sample,), or tokens (sample, time)."""
    scaling: Scaling | None = None
    """The scaling of uint8 pixels. With None they are divided by 255."""
    inputs: Inputs = "values"
    """What x holds."""
    one_hot: int | None = None
    """The number of classes where losses compare them as rows of zeros and a one, else None."""

    def __len__(self) -> int:
        """Returns the number of samples."""
        return len(self.x)

    def __getitem__(self, which: slice | Tensor) -> Samples:
        """Returns some of the samples, by a slice or by their numbers (sample,)."""
        return replace(self, x=self.x[which], y=self.y[which])

    def to(self, device: torch.device) -> Samples:
        """Returns the samples on a device."""
        return replace(self, x=self.x.to(device), y=self.y.to(device))

    def shaped(self, target: tuple[int, ...]) -> Samples:
        """Returns the samples with targets of that shape each, which has as many values."""
        return replace(self, y=self.y.reshape(len(self.y), *target))

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
        """Returns x and y of some samples as network and loss take them, as new tensors.

        `which` is a slice, or numbers with any number of axes, which x and y then have too.
        """
        new = isinstance(which, slice)  # numbers make new tensors anyway
        return self._inputs(self.x[which], dtype, new), self._targets(self.y[which], dtype, new)

    def _inputs(self, x: Tensor, dtype: torch.dtype, new: bool) -> Tensor:
        """Returns x as a network takes it: values in `dtype`, or token numbers."""
        if self.inputs == "pixels":
            return self._scaled(x.to(dtype).div_(255))
        if self.inputs == "tokens":
            return x.to(torch.int64, copy=new)
        if not x.is_floating_point():
            x = x.float()  # the values are those of float32, in whatever precision they are taken
        return x.to(dtype, copy=new)

    def _targets(self, y: Tensor, dtype: torch.dtype, new: bool) -> Tensor:
        """Returns y as a loss takes it: values in `dtype`, numbers of classes, or rows for them."""
        if self.one_hot is not None:
            return (y[..., None] == torch.arange(self.one_hot, device=y.device)).to(dtype)
        if y.is_floating_point():
            return y.to(dtype, copy=new)
        return y.to(y.dtype if y.dtype == torch.bool else torch.int64, copy=new)

    def _scaled(self, pixels: Tensor) -> Tensor:
        """Takes mean and deviation of each channel out of pixels / 255, in place."""
        if self.scaling is None:
            return pixels
        mean, std = (
            torch.tensor(values, dtype=pixels.dtype, device=pixels.device)[:, None, None]
            for values in (self.scaling.mean, self.scaling.std)
        )
        return pixels.sub_(mean).div_(std)


def samples_of(data: Dataset, loss: LossName | CustomLoss, *, held_out: bool) -> Samples:
    """Returns one of the two splits of a data set, with y as this loss takes it.

    The tensors share the memory of the arrays. Nothing writes to them.
    """
    x, y = (data.x_held_out, data.y_held_out) if held_out else (data.x, data.y)
    rows = data.classes if loss in ("mse", "l1") else None
    if y.dtype == np.bool_ and not isinstance(loss, CustomLoss):
        y = y.view(np.uint8)
    return Samples(tensor_of(x), tensor_of(y), data.scaling, data.reads, rows)


def tensor_of(array: NDArray[Any]) -> Tensor:
    """Returns a tensor in the memory of an array, which may be one that only can be read."""
    if any(step < 0 for step in array.strides):
        array = array.copy()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The given NumPy array is not writable")
        return torch.from_numpy(array)
