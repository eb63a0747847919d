"""Workers without threads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from engine.problem.problem import Problem
from engine.workers.pool import Item, Result, Task


@dataclass(frozen=True)
class Here:
    """Does a task at once, in the thread that asks."""

    problem: Problem

    @property
    def devices(self) -> tuple[torch.device, ...]:
        return (self.problem.device,)

    def run(self, task: Task[Item, Result], items: Sequence[Item]) -> list[Result]:
        return list(task(self.problem, items)) if items else []
