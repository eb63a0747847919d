"""Buffers that differ between the two ends of a path, carried along it.

A model is a weight vector and nothing else, so such buffers are a function of the weights too. They
are those of the ends, mixed in the proportion in which the model lies between the ends: where its
weights, projected onto the straight line from end to end, come to lie. At the ends they are the
ends' own, and on a straight segment between two beads they change in proportion to t, as weights
do. They are no part of a weight vector, nor of the length of a path.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from engine.shapes import Beads, PerBead, Weights


@dataclass(frozen=True, eq=False)
class Carried:
    """The buffers of both ends, and the ends themselves."""

    first: Weights
    last: Weights
    buffers: Mapping[str, Tensor]
    """The buffers of the first and of the last end, (2, …) each, by name."""

    def at(self, theta: Beads) -> dict[str, Tensor]:
        """Returns the buffers of some models, (bead, …) each, by name."""
        place = self._place(theta)

        def mixed(ends: Tensor) -> Tensor:
            ends = ends.to(theta.device, theta.dtype if ends.is_floating_point() else None)
            share = place.reshape(-1, *(1 for _ in ends.shape[1:]))
            way = ends[1] - ends[0]
            return torch.where(share < 0.5, ends[0] + share * way, ends[1] - (1 - share) * way)

        return {name: mixed(ends) for name, ends in self.buffers.items()}

    def _place(self, theta: Beads) -> PerBead:
        """Returns where models lie between the ends, from 0 to 1."""
        key = theta.device, theta.dtype
        if key not in self._lines:
            first, last = self.first.to(*key), self.last.to(*key)
            self._lines[key] = first, last - first
        first, way = self._lines[key]
        return (((theta - first) * way).sum(1) / (way * way).sum()).clamp(0, 1)

    @cached_property
    def _lines(self) -> dict[tuple[torch.device, torch.dtype], tuple[Weights, Weights]]:
        """The first end, and the way from it to the last one, by device and precision."""
        return {}
