"""What the search loop asks of a method."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Protocol

from torch import Tensor

from engine.bead_string import BeadString
from engine.events import Event, Outcome

Saved = tuple[dict[str, Tensor], dict[str, Any]]
"""Tensors and plain values that a method is made again from."""

SegmentState = Literal["open", "training", "closed", "failed"]


@dataclass(frozen=True)
class Verdict:
    """How a search ended, and a sentence for a person."""

    outcome: Outcome
    sentence: str


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
    """F_e on an even grid of t from 0 to 1."""
    held_out: tuple[float, ...]
    """Held-out loss on an even grid of its own."""
    bead: int | None
    """In training between the two."""


@dataclass(frozen=True)
class Board:
    """Where a method stands: what progress.json shows, and what limits are held against."""

    phase: str
    order: tuple[int, ...]
    """Ids of the beads on the string, end to end."""
    losses: tuple[float, ...]
    """F_e of those beads."""
    training: tuple[TrainingView, ...]
    segments: tuple[SegmentView, ...]
    beads_per_depth: tuple[int, ...]
    bead_steps: int
    normalized_length: float
    max_peak: float

    @property
    def beads(self) -> int:
        return len(self.order)

    @property
    def depth(self) -> int:
        return max(0, len(self.beads_per_depth) - 1)

    def count(self, state: SegmentState) -> int:
        return sum(segment.state == state for segment in self.segments)


class Method(Protocol):
    def step(self, beads_left: int | None) -> list[Event]:
        """One round of work, which may add at most `beads_left` beads."""

    @property
    def verdict(self) -> Verdict | None:
        """None as long as there is something left to do."""

    def board(self) -> Board: ...

    def string(self) -> BeadString:
        """The string as it is now, in order."""

    def audit(self) -> dict[str, Any]:
        """How the string's profiles were measured, for its file."""

    def save(self) -> Saved: ...

    def restore(self, saved: Saved) -> None: ...


def prefixed(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {f"{prefix}.{name}": tensor for name, tensor in tensors.items()}


def without_prefix(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    head = f"{prefix}."
    return {
        name.removeprefix(head): tensor for name, tensor in tensors.items() if name.startswith(head)
    }
