"""The progress of a search, as `progress.json` holds it. No torch here.

The engine replaces the file a few times a second, and every viewer reads it as a `Progress`. A
number that is not finite is null in the file and NaN here.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from typing import Annotated, Literal

from engine.record.bracket import Bracket
from engine.record.events import dump_json
from engine.record.marks import Count, Depth, Formerly, Length, Level, Range, Seconds, Tolerance
from engine.record.reading import Damaged, Stamp, read_json, stamp
from engine.record.rundir import RunDir
from engine.spec.keys import Limits
from engine.spec.level import Measure, bound

SegmentState = Literal["open", "training", "closed", "failed"]
ProgressState = Literal["running", "paused", "ended"]


#: The objective in files that do not name one.
TRAINING_LOSS = Measure()


@dataclass(frozen=True)
class Counters:
    """The counters of a run so far."""

    depth: Depth
    """The greatest depth of splits."""
    beads: Count
    """Number of beads on the string, the ends included."""
    beads_per_depth: tuple[Count, ...]
    """Number of beads at each depth; the ends are at depth 0."""
    open: Count
    """Number of segments that are not closed yet, those with a bead in training included."""
    closed: Count
    """Number of closed segments."""
    failed: Count
    """Number of segments that were given up."""
    in_training: Count
    """Number of beads in training now."""
    bead_steps: Count
    """Number of optimizer steps of all beads together."""
    max_peak: float
    """The highest loss on the string; NaN while none is measured."""
    normalized_length: float
    """The string's length divided by the distance of its ends; NaN while there is no string."""
    turn_mean: float | None = None
    """The mean angle in degrees by which the string turns at an inner bead; None where there is
    none, and in files without it."""
    turn_max: float | None = None
    """The largest of these angles."""
    sample_gradients: Count | None = None
    """Number of samples passed forward and back, as `Costs` counts them; None where not known."""
    forward_samples: Count | None = None
    """Number of samples passed forward alone; None where not known."""


@dataclass(frozen=True)
class TrainingProgress:
    """A bead in training, or a control point of a curve, which is no bead of the string."""

    bead: Count
    loss: float
    steps: Count
    attempt: Count
    """The number of this attempt, from 1."""
    aims: bool = True
    """Whether it is trained to a target; a point of a band or a curve moves until all of it is
    below the level."""


@dataclass(frozen=True)
class Epochs:
    """The training of ends by their recipe, whatever their loss."""

    count: Count
    """Number of epochs of each end."""
    steps: Count
    """Number of steps of each end."""
    told_every: Count
    """Number of steps after which an engine tells how far it has come."""

    def done(self, steps: int) -> float:
        """Returns the number of epochs after so many steps."""
        return self.count * steps / self.steps


@dataclass(frozen=True)
class Within:
    """How far a long computation within a step of a search is."""

    share: Annotated[float, Range(0, 1)]
    """The share of it that is done."""
    since: Seconds
    """The running time in seconds at which the counters were taken."""
    left: Seconds | None = None
    """The seconds that the rest takes if it goes on as before; None where that is not known."""


@dataclass(frozen=True)
class SegmentProgress:
    """A segment of the string, between two neighbouring beads."""

    left: Count
    right: Count
    depth: Depth
    state: SegmentState
    length: float
    """Euclidean distance of the two beads' weights."""
    peak: float
    """The highest loss found along the segment."""
    t_star: float
    """The place of the peak, from 0 at the left bead to 1 at the right one."""
    profile: Annotated[tuple[float, ...], Length(2)]
    """The objective on an even grid of t from 0 to 1, (point,)."""
    secondary: Annotated[tuple[float, ...], Formerly("beside")]
    """The secondary metric on an even grid of its own from 0 to 1, (point,)."""
    bead: Count | None
    """The bead in training between the two, or None."""

    bound: float | None = None
    """The value that the objective is proven not to exceed for any t; None where none is proven."""

    @property
    def pair(self) -> tuple[int, int]:
        """The ids of the left and the right bead."""
        return self.left, self.right


@dataclass(frozen=True, kw_only=True)
class Progress:
    """The state of a search at one moment, for viewers."""

    seq: Count
    """The number of the newest event."""
    time: Seconds
    """Running time of the run in seconds, all sessions together."""
    state: ProgressState
    phase: str
    """The current work of the search, in words for a person."""
    level: Level
    """The level that the whole string is to stay below."""
    tolerance: Tolerance = 0.0
    """A segment is closed up to (1 + tolerance) × level."""
    level_on: Measure = TRAINING_LOSS
    """The objective: the metric and the split that are held against the level."""
    secondary: Annotated[Measure, Formerly("beside")] = TRAINING_LOSS
    """The secondary metric and split, shown next to the objective."""
    secondary_samples: Annotated[Count | None, Formerly("beside_samples")] = None
    """Number of samples that the secondary metric is taken over; None means all of the split."""
    alpha: float
    """The share of the level that beads are trained to."""
    endpoints_alpha: float | None = None
    """The share of the level that the ends are trained to; None means alpha."""
    aim: float | None = None
    """The level below which beads are brought just now; None in files without it."""
    counters: Counters
    limits: Limits | None = None
    """The limits of the run; None in files without them."""
    checkpoint_time: Seconds | None = None
    """Running time in seconds at the newest checkpoint of this session, None before the first."""
    order: tuple[Count, ...]
    """The ids of the beads from end to end; empty as long as no segment is measured."""
    losses: tuple[float, ...]
    """The objective at each of those beads, (bead,)."""
    training: tuple[TrainingProgress, ...]
    """The beads in training."""
    segments: tuple[SegmentProgress, ...]
    """The segments in their order along the string."""
    certified: bool | None = None
    """True where every segment is proven, false where a point above the level is known."""
    bracket: Bracket | None = None
    """How the level comes about; None where the preset names it."""
    target: float | None = None
    """The objective that beads of the string are trained to; None: alpha × level."""
    ends_by_recipe: bool = False
    """Whether the ends are trained for a number of epochs, and so have no target."""
    epochs: Epochs | None = None
    """How long they are trained then; None where they have a target, and in files without it."""
    within: Within | None = None
    """How far a computation is that has taken some seconds already; None where there is none, and
    in files without it. All but `time` and `seq` is then as it was before."""

    @property
    def bound(self) -> float:
        """The highest loss that a closed segment may have."""
        return bound(self.level, self.tolerance)

    @property
    def peak_over_level(self) -> float | None:
        """The highest loss on the string divided by the level, or None while none is measured."""
        peak = self.counters.max_peak
        return peak / self.level if isfinite(peak) and isfinite(self.level) else None

    def to_json(self) -> bytes:
        """Returns the content of `progress.json`."""
        return dump_json(self).encode()


def read_progress(run: RunDir) -> Progress | None:
    """Returns the newest progress of a run, or None before the first. Raises Damaged."""
    progress = read_json(Progress, run.progress)
    if progress is not None:
        why = _contradiction(progress)
        if why is not None:
            raise Damaged(run.progress, why)
    return progress


class ProgressReader:
    """Reads the progress of a run, again only where its file has changed."""

    def __init__(self, run: RunDir) -> None:
        """Has read nothing yet."""
        self.run = run
        self._stamp: Stamp | None = None
        self._found: Progress | Damaged | None = None

    def look(self) -> Progress | None:
        """Returns the newest progress, the same object where it is the same, or None before it.

        Raises Damaged.
        """
        now = stamp(self.run.progress)
        if now is None or now != self._stamp:
            self._stamp, self._found = now, self._read()
        if isinstance(self._found, Damaged):
            raise self._found
        return self._found

    def _read(self) -> Progress | Damaged | None:
        """Returns what the file holds now."""
        try:
            return read_progress(self.run)
        except Damaged as damaged:
            return damaged


def _contradiction(progress: Progress) -> str | None:
    """Returns a sentence on parts of a progress that contradict each other, or None."""
    if len(progress.losses) != len(progress.order):
        return f"losses holds {len(progress.losses)} items, but order {len(progress.order)}"
    if len({len(segment.profile) for segment in progress.segments}) > 1:
        return "the profiles of its segments have different lengths"
    return None


def steps_per_s(before: Progress | None, now: Progress | None, known: float | None) -> float | None:
    """Returns the bead-steps per second between two readings of a run's progress.

    `known` is the last rate, which stays where no running time has passed in between. The rate is
    never negative, although a resumed run goes back to the steps of its checkpoint. It is None
    until a second reading tells it.
    """
    if before is None or now is None:
        return None
    seconds = _counted_s(now) - _counted_s(before)
    if seconds <= 0:
        return known
    return max(0.0, (now.counters.bead_steps - before.counters.bead_steps) / seconds)


def _counted_s(progress: Progress) -> float:
    """Returns the running time at which the counters of a progress were taken."""
    return progress.time if progress.within is None else progress.within.since
