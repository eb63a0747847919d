"""What a search looks like at one moment, in plain frozen values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from engine.record.progress import SegmentProgress, SegmentState, TrainingProgress

Saved = tuple[dict[str, Tensor], dict[str, Any]]
"""Tensors and plain values that a method is made again from."""

Key = tuple[int, int]
"""The ids of a segment's left and right bead."""


@dataclass(frozen=True)
class MethodProgress:
    """Where a method stands, as `progress.json` shows it."""

    phase: str
    aim: float
    """The level that beads are brought below now; the run's own level at the end."""
    beads: int
    """On the string, the ends included."""
    order: tuple[int, ...]
    """Their ids, end to end; empty as long as no segment is measured."""
    losses: tuple[float, ...]
    """(bead,) The objective at each of those beads."""
    training: tuple[TrainingProgress, ...]
    segments: tuple[SegmentProgress, ...]
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
