"""Trainers that go on until no row takes steps any more."""

from __future__ import annotations

from engine.steps.groups import Row
from engine.training.trainer import Trainer


def run_to_end(trainer: Trainer) -> dict[int, Row]:
    """Returns the rows of a trainer at their ends, by the ids of their beads."""
    ended: dict[int, Row] = {}
    while trainer.groups:
        trainer.advance()
        ended |= {row.bead: row for row in trainer.retire()}
    return ended
