"""The stage between two searches that trains each bead of a stuck string for itself.

Freed from level and neighbours, most reach their target. Those that do stay where they are on
the string; those that do not are taken out of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from engine.methods.base import Verdict
from engine.methods.endpoints import not_trained
from engine.methods.judged import trained_to
from engine.methods.stage import SteadyStage
from engine.path.chain import Chain, trained
from engine.record.events import FIRST, LAST, BeadFailed, Event
from engine.seeds import derive
from engine.spec.keys import Spec
from engine.spec.stages import stages_of
from engine.steps.recipe import recipe_of
from engine.steps.rows import Row
from engine.training.trainer import Job, Trainer, TrainerState


@dataclass(frozen=True)
class PolishState:
    """All that a checkpoint holds of the training of single beads of a stuck string."""

    trainer: TrainerState
    kind: Literal["polish"] = "polish"


class Polish(SteadyStage):
    """The stage that keeps those beads of an unconnected string that reach their target alone."""

    name = "polish"
    repairs = False

    def __init__(self, spec: Spec, chain: Chain) -> None:
        """Makes the stage; its beads go into training when it begins."""
        self.spec, self.chain = spec, chain
        self.trainer = Trainer(recipe_of(spec, stages_of(spec).polish), chain.pool)
        self.verdict: Verdict | None = None

    def begin(self) -> None:
        """Puts every bead into training, where a segment of the string is not closed.

        Ends that are taken as they are stay so.
        """
        if all(segment.state == "closed" for segment in self.chain.in_order()):
            return
        self.chain.start_anew()
        goal = self.chain.goal
        held = (FIRST, LAST) if stages_of(self.spec).ends_held else ()
        for bead in self.chain.order:
            if bead in held:
                continue
            target = goal.end_target if bead in (FIRST, LAST) else goal.target
            # The stream's name is kept: another would change the strings of older presets.
            seed = derive(self.spec.seed, "release", bead)
            self.trainer.admit(Job(bead, target, seed), self.chain.weights[bead])

    def step(self, beads_left: int | None) -> list[Event]:
        """Trains all beads for one round, and takes those out that are stuck."""
        self.trainer.advance()
        return [event for row in self.trainer.retire() for event in self._settle(row)]

    def _settle(self, row: Row) -> list[Event]:
        bead, chain = row.bead, self.chain
        loss = trained_to(chain, row)
        if loss is not None:
            if row.steps:
                chain.move({bead: row.theta.to(chain.problem.device)})
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
        return not self.trainer.groups

    @property
    def state(self) -> PolishState:
        """See `Stage`."""
        return PolishState(self.trainer.state)

    def resume(self, state: PolishState) -> None:
        """See `Stage`."""
        self.trainer.resume(state.trainer)

    def check_ready(self) -> None:
        """Raises Unfit where a bead in training is not on the string."""
        self.check_beads(set(self.chain.order))
