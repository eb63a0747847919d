"""Constrained breadth-first Dynamic String Sampling (§6).

The string trains as a whole, its endpoints included, from a level that falls as soon as every
bead is at or below it and no peak exceeds it by more than alpha1. What happens to beads in a
round is told in `strings`; here is the schedule: when beads are inserted, when the level falls,
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
from engine.path.snapshot import Key, Saved, TrainingView
from engine.record.events import (
    FIRST,
    LAST,
    BeadFailed,
    BeadInserted,
    Event,
    LevelHeld,
    LevelLowered,
)
from engine.seeds import derive
from engine.shapes import Weights
from engine.spec.keys import Spec
from engine.spec.stages import stages_of
from engine.steps.optimizers import build_optimizer
from engine.training.strings import StringRound, TrainedString, evenly_spaced
from engine.training.trainer import End, samples_of_a_step

COLUMNS = ("steps", "loss", "best", "best_step")
#: Of a stage's plain values, those that a checkpoint holds as they are.
KEPT = ("bead_steps", "taken_out", "reported", "blocked", "idle", "looked", "lowered", "stuck")


class ConstrainedSearch:
    """The stage that lowers a string, or finds the level at which it gets stuck."""

    name = "search"

    def __init__(self, spec: Spec, chain: Chain) -> None:
        self.spec, self.chain, self.settings = spec, chain, spec.search.constrained
        self.target = spec.search.alpha * spec.search.level
        self.margin = stages_of(spec).constrained_margin
        self.round = StringRound(self.settings, samples_of_a_step(self.settings, chain.problem))
        self.slots = build_optimizer(self.settings.optimizer).slots
        self.string = self._string([], (True, True))
        self.verdict: Verdict | None = None
        self.bead_steps = 0
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
        self.string = self._string(self.chain.order, (held, held))

    def step(self, beads_left: int | None) -> list[Event]:
        if not self.looked:
            return self._first_look()
        if self.string.settled:
            return self._settled(beads_left)
        before = self.string
        self.moved_last = self._ids(before.moving)
        (self.string,) = self.chain.pool.run(self.round, [before])
        self.bead_steps += int((self.string.steps - before.steps).sum())
        self._show(before)
        return self._waiting()

    def _first_look(self) -> list[Event]:
        """The level starts at the larger loss of the ends; where they are held, at the peak."""
        events = self._judge()
        losses = self.string.loss.tolist()
        if all(self.string.held):
            losses = [segment.measured.peak for segment in self.chain.in_order()]
        level = max((loss for loss in losses if np.isfinite(loss)), default=self.target)
        self.string = replace(self.string, level=max(level, self.target))
        self.looked = True
        return events

    def _settled(self, beads_left: int | None) -> list[Event]:
        """Every bead is at or below the level: look at the segments, insert beads or lower it."""
        final = self.string.level <= self.target
        if final and self.settings.hyperplane == "hard":
            before = self.string
            self.string = replace(before, theta=evenly_spaced(before.theta))
            self._show(before)
        events = self._judge()
        bound = self.chain.level if final else (1 + self.settings.alpha1) * self.string.level
        high = [segment for segment in self.chain.in_order() if not segment.measured.peak <= bound]
        self.lowered = final and not high
        if high:
            return events + self._insert(high, beads_left)
        return [*events, *self._announce()] if final else [*events, self._lower()]

    def _announce(self) -> list[Event]:
        """The string is lowered: its beads have reached their target."""
        rows = zip(
            self.chain.order, self.string.loss.tolist(), self.string.steps.tolist(), strict=True
        )
        return [trained(self.chain, bead, loss, steps) for bead, loss, steps in rows]

    def _lower(self) -> Event:
        met, losses = self.string.level, self.string.loss
        peak = max(segment.height for segment in self.chain.in_order())
        highest = max(float(losses.max()), peak / (1 + self.settings.alpha1))
        level = max(self.target, self.settings.rho * min(met, highest))
        self.string = replace(
            self.string,
            level=level,
            best=torch.full_like(self.string.best, torch.inf),
            best_step=self.string.steps.clone(),
        )
        self.reported = False
        lowest, highest = float(losses.min()), float(losses.max())
        return LevelLowered(level, self.moved_last, met, lowest, highest)

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
        place, string = self.chain.order.index(key[1]), self.string
        self.chain.place(bead, theta, key)

        def joined(column: Tensor, value: float) -> Tensor:
            new = torch.full_like(column[:1], value)
            return torch.cat([column[:place], new, column[place:]])

        self.string = replace(
            string,
            theta=torch.cat([string.theta[:place], theta[None], string.theta[place:]]),
            state={slot: joined(tensor, 0.0) for slot, tensor in string.state.items()},
            steps=joined(string.steps, 0),
            loss=joined(string.loss, loss),
            best=joined(string.best, float("inf")),
            best_step=joined(string.best_step, 0),
            seeds=(*string.seeds[:place], self._stream(bead), *string.seeds[place:]),
        )

    # ------------------------------------------------------------ stuck

    def _waiting(self) -> list[Event]:
        """Looks for beads whose loss has not fallen for long."""
        string, patience = self.string, self.settings.patience
        waited = torch.where(string.moving, string.steps - string.best_step, 0)
        spent = string.moving & (
            (waited >= patience)
            | (string.steps >= self.settings.max_steps)
            | ~string.loss.isfinite()
        )
        if spent.any():
            return self._remedy(self._ids(spent))
        if not self.reported and 2 * int(waited.max()) >= patience:
            self.reported = True
            return self._report(waited)
        return []

    def _report(self, waited: Tensor) -> list[Event]:
        """The early sign of a disconnection: the level, the place and how long."""
        events = self._judge()
        worst = max(self.chain.in_order(), key=lambda segment: segment.height)
        slow = self._ids(2 * waited >= self.settings.patience)
        held = LevelHeld(
            self.string.level, slow, *worst.key, worst.measured.peak, int(waited.max())
        )
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
        loss = dict(zip(self.chain.order, self.string.loss.tolist(), strict=True))
        return self._give_up(f"the loss of bead {stuck[0]} stopped falling at {loss[stuck[0]]:.4g}")

    def _take_out(self, bead: int) -> Event:
        """The string goes on without it; where a peak needs a bead, a new one starts elsewhere."""
        row, string = self.chain.order.index(bead), self.string
        loss, steps = float(string.loss[row]), int(string.steps[row])
        end = End.STUCK if np.isfinite(loss) else End.DIVERGED
        left, right = self.chain.drop(bead)
        self.taken_out += 1
        self.string = replace(
            string,
            theta=_without(string.theta, row),
            state={slot: _without(tensor, row) for slot, tensor in string.state.items()},
            steps=_without(string.steps, row),
            loss=_without(string.loss, row),
            best=_without(string.best, row),
            best_step=_without(string.best_step, row),
            seeds=(*string.seeds[:row], *string.seeds[row + 1 :]),
        )
        return BeadFailed(bead, left, right, str(end), loss, steps, 1, "taken out")

    def _reinit(self, ends: list[int]) -> list[Event]:
        events: list[Event] = []
        for bead in ends:
            row = self.chain.order.index(bead)
            loss, steps = float(self.string.loss[row]), int(self.string.steps[row])
            end = End.STUCK if np.isfinite(loss) else End.DIVERGED
            attempt, spent = self.attempts[bead], self.attempts[bead] > self.spec.endpoints.restarts
            remedy = "none left" if spent else "new random weights"
            events.append(BeadFailed(bead, None, None, str(end), loss, steps, attempt, remedy))
            if spent:
                self.verdict = not_trained(self.spec, bead, str(end), loss, steps, attempt)
                return events
        self._start_over(ends)
        return events

    def _start_over(self, ends: list[int]) -> None:
        """A straight line from the ends that stay, as they are, to new random ones."""
        before = self.string
        weights = self.chain.weights
        for bead in ends:
            self.attempts[bead] += 1
            other = weights[FIRST + LAST - bead]
            weights[bead] = self._near(other, self._random(bead))
        self.chain.begin([(bead, weights[bead], 0) for bead in (FIRST, LAST)])
        self.chain.lowest = None  # it led to an end that is no longer one
        self.reported = self.looked = False
        fresh = self._string(self.chain.order, before.held)
        for row, bead in ((0, FIRST), (-1, LAST)):
            if bead not in ends:
                fresh.steps[row] = before.steps[row]
                fresh.best_step[row] = before.steps[row]
                for slot, tensor in fresh.state.items():
                    tensor[row] = before.state[slot][row]
        self.string = fresh

    def _give_up(self, why: str) -> list[Event]:
        self.stuck = f"stuck at level {self.string.level:.4g}: {why}"
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
        return max(self.string.level, self.chain.level)

    def losses(self) -> dict[int, float]:
        return dict(zip(self.chain.order, self.string.loss.tolist(), strict=True))

    def training(self) -> tuple[TrainingView, ...]:
        """The beads that move; all while none does, unless there is no room for one more."""
        moving = self.string.moving
        if not moving.any():
            moving = torch.full_like(moving, not self.blocked)
        columns = (moving.tolist(), self.string.loss.tolist(), self.string.steps.tolist())
        return tuple(
            TrainingView(bead, loss, steps, self.attempts.get(bead, 1))
            for bead, on, loss, steps in zip(self.chain.order, *columns, strict=True)
            if on
        )

    def save(self) -> Saved:
        string = self.string
        tensors = {name: getattr(string, name) for name in ("theta", *COLUMNS)}
        tensors |= {f"state.{slot}": tensor for slot, tensor in string.state.items()}
        plain: dict[str, Any] = {
            "beads": list(self.chain.order) if len(string.theta) else [],
            "level": string.level,
            "held": list(string.held),
            "attempts": {str(bead): count for bead, count in self.attempts.items()},
        }
        for name in KEPT:
            plain[name] = getattr(self, name)
        return tensors, plain | {"moved_last": list(self.moved_last)}

    def restore(self, saved: Saved) -> None:
        tensors, plain = saved
        on_device = {
            name: tensor.to(self.chain.problem.device).clone() for name, tensor in tensors.items()
        }
        first, last = plain["held"]
        self.string = TrainedString(
            state={slot: on_device[f"state.{slot}"] for slot in self.slots},
            seeds=tuple(self._stream(bead) for bead in plain["beads"]),
            level=plain["level"],
            held=(first, last),
            **{name: on_device[name] for name in ("theta", *COLUMNS)},
        )
        self.attempts = {int(bead): count for bead, count in plain["attempts"].items()}
        self.moved_last = tuple(plain["moved_last"])
        for name in KEPT:
            setattr(self, name, plain[name])

    # ------------------------------------------------------------ small things

    def _string(self, beads: list[int], held: tuple[bool, bool]) -> TrainedString:
        """These beads of the chain as a string that has not been looked at."""
        device = self.chain.problem.device
        weights = [self.chain.weights[bead] for bead in beads]
        theta = torch.stack(weights) if weights else torch.zeros(0, 0, device=device)
        count = torch.zeros(len(beads), dtype=torch.int64, device=device)
        loss = torch.zeros(len(beads), dtype=theta.dtype, device=device)
        return TrainedString(
            theta=theta,
            state={slot: torch.zeros_like(theta) for slot in self.slots},
            steps=count,
            loss=loss + torch.nan,
            best=loss + torch.inf,
            best_step=count.clone(),
            seeds=tuple(self._stream(bead) for bead in beads),
            level=float("inf"),
            held=held,
        )

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
        events = self.chain.judge(self.chain.unmeasured)
        ends: dict[int, float] = {}
        for segment in self.chain.in_order():
            ends[segment.left] = float(segment.measured.losses[0])
            ends[segment.right] = float(segment.measured.losses[-1])
        loss = torch.tensor([ends[bead] for bead in self.chain.order])
        self.string = replace(self.string, loss=loss.to(self.string.loss))
        return events

    def _show(self, before: TrainedString) -> None:
        """The chain learns which beads have moved."""
        moved = (self.string.theta != before.theta).any(1).tolist()
        rows = zip(self.chain.order, self.string.theta, moved, strict=True)
        self.chain.move({bead: theta for bead, theta, changed in rows if changed})


def _without(column: Tensor, row: int) -> Tensor:
    return torch.cat([column[:row], column[row + 1 :]])
