"""A backend that counts each pass that it is asked for, to hold the engine's own counts against."""

from __future__ import annotations

from typing import Any

import torch

from engine.backends.vmapped import VmappedBackend
from engine.record.costs import Costs
from engine.shapes import Batches, Beads, PerBead
from engine.steps.practice import PLAIN, Practice


def counting() -> tuple[type[VmappedBackend], list[Costs]]:
    """Returns a kind of backend, and the list of what was asked of all that are made of it."""
    asked: list[Costs] = []

    class Counting(VmappedBackend):
        def _on_all(self, theta: Beads, practice: Practice = PLAIN) -> tuple[PerBead, Beads]:
            asked.append(Costs(sample_gradients=len(theta) * len(self.problem.train)))
            return super()._on_all(theta, practice)

        def _on(
            self,
            theta: Beads,
            batches: Batches,
            practice: Practice = PLAIN,
            keys: torch.Tensor | None = None,
        ) -> tuple[PerBead, Beads]:
            asked.append(Costs(sample_gradients=batches.numel()))
            return super()._on(theta, batches, practice, keys)

        def _mean(self, of_samples: Any, theta: Beads, split: Any, *others: Any) -> PerBead:
            asked.append(Costs(forward_samples=len(theta) * len(self.problem.samples(split))))
            return super()._mean(of_samples, theta, split, *others)

    return Counting, asked
