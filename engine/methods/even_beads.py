"""The stage that puts evenly spaced beads on the line between the ends and trains each.

It comes before greedy DSS where `search.min_inner_beads` asks for it, whatever the loss along that
line. The beads are trained as greedy DSS trains its own; their segments are left to it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch

from engine.methods.base import Stage, StageState, Verdict
from engine.methods.stage import SteadyStage
from engine.methods.starts import LADDER, perturbed
from engine.path.chain import Chain
from engine.record.events import FIRST, LAST, BeadFailed, BeadInserted, BeadTrained, Event
from engine.record.marks import Count
from engine.record.unfit import Unfit
from engine.seeds import derive
from engine.spec.keys import Spec
from engine.steps.groups import Row
from engine.steps.recipe import recipe_of
from engine.steps.rows import End
from engine.training.trainer import Job, Trainer, TrainerState


@dataclass(frozen=True)
class EvenBeadsState(StageState):
    """All that a checkpoint holds of the training of evenly spaced beads."""

    trainer: TrainerState
    placed: bool
    waiting: tuple[Count, ...]
    attempts: dict[Count, Count]
    kind: Literal["even_beads"] = "even_beads"


class EvenBeads(SteadyStage):
    """Trains beads at t = 1/(n+1), …, n/(n+1) of the line between the ends.

    A bead stays on the line until it is trained. One that misses its target starts again nearby,
    in as many random directions as greedy DSS has starts, and is then taken out.
    """

    name = "even beads"
    repairs = False
    verdict: Verdict | None = None

    def __init__(self, spec: Spec, chain: Chain) -> None:
        """Makes the stage; the beads are put on the string in its first step."""
        self.spec, self.chain = spec, chain
        self.trainer = Trainer(recipe_of(spec, spec.search.greedy), chain.pool)
        self.placed = False
        """Whether the beads are on the string."""
        self.attempts: dict[int, int] = {}
        """Number of starts of each bead that has begun to train."""
        self.waiting: list[int] = []
        """Beads on the line that are to be trained once there are slots for them."""

    def begin(self) -> None:
        """See `Stage`; there is nothing to prepare."""

    def step(self, beads_left: int | None) -> list[Event]:
        """Trains the beads for one round; the first step puts them on the string before."""
        events = [] if self.placed else self._place()
        slots = min(self.spec.search.greedy.slots, self.trainer.most_rows)
        room = max(0, slots - len(self.trainer.groups))
        for bead in self.waiting[:room]:
            self._train(bead)
        del self.waiting[:room]
        self.trainer.advance()
        return events + [self._settle(row) for row in self.trainer.retire()]

    def _place(self) -> list[Event]:
        """Measures the straight line, then puts the beads on it."""
        events = self.chain.measure(self.chain.unmeasured)
        (line,) = self.chain.in_order()
        first, last = (self.chain.weights[end] for end in line.key)
        count = self.spec.search.min_inner_beads
        for number in range(1, count + 1):
            t, bead = number / (count + 1), self.chain.new_bead()
            loss = float(np.interp(t, line.measured.t, line.measured.losses))
            self.chain.place(bead, torch.lerp(first, last, t), (self.chain.order[-2], LAST))
            events.append(BeadInserted(bead, FIRST, LAST, 1, t, loss))
            self.waiting.append(bead)
        self.chain.start_anew()
        self.chain.lowest = None  # the straight line has too few beads to be fallen back to
        self.placed = True
        return events

    def _train(self, bead: int) -> None:
        """Puts a bead into training, from its place on the line or, later, from near it."""
        attempt = self.attempts.get(bead, 0) + 1
        self.attempts[bead] = attempt
        seed = derive(self.spec.seed, "even bead", bead, attempt)
        theta = self.chain.weights[bead]
        if attempt > 1:
            left, right = (self.chain.weights[end] for end in (FIRST, LAST))
            theta = perturbed(theta, (right - left) / (self.spec.search.min_inner_beads + 1), seed)
        self.trainer.admit(Job(bead, self.chain.goal.target, seed), theta)

    def _settle(self, row: Row) -> Event:
        bead, chain, attempt = row.bead, self.chain, self.attempts[row.bead]
        left, right = chain.neighbours(bead)
        if row.end is End.REACHED:
            chain.move([(bead, row.theta.to(chain.problem.device))])
            return BeadTrained(bead, left, right, 1, row.loss, row.steps, attempt)
        spent = attempt >= len(LADDER)
        remedy = "taken out" if spent else "perturbed start"
        if spent:
            chain.drop(bead)
        else:
            self._train(bead)
        why = row.end.words
        return BeadFailed(bead, left, right, why, row.loss, row.steps, attempt, remedy)

    @property
    def done(self) -> bool:
        """Whether every bead is trained or taken out."""
        return self.placed and not self.waiting and not self.trainer.groups

    def attempt(self, bead: int) -> int:
        """See `TrainingStage`."""
        return self.attempts[bead]

    @property
    def state(self) -> EvenBeadsState:
        """See `Stage`."""
        attempts, waiting = dict(self.attempts), tuple(self.waiting)
        return EvenBeadsState(self.trainer.state, self.placed, waiting, attempts)

    def resume(self, state: EvenBeadsState) -> None:
        """See `Stage`."""
        self.trainer.resume(state.trainer)
        self.placed, self.waiting = state.placed, list(state.waiting)
        self.attempts = dict(state.attempts)

    def check_ready(self) -> None:
        """Raises Unfit where beads that wait or train are not inner beads of the string."""
        inner, wait = set(self.chain.order[1:-1]), set(self.waiting)
        self.check_beads(inner & self.attempts.keys())
        if not wait <= inner - self.beads_in_training or len(wait) < len(self.waiting):
            raise Unfit(f"waiting names beads {self.waiting}, which cannot all wait")
        if not self.placed and len(self.chain.order) > 2:
            raise Unfit("placed is false, but there are inner beads")


def inner_beads(spec: Spec, chain: Chain) -> list[Stage[Any]]:
    """Returns the stage that trains evenly spaced beads, where any are asked for."""
    return [EvenBeads(spec, chain)] if spec.search.min_inner_beads else []
