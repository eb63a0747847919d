"""The string that a method works on: beads in order, and what is known of each segment.

A method says which beads there are; the chain measures the segments between them and keeps the
string with the lowest peak so far. `chain_view` shows it to others, `chain_string` makes what a
file holds of it, and `chain_state` what a checkpoint holds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

import torch

from engine.path.guesses import halves, joined
from engine.path.segments import (
    Floats,
    Measured,
    Pair,
    along,
    few_of,
    glimpse,
    measure,
    search_grid,
)
from engine.path.shape import Shape, Shapes
from engine.path.snapshot import Key, Peak, Segment, Snapshot, distance
from engine.problem.problem import Problem
from engine.record.events import (
    FIRST,
    LAST,
    BeadTrained,
    EndpointTrained,
    Event,
    SegmentClosed,
    SegmentFailed,
    SegmentMeasured,
)
from engine.record.progress import SegmentState
from engine.record.reading import MIB
from engine.shapes import Weights
from engine.spec.goal import Goal
from engine.workers.metered import Metered
from engine.workers.pool import Workers

#: Greatest number of peaks that a trace holds.
TRACE = 100
#: Bytes of a bead from which on beads at rest lie in main memory, and come to a GPU when they are
#: measured or trained.
AT_HOME = 4 * MIB


class Chain:
    """The string in the making: beads from end to end, and the segments between them.

    Beads 1 and 2 are the ends; the others are numbered in the order of their making.
    """

    def __init__(self, pool: Workers, goal: Goal, points: int) -> None:
        """Makes a chain without beads, whose segments are measured on `points` values of t."""
        self.problem = pool.backend.problem
        self.pool = Metered(pool)
        """The workers, which count what the search costs."""
        self.home = home_of(self.problem)
        """The device on which beads at rest lie."""
        self.goal = goal
        """What the string is held against: its level, and the targets of its beads."""
        self.grid = search_grid(points)
        self.order: list[int] = []
        self.weights: dict[int, Weights] = {}
        self.depths: dict[int, int] = {}
        self.segments: dict[Key, Segment] = {}
        self.stale: set[Key] = set()
        """Keys of the segments whose beads have moved since they were measured."""
        self.known: dict[int, float] = {}
        """The objective at beads, by id, where it was measured with their present weights."""
        self.next_bead = LAST + 1
        self.lowest: Snapshot | None = None
        """The measured string with the lowest peak so far."""
        self.trace: list[Peak] = []
        """The highest point of the string each time it was whole; every other is left out in turn
        where there are many."""
        self._shapes = Shapes(self.problem.weights_alone)

    @property
    def level(self) -> float:
        """The level that the string is held against now; infinite as long as none is known."""
        return self.goal.level

    @property
    def bound(self) -> float:
        """The highest loss that a closed segment may have."""
        return self.goal.bound

    # ------------------------------------------------------------ building

    def begin(self, beads: Sequence[tuple[int, Weights, int]]) -> None:
        """Starts over with beads (id, weights, depth), none of whose segments is measured."""
        self.order = [bead for bead, _, _ in beads]
        self.weights = {bead: theta.to(self.home) for bead, theta, _ in beads}
        self.depths = {bead: depth for bead, _, depth in beads}
        self.segments, self.stale, self.known = {}, set(), {}
        self.next_bead = max(self.next_bead, max(self.order) + 1)

    def new_bead(self) -> int:
        """Returns the id of a new bead, which is not on the string yet."""
        self.next_bead += 1
        return self.next_bead - 1

    def place(self, bead: int, theta: Weights, key: Key) -> list[Key]:
        """Puts a bead into a segment, and returns the keys of the two that take its place."""
        left, right = key
        self.weights[bead], self.depths[bead] = theta.to(self.home), self.depth_of(key) + 1
        self.order.insert(self.order.index(right), bead)
        parts = [(left, bead), (bead, right)]
        whole = self._forget(key)
        if whole is not None:
            for half, measured in zip(parts, halves(whole.measured, self.grid), strict=True):
                self._guess(half, measured)
        return parts

    def move(self, beads: Iterable[tuple[int, Weights]]) -> None:
        """Gives new weights to beads, by id. Their segments then have to be measured anew."""
        moved = set[int]()
        for bead, theta in beads:
            self.weights[bead] = theta.to(self.home)
            self.known.pop(bead, None)
            moved.add(bead)
        self.stale |= {key for key in self.segments if key[0] in moved or key[1] in moved}

    def neighbours(self, bead: int) -> Key:
        """Returns the ids of the beads to the left and the right of an inner bead."""
        place = self.order.index(bead)
        return self.order[place - 1], self.order[place + 1]

    def drop(self, bead: int) -> Key:
        """Takes an inner bead out, and returns the key of the segment that takes its place."""
        left, right = self.neighbours(bead)
        self.order.remove(bead)
        del self.weights[bead], self.depths[bead]
        self.known.pop(bead, None)
        parts = [self._forget((left, bead)), self._forget((bead, right))]
        known = [part.measured for part in parts if part is not None]
        if len(known) == len(parts):
            self._guess((left, right), joined(known, self.grid))
        return left, right

    def _forget(self, key: Key) -> Segment | None:
        self.stale.discard(key)
        return self.segments.pop(key, None)

    def _guess(self, key: Key, measured: Measured) -> None:
        """Gives a segment a profile for viewers until it is measured, from what was known there."""
        left, right = (self.weights[bead] for bead in key)
        length = distance(left, right)
        self.segments[key] = Segment(*key, self.depth_of(key), length, measured, state="open")
        self.stale.add(key)

    def depth_of(self, key: Key) -> int:
        """Returns the number of splits of splits that led to a segment."""
        return max(self.depths[bead] for bead in key)

    @property
    def keys(self) -> list[Key]:
        """The keys of the segments from end to end."""
        return list(pairwise(self.order))

    @property
    def unmeasured(self) -> list[Key]:
        """The keys of the segments whose profiles are missing or stale, from end to end."""
        return [key for key in self.keys if key not in self.segments or key in self.stale]

    def update(self, segment: Segment) -> None:
        """Replaces what is known of a segment; it counts as measured."""
        self.segments[segment.key] = segment
        self.stale.discard(segment.key)

    def correct(self, segment: Segment) -> None:
        """Takes over what a check has found of a segment that was thought closed.

        It is known of the string with the lowest peak too, so that nobody falls back to a string
        whose peak was merely not seen.
        """
        self.update(segment)
        lowest = self.lowest
        if lowest is None or segment.key not in lowest.segments:
            return
        if all(torch.equal(lowest.weights[bead], self.weights[bead]) for bead in segment.key):
            self.lowest = replace(lowest, segments={**lowest.segments, segment.key: segment})

    # ------------------------------------------------------------ measuring

    def measure(self, keys: Sequence[Key]) -> list[Event]:
        """Measures segments, and returns what was found as events.

        A segment is open where its peak exceeds the chain's bound, else closed.
        """
        if not keys:
            return []
        pairs = [(self.weights[left], self.weights[right]) for left, right in keys]
        return self.enter(dict(zip(keys, self.profiles_of(pairs, self.bound), strict=True)))

    def enter(self, found: Mapping[Key, Measured]) -> list[Event]:
        """Takes over what was measured of segments as they are, and returns it as events."""
        if not found:
            return []
        events: list[Event] = []
        for key, measured in found.items():
            now = self._segment(key, measured)
            self.update(now)
            self._note_ends(key, measured)
            peak, place = measured.peak, measured.t_star
            events.append(SegmentMeasured(*key, now.depth, now.length, peak, place))
            if now.state == "closed":
                events.append(SegmentClosed(*key, measured.peak))
        self._compare()
        return events

    def sketch(self, found: Mapping[Key, Measured]) -> None:
        """Takes over profiles of few points of segments as they are, which stay to be measured."""
        self.segments.update({key: self._segment(key, measured) for key, measured in found.items()})
        self.stale |= found.keys()
        for key, measured in found.items():
            self._note_ends(key, measured)

    def _segment(self, key: Key, measured: Measured) -> Segment:
        """Returns a segment as it is, open where its peak exceeds the bound, else closed."""
        length = distance(*(self.weights[bead] for bead in key))
        state = self._closed_or("open", measured)
        return Segment(*key, self.depth_of(key), length, measured, state)

    def profiles_of(
        self, pairs: Sequence[Pair], level: float, pool: Workers | None = None
    ) -> list[Measured]:
        """Returns profiles on the search's grid of lines between two models.

        Peaks that cannot exceed `level` are not refined. What is measured for viewers alone goes to
        another `pool` than the search's own.
        """
        known = {self.weights[bead]: value for bead, value in self.known.items()}
        samples = self.problem.objective_samples
        workers = pool or self.pool
        return measure(workers, pairs, self.grid, samples, known=known, level=level)

    def seen_of(self, pairs: Sequence[Pair], places: Floats | None = None) -> list[Measured]:
        """Returns profiles at few evenly spread places of lines between two models, ends included.

        Without `places` these are few of the search's grid.
        """
        known = {self.weights[bead]: value for bead, value in self.known.items()}
        t = few_of(self.grid) if places is None else places
        found = along(self.pool, pairs, t, self.problem.objective_samples, known=known)
        return [glimpse(t, losses) for losses in found]

    def _closed_or(self, otherwise: SegmentState, measured: Measured) -> SegmentState:
        """Returns the state of a segment: closed where no loss exceeds the bound."""
        return "closed" if measured.peak <= self.bound else otherwise

    def _note_ends(self, key: Key, measured: Measured) -> None:
        left, right = key
        self.known[left], self.known[right] = float(measured.losses[0]), float(measured.losses[-1])

    def _compare(self) -> None:
        """Notes the peak of a whole string, and keeps the string where it is the lowest so far."""
        if not self.order or self.unmeasured:
            return
        now = self.snapshot()
        if self.lowest is None or now.highest < self.lowest.highest:
            self.lowest = now
        self.trace.append(now.peak())
        if len(self.trace) > TRACE:
            del self.trace[1::2]

    def snapshot(self) -> Snapshot:
        """Returns the string as it is. Raises KeyError where a segment has no profile."""
        return Snapshot(
            tuple(self.order),
            {bead: self.weights[bead] for bead in self.order},
            {bead: self.depths[bead] for bead in self.order},
            {key: self.segments[key] for key in self.keys},
        )

    def take(self, kept: Snapshot) -> None:
        """Makes an earlier string the chain's own again."""
        self.order = list(kept.order)
        self.weights, self.depths = dict(kept.weights), dict(kept.depths)
        self.segments, self.stale, self.known = dict(kept.segments), set(), {}
        for key, segment in kept.segments.items():
            self._note_ends(key, segment.measured)

    def fall_back(self) -> None:
        """Goes back to the string with the lowest peak, if it is lower than the present one.

        Its segments above the bound count as failed.
        """
        if self.lowest is None or self.lowest.highest >= self.snapshot().highest:
            return
        self.take(self.lowest)
        for segment in self.in_order():
            self.update(replace(segment, state=self._closed_or("failed", segment.measured)))

    def fail(self, segment: Segment, reason: str) -> Event:
        """Marks a segment as one that the search has given up, and returns that as an event."""
        self.update(replace(segment, state="failed"))
        peak = segment.measured.peak
        return SegmentFailed(segment.left, segment.right, segment.depth, peak, reason)

    def start_anew(self) -> None:
        """Opens the segments that have failed, for another search.

        The search counts depth from the present beads: the ends have depth 0, the others 1.
        """
        self.depths = {bead: int(bead not in (FIRST, LAST)) for bead in self.order}
        for segment in self.in_order():
            state, depth = self._closed_or("open", segment.measured), self.depth_of(segment.key)
            self.segments[segment.key] = replace(
                segment, state=state, depth=depth, attempt=0, stalled=0
            )

    def in_order(self) -> list[Segment]:
        """Returns the segments that have a profile, from end to end, as last measured."""
        return [self.segments[key] for key in self.keys if key in self.segments]

    def shape(self) -> Shape:
        """Returns the string's length and the angles by which it turns."""
        return self._shapes.of([self.weights[bead] for bead in self.order])

    @property
    def certified(self) -> bool | None:
        """True where every segment is proven, False where a point above the bound is known."""
        segments = self.in_order()
        if any(segment.measured.peak > self.bound for segment in segments):
            return False
        proven = [segment.proof is not None and segment.proof.proven for segment in segments]
        return True if segments and all(proven) and not self.unmeasured else None


def home_of(problem: Problem) -> torch.device:
    """Returns the device on which beads at rest lie: main memory where they are large."""
    large = problem.parameter_count * problem.dtype.itemsize >= AT_HOME
    return torch.device("cpu") if large else problem.device


def trained(chain: Chain, bead: int, loss: float, steps: int) -> Event:
    """Returns the event that a bead of the string has reached its target where it is."""
    if bead in (FIRST, LAST):
        return EndpointTrained(bead, loss, steps, attempt=1)
    left, right = chain.neighbours(bead)
    return BeadTrained(bead, left, right, chain.depths[bead], loss, steps, attempt=1)
