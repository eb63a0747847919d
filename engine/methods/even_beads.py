"""The stage that puts evenly spaced beads on the line between the ends and trains each.

It comes before greedy DSS where `search.min_inner_beads` asks for it, whatever the loss along that
line. The beads are trained as greedy DSS trains its own; their segments are left to it.
"""

from __future__ import annotations

import numpy as np
import torch

from engine.methods.base import Verdict
from engine.methods.stage import ChainStage
from engine.methods.starts import LADDER, perturbed
from engine.path.chain import Chain
from engine.path.snapshot import Saved
from engine.record.events import FIRST, LAST, BeadFailed, BeadInserted, BeadTrained, Event
from engine.record.progress import TrainingProgress
from engine.seeds import derive
from engine.spec.keys import Spec
from engine.spec.stages import stages_of
from engine.steps.recipe import Recipe
from engine.steps.rows import End, Row
from engine.training.trainer import Job, Trainer


class EvenBeads(ChainStage):
    """Trains beads at t = 1/(n+1), …, n/(n+1) of the line between the ends.

    A bead stays on the line until it is trained. One that misses its target starts again nearby,
    in as many random directions as greedy DSS has starts, and is then taken out.
    """

    name = "even beads"
    repairs = False
    verdict: Verdict | None = None

    def __init__(self, spec: Spec, chain: Chain) -> None:
        self.spec, self.chain = spec, chain
        self.trainer = Trainer(Recipe(spec.search.greedy), chain.pool)
        self.placed = False
        """Whether the beads are on the string."""
        self.attempts: dict[int, int] = {}
        """Starts of each bead that is in training."""
        self.waiting: list[int] = []
        """Beads on the line that are to be trained once there are slots for them."""

    def begin(self) -> None:
        pass

    def step(self, beads_left: int | None) -> list[Event]:
        """One round of all beads in training; the first puts them on the string before."""
        events = [] if self.placed else self._place()
        room = self.spec.search.greedy.slots - len(self.trainer.groups)
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
        self.trainer.admit(Job(bead, stages_of(self.spec).target, seed), theta)

    def _settle(self, row: Row) -> Event:
        bead, chain, attempt = row.bead, self.chain, self.attempts[row.bead]
        left, right = chain.neighbours(bead)
        if row.end is End.REACHED:
            chain.move({bead: row.theta.to(chain.problem.device)})
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
        return self.placed and not self.waiting and not self.trainer.groups

    def losses(self) -> dict[int, float]:
        return {row.bead: row.loss for row in self.trainer.rows}

    def training(self) -> tuple[TrainingProgress, ...]:
        return tuple(
            TrainingProgress(row.bead, row.loss, row.steps, self.attempts[row.bead])
            for row in self.trainer.rows
        )

    @property
    def bead_steps(self) -> int:
        return self.trainer.bead_steps

    def save(self) -> Saved:
        tensors, plain = self.trainer.save()
        attempts = {str(bead): count for bead, count in self.attempts.items()}
        own = {"placed": self.placed, "waiting": list(self.waiting), "attempts": attempts}
        return tensors, {"trainer": plain} | own

    def restore(self, saved: Saved) -> None:
        tensors, plain = saved
        self.trainer.restore(tensors, plain["trainer"])
        self.placed, self.waiting = plain["placed"], list(plain["waiting"])
        self.attempts = {int(bead): count for bead, count in plain["attempts"].items()}
