"""The stage that goes around what could not be crossed: by way of another model.

Two models that a search could not connect may each be connected to a third. Where segments
have failed, a new random model is trained and takes the place of the whole stretch between the
first and the last of them; the search that follows has two new segments to close.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from engine.methods.base import StageState, Verdict
from engine.methods.endpoints import Restarts
from engine.methods.judged import trained_to
from engine.methods.stage import TrainingStage
from engine.path.chain import Chain
from engine.path.snapshot import Key
from engine.record.events import BeadFailed, BeadTrained, Event
from engine.record.marks import Count
from engine.record.unfit import Unfit
from engine.seeds import derive
from engine.spec.keys import Spec
from engine.spec.stages import stages_of
from engine.steps.groups import Row
from engine.steps.recipe import recipe_of
from engine.training.trainer import Job, Trainer, TrainerState


@dataclass(frozen=True)
class DetourState(StageState):
    """All that a checkpoint holds of the training of a model to go around by."""

    trainer: TrainerState
    bead: Count
    attempt: Count
    steps: Count
    kind: Literal["detour"] = "detour"


class Detour(TrainingStage):
    """The stage that replaces the failed stretch of a string by a new model.

    It does nothing where no segment has failed, and leaves the string as it is where no model can
    be trained.
    """

    name = "detour"
    repairs = False
    verdict: Verdict | None = None

    def __init__(self, spec: Spec, chain: Chain, restarts: Restarts, number: int) -> None:
        """Makes the stage; `number` tells apart the detours of one search, from 0."""
        self.spec, self.chain, self.restarts, self.number = spec, chain, restarts, number
        self.trainer = Trainer(recipe_of(spec, stages_of(spec).detour), chain.pool)
        self.bead = 0
        """The id of the model in training; 0 before there is one."""
        self.attempts = 0
        """Number of random weights from which it has started."""
        self.steps = 0
        """Optimizer steps of the attempts that failed."""

    def begin(self) -> None:
        """Puts a random model into training, where a segment has failed."""
        if any(segment.state == "failed" for segment in self.chain.in_order()):
            self.bead = self.chain.new_bead()
            self._start()

    def step(self, beads_left: int | None) -> list[Event]:
        """Trains the model for one round, or gives up where there is no room for a bead."""
        if beads_left is not None and beads_left <= 0:
            self.trainer.groups = []  # there is no room to go around
        self.trainer.advance()
        return [event for row in self.trainer.retire() for event in self._settle(row)]

    def _start(self) -> None:
        self.attempts += 1
        seed = derive(self.spec.seed, "detour", self.number, self.attempts)
        job = Job(
            self.bead,
            self.chain.goal.target,
            derive(seed, "batches"),
            self.restarts.patience(self.attempts),
        )
        self.trainer.admit(job, self.chain.problem.initial(seed))

    def _settle(self, row: Row) -> list[Event]:
        loss = trained_to(self.chain, row)
        if loss is not None:
            left, right = self._stretch()
            self.chain.place(row.bead, row.theta.to(self.chain.problem.device), (left, right))
            self.chain.start_anew()
            return [BeadTrained(row.bead, left, right, 1, loss, row.steps, self.attempts)]
        self.steps += row.steps
        spent = self.restarts.spent(self.attempts, self.steps)
        remedy = "none left" if spent else "new random weights"
        left, right = self._failed()
        failed = BeadFailed(
            row.bead, left, right, row.end.words, row.loss, row.steps, self.attempts, remedy
        )
        if not spent:
            self._start()
        return [failed]

    def _failed(self) -> Key:
        """Returns the ids of the beads before the first failed segment and after the last."""
        failed = [segment for segment in self.chain.in_order() if segment.state == "failed"]
        return failed[0].left, failed[-1].right

    def _stretch(self) -> Key:
        """Takes out the beads between those two, and returns the ids of the two."""
        left, right = self._failed()
        order = self.chain.order
        for bead in order[order.index(left) + 1 : order.index(right)]:
            self.chain.drop(bead)
        return left, right

    @property
    def done(self) -> bool:
        """Whether no model is in training."""
        return not self.trainer.groups

    def attempt(self, bead: int) -> int:
        """See `TrainingStage`."""
        return self.attempts

    @property
    def state(self) -> DetourState:
        """See `Stage`."""
        return DetourState(self.trainer.state, self.bead, self.attempts, self.steps)

    def resume(self, state: DetourState) -> None:
        """See `Stage`."""
        self.trainer.resume(state.trainer)
        self.bead, self.attempts, self.steps = state.bead, state.attempt, state.steps
        self.check_beads({self.bead})

    def check_ready(self) -> None:
        """Raises Unfit where the model in training cannot become a bead of the string."""
        if self.bead in self.chain.weights or self.bead >= self.chain.next_bead:
            raise Unfit(f"bead {self.bead} is in training, but cannot be new on the string")
        if not any(segment.state == "failed" for segment in self.chain.in_order()):
            raise Unfit("no segment has failed that could be gone around")
