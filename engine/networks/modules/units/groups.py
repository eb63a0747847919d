"""Groups of units that may change places, and where they stand in tensors, as frozen data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Group:
    """Units that take their places in one order wherever they stand."""

    name: str
    """The first parameter that holds the units, and the axis."""
    size: int
    parent: int | None = None
    """The number of the group for each of whose units these may be ordered in another way."""
    frozen: bool = False
    """Whether the units keep their places, and the group is only the parent of others."""


@dataclass(frozen=True)
class Scales:
    """Positive numbers by which values may be multiplied where others are divided by them."""

    name: str
    """As that of a group."""
    size: int
    group: int | None
    """The number of the group whose units they belong to; None for places that keep their order."""


@dataclass(frozen=True)
class Along:
    """What an axis of a block holds."""

    size: int
    group: int | None
    """The number of its group; None where its places keep their order."""
    scale: int | None = None
    """The number of the scale by which its values may be multiplied."""
    sign: int = 1
    """−1 where the values are divided by the scale instead."""
    parent: int | None = None
    """The axis of the block that holds the parent of its group; None without one."""


@dataclass(frozen=True)
class Taken:
    """A single place of an axis."""

    shape: tuple[int, ...]
    """The shape of a tensor with its axes taken apart."""
    dim: int
    """The axis of that shape."""
    place: int
    """The place along it."""


@dataclass(frozen=True)
class Block:
    """A part of a tensor of which each axis holds one group."""

    narrowed: tuple[tuple[int, int], ...]
    """The first place and the number of places of each axis of the tensor."""
    taken: tuple[Taken, ...]
    """The single places that are then taken of axes, one after another."""
    axes: tuple[Along, ...]
    """What the axes that are left hold."""

    def of(self, tensor: Tensor) -> Tensor:
        """Returns the block of a tensor, as a view of it."""
        for dim, (start, size) in enumerate(self.narrowed):
            tensor = tensor.narrow(dim, start, size)
        for each in self.taken:
            tensor = tensor.view(each.shape).select(each.dim, each.place)
        return tensor.view([each.size for each in self.axes])


@dataclass(frozen=True)
class Units:
    """The symmetries of a network: which units may change places, and where each of them stands."""

    groups: tuple[Group, ...]
    scales: tuple[Scales, ...]
    """The scales by which values may be multiplied."""
    blocks: Mapping[str, tuple[Block, ...]]
    """The blocks of each parameter, and of the statistics of batch normalization, by name."""
    read: Mapping[str, Mapping[str, tuple[Block, ...]]]
    """The values that depend on samples and are summed over, by the name of the node that sums and
    of the node whose value it is."""
