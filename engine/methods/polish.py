"""Between two searches: the beads of a string that got stuck are trained each for itself.

Freed from level and neighbours, most reach their target. Those that do stay where they are on
the string; those that do not are taken out of it.
"""

from __future__ import annotations

from engine.methods.base import Verdict
from engine.methods.endpoints import not_trained
from engine.methods.stage import ChainStage
from engine.path.chain import Chain, trained
from engine.path.snapshot import Saved
from engine.record.events import FIRST, LAST, BeadFailed, Event
from engine.record.progress import TrainingProgress
from engine.seeds import derive
from engine.spec.keys import Spec
from engine.spec.stages import stages_of
from engine.steps.recipe import Recipe
from engine.steps.rows import End, Row
from engine.training.trainer import Job, Trainer


class Polish(ChainStage):
    """The stage that keeps of an unconnected string what is good."""

    name = "polish"
    repairs = False

    def __init__(self, spec: Spec, chain: Chain) -> None:
        self.spec, self.chain = spec, chain
        self.trainer = Trainer(Recipe(stages_of(spec).polish), chain.pool)
        self.verdict: Verdict | None = None

    def begin(self) -> None:
        if all(segment.state == "closed" for segment in self.chain.in_order()):
            return
        self.chain.start_anew()
        settings = stages_of(self.spec)
        for bead in self.chain.order:
            target = settings.end_target if bead in (FIRST, LAST) else settings.target
            # The stream's name is kept: another would change the strings of older presets.
            seed = derive(self.spec.seed, "release", bead)
            self.trainer.admit(Job(bead, target, seed), self.chain.weights[bead])

    def step(self, beads_left: int | None) -> list[Event]:
        self.trainer.advance()
        return [event for row in self.trainer.retire() for event in self._settle(row)]

    def _settle(self, row: Row) -> list[Event]:
        bead, chain = row.bead, self.chain
        if row.end is End.REACHED:
            if row.steps:
                chain.move({bead: row.theta.to(chain.problem.device)})
            return [trained(chain, bead, row.loss, row.steps)]
        if bead in (FIRST, LAST):
            self.verdict = not_trained(self.spec, bead, row.end.words, row.loss, row.steps, 1)
            return [self._missed(row, None, None, "none left")]
        left, right = chain.neighbours(bead)
        chain.drop(bead)
        return [self._missed(row, left, right, "taken out")]

    def _missed(self, row: Row, left: int | None, right: int | None, remedy: str) -> Event:
        return BeadFailed(row.bead, left, right, row.end.words, row.loss, row.steps, 1, remedy)

    @property
    def done(self) -> bool:
        return not self.trainer.groups

    def losses(self) -> dict[int, float]:
        return {row.bead: row.loss for row in self.trainer.rows}

    def training(self) -> tuple[TrainingProgress, ...]:
        return tuple(
            TrainingProgress(row.bead, row.loss, row.steps, 1) for row in self.trainer.rows
        )

    @property
    def bead_steps(self) -> int:
        return self.trainer.bead_steps

    def save(self) -> Saved:
        return self.trainer.save()

    def restore(self, saved: Saved) -> None:
        self.trainer.restore(*saved)
