"""The stage between two searches that trains each bead of a stuck string for itself.

Freed from level and neighbours, most reach their target. Those that do stay where they are on
the string; those that do not are taken out of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from engine.methods.base import StageState, Verdict
from engine.methods.endpoints import not_trained
from engine.methods.judged import trained_to
from engine.methods.stage import SteadyStage
from engine.path.chain import Chain, trained
from engine.record.events import FIRST, LAST, BeadFailed, Event
from engine.record.marks import Count
from engine.record.unfit import Unfit
from engine.seeds import derive
from engine.spec.keys import Spec
from engine.spec.stages import stages_of
from engine.steps.groups import Row
from engine.steps.recipe import recipe_of
from engine.training.trainer import Job, Trainer, TrainerState


@dataclass(frozen=True)
class PolishState(StageState):
    """All that a checkpoint holds of the training of single beads of a stuck string."""

    trainer: TrainerState
    waiting: tuple[Count, ...] = ()
    kind: Literal["polish"] = "polish"


class Polish(SteadyStage):
    """The stage that keeps those beads of an unconnected string that reach their target alone."""

    name = "polish"
    repairs = False

    def __init__(self, spec: Spec, chain: Chain) -> None:
        """Makes the stage; its beads go into training when it begins."""
        self.spec, self.chain = spec, chain
        self.trainer = Trainer(recipe_of(spec, stages_of(spec).polish), chain.pool)
        self.waiting: list[int] = []
        """Beads that are to be trained once there is room for them in memory."""
        self.verdict: Verdict | None = None

    def begin(self) -> None:
        """Lets every bead wait for training, where a segment of the string is not closed.

        Ends that are taken as they are stay so.
        """
        if all(segment.state == "closed" for segment in self.chain.in_order()):
            return
        self.chain.start_anew()
        held = (FIRST, LAST) if stages_of(self.spec).ends_held else ()
        self.waiting = [bead for bead in self.chain.order if bead not in held]
        self._admit()

    def _admit(self) -> None:
        """Puts beads that wait into training, as many as there is room for."""
        goal, room = self.chain.goal, max(0, self.trainer.most_rows - len(self.trainer.groups))
        for bead in self.waiting[:room]:
            target = goal.end_target if bead in (FIRST, LAST) else goal.target
            # The stream's name is kept: another would change the strings of older presets.
            seed = derive(self.spec.seed, "release", bead)
            self.trainer.admit(Job(bead, target, seed), self.chain.weights[bead])
        del self.waiting[:room]

    def step(self, beads_left: int | None) -> list[Event]:
        """Trains beads for one round, and takes those out that are stuck."""
        self._admit()
        self.trainer.advance()
        return [event for row in self.trainer.retire() for event in self._settle(row)]

    def _settle(self, row: Row) -> list[Event]:
        bead, chain = row.bead, self.chain
        loss = trained_to(chain, row)
        if loss is not None:
            if row.steps:
                chain.move([(bead, row.theta.to(chain.problem.device))])
            return [trained(chain, bead, loss, row.steps)]
        if bead in (FIRST, LAST):
            self.verdict = not_trained(
                self.spec, chain.goal, "search.polish", bead, row.end.words, row.loss, row.steps, 1
            )
            return [self._missed(row, None, None, "none left")]
        left, right = chain.neighbours(bead)
        chain.drop(bead)
        return [self._missed(row, left, right, "taken out")]

    def _missed(self, row: Row, left: int | None, right: int | None, remedy: str) -> Event:
        return BeadFailed(row.bead, left, right, row.end.words, row.loss, row.steps, 1, remedy)

    @property
    def done(self) -> bool:
        """Whether no bead is in training any more."""
        return not self.trainer.groups and not self.waiting

    @property
    def state(self) -> PolishState:
        """See `Stage`."""
        return PolishState(self.trainer.state, tuple(self.waiting))

    def resume(self, state: PolishState) -> None:
        """See `Stage`."""
        self.trainer.resume(state.trainer)
        self.waiting = list(state.waiting)

    def check_ready(self) -> None:
        """Raises Unfit where beads that wait or train are not on the string."""
        known, wait = set(self.chain.order), set(self.waiting)
        self.check_beads(known)
        if not wait <= known - self.beads_in_training or len(wait) < len(self.waiting):
            raise Unfit(f"waiting names beads {self.waiting}, which cannot all wait")
