"""The facts a search reports, frozen and plain, and their JSON lines. No torch here.

An event's JSON object is `{"seq": n, "time": s, "event": NAME, …fields}`; a number that is
not finite is written as null. Fields named `*_s` are seconds; all losses are natural-log or
plain means over the whole training set; beads are named by their ids.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from typing import Any, ClassVar


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
    level: float
    held_up_by: tuple[int, ...]


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
class RunFinished(Event):
    outcome: Outcome
    sentence: str
    totals: Totals


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
        return dump_json(head | asdict(self.event))


def dump_json(value: object) -> str:
    """One line of standard JSON: non-finite numbers become null."""
    return json.dumps(_finite(value), ensure_ascii=False, allow_nan=False)


def _finite(value: object) -> object:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value


def from_line(line: str) -> Record | None:
    """The record of a line, or None where the line is not one (half-written, or foreign)."""
    try:
        tree = json.loads(line)
        kind = EVENTS[tree["event"]]
        return Record(int(tree["seq"]), float(tree["time"]), _event(kind, tree))
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        return None


def _event(kind: type[Event], tree: dict[str, Any]) -> Event:
    values = {field.name: tree[field.name] for field in fields(kind)}
    if kind is RunFinished:
        values["outcome"] = Outcome(values["outcome"])
        values["totals"] = Totals(**_read(values["totals"]))
    return kind(**_read(values))


#: Fields that may be null for a reason other than a number that is not finite.
_NULLABLE = {"left", "right"}


def _read(values: dict[str, Any]) -> dict[str, Any]:
    """JSON's lists as tuples, and its nulls as the not-a-numbers they stand for."""

    def read(key: str, value: Any) -> Any:
        if isinstance(value, list):
            return tuple(value)
        return math.nan if value is None and key not in _NULLABLE else value

    return {key: read(key, value) for key, value in values.items()}
