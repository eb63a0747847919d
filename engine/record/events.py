"""The events that a search reports, and their JSON lines. No torch here.

An event's JSON object is `{"seq": n, "time": s, "event": NAME, …fields}`; a number that is
not finite is written as null and read as NaN. Fields named `*_s` are seconds. A loss or peak is
the objective of the run: the training loss unless the run's `search.level_on` says otherwise.
Beads are named by their ids, segments by the ids of the beads to their left and right.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

from pydantic_core import PydanticSerializationError, to_json, to_jsonable_python

from engine.record.bracket import Bracket
from engine.record.decoding import decode, parse_json
from engine.record.findings import Diagnosis, Totals
from engine.record.marks import Count, Depth, Level, Seconds, Seed


class Outcome(StrEnum):
    """The way in which a session of a search ended."""

    CONNECTED = "connected"
    NOT_CONNECTED = "not_connected"
    ENDPOINT_NOT_TRAINED = "endpoint_not_trained"
    LIMIT_REACHED = "limit_reached"
    STOPPED = "stopped"
    FAILED = "failed"

    @classmethod
    def _missing_(cls, value: object) -> Outcome | None:
        """Returns the outcome of a later version, which has a name like the others.

        Viewers show it by that name. Returns None for what is no name.
        """
        if not isinstance(value, str) or not re.fullmatch(r"[a-z][a-z_]{0,39}", value):
            return None
        other = str.__new__(cls, value)
        other._name_, other._value_ = value.upper(), value
        return other

    @property
    def exit_status(self) -> int:
        """The exit status of a command that ran or watched the search to this outcome."""
        return {Outcome.CONNECTED: 0, Outcome.FAILED: 1}.get(self, 3)


#: The ids of the two ends of every string.
FIRST, LAST = 1, 2


@dataclass(frozen=True)
class Event:
    """The base of all events."""

    name: ClassVar[str] = "event"
    """The name that files give the event: the class's name in snake case."""

    def __init_subclass__(cls) -> None:
        """Names the class's events."""
        cls.name = re.sub(r"(?<!^)(?=[A-Z])", "_", cls.__name__).lower()


@dataclass(frozen=True)
class RunStarted(Event):
    """A run has begun, with these settings on these devices."""

    method: str
    level: Level
    alpha: float
    """Beads are trained to this share of the level."""
    seed: Seed
    parameters: Count
    """The length of a weight vector."""
    samples: Count
    """Number of training samples."""
    devices: tuple[str, ...]
    level_on: str = "training loss"
    """The objective, which is held against the level, in words."""
    tolerance: float = 0.0
    """A segment is closed up to (1 + tolerance) × level."""
    level_asked: str = ""
    """What the preset asks for where it names no number, such as "lowest"; level is then null."""

    @property
    def level_words(self) -> str:
        """The level as the preset names it: a number, or how it is to come about."""
        return self.level_asked or f"{self.level:g}"


@dataclass(frozen=True)
class EndpointTrained(Event):
    """An endpoint is trained: it has reached its target, or had its epochs.

    `steps` are those of this attempt, and attempts are counted from 1.
    """

    bead: Count
    loss: float
    steps: Count
    attempt: Count


@dataclass(frozen=True)
class SegmentMeasured(Event):
    """The loss along a segment has been measured.

    `length` is the Euclidean distance of the two beads. `peak` is the highest loss, and `t_star`
    its place from 0 at the left bead to 1 at the right one.
    """

    left: Count
    right: Count
    depth: Depth
    length: float
    peak: float
    t_star: float


@dataclass(frozen=True)
class BeadInserted(Event):
    """A bead starts to be trained between two others, or is put on a curve between them.

    `t` is its place between them, from 0 to 1, and `loss` its loss there.
    """

    bead: Count
    left: Count
    right: Count
    depth: Depth
    t: float
    loss: float


@dataclass(frozen=True)
class BeadTrained(Event):
    """A bead between two others has reached its target. `steps` are those of this attempt."""

    bead: Count
    left: Count
    right: Count
    depth: Depth
    loss: float
    steps: Count
    attempt: Count


@dataclass(frozen=True)
class BeadFailed(Event):
    """A bead has missed its target. `remedy` says what is tried next.

    An endpoint has no neighbours `left` and `right`.
    """

    bead: Count
    left: Count | None
    right: Count | None
    reason: str
    loss: float
    steps: Count
    attempt: Count
    remedy: str


@dataclass(frozen=True)
class LevelLowered(Event):
    """Every bead is at or below the level `met`, and the next level is `level`."""

    level: float
    held_up_by: tuple[Count, ...]
    """The beads that came below the level last."""
    met: float
    lowest: float
    """The lowest loss of a bead on the string now."""
    highest: float
    """The highest loss of a bead on the string now."""


@dataclass(frozen=True)
class LevelSet(Event):
    """The level is set that the string is held against from now on, where the preset names none.

    The segments of the string, measured anew, follow.
    """

    level: Level
    bracket: Bracket
    """How it came about, and whether it is final."""


@dataclass(frozen=True)
class LevelHeld(Event):
    """The level has not fallen for many steps, which is an early sign of a disconnection."""

    level: float
    held_up_by: tuple[Count, ...]
    """The beads that have gone half of their patience without a lower loss."""
    left: Count
    right: Count
    peak: float
    """The highest loss on the string, between the beads `left` and `right`."""
    steps: Count
    """The largest number of steps that one of these beads has gone without a lower loss."""


@dataclass(frozen=True)
class StringShortened(Event):
    """The string was pulled tight below the level. Its segments, measured anew, follow."""

    length_before: float
    """The string's length, divided by the distance of its ends, before."""
    length_after: float
    """The same after."""
    beads_before: Count
    beads_after: Count


@dataclass(frozen=True)
class SegmentClosed(Event):
    """A segment stays at or below the level everywhere."""

    left: Count
    right: Count
    peak: float


@dataclass(frozen=True)
class SegmentFailed(Event):
    """A segment was given up, for a reason that a person can read."""

    left: Count
    right: Count
    depth: Depth
    peak: float
    reason: str


@dataclass(frozen=True)
class AuditFailed(Event):
    """The audit found a loss above the level in a segment that counted as closed.

    `peak` is that loss, and `t` its place from 0 at the left bead to 1 at the right one.
    """

    left: Count
    right: Count
    peak: float
    t: float


@dataclass(frozen=True)
class SegmentUndecided(Event):
    """Whether the loss on [u, v] of a segment stays below the level could not be proven.

    `bounds` cells were bounded. The segment is sampled instead, or gets a bead there where a proof
    is required.
    """

    left: Count
    right: Count
    u: float
    v: float
    bounds: Count


@dataclass(frozen=True)
class CheckpointSaved(Event):
    """A checkpoint was written that was asked for or ends a session.

    Periodic checkpoints are no events; `progress.json` tells the time of the newest.
    """

    reason: str


@dataclass(frozen=True)
class Paused(Event):
    """The search waits until it is asked to go on; its checkpoint is written."""


@dataclass(frozen=True)
class Continued(Event):
    """The run goes on from the state right after event `from_seq`.

    Events with a larger number before this one are undone: their work was lost with the
    process that did it and is done again.
    """

    from_seq: Count
    why: str = ""
    """Why that is not the newest checkpoint's, in a sentence; empty where it is."""


@dataclass(frozen=True)
class RunFinished(Event):
    """A session of a run has ended."""

    outcome: Outcome
    sentence: str
    """The outcome in a sentence for a person."""
    totals: Totals
    diagnosis: Diagnosis | None = None
    """The findings, where the search ended without a connection."""
    certified: bool | None = None
    """True where every segment is proven, false where a point above the level is known."""
    level: float | None = None
    """The level that came about in the search; None where the preset names it."""
    bracket: Bracket | None = None
    """How that level came about."""


#: All events by the names that files give them.
EVENTS: dict[str, type[Event]] = {kind.name: kind for kind in Event.__subclasses__()}


@dataclass(frozen=True)
class Unknown(Event):
    """An event of a later version, of which viewers show no more than this."""

    kind: str
    """The name that the file gives the event."""
    sentence: str = ""
    """The event's own sentence, if it has one."""


@dataclass(frozen=True)
class Record:
    """An event as it stands in `events.jsonl`."""

    seq: int
    """The event's number, from 1 in each run."""
    time: float
    """Running time of the run in seconds, all sessions together."""
    event: Event

    def to_line(self) -> str:
        """Returns the record's JSON object in one line, without the line's end."""
        head = {"seq": self.seq, "time": self.time, "event": self.event.name}
        return dump_json(head | vars(self.event))


def dump_json(value: object) -> str:
    """Returns a value as one line of standard JSON, with null for a number that is not finite.

    Dataclasses and pydantic models become objects. Bytes of a path that are no UTF-8, of which JSON
    has none, are written out.
    """
    try:
        return to_json(value, inf_nan_mode="null").decode()
    except PydanticSerializationError:
        plain = to_jsonable_python(value, inf_nan_mode="constants")
        return to_json(_in_unicode(plain), inf_nan_mode="null").decode()


def _in_unicode(value: object) -> object:
    """Returns a plain value whose texts hold nothing but Unicode."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, dict):
        return {_in_unicode(key): _in_unicode(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_in_unicode(each) for each in value]
    return value


@dataclass(frozen=True)
class _Head:
    """The fields that every event's line has beside the event's own."""

    seq: Count
    time: Seconds
    event: str


def from_line(line: str | bytes) -> Record:
    """Returns the record in a line. An event that only later versions know is an `Unknown`.

    Raises Unfit for a line that is no record, because it is cut, damaged or another program's.
    """
    tree = parse_json(line)
    head = decode(_Head, tree)
    kind = EVENTS.get(head.event)
    if kind is None:
        said = tree.get("sentence")
        return Record(
            head.seq, head.time, Unknown(head.event, said if isinstance(said, str) else "")
        )
    return Record(head.seq, head.time, decode(kind, tree))
