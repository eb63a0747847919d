"""A method of one file: it goes by way of the point (0, 1), and trains nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import torch

from engine.methods.base import Stage, StageState, Verdict
from engine.methods.stage import ChainStage
from engine.path.chain import Chain
from engine.record.events import Event
from engine.spec.keys import Spec


@dataclass(frozen=True)
class TopState(StageState):
    placed: bool
    kind: Literal["over the top"] = "over the top"


class OverTheTop(ChainStage):
    name, repairs, bead_steps = "search", False, 0
    verdict: Verdict | None = None

    def __init__(self, chain: Chain) -> None:
        self.chain, self.placed = chain, False

    def begin(self) -> None:
        pass

    def step(self, beads_left: int | None) -> list[Event]:
        if not self.placed:
            (key,) = self.chain.keys
            self.chain.place(self.chain.new_bead(), torch.tensor([0.0, 1.0]), key)
            self.placed = True
            return []
        events = self.chain.measure(self.chain.unmeasured)
        high = [segment for segment in self.chain.in_order() if segment.state == "open"]
        return events + [self.chain.fail(segment, "it is too high") for segment in high]

    @property
    def done(self) -> bool:
        return self.placed and not self.chain.unmeasured

    @property
    def state(self) -> TopState:
        return TopState(self.placed)

    def resume(self, state: TopState) -> None:
        self.placed = state.placed


def between(spec: Spec, chain: Chain) -> list[Stage[Any]]:
    return [OverTheTop(chain)]
