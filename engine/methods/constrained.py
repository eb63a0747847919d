"""Constrained breadth-first Dynamic String Sampling (§6).

The string trains as a whole, its endpoints included, from a level that falls as soon as every
bead is at or below it and no peak exceeds it by more than alpha1. The beads are one group of the
trainer, tied by a tether; here is the schedule: when beads are inserted, when the level falls,
and what follows where the string is stuck.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from engine.methods.base import Verdict
from engine.methods.endpoints import not_trained, random_endpoint
from engine.path.chain import Chain, Segment, trained
from engine.path.segments import split_point
from engine.path.snapshot import Key, Saved
from engine.record.events import (
    FIRST,
    LAST,
    BeadFailed,
    BeadInserted,
    Event,
    LevelHeld,
    LevelLowered,
)
from engine.record.progress import TrainingProgress
from engine.seeds import derive
from engine.shapes import Weights
from engine.spec.keys import Spec
from engine.spec.search import Constrained
from engine.spec.stages import stages_of
from engine.steps.recipe import Recipe
from engine.steps.rows import End, Group, Rows
from engine.steps.tethers import Hard, Off, Several, Soft, Springs, Tether, evenly_spaced
from engine.training.trainer import Trainer

#: The columns of the string's rows that a checkpoint holds as they are.
COLUMNS = ("steps", "loss", "best", "best_step")
#: Of a stage's plain values, those that a checkpoint holds as they are.
KEPT = ("taken_out", "reported", "blocked", "idle", "looked", "lowered", "stuck")


class ConstrainedSearch:
    """The stage that lowers a string, or finds the level at which it gets stuck."""

    name = "search"

    def __init__(self, spec: Spec, chain: Chain) -> None:
        self.spec, self.chain, self.settings = spec, chain, spec.search.constrained
        settings = stages_of(spec)
        self.target, self.end_target = settings.target, settings.end_target
        self.margin = settings.constrained_margin
        recipe = Recipe(self.settings, tether_of(self.settings), evaluate="after")
        self.trainer = Trainer(recipe, chain.pool)
        self.level = float("inf")
        """The level held now: beads above it move."""
        self.held = (True, True)
        """Whether the first and the last bead hold still whatever their loss."""
        self.verdict: Verdict | None = None
        self.attempts = {FIRST: 1, LAST: 1}
        """Random initialisations of each endpoint."""
        self.moved_last: tuple[int, ...] = ()
        """The beads that were above the level in the last round."""
        self.reported = False
        """Whether this level was said to hold."""
        self.blocked = False
        """Whether a bead was wanted for which there was no room."""
        self.taken_out = 0
        """Stuck inner beads."""
        self.idle = self.looked = self.lowered = False
        self.stuck: str | None = None
        """Why the string cannot be lowered any more."""

    # ------------------------------------------------------------ the schedule

    def begin(self) -> None:
        """Two random models joined by a straight line; or the chain's beads, its ends held.

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
        if not self.looked:
            return self._first_evaluation()
        if not self.trainer.groups[0].going:
            return self._settled(beads_left)
        before = self.rows
        self.moved_last = self._ids(before.going)
        self.trainer.advance()
        self._show(before)
        return self._waiting()

    def _first_evaluation(self) -> list[Event]:
        """The level starts at the larger loss of the ends; where they are held, at the peak."""
        events = self._judge()
        losses = self.rows.loss.tolist()
        if all(self.held):
            losses = [segment.measured.peak for segment in self.chain.in_order()]
        level = max((loss for loss in losses if np.isfinite(loss)), default=self.target)
        self._aim(max(level, self.target))
        self.looked = True
        return events

    def _settled(self, beads_left: int | None) -> list[Event]:
        """Every bead is at or below the level: look at the segments, insert beads or lower it."""
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
        """The string is lowered: its beads have reached their target."""
        rows = zip(self.chain.order, self.rows.loss.tolist(), self.rows.steps.tolist(), strict=True)
        return [trained(self.chain, bead, loss, steps) for bead, loss, steps in rows]

    def _lower(self) -> Event:
        met, losses = self.level, self.rows.loss
        peak = max(segment.height for segment in self.chain.in_order())
        highest = max(float(losses.max()), peak / (1 + self.settings.alpha1))
        self._aim(max(self.target, self.settings.rho * min(met, highest)))
        self.reported = False
        lowest, highest = float(losses.min()), float(losses.max())
        return LevelLowered(self.level, self.moved_last, met, lowest, highest)

    def _insert(self, high: list[Segment], beads_left: int | None) -> list[Event]:
        """A bead at the peak of each of these, the highest first, as far as there is room."""
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
        """A bead takes its place on the string, with new optimizer state."""
        place = self.chain.order.index(key[1])
        self.chain.place(bead, theta, key)
        fresh = self.trainer.rows_for(theta[None], self.level, [self._stream(bead)])
        new = fresh.with_loss(torch.full_like(fresh.loss, loss))
        self._train(self.rows.with_row(place, new))

    # ------------------------------------------------------------ stuck

    def _waiting(self) -> list[Event]:
        """Looks for beads whose loss has not fallen for long."""
        rows = self.rows
        spent = rows.end > End.REACHED
        if spent.any():
            return self._remedy(self._ids(spent))
        if not self.reported and 2 * int(rows.waited.max()) >= self.settings.patience:
            self.reported = True
            return self._report(rows.waited)
        return []

    def _report(self, waited: Tensor) -> list[Event]:
        """The early sign of a disconnection: the level, the place and how long."""
        events = self._judge()
        worst = max(self.chain.in_order(), key=lambda segment: segment.height)
        slow = self._ids(2 * waited >= self.settings.patience)
        held = LevelHeld(self.level, slow, *worst.key, worst.measured.peak, int(waited.max()))
        return [*events, held]

    def _remedy(self, stuck: tuple[int, ...]) -> list[Event]:
        """A stuck endpoint begins anew, or stuck inner beads go, where that is wanted.

        Else the string has ended.
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
        """The string goes on without it; where a peak needs a bead, a new one starts elsewhere."""
        row = self.chain.order.index(bead)
        loss, steps = float(self.rows.loss[row]), int(self.rows.steps[row])
        end = End.STUCK if np.isfinite(loss) else End.DIVERGED
        left, right = self.chain.drop(bead)
        self.taken_out += 1
        self._train(self.rows.without(row))
        return BeadFailed(bead, left, right, end.words, loss, steps, 1, "taken out")

    def _reinit(self, ends: list[int]) -> list[Event]:
        events: list[Event] = []
        for bead in ends:
            row = self.chain.order.index(bead)
            loss, steps = float(self.rows.loss[row]), int(self.rows.steps[row])
            end = End.STUCK if np.isfinite(loss) else End.DIVERGED
            attempt, spent = self.attempts[bead], self.attempts[bead] > self.spec.endpoints.restarts
            remedy = "none left" if spent else "new random weights"
            events.append(BeadFailed(bead, None, None, end.words, loss, steps, attempt, remedy))
            if spent:
                self.verdict = not_trained(self.spec, bead, end.words, loss, steps, attempt)
                return events
        self._start_over(ends)
        return events

    def _start_over(self, ends: list[int]) -> None:
        """A straight line from the ends that stay, as they are, to new random ones."""
        before, weights = self.rows, self.chain.weights
        for bead in ends:
            self.attempts[bead] += 1
            other = weights[FIRST + LAST - bead]
            weights[bead] = self._near(other, self._random(bead))
        self.chain.begin([(bead, weights[bead], 0) for bead in (FIRST, LAST)])
        self.chain.lowest = None  # it led to an end that is no longer one
        self.reported = self.looked = False
        fresh = self._fresh()
        for row, bead in ((0, FIRST), (len(before) - 1, LAST)):
            if bead not in ends:
                kept = before.part(slice(row, row + 1))
                kept = kept.aimed(torch.full_like(kept.target, torch.inf))
                fresh = fresh.with_part(torch.tensor([0 if row == 0 else 1]), kept)
        self._train(fresh)

    def _give_up(self, why: str) -> list[Event]:
        self.stuck = f"stuck at level {self.level:.4g}: {why}"
        events = self._judge()
        for segment in self.chain.in_order():
            if segment.state == "open":
                events.append(self.chain.fail(segment, self.stuck))
        return events

    # ------------------------------------------------------------ what others see

    @property
    def repairs(self) -> bool:
        return not self.idle and self.stuck is None

    @property
    def done(self) -> bool:
        if self.idle or self.stuck is not None:
            return True
        return self.lowered and all(s.state == "closed" for s in self.chain.in_order())

    @property
    def aim(self) -> float:
        return max(self.level, self.chain.level)

    def losses(self) -> dict[int, float]:
        return dict(zip(self.chain.order, self.rows.loss.tolist(), strict=True))

    def training(self) -> tuple[TrainingProgress, ...]:
        """The beads that move; all while none does, unless there is no room for one more."""
        rows = self.trainer.rows
        going = [row for row in rows if row.end is not End.REACHED]
        shown = going or ([] if self.blocked else rows)
        return tuple(
            TrainingProgress(row.bead, row.loss, row.steps, self.attempts.get(row.bead, 1))
            for row in shown
        )

    @property
    def bead_steps(self) -> int:
        return self.trainer.bead_steps

    def save(self) -> Saved:
        rows, beads = self.rows, [bead for group in self.trainer.groups for bead in group.beads]
        if beads != self.chain.order:  # later stages have gone on with the string
            rows, beads = self._no_rows(), []
        tensors = {name: getattr(rows, name) for name in COLUMNS}
        tensors |= {f"state.{slot}": tensor for slot, tensor in rows.state.items()}
        plain: dict[str, Any] = {
            "beads": beads,
            "level": self.level,
            "held": list(self.held),
            "attempts": {str(bead): count for bead, count in self.attempts.items()},
            "bead_steps": self.bead_steps,
        }
        for name in KEPT:
            plain[name] = getattr(self, name)
        return tensors, plain | {"moved_last": list(self.moved_last)}

    def restore(self, saved: Saved) -> None:
        """Goes on from a checkpoint; the weights are those of the chain, restored before."""
        tensors, plain = saved
        self.level = plain["level"]
        first, last = plain["held"]
        self.held = (first, last)
        self.attempts = {int(bead): count for bead, count in plain["attempts"].items()}
        self.moved_last = tuple(plain["moved_last"])
        self.trainer.bead_steps = plain["bead_steps"]
        for name in KEPT:
            setattr(self, name, plain[name])
        # A string that later stages have gone on with is not trained any more.
        if plain["beads"] == self.chain.order and len(tensors["loss"]) == len(plain["beads"]):
            self._train(self._kept(tensors, plain["beads"]))

    def _kept(self, tensors: dict[str, Tensor], beads: list[int]) -> Rows:
        device = self.chain.problem.device
        columns: Any = {name: tensors[name].to(device).clone() for name in COLUMNS}
        slots = self.trainer.slots
        state = {slot: tensors[f"state.{slot}"].to(device).clone() for slot in slots}
        rows = self.trainer.rows_for(self._weights(beads), self.level, self._streams(beads))
        rows = replace(rows, state=state, target=self._targets(len(beads)), **columns)
        return rows.with_loss(rows.loss)

    # ------------------------------------------------------------ small things

    @property
    def rows(self) -> Rows:
        """The string's rows, in order; those of no beads before it has any."""
        if not self.trainer.groups:
            return self._no_rows()
        return self.trainer.groups[0].rows

    def _no_rows(self) -> Rows:
        return self.trainer.rows_for(torch.zeros(0, 0), self.level, [])

    def _train(self, rows: Rows) -> None:
        """The trainer's one group is the string with these rows."""
        self.trainer.groups = [Group(tuple(self.chain.order), rows)]

    def _aim(self, level: float) -> None:
        """Beads come below that level from now on, those that are held excepted."""
        self.level = level
        self._train(self.rows.aimed(self._targets(len(self.rows))))

    def _targets(self, beads: int) -> Tensor:
        """The level for each bead, infinite for an end that is held.

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
        """The chain's beads as rows that have not been looked at and go nowhere yet."""
        beads = self.chain.order
        return self.trainer.rows_for(self._weights(beads), float("inf"), self._streams(beads))

    def _weights(self, beads: list[int]) -> Tensor:
        return torch.stack([self.chain.weights[bead] for bead in beads])

    def _streams(self, beads: list[int]) -> list[int]:
        return [self._stream(bead) for bead in beads]

    def _random(self, bead: int) -> Weights:
        return random_endpoint(self.spec, self.chain, bead, self.attempts[bead])

    def _near(self, fixed: Weights, drawn: Weights) -> Weights:
        """The model drawn, moved towards the other where it is farther than start_distance."""
        limit, distance = self.settings.start_distance, float((drawn - fixed).norm())
        if limit is None or distance <= limit:
            return drawn
        return torch.lerp(fixed, drawn, limit / distance)

    def _stream(self, bead: int) -> int:
        return derive(self.spec.seed, "string", bead)

    def _ids(self, rows: Tensor) -> tuple[int, ...]:
        return tuple(bead for bead, on in zip(self.chain.order, rows.tolist(), strict=True) if on)

    def _judge(self) -> list[Event]:
        """Measures what has moved; the profiles' ends are the beads' losses."""
        events = self.chain.measure(self.chain.unmeasured)
        ends: dict[int, float] = {}
        for segment in self.chain.in_order():
            ends[segment.left] = float(segment.measured.losses[0])
            ends[segment.right] = float(segment.measured.losses[-1])
        loss = torch.tensor([ends[bead] for bead in self.chain.order])
        self._train(self.rows.with_loss(loss.to(self.rows.loss)))
        return events

    def _show(self, before: Rows) -> None:
        """The chain holds the weights of the beads that have moved."""
        rows = self.rows
        moved = (rows.theta != before.theta).any(1).tolist()
        beads = zip(self.chain.order, rows.theta, moved, strict=True)
        self.chain.move({bead: theta for bead, theta, changed in beads if changed})


def tether_of(settings: Constrained) -> Tether:
    """Returns what ties the beads of a string, by `hyperplane`, `kappa` and `zeta`."""
    tethers: list[Tether] = [Springs(settings.zeta)] if settings.zeta else []
    if settings.hyperplane == "hard":
        tethers.append(Hard())
    elif settings.hyperplane == "soft":
        tethers.append(Soft(settings.kappa))
    return Several(tuple(tethers)) if len(tethers) > 1 else (*tethers, Off())[0]
