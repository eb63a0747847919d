"""What most stages have in common: they bring beads below the run's own level, and add nothing."""

from __future__ import annotations

from engine.path.chain import Chain
from engine.path.snapshot import Saved
from engine.record.progress import TrainingProgress


class ChainStage:
    """The members of `Stage` that a stage without beads in training of its own need not say."""

    chain: Chain

    @property
    def aim(self) -> float:
        return self.chain.level

    def losses(self) -> dict[int, float]:
        return {}

    def training(self) -> tuple[TrainingProgress, ...]:
        return ()

    def save(self) -> Saved:
        return {}, {}

    def restore(self, saved: Saved) -> None:
        pass
