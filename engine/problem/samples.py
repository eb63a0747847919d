"""Samples on a device, kept compact. Pixels stay bytes until a batch of them is used."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from math import prod
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils._pytree import tree_map

from engine.data import Dataset, fields
from engine.data.base import ByImage, Content, Scaling
from engine.networks.modules.calls import Inputs
from engine.spec.problem import CustomLoss, Loss

View = Callable[[Tensor], Tensor]
"""Takes inputs as they are kept, (…, channel, height, width), and returns what a network is shown
of them, in the same unit."""


@dataclass(frozen=True, eq=False)
class Samples:
    """The samples of one split, on one device."""

    x: Inputs
    """The inputs: values (sample, …), uint8 pixels (sample, channel, height, width), whole numbers,
    or several of these by name."""
    y: Tensor
    """The targets: values (sample, …), classes (sample,), or tokens (sample, time)."""
    scaling: Scaling | ByImage | None = None
    """The scaling of uint8 pixels. With None they are divided by 255."""
    holds: Content | None = "values"
    """What x holds; None for several inputs, of which each holds what its type says."""
    one_hot: int | None = None
    """The number of classes where losses compare them as rows of zeros and a one, else None."""
    crop: int | None = None
    """The side of the square in the middle of each image that networks take; None: all of it."""

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
        return tuple(size for part in self._each for size in part.shape[1:])

    @property
    def nbytes(self) -> int:
        """The bytes that inputs and targets take."""
        return sum(part.nbytes for part in (*self._each, self.y))

    @property
    def values(self) -> int:
        """The number of values and whole numbers in inputs and targets."""
        return sum(part.numel() for part in (*self._each, self.y))

    @property
    def _each(self) -> list[Tensor]:
        """The inputs one by one."""
        return list(self.x.values()) if isinstance(self.x, dict) else [self.x]

    def __getitem__(self, which: slice | Tensor) -> Samples:
        """Returns some of the samples, by a slice or by their numbers (sample,)."""
        return replace(self, x=_taken(self.x, which), y=self.y[which])

    def to(self, device: torch.device) -> Samples:
        """Returns the samples on a device."""
        x = tree_map(lambda part: part.to(device), self.x)
        return replace(self, x=x, y=self.y.to(device))

    def shaped(self, target: tuple[int, ...]) -> Samples:
        """Returns the samples with targets of that shape each, which has as many values."""
        return replace(self, y=self.y.reshape(len(self.y), *target))

    def pieces(
        self, size: int, dtype: torch.dtype, least: int = 1
    ) -> Iterator[tuple[Inputs, Tensor]]:
        """Returns contiguous parts of at most `size` samples as network and loss take them.

        Each part is (x, y). A last part of fewer than `least` samples joins the one before it.
        """
        return (self.part(some, dtype) for some in self.bounds(size, least))

    def bounds(self, size: int, least: int = 1) -> list[slice]:
        """Returns where the parts of `pieces` begin and end."""
        starts = [*range(0, len(self), size)]
        if len(starts) > 1 and len(self) - starts[-1] < least:
            starts.pop()
        return [slice(*ends) for ends in zip(starts, [*starts[1:], len(self)], strict=True)]

    def part(
        self, which: slice | Tensor, dtype: torch.dtype, view: View | None = None
    ) -> tuple[Inputs, Tensor]:
        """Returns x and y of some samples as network and loss take them, as new tensors.

        `which` is a slice, or numbers with any number of axes, which x and y then have too. A
        `view` is taken in place of the middle of each image.
        """
        new = isinstance(which, slice)  # numbers make new tensors anyway
        x = _taken(self.x, which)
        if view is not None or self.crop is not None:
            x = central(x, self.crop) if view is None else view(x)
        x = tree_map(lambda part: self._seen(part, dtype, new), x)
        return x, self.targets(which, dtype)

    def targets(self, which: slice | Tensor, dtype: torch.dtype) -> Tensor:
        """Returns y of some samples as a loss takes it, as `part` does."""
        return self._compared(self.y[which], dtype, isinstance(which, slice))

    def _seen(self, x: Tensor, dtype: torch.dtype, new: bool) -> Tensor:
        """Returns an input as a network takes it: values in `dtype`, token numbers, or a mask."""
        holds = self.holds or _held_in(x)
        if holds == "pixels":
            return self._scaled(x.to(dtype).div_(255))
        if holds == "tokens":
            return x.to(torch.int64, copy=new)
        if x.dtype == torch.bool and self.holds is None:
            return x.clone() if new else x
        if not x.is_floating_point():
            x = x.float()  # the values are those of float32, in whatever precision they are taken
        return x.to(dtype, copy=new)

    def _compared(self, y: Tensor, dtype: torch.dtype, new: bool) -> Tensor:
        """Returns y as a loss takes it: values in `dtype`, numbers of classes, or rows for them."""
        if self.one_hot is not None:
            return (y[..., None] == torch.arange(self.one_hot, device=y.device)).to(dtype)
        if y.is_floating_point():
            return y.to(dtype, copy=new)
        return y.to(y.dtype if y.dtype == torch.bool else torch.int64, copy=new)

    def _scaled(self, pixels: Tensor) -> Tensor:
        """Returns pixels / 255 with mean and deviation of each channel, or image, taken out.

        The pixels may be changed in place.
        """
        if self.scaling is None:
            return pixels
        if isinstance(self.scaling, ByImage):
            return standardized(pixels)
        if pixels.dtype not in self._scales:
            self._scales[pixels.dtype] = tuple(
                torch.tensor(values, dtype=pixels.dtype, device=pixels.device)[:, None, None]
                for values in (self.scaling.mean, self.scaling.std)
            )
        mean, std = self._scales[pixels.dtype]
        return pixels.sub_(mean).div_(std)

    @cached_property
    def _scales(self) -> dict[torch.dtype, tuple[Tensor, ...]]:
        """The mean and the deviation of each channel, (channel, 1, 1) on the device, by type.

        They are made when first needed, because the host waits for their copy.
        """
        return {}


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
    """Returns one of the two splits of a data set, with y as this loss takes it.

    The tensors share the memory of the arrays. Nothing writes to them.
    """
    x, y = (data.x_held_out, data.y_held_out) if held_out else (data.x, data.y)
    rows = data.classes if loss in ("mse", "l1") else None
    if y.dtype == np.bool_ and not isinstance(loss, CustomLoss):
        y = y.view(np.uint8)
    several = x.dtype.names is not None
    inputs = {name: tensor_of(part) for name, part in fields.parts(x).items()}
    return Samples(
        inputs if several else inputs["x"],
        tensor_of(y),
        data.scaling,
        None if several else data.reads,
        rows,
        data.crop,
    )


def tensor_of(array: NDArray[Any]) -> Tensor:
    """Returns a tensor in the memory of an array, which may be one that only can be read."""
    if any(step < 0 for step in array.strides):
        array = array.copy()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The given NumPy array is not writable")
        return torch.from_numpy(array)


def _held_in(x: Tensor) -> Content:
    """Returns what one of several inputs holds, by its type."""
    if x.dtype == torch.uint8:
        return "pixels"
    return "values" if x.is_floating_point() or x.dtype == torch.bool else "tokens"


def _taken(x: Inputs, which: slice | Tensor) -> Inputs:
    """Returns the inputs of some samples."""
    return tree_map(lambda part: part[which], x)
