"""What the search loop asks of a method, and what a method asks of its stages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, TypeVar, runtime_checkable

from engine.path.snapshot import MethodProgress
from engine.record.events import Event, Outcome
from engine.record.findings import Diagnosis
from engine.record.geometry import BeadString
from engine.record.marks import Kind
from engine.record.progress import TrainingProgress
from engine.shapes import Weights

State = TypeVar("State")


class StageState(Kind):
    """What a checkpoint holds of a stage: a frozen dataclass with a `kind` of its own."""

    kind: str


@dataclass(frozen=True)
class Verdict:
    """How a search ended, and a sentence that tells a person so."""

    outcome: Outcome
    sentence: str


@dataclass(frozen=True)
class Tally:
    """What the loop asks after every round: numbers to hold limits against, and the next work."""

    beads: int
    """Number of beads on the string, the ends included."""
    open: int
    """Number of segments above the level in which no bead is in training."""
    bead_steps: int
    """Optimizer steps of all beads together."""
    phase: str
    """The work of the next step, in words for a person."""


class Method(Protocol):
    """A search for a string, of which the loop takes one step after another."""

    def tally(self) -> Tally:
        """Returns the numbers that limits are held against."""

    def step(self, beads_left: int | None) -> list[Event]:
        """Does one round of work, which adds at most `beads_left` beads, and returns its events."""

    @property
    def verdict(self) -> Verdict | None:
        """How the search ended; None as long as there is something left to do."""

    def progress(self) -> MethodProgress:
        """Returns where the method stands, for viewers."""

    @property
    def string_products(self) -> int:
        """The number of multiplications that `string` costs now.

        Some of the string's segments may not be measured yet.
        """

    def string(self) -> BeadString:
        """Returns the string as it is now, with its profiles."""

    def describe_audit(self) -> dict[str, Any]:
        """Returns how the string's profiles were measured, for the string's file."""

    def diagnosis(self) -> Diagnosis | None:
        """Returns what is known of the highest peak, should the search end without a connection."""


@runtime_checkable
class Stage(Protocol[State]):
    """A part of a method: it works on the chain that all stages of a method share."""

    @property
    def name(self) -> str:
        """What people read that the method does."""

    @property
    def repairs(self) -> bool:
        """Whether it can close a segment that the audit has opened."""

    def begin(self) -> None:
        """Prepares the work, once the stage before it is done; the first stage makes the chain."""

    def step(self, beads_left: int | None) -> list[Event]:
        """Does one round of work, which adds at most `beads_left` beads, and returns its events."""

    @property
    def done(self) -> bool:
        """Whether nothing is left to do; an audit that opens a segment may change that."""

    @property
    def verdict(self) -> Verdict | None:
        """How the whole search ended, where there is no use in any later stage."""

    @property
    def aim(self) -> float:
        """The level that beads are brought below now, as in `MethodProgress`."""

    def losses(self) -> dict[int, float]:
        """Returns the objective at beads, by id, that have moved since they were measured."""

    def training(self) -> tuple[TrainingProgress, ...]:
        """Returns the beads in training."""

    def weights_in_training(self) -> dict[int, Weights]:
        """Returns the present weights of beads, by id, that the chain does not hold."""

    @property
    def bead_steps(self) -> int:
        """Optimizer steps of all beads that the stage has trained."""

    @property
    def state(self) -> State:
        """All that a checkpoint holds of the stage; the chain's state is held apart."""

    def resume(self, state: State) -> None:
        """Goes on from a state, once the chain has.

        Raises Unfit where the state does not fit the chain or the preset.
        """

    def check_ready(self) -> None:
        """Raises Unfit where a stage that has been resumed cannot be the one at work."""
