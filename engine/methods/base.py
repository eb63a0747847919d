"""What the search loop asks of a method, and a method of its stages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from engine.path.snapshot import MethodProgress, Saved
from engine.record.events import Diagnosis, Event, Outcome
from engine.record.geometry import BeadString
from engine.record.progress import TrainingProgress


@dataclass(frozen=True)
class Verdict:
    """How a search ended, and a sentence for a person."""

    outcome: Outcome
    sentence: str


@dataclass(frozen=True)
class Tally:
    """The few numbers that limits are held against in every round."""

    beads: int
    """On the string, the ends included."""
    open: int
    """Segments above the level in which no bead is in training."""
    bead_steps: int


class Method(Protocol):
    def tally(self) -> Tally: ...

    def step(self, beads_left: int | None) -> list[Event]:
        """One round of work, which may add at most `beads_left` beads."""

    @property
    def verdict(self) -> Verdict | None:
        """None as long as there is something left to do."""

    def progress(self) -> MethodProgress: ...

    @property
    def string_products(self) -> int:
        """Multiplications that `string` costs now: some of its segments may not be measured."""

    def string(self) -> BeadString:
        """The string as it is now, in order."""

    def describe_audit(self) -> dict[str, Any]:
        """How the string's profiles were measured, for its file."""

    def diagnosis(self) -> Diagnosis | None:
        """What is known should it end without a connection."""

    def save(self) -> Saved: ...

    def restore(self, saved: Saved) -> None: ...


class Stage(Protocol):
    """A part of a method: it works on the chain that all stages of a method share."""

    @property
    def name(self) -> str:
        """What people read it does."""

    @property
    def repairs(self) -> bool:
        """Whether it can close a segment that the audit has opened."""

    def begin(self) -> None:
        """Called once, when the stage before it is done; the first makes the chain."""

    def step(self, beads_left: int | None) -> list[Event]:
        """One round of work, which may add at most `beads_left` beads."""

    @property
    def done(self) -> bool:
        """Whether nothing is left to do; a audit that opens a segment may change that."""

    @property
    def verdict(self) -> Verdict | None:
        """Where there is no use in any later stage."""

    @property
    def aim(self) -> float:
        """As in MethodProgress."""

    def losses(self) -> dict[int, float]:
        """Of beads that have moved since their segments were measured."""

    def training(self) -> tuple[TrainingProgress, ...]: ...

    @property
    def bead_steps(self) -> int: ...

    def save(self) -> Saved: ...

    def restore(self, saved: Saved) -> None: ...
