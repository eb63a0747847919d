"""The nudged elastic band, with beads inserted where the band is too high (AutoNEB).

The band lies between two trained models. Its inner beads descend across it, springs spread them
along it, and after each cycle of steps its segments are measured (Draxler et al. 2018, *Essentially
No Barriers in Neural Network Energy Landscape*). It is done as soon as every segment is closed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch

from engine.methods.base import Stage, StageState, Verdict
from engine.methods.constrained_state import StringRows
from engine.methods.endpoints import NEVER
from engine.methods.stage import ChainStage
from engine.methods.tied_string import TiedString
from engine.path.chain import Chain
from engine.path.segments import split_point
from engine.path.snapshot import Segment
from engine.record.events import FIRST, LAST, BeadInserted, Event
from engine.record.marks import Count
from engine.record.progress import TrainingProgress
from engine.record.unfit import Unfit
from engine.spec.keys import Spec
from engine.spec.stages import stages_of
from engine.steps.bands import Band
from engine.steps.rows import End


@dataclass(frozen=True)
class BandState(StageState):
    """All that a checkpoint holds of a band beside the chain."""

    begun: bool
    steps: Count
    bead_steps: Count
    rows: StringRows | None
    kind: Literal["neb"] = "neb"


class BandSearch(ChainStage):
    """The stage that relaxes a band until all its segments are closed, or its steps are spent."""

    name = "search"
    verdict: Verdict | None = None

    def __init__(self, spec: Spec, chain: Chain) -> None:
        """Makes the stage; the band is put between the ends in its first step."""
        self.spec, self.chain, self.settings = spec, chain, spec.search.neb
        training = stages_of(spec).method
        self.cycles = max(1, training.max_steps // self.settings.cycle)
        """The number of cycles until the band is given up."""
        endless = {"patience": training.max_steps + 1, "max_steps": training.max_steps + 1}
        held = Band(self.settings.spring)
        self.string = TiedString(spec, chain, training.model_copy(update=endless), held)
        self.begun = False
        """Whether the straight line is measured, and the band is on it unless that is closed."""
        self.steps = 0
        """The number of steps that the band as a whole has taken."""

    # ------------------------------------------------------------ the band

    def begin(self) -> None:
        """See `Stage`; the chain is taken as it is."""

    def step(self, beads_left: int | None) -> list[Event]:
        """Takes a round of steps; after a cycle it measures the band, and inserts beads."""
        if not self.begun:
            self.begun = True
            return self.chain.measure(self.chain.unmeasured)
        if len(self.chain.order) == 2:
            return self._put_on_line(beads_left)
        before = self.cycle
        if before < self.cycles:
            self.string.advance()
            self.steps += self.string.round_steps
        if self.cycle == before < self.cycles:
            return []
        events = self.string.measure()
        if self.cycle < self.cycles:
            self._tie()
            return events + self._insert(beads_left)
        reason = f"the band stayed above the level for {self.steps} steps"
        return events + [self.chain.fail(segment, reason) for segment in self._opened()]

    @property
    def cycle(self) -> int:
        """The number of cycles that are behind the band."""
        return self.steps // self.settings.cycle

    def _tie(self) -> None:
        """Lets the highest bead climb if the band has come to its last cycles."""
        if self.cycle >= self.cycles - self.settings.climb:
            self.string.tie(Band(self.settings.spring, climbs=True))

    def _put_on_line(self, beads_left: int | None) -> list[Event]:
        """Puts evenly spaced beads on the straight line, which is above the level."""
        (line,) = self.chain.in_order()
        first, last = (self.chain.weights[end] for end in line.key)
        wanted = self.settings.beads
        count = wanted if beads_left is None else min(wanted, beads_left)
        if count <= 0:
            return []
        events: list[Event] = []
        for number in range(1, count + 1):
            t, bead = number / (count + 1), self.chain.new_bead()
            loss = float(np.interp(t, line.measured.t, line.measured.losses))
            self.chain.place(bead, torch.lerp(first, last, t), (self.chain.order[-2], LAST))
            events.append(BeadInserted(bead, FIRST, LAST, 1, t, loss))
        self.chain.start_anew()
        self.string.begin((True, True))
        events += self.string.measure()
        self.string.aim(NEVER)
        self._tie()
        return events

    def _insert(self, beads_left: int | None) -> list[Event]:
        """Puts a bead at the peak of each segment that needs one, as far as there is room."""
        room = self.settings.max_beads - len(self.chain.order)
        room = max(0, room if beads_left is None else min(room, beads_left))
        high = sorted(filter(self._needs_a_bead, self._opened()), key=lambda each: -each.height)
        events: list[Event] = []
        for segment in high[:room]:
            bead, measured = self.chain.new_bead(), segment.measured
            t = split_point(measured, "peak", self.spec.search.greedy.margin)
            left, right = (self.chain.weights[end] for end in segment.key)
            loss = float(np.interp(t, measured.t, measured.losses))
            self.string.insert(bead, torch.lerp(left, right, t), loss, segment.key)
            events.append(BeadInserted(bead, *segment.key, segment.depth + 1, t, loss))
        return events

    def _needs_a_bead(self, segment: Segment) -> bool:
        """Returns whether a segment rises so far above its beads that one is missing there."""
        losses, peak = segment.measured.losses, segment.measured.peak
        higher = float(max(losses[0], losses[-1]))
        return peak > (1 + self.settings.insert) * higher or higher <= self.chain.bound < peak

    def _opened(self) -> list[Segment]:
        return [segment for segment in self.chain.in_order() if segment.state == "open"]

    # ------------------------------------------------------------ what others see

    @property
    def repairs(self) -> bool:
        """Whether the band has steps left."""
        return self.cycle < self.cycles

    @property
    def done(self) -> bool:
        """Whether every segment is measured, and either closed or failed."""
        return self.begun and not self.chain.unmeasured and not self._opened()

    @property
    def _in_training(self) -> bool:
        """Whether the band's beads are rows of its trainer."""
        return len(self.string.rows) > 0

    def losses(self) -> dict[int, float]:
        """See `Stage`."""
        return self.string.losses() if self._in_training else {}

    def training(self) -> tuple[TrainingProgress, ...]:
        """Returns the beads that move."""
        going = [row for row in self.string.each() if row.end is End.GOING]
        return tuple(
            TrainingProgress(row.bead, row.loss, row.steps, 1, aims=False) for row in going
        )

    @property
    def bead_steps(self) -> int:
        """See `Stage`."""
        return self.string.bead_steps

    # ------------------------------------------------------------ checkpoint

    @property
    def state(self) -> BandState:
        """See `Stage`."""
        return BandState(self.begun, self.steps, self.bead_steps, self.string.columns)

    def resume(self, state: BandState) -> None:
        """See `Stage`; the weights of the band are the chain's."""
        self.begun, self.steps = state.begun, state.steps
        self.string.resume(NEVER, (True, True), state.bead_steps, state.rows)
        self._tie()

    def check_ready(self) -> None:
        """Raises Unfit where the rows of a band are missing."""
        if self.begun and len(self.chain.order) > 2 and not self._in_training:
            raise Unfit("rows are missing, but the band is to be trained")


def between(spec: Spec, chain: Chain) -> list[Stage[Any]]:
    """Returns the stages of the method `neb`."""
    return [BandSearch(spec, chain)]
