"""The stage that goes around what could not be crossed: by way of another model.

Two models that a search could not connect may each be connected to a third. Where segments
have failed, a new random model is trained and takes the place of the whole stretch between the
first and the last of them; the search that follows has two new segments to close.
"""

from __future__ import annotations

from engine.methods.base import Verdict
from engine.methods.endpoints import Restarts
from engine.methods.stage import ChainStage
from engine.path.chain import Chain
from engine.path.snapshot import Key, Saved
from engine.record.events import BeadFailed, BeadTrained, Event
from engine.record.progress import TrainingProgress
from engine.seeds import derive
from engine.spec.keys import Spec
from engine.spec.stages import stages_of
from engine.steps.recipe import Recipe
from engine.steps.rows import End, Row
from engine.training.trainer import Job, Trainer


class Detour(ChainStage):
    """Does nothing where no segment has failed, and little where no model can be trained."""

    name = "detour"
    repairs = False
    verdict: Verdict | None = None

    def __init__(self, spec: Spec, chain: Chain, restarts: Restarts, number: int) -> None:
        self.spec, self.chain, self.restarts, self.number = spec, chain, restarts, number
        self.trainer = Trainer(Recipe(stages_of(spec).detour), chain.pool)
        self.bead, self.attempt, self.steps = 0, 0, 0

    def begin(self) -> None:
        if any(segment.state == "failed" for segment in self.chain.in_order()):
            self.bead = self.chain.new_bead()
            self._start()

    def step(self, beads_left: int | None) -> list[Event]:
        if beads_left is not None and beads_left <= 0:
            self.trainer.groups = []  # there is no room to go around
        self.trainer.advance()
        return [event for row in self.trainer.retire() for event in self._settle(row)]

    def _start(self) -> None:
        self.attempt += 1
        seed = derive(self.spec.seed, "detour", self.number, self.attempt)
        target = self.spec.search.alpha * self.spec.search.level
        job = Job(self.bead, target, derive(seed, "batches"), self.restarts.patience(self.attempt))
        self.trainer.admit(job, self.chain.problem.initial(seed))

    def _settle(self, row: Row) -> list[Event]:
        if row.end is End.REACHED:
            left, right = self._stretch()
            self.chain.place(row.bead, row.theta.to(self.chain.problem.device), (left, right))
            self.chain.start_anew()
            return [BeadTrained(row.bead, left, right, 1, row.loss, row.steps, self.attempt)]
        self.steps += row.steps
        spent = self.restarts.spent(self.attempt, self.steps)
        remedy = "none left" if spent else "new random weights"
        left, right = self._failed()
        failed = BeadFailed(
            row.bead, left, right, row.end.words, row.loss, row.steps, self.attempt, remedy
        )
        if not spent:
            self._start()
        return [failed]

    def _failed(self) -> Key:
        """The beads before the first failed segment and after the last."""
        failed = [segment for segment in self.chain.in_order() if segment.state == "failed"]
        return failed[0].left, failed[-1].right

    def _stretch(self) -> Key:
        """Takes out the beads between those two."""
        left, right = self._failed()
        order = self.chain.order
        for bead in order[order.index(left) + 1 : order.index(right)]:
            self.chain.drop(bead)
        return left, right

    @property
    def done(self) -> bool:
        return not self.trainer.groups

    def training(self) -> tuple[TrainingProgress, ...]:
        return tuple(
            TrainingProgress(row.bead, row.loss, row.steps, self.attempt)
            for row in self.trainer.rows
        )

    @property
    def bead_steps(self) -> int:
        return self.trainer.bead_steps

    def save(self) -> Saved:
        tensors, plain = self.trainer.save()
        return tensors, {
            "trainer": plain,
            "bead": self.bead,
            "attempt": self.attempt,
            "steps": self.steps,
        }

    def restore(self, saved: Saved) -> None:
        tensors, plain = saved
        self.trainer.restore(tensors, plain["trainer"])
        self.bead, self.attempt, self.steps = plain["bead"], plain["attempt"], plain["steps"]
