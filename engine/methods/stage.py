"""What most stages have in common: they bring beads below the run's own level, and add nothing."""

from __future__ import annotations

from engine.path.chain import Chain
from engine.record.progress import TrainingProgress
from engine.record.unfit import Unfit
from engine.shapes import Weights
from engine.training.trainer import Trainer


class ChainStage:
    """A stage without beads in training: the members of `Stage` that it need not define itself."""

    chain: Chain

    @property
    def aim(self) -> float:
        """See `Stage`; it is the run's own level."""
        return self.chain.level

    def losses(self) -> dict[int, float]:
        """See `Stage`; there are none."""
        return {}

    def training(self) -> tuple[TrainingProgress, ...]:
        """See `Stage`; there are none."""
        return ()

    def weights_in_training(self) -> dict[int, Weights]:
        """See `Stage`; the chain holds all."""
        return {}

    def check_ready(self) -> None:
        """See `Stage`; it can always be at work."""


class TrainingStage(ChainStage):
    """A stage that trains beads: the members of `Stage` that follow from its trainer."""

    trainer: Trainer

    @property
    def bead_steps(self) -> int:
        """See `Stage`."""
        return self.trainer.bead_steps

    @property
    def beads_in_training(self) -> set[int]:
        """The ids of the beads that the trainer holds."""
        return {bead for group in self.trainer.groups for bead in group.beads}

    def attempt(self, bead: int) -> int:
        """Returns the number of the present attempt to train a bead, from 1."""
        return 1

    def training(self) -> tuple[TrainingProgress, ...]:
        """See `Stage`."""
        return tuple(
            TrainingProgress(row.bead, row.loss, row.steps, self.attempt(row.bead))
            for row in self.trainer.rows
        )

    def weights_in_training(self) -> dict[int, Weights]:
        """See `Stage`."""
        return {row.bead: row.theta for row in self.trainer.rows}

    def check_beads(self, known: set[int]) -> None:
        """Raises Unfit where the trainer holds a bead that is not one of those."""
        unknown = self.beads_in_training - known
        if unknown:
            raise Unfit(f"bead {min(unknown)} is in training, but does not exist")


class SteadyStage(TrainingStage):
    """A stage whose beads are on the string while they train: it shows their losses."""

    def losses(self) -> dict[int, float]:
        """See `Stage`."""
        return {row.bead: row.loss for row in self.trainer.rows}
