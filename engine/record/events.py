"""The facts a search reports, frozen and plain, and their JSON lines. No torch here.

An event's JSON object is `{"seq": n, "time": s, "event": NAME, …fields}`; a number that is
not finite is written as null. Fields named `*_s` are seconds; all losses are natural-log or
plain means over the whole training set; beads are named by their ids.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import MISSING, dataclass, fields
from enum import StrEnum
from typing import Any, ClassVar

from pydantic_core import to_json


class Outcome(StrEnum):
    CONNECTED = "connected"
    NOT_CONNECTED = "not_connected"
    ENDPOINT_NOT_TRAINED = "endpoint_not_trained"
    LIMIT_REACHED = "limit_reached"
    STOPPED = "stopped"
    FAILED = "failed"

    @property
    def exit_status(self) -> int:
        """Of a command that ran or watched the search to this outcome."""
        return {Outcome.CONNECTED: 0, Outcome.FAILED: 1}.get(self, 3)


#: Ids of the two ends of every string.
FIRST, LAST = 1, 2


@dataclass(frozen=True)
class Totals:
    """The counters of a whole run."""

    beads: int
    segments: int
    closed: int
    failed: int
    depth: int
    beads_per_depth: tuple[int, ...]
    """Endpoints first (depth 0)."""
    bead_steps: int
    max_peak: float
    """The highest loss found on the string."""
    normalized_length: float
    elapsed_s: float


@dataclass(frozen=True)
class Event:
    """Base of all events; `name` is what files call it."""

    name: ClassVar[str] = "event"

    def __init_subclass__(cls) -> None:
        cls.name = re.sub(r"(?<!^)(?=[A-Z])", "_", cls.__name__).lower()


@dataclass(frozen=True)
class RunStarted(Event):
    method: str
    level: float
    alpha: float
    seed: int
    parameters: int
    samples: int
    devices: tuple[str, ...]
    level_on: str = "training loss"
    """What is held against the level."""


@dataclass(frozen=True)
class EndpointTrained(Event):
    bead: int
    loss: float
    steps: int
    attempt: int


@dataclass(frozen=True)
class SegmentMeasured(Event):
    left: int
    right: int
    depth: int
    length: float
    peak: float
    t_star: float


@dataclass(frozen=True)
class BeadInserted(Event):
    """A bead starts to be trained between two others; `loss` is its loss before training."""

    bead: int
    left: int
    right: int
    depth: int
    t: float
    loss: float


@dataclass(frozen=True)
class BeadTrained(Event):
    bead: int
    left: int
    right: int
    depth: int
    loss: float
    steps: int
    attempt: int


@dataclass(frozen=True)
class BeadFailed(Event):
    """A bead missed its target; `remedy` says what is tried next. Endpoints have no neighbours."""

    bead: int
    left: int | None
    right: int | None
    reason: str
    loss: float
    steps: int
    attempt: int
    remedy: str


@dataclass(frozen=True)
class LevelLowered(Event):
    """Every bead is at or below the level `met`, and the next is `level`."""

    level: float
    held_up_by: tuple[int, ...]
    """The beads that came below the level last."""
    met: float
    lowest: float
    """Loss of a bead on the string now."""
    highest: float


@dataclass(frozen=True)
class LevelHeld(Event):
    """The level has not fallen for many steps: an early sign of a disconnection."""

    level: float
    held_up_by: tuple[int, ...]
    left: int
    right: int
    peak: float
    """The highest on the string, between those two."""
    steps: int
    """Of one bead, since the level fell last."""


@dataclass(frozen=True)
class StringShortened(Event):
    """The string was pulled tight below the level; its segments follow, measured anew."""

    length_before: float
    """Normalized."""
    length_after: float
    beads_before: int
    beads_after: int


@dataclass(frozen=True)
class SegmentClosed(Event):
    left: int
    right: int
    peak: float


@dataclass(frozen=True)
class SegmentFailed(Event):
    left: int
    right: int
    depth: int
    peak: float
    reason: str


@dataclass(frozen=True)
class AuditFailed(Event):
    """The closer look found a loss above the level in a segment thought closed."""

    left: int
    right: int
    peak: float
    t: float


@dataclass(frozen=True)
class CheckpointSaved(Event):
    """A checkpoint that was asked for or ends a session; periodic ones are in progress.json."""

    reason: str


@dataclass(frozen=True)
class Paused(Event):
    pass


@dataclass(frozen=True)
class Continued(Event):
    """The run goes on from the state right after event `from_seq`.

    Events with a larger number before this one are undone: their work was lost with the
    process that did it and is done again.
    """

    from_seq: int


@dataclass(frozen=True)
class Diagnosis:
    """What is known where a search ends without a connection."""

    barrier: float
    """The highest loss on the string on which it is lowest."""
    level: float
    left: int
    """The beads between which that string is highest, and the place between them."""
    right: int
    t: float
    place: float
    """Of that peak, as a share of the string's length from endpoint 1."""
    depth: int
    trace: tuple[tuple[float, ...], ...]
    """(beads, depth, place, loss) of the worst peak as the search went on."""
    stuck_level: float | None
    """Below which a method that lowers whole strings got none; None for other methods."""
    retries: tuple[str, ...]
    reasons: tuple[str, ...]
    """Why segments failed."""
    relabelled: tuple[tuple[int, ...], ...]
    """(hidden layer from 1, unit from 0 of endpoint 2, the unit of endpoint 1 that it is) where
    the endpoints are each other's relabelled copies; empty where they are not."""
    rescaled: bool
    words: str
    """What this does and does not prove, for a person."""


@dataclass(frozen=True)
class RunFinished(Event):
    outcome: Outcome
    sentence: str
    totals: Totals
    diagnosis: Diagnosis | None = None


EVENTS: dict[str, type[Event]] = {kind.name: kind for kind in Event.__subclasses__()}


@dataclass(frozen=True)
class Record:
    """An event as it stands in `events.jsonl`."""

    seq: int
    time: float
    """Seconds of running since the run started."""
    event: Event

    def to_line(self) -> str:
        head = {"seq": self.seq, "time": self.time, "event": self.event.name}
        return dump_json(head | vars(self.event))


def dump_json(value: object) -> str:
    """One line of standard JSON, of dataclasses too: non-finite numbers become null."""
    return to_json(value, inf_nan_mode="null").decode()


def from_line(line: str) -> Record | None:
    """The record of a line, or None where the line is not one (half-written, or foreign)."""
    try:
        tree = json.loads(line)
        kind = EVENTS[tree["event"]]
        return Record(int(tree["seq"]), float(tree["time"]), _event(kind, tree))
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        return None


def _event(kind: type[Event], tree: dict[str, Any]) -> Event:
    values = {
        field.name: tree[field.name]
        for field in fields(kind)
        if field.name in tree or field.default is MISSING
    }
    if kind is RunFinished:
        values["outcome"] = Outcome(values["outcome"])
        values["totals"] = Totals(**_read(values["totals"]))
        if values.get("diagnosis") is not None:
            values["diagnosis"] = Diagnosis(**_read(values["diagnosis"]))
    return kind(**_read(values))


#: Fields that may be null for a reason other than a number that is not finite.
_NULLABLE = {"left", "right", "diagnosis", "stuck_level"}


def _read(values: dict[str, Any]) -> dict[str, Any]:
    """JSON's lists as tuples, and its nulls as the not-a-numbers they stand for."""

    def read(key: str, value: Any) -> Any:
        if isinstance(value, list):
            return tuple(read("", item) for item in value)
        return math.nan if value is None and key not in _NULLABLE else value

    return {key: read(key, value) for key, value in values.items()}
