"""What a search looks like at one moment, in plain frozen values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from torch import Tensor

Saved = tuple[dict[str, Tensor], dict[str, Any]]
"""Tensors and plain values that a method is made again from."""

Key = tuple[int, int]
"""The ids of a segment's left and right bead."""

SegmentState = Literal["open", "training", "closed", "failed"]


@dataclass(frozen=True)
class TrainingView:
    """A bead in training."""

    bead: int
    loss: float
    steps: int
    attempt: int


@dataclass(frozen=True)
class SegmentView:
    left: int
    right: int
    depth: int
    state: SegmentState
    length: float
    peak: float
    t_star: float
    profile: tuple[float, ...]
    """What is judged, F_e unless level_on says otherwise, on an even grid of t from 0 to 1."""
    beside: tuple[float, ...]
    """Another metric or split, on an even grid of its own."""
    bead: int | None
    """In training between the two."""


@dataclass(frozen=True)
class Board:
    """Where a method stands: what progress.json shows."""

    phase: str
    aim: float
    """The level that beads are brought below now; the run's own level at the end."""
    beads: int
    """On the string, the ends included."""
    order: tuple[int, ...]
    """Their ids, end to end; empty as long as no segment is measured."""
    losses: tuple[float, ...]
    """Of those beads, in what is judged."""
    training: tuple[TrainingView, ...]
    segments: tuple[SegmentView, ...]
    beads_per_depth: tuple[int, ...]
    bead_steps: int
    normalized_length: float
    max_peak: float

    @property
    def depth(self) -> int:
        return max(0, len(self.beads_per_depth) - 1)

    def count(self, state: SegmentState) -> int:
        return sum(segment.state == state for segment in self.segments)


def prefixed(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {f"{prefix}.{name}": tensor for name, tensor in tensors.items()}


def without_prefix(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    head = f"{prefix}."
    return {
        name.removeprefix(head): tensor for name, tensor in tensors.items() if name.startswith(head)
    }
