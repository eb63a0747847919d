"""Greedy Dynamic String Sampling (Algorithm 1, §3.1).

A segment whose peak exceeds the level gets a bead, started at the peak and trained to alpha
times the level; its two halves are measured in turn. All open segments train as one batch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from engine.methods.base import Stage, StageState, Verdict
from engine.methods.even_beads import inner_beads
from engine.methods.judged import trained_to
from engine.methods.stage import TrainingStage
from engine.methods.starts import LADDER, start
from engine.path.chain import Chain
from engine.path.segments import split_point
from engine.path.snapshot import Key, Segment
from engine.record.events import BeadFailed, BeadInserted, BeadTrained, Event
from engine.record.unfit import Unfit
from engine.seeds import derive
from engine.spec.keys import Spec
from engine.steps.groups import Row
from engine.steps.recipe import recipe_of
from engine.training.trainer import Job, Trainer, TrainerState

#: A half is no progress where it is at least this share as high and as long as the whole.
STALLED = 0.95


@dataclass(frozen=True)
class GreedyState(StageState):
    """All that a checkpoint holds of greedy DSS beside the chain."""

    trainer: TrainerState
    kind: Literal["greedy"] = "greedy"


@dataclass
class GreedySearch(TrainingStage):
    """The stage that closes every segment of a chain, or marks it failed."""

    spec: Spec
    chain: Chain
    name = "search"
    repairs = True
    verdict: Verdict | None = None

    def __post_init__(self) -> None:
        """Takes the settings from the preset."""
        self.greedy = self.spec.search.greedy
        self.trainer = Trainer(recipe_of(self.spec, self.greedy), self.chain.pool)

    def begin(self) -> None:
        """See `Stage`; the chain is taken as it is."""

    def step(self, beads_left: int | None) -> list[Event]:
        """Fills free slots with beads of open segments, and trains all beads for one round."""
        events = self._judge(dict.fromkeys(self.chain.unmeasured))
        events += self._admit(beads_left)
        halves: dict[Key, Segment | None] = {}
        self.trainer.advance()
        for row in self.trainer.retire():
            segment = self._segment_of(row.bead)
            loss = trained_to(self.chain, row)
            if loss is not None:
                events.append(self._trained(segment, row, loss))
                theta = row.theta.to(self.chain.problem.device)
                halves |= dict.fromkeys(self.chain.place(row.bead, theta, segment.key), segment)
            else:
                events += self._retry(segment, row)
        return events + self._judge(halves)

    @property
    def done(self) -> bool:
        """Whether every segment is measured, and either closed or failed."""
        unfinished = any(s.state in ("open", "training") for s in self.chain.in_order())
        return not unfinished and not self.chain.unmeasured

    def attempt(self, bead: int) -> int:
        """See `TrainingStage`."""
        return self._segment_of(bead).attempt

    @property
    def state(self) -> GreedyState:
        """See `Stage`."""
        return GreedyState(self.trainer.state)

    def resume(self, state: GreedyState) -> None:
        """See `Stage`."""
        self.trainer.resume(state.trainer)

    def check_ready(self) -> None:
        """Raises Unfit where the beads in training are not those of the segments that wait."""
        waiting = [s.bead for s in self.chain.in_order() if s.state == "training"]
        if self.beads_in_training != set(waiting) or len(set(waiting)) < len(waiting):
            raise Unfit(f"the segments wait for beads {waiting}, which are not those in training")
        strange = [
            bead
            for bead in waiting
            if bead is None or bead in self.chain.weights or bead >= self.chain.next_bead
        ]
        if strange:
            raise Unfit(f"bead {strange[0]} is in training, but cannot be new on the string")

    # ------------------------------------------------------------ segments

    def _admit(self, beads_left: int | None) -> list[Event]:
        """Puts beads of open segments into training while there are slots, from end to end."""
        slots = min(self.greedy.slots, self.trainer.most_rows)
        room = slots - len(self.trainer.groups)
        if beads_left is not None:
            room = min(room, beads_left - len(self.trainer.groups))
        opened = [segment for segment in self.chain.in_order() if segment.state == "open"]
        events: list[Event] = []
        for segment in opened[: max(0, room)]:
            bead = self.chain.new_bead()
            segment = replace(segment, state="training", bead=bead)
            t = self._train(segment, attempt=1 + segment.stalled)
            loss = float(np.interp(t, segment.measured.t, segment.measured.losses))
            events.append(
                BeadInserted(bead, segment.left, segment.right, segment.depth + 1, t, loss)
            )
        return events

    def _judge(self, halves: Mapping[Key, Segment | None]) -> list[Event]:
        """Measures segments, each of which is half of the one that it is mapped to, if any.

        Some have failed by how they came about.

        A bead that slides back to a neighbour leaves a half as high and as long as the whole.
        Each time that happens the next bead starts by the next rule of the ladder.
        """
        events = self.chain.measure(list(halves))
        for key, whole in halves.items():
            segment = self.chain.segments[key]
            if segment.state != "open":
                continue
            if whole is not None and _stalls(segment, whole):
                segment = replace(segment, stalled=whole.stalled + 1)
                self.chain.update(segment)
            if segment.stalled >= len(LADDER):
                events.append(
                    self.chain.fail(segment, "splitting it makes it no shorter nor lower")
                )
            elif segment.depth >= self.greedy.max_depth:
                events.append(self.chain.fail(segment, "search.greedy.max_depth is reached"))
        return events

    def _trained(self, segment: Segment, row: Row, loss: float) -> Event:
        left, right = segment.key
        depth = segment.depth + 1
        return BeadTrained(row.bead, left, right, depth, loss, row.steps, segment.attempt)

    def _retry(self, segment: Segment, row: Row) -> list[Event]:
        """Starts a bead that missed its target by the next rule, or gives its segment up."""
        attempt = segment.attempt + 1
        spent = attempt > len(LADDER)
        remedy = "none left" if spent else f"{LADDER[attempt - 1]} start"
        missed = BeadFailed(
            row.bead,
            segment.left,
            segment.right,
            row.end.words,
            row.loss,
            row.steps,
            segment.attempt,
            remedy,
        )
        if not spent:
            self._train(segment, attempt)
            return [missed]
        return [
            missed,
            self.chain.fail(segment, f"no start reached the target (last: {row.end.words})"),
        ]

    # ------------------------------------------------------------ starts

    def _train(self, segment: Segment, attempt: int) -> float:
        """Puts a segment's bead into training, and returns the t of the segment where it starts."""
        assert segment.bead is not None
        split = split_point(segment.measured, self.greedy.t_star, self.greedy.margin)
        seed = derive(self.spec.seed, "bead", segment.bead, attempt)
        left, right = (self.chain.weights[bead] for bead in segment.key)
        t, theta = start(left, right, split, attempt, seed)
        self.trainer.admit(Job(segment.bead, self.chain.goal.target, seed), theta)
        self.chain.update(replace(segment, attempt=attempt))
        return t

    def _segment_of(self, bead: int) -> Segment:
        return next(s for s in self.chain.in_order() if s.bead == bead and s.state == "training")


def _stalls(half: Segment, whole: Segment) -> bool:
    """Returns whether half of a segment is no progress over the whole of it."""
    return half.height >= STALLED * whole.height and half.length >= STALLED * whole.length


def between(spec: Spec, chain: Chain) -> list[Stage[Any]]:
    """Returns the stages of the method `greedy`."""
    return [*inner_beads(spec, chain), GreedySearch(spec, chain)]
