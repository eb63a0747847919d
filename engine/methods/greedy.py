"""Greedy Dynamic String Sampling (Algorithm 1, §3.1).

A segment whose peak exceeds the level gets a bead, started at the peak and trained to alpha
times the level; its two halves are judged in turn. All open segments train as one batch.
Before anything is concluded, every segment is measured again on a finer grid (the audit).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from engine.bead_string import BeadString
from engine.events import (
    AuditFailed,
    BeadFailed,
    BeadInserted,
    BeadTrained,
    Event,
    Outcome,
    SegmentClosed,
    SegmentFailed,
    SegmentMeasured,
)
from engine.methods.audit import Audit
from engine.methods.base import (
    Board,
    Saved,
    SegmentState,
    SegmentView,
    TrainingView,
    Verdict,
    prefixed,
    without_prefix,
)
from engine.methods.endpoints import FIRST, LAST, EndpointTraining
from engine.methods.starts import LADDER, start
from engine.pool import Pool
from engine.problem import Problem
from engine.seeds import derive
from engine.segments import Measured, held_out_profiles, measure, search_grid, split_point
from engine.shapes import Weights
from engine.spec import Spec
from engine.trainer import Job, Row, Trainer

Phase = Literal["endpoints", "search", "audit"]

#: Points of t at which a segment's held-out loss is shown.
HELD_OUT_POINTS = 17


@dataclass(frozen=True)
class Segment:
    left: int
    right: int
    depth: int
    length: float
    measured: Measured
    held_out: NDArray[np.float64]
    """(point,) held-out loss on an even grid of t."""
    state: SegmentState
    bead: int | None = None
    """In training, or tried last, between the two."""
    attempt: int = 0

    @property
    def key(self) -> tuple[int, int]:
        return self.left, self.right


class GreedyMethod:
    def __init__(self, spec: Spec, problem: Problem, pool: Pool) -> None:
        self.spec, self.greedy, self.level = spec, spec.search.greedy, spec.search.level
        self.problem, self.pool = problem, pool
        self.verdict: Verdict | None = None
        self.phase: Phase = "endpoints"
        self.endpoints = EndpointTraining(spec, problem, pool)
        self.trainer = Trainer(self.greedy, pool, problem)
        self.order: list[int] = []
        self.weights: dict[int, Weights] = {}
        self.depths: dict[int, int] = {}
        self.segments: dict[tuple[int, int], Segment] = {}
        self.next_bead = LAST + 1
        self.grid = search_grid(self.greedy.grid)
        self.closer: Audit | None = None

    # ------------------------------------------------------------ the steps

    def step(self, beads_left: int | None) -> list[Event]:
        match self.phase:
            case "endpoints":
                return self._train_endpoints()
            case "search":
                return self._split(beads_left)
            case "audit":
                return self._look_closer()

    def _train_endpoints(self) -> list[Event]:
        events = self.endpoints.step()
        if self.endpoints.verdict is not None:
            self.verdict = self.endpoints.verdict
        elif self.endpoints.done:
            for bead in (FIRST, LAST):
                self.weights[bead] = self.endpoints.trained[bead]
                self.depths[bead] = 0
            self.order = [FIRST, LAST]
            events += self._judge([(FIRST, LAST, 0)])
            self.phase = "search"
        return events

    def _split(self, beads_left: int | None) -> list[Event]:
        events = self._admit(beads_left)
        halves: list[tuple[int, int, int]] = []
        for row in self.trainer.advance():
            segment = self._segment_of(row)
            if row.end == "reached":
                events.append(self._place(segment, row))
                bead, depth = row.job.bead, segment.depth + 1
                halves += [(segment.left, bead, depth), (bead, segment.right, depth)]
            else:
                events += self._retry(segment, row)
        events += self._judge(halves)
        if not any(segment.state in ("open", "training") for segment in self.segments.values()):
            self.phase = "audit"
        return events

    def _admit(self, beads_left: int | None) -> list[Event]:
        """Open segments, oldest first, go into training while there is room."""
        room = self.greedy.slots - len(self.trainer.rows)
        if beads_left is not None:
            room = min(room, beads_left - len(self.trainer.rows))
        opened = [segment for segment in self.segments.values() if segment.state == "open"]
        events: list[Event] = []
        for segment in opened[: max(0, room)]:
            bead = self.next_bead
            self.next_bead += 1
            segment = replace(segment, state="training", bead=bead)
            t = self._train(segment, attempt=1)
            loss = float(np.interp(t, segment.measured.t, segment.measured.losses))
            events.append(
                BeadInserted(bead, segment.left, segment.right, segment.depth + 1, t, loss)
            )
        return events

    def _judge(self, pairs: Sequence[tuple[int, int, int]]) -> list[Event]:
        """Measure new segments (left, right, depth) and say which are closed."""
        if not pairs:
            return []
        weights = [(self.weights[left], self.weights[right]) for left, right, _ in pairs]
        profiles = measure(self.pool, weights, self.grid, len(self.problem.train))
        held_out = held_out_profiles(self.pool, weights, HELD_OUT_POINTS)
        events: list[Event] = []
        for (left, right, depth), measured, other in zip(pairs, profiles, held_out, strict=True):
            length = _distance(self.weights[left], self.weights[right])
            segment = Segment(left, right, depth, length, measured, other, "open")
            events.append(
                SegmentMeasured(left, right, depth, length, measured.peak, measured.t_star)
            )
            if measured.peak <= self.level:
                segment = replace(segment, state="closed")
                events.append(SegmentClosed(left, right, measured.peak))
            elif depth >= self.greedy.max_depth:
                segment = replace(segment, state="failed")
                events.append(_failed(segment, "search.greedy.max_depth is reached"))
            self.segments[segment.key] = segment
        return events

    def _place(self, segment: Segment, row: Row) -> Event:
        """The trained bead becomes part of the string."""
        bead, depth = row.job.bead, segment.depth + 1
        self.weights[bead], self.depths[bead] = row.theta.to(self.problem.device), depth
        self.order.insert(self.order.index(segment.right), bead)
        del self.segments[segment.key]
        return BeadTrained(
            bead, segment.left, segment.right, depth, row.loss, row.steps, segment.attempt
        )

    def _retry(self, segment: Segment, row: Row) -> list[Event]:
        """The next start of the ladder, or the end of it."""
        attempt = segment.attempt + 1
        spent = attempt > len(LADDER)
        remedy = "none left" if spent else f"{LADDER[attempt - 1]} start"
        missed = BeadFailed(
            row.job.bead,
            segment.left,
            segment.right,
            str(row.end),
            row.loss,
            row.steps,
            segment.attempt,
            remedy,
        )
        if not spent:
            self._train(segment, attempt)
            return [missed]
        failed = replace(segment, state="failed")
        self.segments[segment.key] = failed
        return [missed, _failed(failed, f"no start reached the target (last: {row.end})")]

    # ------------------------------------------------------------ starts

    def _train(self, segment: Segment, attempt: int) -> float:
        """Puts the segment's bead into training; returns the t from which it starts."""
        assert segment.bead is not None
        split = split_point(segment.measured, self.greedy.t_star, self.greedy.margin)
        seed = derive(self.spec.seed, "bead", segment.bead, attempt)
        left, right = self.weights[segment.left], self.weights[segment.right]
        t, theta = start(left, right, split, attempt, seed)
        self.trainer.admit(Job(segment.bead, self.spec.search.alpha * self.level, seed), theta)
        self.segments[segment.key] = replace(segment, attempt=attempt)
        return t

    def _segment_of(self, row: Row) -> Segment:
        bead = row.job.bead
        return next(s for s in self.segments.values() if s.bead == bead and s.state == "training")

    # ------------------------------------------------------------ the audit and the end

    def _look_closer(self) -> list[Event]:
        """Audit a few segments; when all are audited, conclude or reopen."""
        if self.closer is None:
            board = self.board()
            self.closer = Audit(
                self.spec.search, self.problem, self.pool, len(board.segments), board.bead_steps
            )
        keys = list(pairwise(self.order))
        if not self.closer.step(keys, self.weights):
            return []
        events: list[Event] = []
        for key in keys:
            segment, found = self.segments[key], self.closer.measured[key]
            if segment.state == "closed" and not found.peak <= self.level:
                self.segments[key] = replace(segment, state="open", measured=found)
                events.append(AuditFailed(*key, found.peak, found.t_star))
        if events:
            self.closer, self.phase = None, "search"
        else:
            self.verdict = self._conclude(self.closer)
        return events

    def _conclude(self, closer: Audit) -> Verdict:
        board = self.board()
        failed = [segment for segment in board.segments if segment.state == "failed"]
        if failed:
            worst = max(failed, key=lambda segment: np.nan_to_num(segment.peak, nan=np.inf))
            return Verdict(
                Outcome.NOT_CONNECTED,
                f"Not connected: {len(failed)} of {len(board.segments)} segments stayed above the "
                f"level; the worst peak is {worst.peak / self.level:.3g} × level, between beads "
                f"{worst.left} and {worst.right} at depth {worst.depth}. This does not prove that "
                "no path exists; another seed, a higher level or more steps may find one.",
            )
        return Verdict(
            Outcome.CONNECTED,
            f"Connected: {board.beads} beads, normalized length {board.normalized_length:.4f}, "
            f"every segment at most {board.max_peak / self.level:.4f} × level (measured on "
            f"{len(closer.grid)} points each in {closer.precision}).",
        )

    def audit(self) -> dict[str, Any]:
        if self.verdict is None or self.closer is None:
            return {}
        return self.closer.description()

    # ------------------------------------------------------------ what others see

    def string(self) -> BeadString:
        if not self.order:
            ends = [self.endpoints.weights(bead) for bead in (FIRST, LAST)]
            profiles = measure(self.pool, [(ends[0], ends[1])], self.grid, len(self.problem.train))
            return _bead_string(ends, profiles)
        return _bead_string([self.weights[bead] for bead in self.order], self._profiles())

    def board(self) -> Board:
        profiles = self._profiles()
        ends = [*(p.losses[0] for p in profiles), *(p.losses[-1] for p in profiles[-1:])]
        training = [
            TrainingView(row.job.bead, row.loss, row.steps, self._segment_of(row).attempt)
            for row in self.trainer.rows
        ]
        depths = list(self.depths.values())
        return Board(
            phase=self.phase,
            order=tuple(self.order),
            losses=tuple(float(loss) for loss in ends),
            training=self.endpoints.training() + tuple(training),
            segments=tuple(map(_view, self._in_order(), profiles)),
            beads_per_depth=tuple(depths.count(d) for d in range(max(depths, default=-1) + 1)),
            bead_steps=self.trainer.bead_steps + self.endpoints.trainer.bead_steps,
            normalized_length=self._length(),
            max_peak=float(max((p.peak for p in profiles), default=float("nan"))),
        )

    def _in_order(self) -> list[Segment]:
        return [self.segments[key] for key in pairwise(self.order)]

    def _profiles(self) -> list[Measured]:
        """The audited profiles where all are, else those of the search."""
        segments = self._in_order()
        found = self.closer.measured if self.closer else {}
        if segments and all(segment.key in found for segment in segments):
            return [found[segment.key] for segment in segments]
        return [_on_grid(segment.measured, self.grid) for segment in segments]

    def _length(self) -> float:
        if not self.order:
            return float("nan")
        chord = _distance(self.weights[FIRST], self.weights[LAST])
        total = sum(segment.length for segment in self._in_order())
        return total / chord if chord > 0 else float("inf")

    # ------------------------------------------------------------ checkpoint

    def save(self) -> Saved:
        end_tensors, end_plain = self.endpoints.save()
        row_tensors, row_plain = self.trainer.save()
        segments = list(self.segments.values())
        tensors = prefixed("endpoints", end_tensors) | prefixed("trainer", row_tensors)
        if self.order:
            tensors["beads"] = torch.stack([self.weights[bead] for bead in self.order])
        for number, segment in enumerate(segments):
            tensors[f"segments.{number}.t"] = torch.from_numpy(segment.measured.t.copy())
            tensors[f"segments.{number}.losses"] = torch.from_numpy(segment.measured.losses.copy())
            tensors[f"segments.{number}.held_out"] = torch.from_numpy(segment.held_out.copy())
        plain = {
            "phase": self.phase,
            "endpoints": end_plain,
            "trainer": row_plain,
            "order": self.order,
            "depths": [self.depths[bead] for bead in self.order],
            "next_bead": self.next_bead,
            "segments": [_plain(segment) for segment in segments],
        }
        return tensors, plain

    def restore(self, saved: Saved) -> None:
        tensors, plain = saved
        self.phase = plain["phase"]
        self.endpoints.restore((without_prefix("endpoints", tensors), plain["endpoints"]))
        self.trainer.restore(without_prefix("trainer", tensors), plain["trainer"])
        self.order = list(plain["order"])
        device = self.problem.device
        self.weights = {b: tensors["beads"][n].to(device) for n, b in enumerate(self.order)}
        self.depths = dict(zip(self.order, plain["depths"], strict=True))
        self.next_bead = plain["next_bead"]
        self.segments = {}
        for number, kept in enumerate(plain["segments"]):
            measured = Measured(
                tensors[f"segments.{number}.t"].numpy(),
                tensors[f"segments.{number}.losses"].numpy(),
                kept.pop("peak"),
                kept.pop("t_star"),
            )
            held_out = tensors[f"segments.{number}.held_out"].numpy()
            segment = Segment(measured=measured, held_out=held_out, **kept)
            self.segments[segment.key] = segment


def _distance(left: Weights, right: Weights) -> float:
    return float((right.double() - left.double()).norm())


def _failed(segment: Segment, reason: str) -> SegmentFailed:
    return SegmentFailed(segment.left, segment.right, segment.depth, segment.measured.peak, reason)


def _view(segment: Segment, measured: Measured) -> SegmentView:
    return SegmentView(
        segment.left,
        segment.right,
        segment.depth,
        segment.state,
        segment.length,
        measured.peak,
        measured.t_star,
        tuple(measured.losses.tolist()),
        tuple(segment.held_out.tolist()),
        segment.bead if segment.state == "training" else None,
    )


def _plain(segment: Segment) -> dict[str, Any]:
    return {
        "left": segment.left,
        "right": segment.right,
        "depth": segment.depth,
        "length": segment.length,
        "state": segment.state,
        "bead": segment.bead,
        "attempt": segment.attempt,
        "peak": segment.measured.peak,
        "t_star": segment.measured.t_star,
    }


def _on_grid(measured: Measured, grid: NDArray[np.float64]) -> Measured:
    """The profile on the search's grid, where a failed audit left it on a finer one."""
    if len(measured.t) == len(grid):
        return measured
    return replace(measured, t=grid, losses=np.interp(grid, measured.t, measured.losses))


def _bead_string(weights: Sequence[Weights], profiles: Sequence[Measured]) -> BeadString:
    losses = [profile.losses[0] for profile in profiles] + [profiles[-1].losses[-1]]
    return BeadString(
        beads=_stack(weights),
        losses=np.array(losses),
        t=profiles[0].t,
        profiles=np.stack([profile.losses for profile in profiles]),
    )


def _stack(weights: Sequence[Weights]) -> NDArray[np.float32]:
    return np.stack([theta.cpu().numpy() for theta in weights]).astype(np.float32)
