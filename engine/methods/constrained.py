"""Constrained breadth-first Dynamic String Sampling (§6).

The string trains as a whole, its endpoints included, from a level that falls as soon as every
bead is at or below it and no peak exceeds it by more than alpha1. The beads are one group of the
trainer, tied by a tether; here is the schedule: when beads are inserted, when the level falls,
and what follows where the string is stuck.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from math import isnan
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from engine.methods.base import Verdict
from engine.methods.endpoints import not_trained, random_endpoint
from engine.path.chain import Chain, trained
from engine.path.segments import split_point
from engine.path.snapshot import Key, Segment
from engine.record.events import (
    FIRST,
    LAST,
    BeadFailed,
    BeadInserted,
    Event,
    LevelHeld,
    LevelLowered,
)
from engine.record.marks import Count
from engine.record.progress import TrainingProgress
from engine.record.unfit import Unfit
from engine.seeds import derive
from engine.shapes import Beads, PerBead, Steps, Weights
from engine.spec.keys import Spec
from engine.spec.search import Constrained
from engine.spec.stages import stages_of
from engine.steps.recipe import Recipe
from engine.steps.rows import End, Group, Rows, check_columns
from engine.steps.tethers import Hard, Off, Several, Soft, Springs, Tether, evenly_spaced
from engine.training.trainer import Trainer


@dataclass(frozen=True)
class StringRows:
    """The columns of a string's rows that a checkpoint holds; the rest follows from the chain."""

    steps: Steps
    loss: PerBead
    best: PerBead
    best_step: Steps
    state: Mapping[str, Beads]
    """(bead, param) The optimizer's tensors by name."""


#: The names of those columns.
COLUMNS = tuple(field.name for field in fields(StringRows))


@dataclass(frozen=True)
class ConstrainedState:
    """All that a checkpoint holds of constrained DSS beside the chain.

    Raises ValueError where the level is not a number.
    """

    level: float
    held: tuple[bool, bool]
    attempts: dict[Count, Count]
    bead_steps: Count
    taken_out: Count
    reported: bool
    blocked: bool
    idle: bool
    evaluated: bool
    lowered: bool
    stuck: str | None
    moved_last: tuple[Count, ...]
    rows: StringRows | None
    """None before there is a string, and where later stages have gone on with it."""
    kind: Literal["constrained"] = "constrained"

    def __post_init__(self) -> None:
        """Raises ValueError where the level is not a number."""
        if isnan(self.level):
            raise ValueError("level is not a number")


class ConstrainedSearch:
    """The stage that lowers a string, or finds the level at which it gets stuck."""

    name = "search"

    def __init__(self, spec: Spec, chain: Chain) -> None:
        """Makes the stage, which has no string before it begins."""
        self.spec, self.chain, self.settings = spec, chain, spec.search.constrained
        settings = stages_of(spec)
        goal = chain.goal
        # A string has one level for all beads, and is stuck where one of them cannot reach it.
        self.target, self.end_target = max(goal.target, goal.enough), goal.end_target
        self.margin = settings.constrained_margin
        recipe = Recipe(self.settings, tether_of(self.settings), evaluate="after")
        self.trainer = Trainer(recipe, chain.pool)
        self.level = float("inf")
        """The level that is held now: beads above it move."""
        self.held = (True, True)
        """Whether the first and the last bead hold still, whatever their loss."""
        self.verdict: Verdict | None = None
        self.attempts = {FIRST: 1, LAST: 1}
        """Number of random initialisations of each endpoint, by its id."""
        self.moved_last: tuple[int, ...] = ()
        """Ids of the beads that were above the level in the last round."""
        self.reported = False
        """Whether a `LevelHeld` event has told that this level holds."""
        self.blocked = False
        """Whether a bead was wanted for which there was no room."""
        self.taken_out = 0
        """Number of stuck inner beads that were taken out."""
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
        """Begins with a line between two random models, or with the chain, whose ends then hold.

        There is nothing to do for a chain whose every segment is closed.
        """
        held = bool(self.chain.order)
        segments = self.chain.in_order()
        self.idle = bool(segments) and all(segment.state == "closed" for segment in segments)
        if not self.idle:
            self.chain.start_anew()
        if not held:
            first, last = (self._random(bead) for bead in (FIRST, LAST))
            self.chain.begin([(FIRST, first, 0), (LAST, self._near(first, last), 0)])
        self.held = (held, held)
        self._train(self._fresh())

    def step(self, beads_left: int | None) -> list[Event]:
        """Takes a round of steps; once every bead is at its target, inserts beads or lowers it."""
        if not self.evaluated:
            return self._first_evaluation()
        if not self.trainer.groups[0].going:
            return self._settled(beads_left)
        before = self.rows
        self.moved_last = self._ids(before.going)
        self.trainer.advance()
        self._show(before)
        return self._waiting()

    def _first_evaluation(self) -> list[Event]:
        """Sets the first level: the larger loss of the ends, or the peak where they are held."""
        events = self._judge()
        losses = self.rows.loss.tolist()
        if all(self.held):
            losses = [segment.measured.peak for segment in self.chain.in_order()]
        level = max((loss for loss in losses if np.isfinite(loss)), default=self.target)
        self._aim(max(level, self.target))
        self.evaluated = True
        return events

    def _settled(self, beads_left: int | None) -> list[Event]:
        """Measures the segments, then inserts beads or lowers the level.

        Every bead is at its target.
        """
        final = self.level <= self.target
        if final and self.settings.hyperplane == "hard":
            before = self.rows
            self._train(replace(before, theta=evenly_spaced(before.theta)))
            self._show(before)
        events = self._judge()
        held = max(self.level, self.end_target)
        bound = self.chain.bound if final else (1 + self.settings.alpha1) * held
        high = [segment for segment in self.chain.in_order() if not segment.measured.peak <= bound]
        self.lowered = final and not high
        if high:
            return events + self._insert(high, beads_left)
        return [*events, *self._announce()] if final else [*events, self._lower()]

    def _announce(self) -> list[Event]:
        """Returns the events that the beads of a lowered string have reached their target."""
        rows = zip(self.chain.order, self.rows.loss.tolist(), self.rows.steps.tolist(), strict=True)
        return [trained(self.chain, bead, loss, steps) for bead, loss, steps in rows]

    def _lower(self) -> Event:
        """Lowers the level by the factor rho, below what the string has come down to anyway."""
        met, losses = self.level, self.rows.loss
        peak = max(segment.height for segment in self.chain.in_order())
        highest = max(float(losses.max()), peak / (1 + self.settings.alpha1))
        self._aim(max(self.target, self.settings.rho * min(met, highest)))
        self.reported = False
        lowest, highest = float(losses.min()), float(losses.max())
        return LevelLowered(self.level, self.moved_last, met, lowest, highest)

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
            self._join(bead, torch.lerp(left, right, t), loss, segment.key)
            events.append(BeadInserted(bead, *segment.key, segment.depth + 1, t, loss))
        return events

    def _join(self, bead: int, theta: Weights, loss: float, key: Key) -> None:
        """Puts a bead on the string, with new optimizer state."""
        place = self.chain.order.index(key[1])
        self.chain.place(bead, theta, key)
        fresh = self.trainer.rows_for(theta[None], self.level, [self._stream(bead)])
        new = fresh.with_loss(torch.full_like(fresh.loss, loss))
        self._train(self.rows.with_row(place, new))

    # ------------------------------------------------------------ stuck

    def _waiting(self) -> list[Event]:
        """Acts on beads whose loss has not fallen for long."""
        rows = self.rows
        spent = rows.end > End.REACHED
        if spent.any():
            return self._remedy(self._ids(spent))
        if not self.reported and 2 * int(rows.waited.max()) >= self.settings.patience:
            self.reported = True
            return self._report(rows.waited)
        return []

    def _report(self, waited: Tensor) -> list[Event]:
        """Returns the early sign of a disconnection: the level, the place and how long it holds."""
        events = self._judge()
        worst = max(self.chain.in_order(), key=lambda segment: segment.height)
        slow = self._ids(2 * waited >= self.settings.patience)
        held = LevelHeld(self.level, slow, *worst.key, worst.measured.peak, int(waited.max()))
        return [*events, held]

    def _remedy(self, stuck: tuple[int, ...]) -> list[Event]:
        """Begins stuck ends anew or takes stuck inner beads out, where that is wanted.

        Else the stage ends here.
        """
        ends = [bead for bead in stuck if bead in (FIRST, LAST)]
        if self.settings.on_stuck != "report":
            if ends:
                return self._reinit(ends)
            if self.taken_out + len(stuck) <= self.settings.take_out:
                return [self._take_out(bead) for bead in stuck]
        loss = self.losses()
        return self._give_up(f"the loss of bead {stuck[0]} stopped falling at {loss[stuck[0]]:.4g}")

    def _take_out(self, bead: int) -> Event:
        """Takes a bead out; where a peak needs one, a new bead starts elsewhere later."""
        row = self.chain.order.index(bead)
        loss, steps = float(self.rows.loss[row]), int(self.rows.steps[row])
        end = End.STUCK if np.isfinite(loss) else End.DIVERGED
        left, right = self.chain.drop(bead)
        self.taken_out += 1
        self._train(self.rows.without(row))
        return BeadFailed(bead, left, right, end.words, loss, steps, 1, "taken out")

    def _reinit(self, ends: list[int]) -> list[Event]:
        """Begins anew with random weights for these ends, if they have attempts left."""
        events: list[Event] = []
        for bead in ends:
            row = self.chain.order.index(bead)
            loss, steps = float(self.rows.loss[row]), int(self.rows.steps[row])
            end = End.STUCK if np.isfinite(loss) else End.DIVERGED
            attempt, spent = self.attempts[bead], self.attempts[bead] > self.spec.endpoints.restarts
            remedy = "none left" if spent else "new random weights"
            events.append(BeadFailed(bead, None, None, end.words, loss, steps, attempt, remedy))
            if spent:
                goal, why = self.chain.goal, end.words
                self.verdict = not_trained(
                    self.spec, goal, "search.constrained", bead, why, loss, steps, attempt
                )
                return events
        self._start_over(ends)
        return events

    def _start_over(self, ends: list[int]) -> None:
        """Makes the chain a straight line between new random ends, of which one may have stayed."""
        before, weights = self.rows, self.chain.weights
        for bead in ends:
            self.attempts[bead] += 1
            other = weights[FIRST + LAST - bead]
            weights[bead] = self._near(other, self._random(bead))
        self.chain.begin([(bead, weights[bead], 0) for bead in (FIRST, LAST)])
        self.chain.lowest = None  # it led to an end that is no longer one
        self.reported = self.evaluated = False
        fresh = self._fresh()
        for row, bead in ((0, FIRST), (len(before) - 1, LAST)):
            if bead not in ends:
                kept = before.part(slice(row, row + 1))
                kept = kept.aimed(torch.full_like(kept.target, torch.inf))
                fresh = fresh.with_part(torch.tensor([0 if row == 0 else 1]), kept)
        self._train(fresh)

    def _give_up(self, why: str) -> list[Event]:
        """Ends the stage with the string as it is, and fails its open segments."""
        self.stuck = f"stuck at level {self.level:.4g}: {why}"
        events = self._judge()
        for segment in self.chain.in_order():
            if segment.state == "open":
                events.append(self.chain.fail(segment, self.stuck))
        return events

    # ------------------------------------------------------------ what others see

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
        return max(self.level, self.chain.level)

    def losses(self) -> dict[int, float]:
        """See `Stage`."""
        return dict(zip(self.chain.order, self.rows.loss.tolist(), strict=True))

    def training(self) -> tuple[TrainingProgress, ...]:
        """Returns the beads that move; all if none does, unless there is no room for one more."""
        rows = self.trainer.rows
        going = [row for row in rows if row.end is not End.REACHED]
        shown = going or ([] if self.blocked else rows)
        return tuple(
            TrainingProgress(row.bead, row.loss, row.steps, self.attempts.get(row.bead, 1))
            for row in shown
        )

    def weights_in_training(self) -> dict[int, Weights]:
        """See `Stage`; its beads are on the string, and the chain holds them after each round."""
        return {}

    @property
    def bead_steps(self) -> int:
        """See `Stage`."""
        return self.trainer.bead_steps

    @property
    def state(self) -> ConstrainedState:
        """See `Stage`."""
        beads = [bead for group in self.trainer.groups for bead in group.beads]
        # Later stages may have gone on with the string: its rows are of no use then.
        rows = self.rows if beads and beads == self.chain.order else None
        return ConstrainedState(
            level=self.level,
            held=self.held,
            attempts=dict(self.attempts),
            bead_steps=self.bead_steps,
            taken_out=self.taken_out,
            reported=self.reported,
            blocked=self.blocked,
            idle=self.idle,
            evaluated=self.evaluated,
            lowered=self.lowered,
            stuck=self.stuck,
            moved_last=self.moved_last,
            rows=None if rows is None else _columns_of(rows),
        )

    def resume(self, state: ConstrainedState) -> None:
        """See `Stage`; the weights of the string are the chain's."""
        if state.attempts.keys() != self.attempts.keys():
            raise Unfit(f"attempts are not of the ends {FIRST} and {LAST}")
        self.level, self.held, self.moved_last = state.level, state.held, state.moved_last
        self.attempts = dict(state.attempts)
        self.trainer.bead_steps = state.bead_steps
        self.taken_out, self.stuck = state.taken_out, state.stuck
        self.reported, self.blocked = state.reported, state.blocked
        self.idle, self.evaluated, self.lowered = state.idle, state.evaluated, state.lowered
        self.trainer.groups = []
        if state.rows is not None:
            self._train(self._resumed(state.rows))

    def _resumed(self, kept: StringRows) -> Rows:
        """Returns the string's rows. Raises Unfit where the kept columns are not of its beads."""
        beads, device = self.chain.order, self.chain.problem.device
        fresh = self.trainer.rows_for(self._weights(beads), self.level, self._streams(beads))
        if kept.state.keys() != fresh.state.keys():
            raise Unfit(
                f"rows have {sorted(kept.state)} of an optimizer, not {sorted(fresh.state)}"
            )
        columns: Any = {name: getattr(kept, name).to(device).clone() for name in COLUMNS[:-1]}
        state = {slot: tensor.to(device).clone() for slot, tensor in kept.state.items()}
        rows = replace(fresh, state=state, target=self._targets(len(beads)), **columns)
        try:
            check_columns(rows)
        except ValueError as error:
            raise Unfit(str(error)).below("rows") from None
        return rows.with_loss(rows.loss)

    def check_ready(self) -> None:
        """Raises Unfit where the string's rows are missing."""
        if not self.trainer.groups:
            raise Unfit("rows are missing, but the string is to be lowered")

    # ------------------------------------------------------------ small things

    @property
    def rows(self) -> Rows:
        """The string's rows from end to end; none before there is a string."""
        if not self.trainer.groups:
            return self._no_rows()
        return self.trainer.groups[0].rows

    def _no_rows(self) -> Rows:
        return self.trainer.rows_for(torch.zeros(0, 0), self.level, [])

    def _train(self, rows: Rows) -> None:
        """Makes the string with these rows the trainer's one group."""
        self.trainer.groups = [Group(tuple(self.chain.order), rows)]

    def _aim(self, level: float) -> None:
        """Sets the level below which beads come from now on, except for ends that are held."""
        self.level = level
        self._train(self.rows.aimed(self._targets(len(self.rows))))

    def _targets(self, beads: int) -> Tensor:
        """Returns the target (bead,) of each bead, infinite for an end that is held.

        An end that moves rests at its own target, which may be above the level of the others.
        """
        theta = self.chain.weights[FIRST]
        target = torch.full((beads,), self.level, dtype=theta.dtype, device=theta.device)
        final = self.level <= self.target
        of_ends = self.end_target if final else max(self.level, self.end_target)
        for end, held in zip((0, -1), self.held, strict=True):
            target[end] = torch.inf if held else of_ends
        return target

    def _fresh(self) -> Rows:
        """Returns the chain's beads as rows that were not evaluated and go nowhere yet."""
        beads = self.chain.order
        return self.trainer.rows_for(self._weights(beads), float("inf"), self._streams(beads))

    def _weights(self, beads: list[int]) -> Tensor:
        return torch.stack([self.chain.weights[bead] for bead in beads])

    def _streams(self, beads: list[int]) -> list[int]:
        return [self._stream(bead) for bead in beads]

    def _random(self, bead: int) -> Weights:
        return random_endpoint(self.spec, self.chain, bead, self.attempts[bead])

    def _near(self, fixed: Weights, drawn: Weights) -> Weights:
        """Returns a random model, moved to `start_distance` from the other where it is farther."""
        limit, distance = self.settings.start_distance, float((drawn - fixed).norm())
        if limit is None or distance <= limit:
            return drawn
        return torch.lerp(fixed, drawn, limit / distance)

    def _stream(self, bead: int) -> int:
        return derive(self.spec.seed, "string", bead)

    def _ids(self, rows: Tensor) -> tuple[int, ...]:
        return tuple(bead for bead, on in zip(self.chain.order, rows.tolist(), strict=True) if on)

    def _judge(self) -> list[Event]:
        """Measures segments that have moved; the ends of profiles are the beads' losses."""
        events = self.chain.measure(self.chain.unmeasured)
        ends: dict[int, float] = {}
        for segment in self.chain.in_order():
            ends[segment.left] = float(segment.measured.losses[0])
            ends[segment.right] = float(segment.measured.losses[-1])
        loss = torch.tensor([ends[bead] for bead in self.chain.order])
        self._train(self.rows.with_loss(loss.to(self.rows.loss)))
        return events

    def _show(self, before: Rows) -> None:
        """Gives the chain the weights of the beads that have moved."""
        rows = self.rows
        moved = (rows.theta != before.theta).any(1).tolist()
        beads = zip(self.chain.order, rows.theta, moved, strict=True)
        self.chain.move({bead: theta for bead, theta, changed in beads if changed})


def _columns_of(rows: Rows) -> StringRows:
    """Returns the columns that a checkpoint holds."""
    columns: Any = {name: getattr(rows, name) for name in COLUMNS}
    return StringRows(**columns)


def tether_of(settings: Constrained) -> Tether:
    """Returns what ties the beads of a string, by `hyperplane`, `kappa` and `zeta`."""
    tethers: list[Tether] = [Springs(settings.zeta)] if settings.zeta else []
    if settings.hyperplane == "hard":
        tethers.append(Hard())
    elif settings.hyperplane == "soft":
        tethers.append(Soft(settings.kappa))
    return Several(tuple(tethers)) if len(tethers) > 1 else (*tethers, Off())[0]
