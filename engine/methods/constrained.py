"""Constrained breadth-first Dynamic String Sampling (§6).

The string trains as a whole, its endpoints included, from a level that falls as soon as every
bead is at or below it and no peak exceeds it by more than alpha1. Here is the schedule: when beads
are inserted, when the level falls, and when the string is stuck.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from engine.methods.base import Stage, Verdict
from engine.methods.constrained_state import ConstrainedState
from engine.methods.greedy import GreedySearch
from engine.methods.polish import Polish
from engine.methods.stuck_beads import StuckBeads
from engine.methods.tied_string import TiedString, tether_of
from engine.path.chain import Chain, trained
from engine.path.segments import split_point
from engine.path.snapshot import Segment
from engine.record.events import FIRST, LAST, BeadInserted, Event, LevelHeld, LevelLowered
from engine.record.progress import TrainingProgress
from engine.shapes import Weights
from engine.spec.keys import Spec
from engine.spec.stages import stages_of
from engine.steps.rows import End


class ConstrainedSearch:
    """The stage that lowers a string, or finds the level at which it gets stuck."""

    name = "search"

    def __init__(self, spec: Spec, chain: Chain) -> None:
        """Makes the stage, which has no string before it begins."""
        self.chain, self.settings = chain, spec.search.constrained
        stages = stages_of(spec)
        self.margin = stages.constrained_margin
        self.ends_move = spec.search.string is not None and not stages.ends_held
        """Whether the ends of a chain that the stage begins with train with its other beads."""
        self.string = TiedString(spec, chain, self.settings, tether_of(self.settings))
        self.given_up = StuckBeads(spec, chain, self.string)
        self.moved_last: tuple[int, ...] = ()
        """Ids of the beads that were above the level in the last round."""
        self.reported = False
        """Whether a `LevelHeld` event has told that this level holds."""
        self.blocked = False
        """Whether a bead was wanted for which there was no room."""
        self.idle = False
        """Whether there is nothing to do, since every segment was closed from the beginning."""
        self.evaluated = False
        """Whether the objective was evaluated at the beads that the string began with."""
        self.lowered = False
        """Whether every bead is below its target and no peak exceeds the level."""
        self.stuck: str | None = None
        """Why the string cannot be lowered any more."""

    # ------------------------------------------------------------ the schedule

    def begin(self) -> None:
        """Begins with the chain, or with a line between two random models where there is none.

        The ends of a chain hold, unless it is the string of a file. There is nothing to do for a
        chain whose every segment is closed.
        """
        begun = bool(self.chain.order)
        held = begun and not self.ends_move
        segments = self.chain.in_order()
        self.idle = bool(segments) and all(segment.state == "closed" for segment in segments)
        if not self.idle:
            self.chain.start_anew()
        if not begun:
            self.given_up.draw_line()
        self.string.begin((held, held))

    def step(self, beads_left: int | None) -> list[Event]:
        """Takes a round of steps; once every bead is at its target, inserts beads or lowers it."""
        if not self.evaluated:
            return self._first_evaluation()
        if not self.string.going:
            return self._settled(beads_left)
        self.moved_last = self.string.advance()
        return self._waiting()

    def _first_evaluation(self) -> list[Event]:
        """Sets the first level: the larger loss of the ends, or the peak where they are held."""
        string = self.string
        events = string.measure()
        losses = string.rows.loss.tolist()
        if all(string.held):
            losses = [segment.measured.peak for segment in self.chain.in_order()]
        level = max((loss for loss in losses if np.isfinite(loss)), default=string.target)
        string.aim(max(level, string.target))
        self.evaluated = True
        return events

    def _settled(self, beads_left: int | None) -> list[Event]:
        """Measures the segments, then inserts beads or lowers the level.

        Every bead is at its target.
        """
        string = self.string
        if string.final and self.settings.hyperplane == "hard":
            string.space_evenly()
        events = string.measure()
        held = max(string.level, string.end_target)
        bound = self.chain.bound if string.final else (1 + self.settings.alpha1) * held
        high = [segment for segment in self.chain.in_order() if not segment.measured.peak <= bound]
        self.lowered = string.final and not high
        if high:
            return events + self._insert(high, beads_left)
        return events + (self._announced() if string.final else [self._lower()])

    def _announced(self) -> list[Event]:
        """Returns the events that the beads of a lowered string have reached their target."""
        rows = self.string.rows
        beads = zip(self.chain.order, rows.loss.tolist(), rows.steps.tolist(), strict=True)
        return [trained(self.chain, bead, loss, steps) for bead, loss, steps in beads]

    def _lower(self) -> Event:
        """Lowers the level by the factor rho, below what the string has come down to anyway."""
        met, losses = self.string.level, self.string.rows.loss
        lowest, highest = float(losses.min()), float(losses.max())
        peak = max(segment.height for segment in self.chain.in_order())
        come_down = max(highest, peak / (1 + self.settings.alpha1))
        level = max(self.string.target, self.settings.rho * min(met, come_down))
        self.string.aim(level)
        self.reported = False
        return LevelLowered(level, self.moved_last, met, lowest, highest)

    def _insert(self, high: list[Segment], beads_left: int | None) -> list[Event]:
        """Puts a bead at the peak of segments, the highest first, as far as there is room."""
        room = self.settings.max_beads - len(self.chain.order)
        if room <= 0:
            return self._give_up(f"it has search.constrained.max_beads = {self.settings.max_beads}")
        room = room if beads_left is None else min(room, beads_left)
        self.blocked = room <= 0
        events: list[Event] = []
        for segment in sorted(high, key=lambda segment: -segment.height)[: max(0, room)]:
            bead = self.chain.new_bead()
            t = split_point(segment.measured, "peak", self.margin)
            left, right = (self.chain.weights[end] for end in segment.key)
            loss = float(np.interp(t, segment.measured.t, segment.measured.losses))
            self.string.insert(bead, torch.lerp(left, right, t), loss, segment.key)
            events.append(BeadInserted(bead, *segment.key, segment.depth + 1, t, loss))
        return events

    # ------------------------------------------------------------ stuck

    def _waiting(self) -> list[Event]:
        """Acts on beads whose loss has not fallen for long."""
        rows = self.string.rows
        spent = rows.end > End.REACHED
        if spent.any():
            return self._remedy(self.string.beads_where(spent))
        if not self.reported and 2 * int(rows.waited.max()) >= self.settings.patience:
            self.reported = True
            return self._report(rows.waited)
        return []

    def _report(self, waited: Tensor) -> list[Event]:
        """Returns the early sign of a disconnection: the level, the place and how long it holds."""
        events = self.string.measure()
        worst = max(self.chain.in_order(), key=lambda segment: segment.height)
        slow = self.string.beads_where(2 * waited >= self.settings.patience)
        held = LevelHeld(
            self.string.level, slow, *worst.key, worst.measured.peak, int(waited.max())
        )
        return [*events, held]

    def _remedy(self, stuck: tuple[int, ...]) -> list[Event]:
        """Begins stuck ends anew or takes stuck inner beads out, where that is wanted.

        Else the stage ends here, and so it does where an end of a file's string is stuck.
        """
        ends = [bead for bead in stuck if bead in (FIRST, LAST)]
        if self.settings.on_stuck != "report":
            if ends and not self.ends_move:
                return self._begin_anew(ends)
            room = self.settings.take_out - self.given_up.taken_out
            if not ends and len(stuck) <= room:
                return [self.given_up.take_out(bead) for bead in stuck]
        loss = self.losses()
        return self._give_up(f"the loss of bead {stuck[0]} stopped falling at {loss[stuck[0]]:.4g}")

    def _begin_anew(self, ends: list[int]) -> list[Event]:
        """Begins anew with random weights for these ends, if they have attempts left."""
        events = self.given_up.begin_anew(ends)
        if self.verdict is None:
            self.reported = self.evaluated = False
        return events

    def _give_up(self, why: str) -> list[Event]:
        """Ends the stage with the string as it is, and fails its open segments."""
        self.stuck = f"stuck at level {self.string.level:.4g}: {why}"
        events = self.string.measure()
        for segment in self.chain.in_order():
            if segment.state == "open":
                events.append(self.chain.fail(segment, self.stuck))
        return events

    # ------------------------------------------------------------ what others see

    @property
    def verdict(self) -> Verdict | None:
        """See `Stage`; there is one where an end is stuck that has no attempts left."""
        return self.given_up.verdict

    @property
    def repairs(self) -> bool:
        """Whether the string can still be trained."""
        return not self.idle and self.stuck is None

    @property
    def done(self) -> bool:
        """Whether the string is lowered or stuck, or never had to be lowered."""
        if self.idle or self.stuck is not None:
            return True
        return self.lowered and all(s.state == "closed" for s in self.chain.in_order())

    @property
    def aim(self) -> float:
        """The level that is held now, not below the run's own."""
        return max(self.string.level, self.chain.level)

    def losses(self) -> dict[int, float]:
        """See `Stage`."""
        return self.string.losses()

    def training(self) -> tuple[TrainingProgress, ...]:
        """Returns the beads that move; all if none does, unless there is no room for one more."""
        rows = self.string.each()
        going = [row for row in rows if row.end is not End.REACHED]
        shown = going or ([] if self.blocked else rows)
        attempts = self.given_up.attempts
        return tuple(
            TrainingProgress(row.bead, row.loss, row.steps, attempts.get(row.bead, 1))
            for row in shown
        )

    def weights_in_training(self) -> dict[int, Weights]:
        """See `Stage`; its beads are on the string, and the chain holds them after each round."""
        return {}

    @property
    def bead_steps(self) -> int:
        """See `Stage`."""
        return self.string.bead_steps

    # ------------------------------------------------------------ checkpoint

    @property
    def state(self) -> ConstrainedState:
        """See `Stage`."""
        return ConstrainedState(
            level=self.string.level,
            held=self.string.held,
            attempts=dict(self.given_up.attempts),
            bead_steps=self.bead_steps,
            taken_out=self.given_up.taken_out,
            reported=self.reported,
            blocked=self.blocked,
            idle=self.idle,
            evaluated=self.evaluated,
            lowered=self.lowered,
            stuck=self.stuck,
            moved_last=self.moved_last,
            rows=self.string.columns,
        )

    def resume(self, state: ConstrainedState) -> None:
        """See `Stage`; the weights of the string are the chain's."""
        self.given_up.resume(state.attempts, state.taken_out)
        self.moved_last, self.stuck = state.moved_last, state.stuck
        self.reported, self.blocked = state.reported, state.blocked
        self.idle, self.evaluated, self.lowered = state.idle, state.evaluated, state.lowered
        self.string.resume(state.level, state.held, state.bead_steps, state.rows)

    def check_ready(self) -> None:
        """See `Stage`."""
        self.string.check_ready()


def between(spec: Spec, chain: Chain) -> list[Stage[Any]]:
    """Returns the stages of the method `constrained`."""
    constrained = ConstrainedSearch(spec, chain)
    if spec.search.constrained.on_stuck != "greedy":
        return [constrained]
    return [constrained, Polish(spec, chain), GreedySearch(spec, chain)]
