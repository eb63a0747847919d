"""The string that a method works on: beads in order, and what is known of each segment.

A method says which beads there are; the chain measures the segments between them, keeps the
string with the lowest barrier so far, and shows the whole to others.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.path.segments import Measured, Pair, along, measure, search_grid
from engine.path.snapshot import Key, MethodProgress, Saved
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
from engine.record.geometry import BeadString
from engine.record.progress import SegmentProgress, SegmentState, TrainingProgress
from engine.shapes import Weights
from engine.spec.level import bound
from engine.workers.pool import Workers

#: Points of t at which a segment is shown in another metric or split.
SECONDARY_POINTS = 17
#: Peaks that a trace holds at most.
TRACE = 100


@dataclass(frozen=True)
class Segment:
    left: int
    right: int
    depth: int
    length: float
    measured: Measured
    secondary: NDArray[np.float64]
    """(point,) The secondary metric on an even grid of t."""
    state: SegmentState
    bead: int | None = None
    """In training, or tried last, between the two."""
    attempt: int = 0
    stalled: int = 0
    """Splits in a row, up to this one, that made it neither shorter nor lower."""

    @property
    def key(self) -> Key:
        return self.left, self.right

    @property
    def height(self) -> float:
        """The peak, infinite where it is not a number."""
        return self.measured.peak if np.isfinite(self.measured.peak) else float("inf")


@dataclass(frozen=True)
class Peak:
    """The highest point of a whole string."""

    left: int
    right: int
    t: float
    loss: float
    depth: int
    place: float
    """As a share of the string's length."""
    beads: int
    """On the string."""


@dataclass(frozen=True)
class Snapshot:
    """A string with all its segments measured."""

    order: tuple[int, ...]
    weights: Mapping[int, Weights]
    depths: Mapping[int, int]
    segments: Mapping[Key, Segment]

    @property
    def barrier(self) -> float:
        """The highest loss on it."""
        return max(segment.height for segment in self.segments.values())

    def peak(self) -> Peak:
        before, at, worst = 0.0, 0.0, None
        for key in pairwise(self.order):
            segment = self.segments[key]
            if worst is None or segment.height > worst.height:
                worst, at = segment, before + segment.measured.t_star * segment.length
            before += segment.length
        assert worst is not None
        place = at / before if before > 0 else 0.0
        return Peak(
            *worst.key, worst.measured.t_star, worst.height, worst.depth, place, len(self.order)
        )

    @property
    def normalized_length(self) -> float:
        return _normalized_length(self.order, self.weights)

    def save(self, name: str) -> Saved:
        """As tensors whose names begin with that name, and plain values."""
        tensors: dict[str, Tensor] = {}
        if self.order:
            tensors[f"{name}.beads"] = torch.stack([self.weights[bead] for bead in self.order])
        segments = []
        for number, segment in enumerate(self.segments.values()):
            values = {field.name: getattr(segment, field.name) for field in fields(segment)}
            measured, secondary = values.pop("measured"), values.pop("secondary")
            arrays = {"t": measured.t, "losses": measured.losses, "beside": secondary}
            for part, array in arrays.items():
                tensors[f"{name}.{number}.{part}"] = torch.from_numpy(array.copy())
            segments.append(values | {"peak": measured.peak, "t_star": measured.t_star})
        depths = [self.depths[bead] for bead in self.order]
        return tensors, {"order": list(self.order), "depths": depths, "segments": segments}

    @classmethod
    def restored(
        cls, tensors: Mapping[str, Tensor], plain: dict[str, Any], name: str, device: torch.device
    ) -> Snapshot:
        order = tuple(plain["order"])
        segments: dict[Key, Segment] = {}
        for number, values in enumerate(plain["segments"]):
            t, losses, secondary = (
                tensors[f"{name}.{number}.{part}"].numpy() for part in ("t", "losses", "beside")
            )
            rest = {key: value for key, value in values.items() if key not in ("peak", "t_star")}
            measured = Measured(t, losses, values["peak"], values["t_star"])
            segment = Segment(measured=measured, secondary=secondary, **rest)
            segments[segment.key] = segment
        return cls(
            order,
            {bead: tensors[f"{name}.beads"][place].to(device) for place, bead in enumerate(order)},
            dict(zip(order, plain["depths"], strict=True)),
            segments,
        )


class Chain:
    """Beads 1 and 2 are its ends; the others are numbered in the order of their making."""

    def __init__(self, pool: Workers, level: float, points: int, tolerance: float = 0.0) -> None:
        self.problem, self.pool, self.level = pool.backend.problem, pool, level
        self.bound = bound(level, tolerance)
        """The highest loss that a closed segment may have."""
        self.grid = search_grid(points)
        self.order: list[int] = []
        self.weights: dict[int, Weights] = {}
        self.depths: dict[int, int] = {}
        self.segments: dict[Key, Segment] = {}
        self.stale: set[Key] = set()
        """Segments whose beads have moved since they were measured."""
        self.known: dict[int, float] = {}
        """The objective at beads, where it was measured with the weights that they have now."""
        self.next_bead = LAST + 1
        self.lowest: Snapshot | None = None
        """The measured string with the lowest barrier so far."""
        self.trace: list[Peak] = []
        """The highest point of the string as it changed, thinned where there are many."""
        self.audited: Mapping[Key, Measured] = {}
        """The profiles that the audit measured."""

    # ------------------------------------------------------------ building

    def begin(self, beads: Sequence[tuple[int, Weights, int]]) -> None:
        """A string of these beads (id, weights, depth), its segments not measured yet."""
        self.order = [bead for bead, _, _ in beads]
        self.weights = {bead: theta for bead, theta, _ in beads}
        self.depths = {bead: depth for bead, _, depth in beads}
        self.segments, self.stale, self.known = {}, set(), {}
        self.next_bead = max(self.next_bead, max(self.order) + 1)

    def new_bead(self) -> int:
        self.next_bead += 1
        return self.next_bead - 1

    def place(self, bead: int, theta: Weights, key: Key) -> list[Key]:
        """Puts a bead into a segment; the two that take its place."""
        left, right = key
        self.weights[bead], self.depths[bead] = theta, self.depth_of(key) + 1
        self.order.insert(self.order.index(right), bead)
        halves = [(left, bead), (bead, right)]
        whole = self._forget(key)
        if whole is not None:
            cut = float(np.clip(whole.measured.t_star, 0.05, 0.95))
            for half, span in zip(halves, ((0.0, cut), (cut, 1.0)), strict=True):
                self._guess(half, np.interp(np.linspace(*span, len(self.grid)), *_curve([whole])))
        return halves

    def move(self, moved: Mapping[int, Weights]) -> None:
        """New weights for some beads; what was measured of their segments no longer counts."""
        self.weights.update(moved)
        for bead in moved:
            self.known.pop(bead, None)
        self.stale |= {key for key in self.segments if moved.keys() & set(key)}

    def neighbours(self, bead: int) -> Key:
        """Of an inner bead."""
        place = self.order.index(bead)
        return self.order[place - 1], self.order[place + 1]

    def drop(self, bead: int) -> Key:
        """Takes an inner bead out; the segment that takes its place."""
        left, right = self.neighbours(bead)
        self.order.remove(bead)
        for known in (self.weights, self.depths):
            del known[bead]
        self.known.pop(bead, None)
        halves = [self._forget((left, bead)), self._forget((bead, right))]
        both = [half for half in halves if half is not None]
        if len(both) == len(halves):
            t, losses = _curve(both)
            self._guess((left, right), np.interp(self.grid * t[-1], t, losses))
        return left, right

    def _forget(self, key: Key) -> Segment | None:
        self.stale.discard(key)
        return self.segments.pop(key, None)

    def _guess(self, key: Key, losses: NDArray[np.float64]) -> None:
        """A profile for viewers until the segment is measured, from what was measured there."""
        left, right = (self.weights[bead] for bead in key)
        highest = int(losses.argmax())
        measured = Measured(self.grid, losses, float(losses[highest]), float(self.grid[highest]))
        secondary = np.full(SECONDARY_POINTS, np.nan)
        length = distance(left, right)
        self.segments[key] = Segment(
            *key, self.depth_of(key), length, measured, secondary, state="open"
        )
        self.stale.add(key)

    def depth_of(self, key: Key) -> int:
        """Splits of splits that led to a segment."""
        return max(self.depths[bead] for bead in key)

    @property
    def keys(self) -> list[Key]:
        """The segments from end to end."""
        return list(pairwise(self.order))

    @property
    def unmeasured(self) -> list[Key]:
        """Those of the segments whose profiles are missing or stale, from end to end."""
        return [key for key in self.keys if key not in self.segments or key in self.stale]

    def update(self, segment: Segment) -> None:
        self.segments[segment.key] = segment
        self.stale.discard(segment.key)

    # ------------------------------------------------------------ measuring

    def measure(self, keys: Sequence[Key]) -> list[Event]:
        """Measures segments: open where the peak exceeds the bound, else closed."""
        if not keys:
            return []
        pairs = [(self.weights[left], self.weights[right]) for left, right in keys]
        profiles = self.profiles_of(pairs, self.bound)
        others = along(
            self.pool,
            pairs,
            search_grid(SECONDARY_POINTS),
            self.problem.secondary_samples,
            objective=self.problem.secondary,
        )
        events: list[Event] = []
        for key, pair, measured, other in zip(keys, pairs, profiles, others, strict=True):
            depth, length = self.depth_of(key), distance(*pair)
            state: SegmentState = "closed" if measured.peak <= self.bound else "open"
            self.update(Segment(*key, depth, length, measured, other, state))
            self._note_ends(key, measured)
            events.append(SegmentMeasured(*key, depth, length, measured.peak, measured.t_star))
            if state == "closed":
                events.append(SegmentClosed(*key, measured.peak))
        self._compare()
        return events

    def profiles_of(self, pairs: Sequence[Pair], level: float) -> list[Measured]:
        """On the search's grid, where only peaks above a level matter."""
        known = {self.weights[bead]: judged for bead, judged in self.known.items()}
        samples = self.problem.objective_samples
        return measure(self.pool, pairs, self.grid, samples, known=known, level=level)

    def _note_ends(self, key: Key, measured: Measured) -> None:
        left, right = key
        self.known[left], self.known[right] = float(measured.losses[0]), float(measured.losses[-1])

    def _compare(self) -> None:
        if not self.order or self.unmeasured:
            return
        now = self.snapshot()
        if self.lowest is None or now.barrier < self.lowest.barrier:
            self.lowest = now
        self.trace.append(now.peak())
        if len(self.trace) > TRACE:
            del self.trace[1::2]

    def snapshot(self) -> Snapshot:
        return Snapshot(
            tuple(self.order),
            {bead: self.weights[bead] for bead in self.order},
            {bead: self.depths[bead] for bead in self.order},
            {key: self.segments[key] for key in self.keys},
        )

    def take(self, kept: Snapshot) -> None:
        """Goes back to an earlier string."""
        self.order = list(kept.order)
        self.weights, self.depths = dict(kept.weights), dict(kept.depths)
        self.segments, self.stale, self.known = dict(kept.segments), set(), {}
        for key, segment in kept.segments.items():
            self._note_ends(key, segment.measured)

    def fall_back(self) -> None:
        """To the string with the lowest barrier; its segments above the bound have failed."""
        if self.lowest is None or self.lowest.barrier >= self.snapshot().barrier:
            return
        self.take(self.lowest)
        for segment in self.in_order():
            state: SegmentState = "closed" if segment.measured.peak <= self.bound else "failed"
            self.update(replace(segment, state=state))

    def fail(self, segment: Segment, reason: str) -> Event:
        self.update(replace(segment, state="failed"))
        peak = segment.measured.peak
        return SegmentFailed(segment.left, segment.right, segment.depth, peak, reason)

    def start_anew(self) -> None:
        """What one search gave up is open to the next, which counts depth from these beads."""
        self.depths = {bead: int(bead not in (FIRST, LAST)) for bead in self.order}
        for segment in self.in_order():
            key = segment.key
            state: SegmentState = "closed" if segment.measured.peak <= self.bound else "open"
            self.segments[key] = replace(
                segment, state=state, depth=self.depth_of(key), attempt=0, stalled=0
            )

    def in_order(self) -> list[Segment]:
        """The segments from end to end, as last measured."""
        return [self.segments[key] for key in self.keys if key in self.segments]

    # ------------------------------------------------------------ what others see

    def progress(
        self,
        phase: str,
        training: Iterable[TrainingProgress],
        bead_steps: int,
        aim: float,
        losses: Mapping[int, float] | None = None,
    ) -> MethodProgress:
        """Returns where a method stands, given what its stage knows.

        `aim` is as in `MethodProgress`; `losses` are those of beads that are fresher than the
        profiles.
        """
        segments, profiles = self.in_order(), self._profiles()
        known: dict[int, float] = {}
        for segment, profile in zip(segments, profiles, strict=True):
            known[segment.left] = float(profile.losses[0])
            known[segment.right] = float(profile.losses[-1])
        known.update(losses or {})
        depths = list(self.depths.values())
        order = tuple(self.order) if len(segments) == len(self.keys) else ()
        return MethodProgress(
            phase=phase,
            aim=aim,
            beads=len(self.order),
            order=order,
            losses=tuple(known.get(bead, float("nan")) for bead in order),
            training=tuple(training),
            segments=tuple(map(_view, segments, profiles)),
            beads_per_depth=tuple(depths.count(d) for d in range(max(depths, default=-1) + 1)),
            bead_steps=bead_steps,
            normalized_length=self.normalized_length(),
            max_peak=float(max((p.peak for p in profiles), default=float("nan"))),
        )

    @property
    def string_products(self) -> int:
        """Multiplications that `string` costs now, refinement of the peaks left aside."""
        points = len(self.unmeasured) * len(self.grid)
        return points * self.problem.objective_samples * self.problem.cost.products

    def string(self) -> BeadString:
        """The string as it is. Segments not measured yet are measured for it, nothing is kept."""
        pairs = {key: (self.weights[key[0]], self.weights[key[1]]) for key in self.unmeasured}
        fresh = dict(zip(pairs, self.profiles_of(list(pairs.values()), self.bound), strict=True))
        known = {} if fresh else dict(zip(self.keys, self._profiles(), strict=True))
        profiles = [
            fresh.get(key) or known.get(key) or _on_grid(self.segments[key].measured, self.grid)
            for key in self.keys
        ]
        losses = [profile.losses[0] for profile in profiles] + [profiles[-1].losses[-1]]
        beads = np.stack([self.weights[bead].cpu().numpy() for bead in self.order])
        return BeadString(
            beads=beads.astype(np.float32),
            losses=np.array(losses),
            t=profiles[0].t,
            profiles=np.stack([profile.losses for profile in profiles]),
        )

    def normalized_length(self) -> float:
        return _normalized_length(self.order, self.weights)

    def _profiles(self) -> list[Measured]:
        """The audited profiles where all are, else those of the search."""
        segments = self.in_order()
        if segments and all(segment.key in self.audited for segment in segments):
            return [self.audited[segment.key] for segment in segments]
        return [_on_grid(segment.measured, self.grid) for segment in segments]

    # ------------------------------------------------------------ checkpoint

    def save(self) -> Saved:
        now = Snapshot(tuple(self.order), self.weights, self.depths, self.segments)
        tensors, kept = now.save("now")
        plain: dict[str, Any] = {
            "next_bead": self.next_bead,
            "now": kept,
            "stale": sorted(self.stale),
            "known": [*self.known.items()],
            "trace": [asdict(peak) for peak in self.trace],
        }
        if self.lowest is not None:
            more, plain["lowest"] = self.lowest.save("lowest")
            tensors |= more
        return tensors, plain

    def restore(self, saved: Saved) -> None:
        tensors, plain = saved
        device = self.problem.device
        self.next_bead = plain["next_bead"]
        self.take(Snapshot.restored(tensors, plain["now"], "now", device))
        self.stale = {(left, right) for left, right in plain["stale"]}
        self.known = {bead: judged for bead, judged in plain["known"]}
        self.trace = [Peak(**peak) for peak in plain["trace"]]
        if "lowest" in plain:
            self.lowest = Snapshot.restored(tensors, plain["lowest"], "lowest", device)


def _curve(segments: Sequence[Segment]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Losses along segments one after the other, each on a unit of t."""
    t = np.concatenate([segment.measured.t + place for place, segment in enumerate(segments)])
    return t, np.concatenate([segment.measured.losses for segment in segments])


def trained(chain: Chain, bead: int, loss: float, steps: int) -> Event:
    """The fact that a bead of the string has reached its target where it is."""
    if bead in (FIRST, LAST):
        return EndpointTrained(bead, loss, steps, attempt=1)
    left, right = chain.neighbours(bead)
    return BeadTrained(bead, left, right, chain.depths[bead], loss, steps, attempt=1)


def _normalized_length(order: Sequence[int], weights: Mapping[int, Weights]) -> float:
    """Not a number for no string, infinite for a closed loop."""
    if not order:
        return float("nan")
    chord = distance(weights[order[0]], weights[order[-1]])
    total = sum(distance(weights[a], weights[b]) for a, b in pairwise(order))
    return total / chord if chord > 0 else float("inf")


def distance(left: Weights, right: Weights) -> float:
    return float(torch.linalg.vector_norm(right.double() - left.double()))


def _view(segment: Segment, measured: Measured) -> SegmentProgress:
    return SegmentProgress(
        segment.left,
        segment.right,
        segment.depth,
        segment.state,
        segment.length,
        measured.peak,
        measured.t_star,
        tuple(measured.losses.tolist()),
        tuple(segment.secondary.tolist()),
        segment.bead if segment.state == "training" else None,
    )


def _on_grid(measured: Measured, grid: NDArray[np.float64]) -> Measured:
    """The profile on the search's grid, where a failed audit left it on a finer one."""
    if len(measured.t) == len(grid):
        return measured
    return replace(measured, t=grid, losses=np.interp(grid, measured.t, measured.losses))
