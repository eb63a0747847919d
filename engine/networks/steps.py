"""A network taken apart into elementary steps. This module does not import torch.

What is to be said of every point of a path needs the network's formula and not only its values.
`networks.modules.tracing` makes these steps out of a module. Parameters go by the names of their
places in the module ("layers.0.weight").
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from engine.networks.base import Shape

Sides = tuple[int, int]
"""A number for the height and one for the width."""


@dataclass(frozen=True)
class Dense:
    """W·x + b, for a sample of shape (in,)."""

    weight: str
    bias: str | None


@dataclass(frozen=True)
class Convolution:
    """A convolution and its bias, for a sample of shape (channel, height, width)."""

    weight: str
    bias: str | None
    stride: Sides
    padding: Sides
    """Zeros on each side of the height and of the width."""
    dilation: Sides
    groups: int


@dataclass(frozen=True)
class Activation:
    """A function of each value by itself."""

    kind: Literal["relu", "sigmoid", "tanh"]


@dataclass(frozen=True)
class Pool:
    """The maximum or the mean over rectangles that do not overlap; what is left over is dropped."""

    by: Literal["max", "average"]
    size: Sides


@dataclass(frozen=True)
class Reshape:
    """Each sample in another shape, of which one entry may be -1."""

    shape: Shape


@dataclass(frozen=True)
class Sum:
    """The sum of two values of the same shape."""


Step = Dense | Convolution | Activation | Pool | Reshape | Sum


@dataclass(frozen=True)
class Node:
    """A step, and where its inputs come from."""

    step: Step
    inputs: tuple[int, ...]
    """Places in the list of values: 0 is the data, n is what node n (from 1) returns."""


@dataclass(frozen=True)
class Taken:
    """A whole network; the last node returns its outputs."""

    nodes: tuple[Node, ...]

    @property
    def last_uses(self) -> dict[int, int]:
        """The number of the last node that needs each value, counted from 1."""
        return {place: n for n, node in enumerate(self.nodes, 1) for place in node.inputs}
