"""The stage that samples the closed-form path of a deep linear network into beads."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import torch

from engine.methods.base import Verdict
from engine.methods.stage import ChainStage
from engine.path.chain import Chain, Segment
from engine.path.linear_path import LinearPath, linear_path
from engine.path.snapshot import Saved
from engine.problem.symmetry import layers_of
from engine.record.events import FIRST, LAST, BeadInserted, Event
from engine.seeds import derive
from engine.shapes import Weights
from engine.spec.keys import Spec

#: Two beads are no nearer than this, in t of the whole curve.
NEAREST = 1e-5


class LinearSampling(ChainStage):
    """Halves the curve's parameter wherever a segment exceeds the level."""

    name = "search"
    repairs = True

    def __init__(self, spec: Spec, chain: Chain) -> None:
        self.spec, self.chain = spec, chain
        self.places = {FIRST: 0.0, LAST: 1.0}
        """Of each bead, in t of the curve."""
        self.verdict: Verdict | None = None
        self.bead_steps = 0
        self.stuck: str | None = None

    def begin(self) -> None:
        pass

    def step(self, beads_left: int | None) -> list[Event]:
        events = self.chain.measure(self.chain.unmeasured)
        opened = [s for s in self.chain.in_order() if s.state == "open"]
        for segment in opened if beads_left is None else opened[: max(0, beads_left)]:
            events.append(self._split(segment))
        return events

    def _split(self, segment: Segment) -> Event:
        left, right = (self.places[bead] for bead in segment.key)
        if right - left < NEAREST:
            return self.chain.fail(segment, "it is too short to be halved")
        try:
            theta = self._at((left + right) / 2)
        except ArithmeticError as error:
            self.stuck = f"the closed form does not apply: {error}"
            return self.chain.fail(segment, self.stuck)
        bead = self.chain.new_bead()
        self.places[bead] = (left + right) / 2
        self.chain.place(bead, theta, segment.key)
        loss = float(np.interp(0.5, segment.measured.t, segment.measured.losses))
        return BeadInserted(bead, *segment.key, segment.depth + 1, 0.5, loss)

    @cached_property
    def _curve(self) -> LinearPath:
        parameters = self.chain.problem.parameters
        first, last = (
            [layer.weight.cpu().numpy() for layer in layers_of(self.chain.weights[end], parameters)]
            for end in (FIRST, LAST)
        )
        return linear_path(first, last, derive(self.spec.seed, "linear"))

    def _at(self, t: float) -> Weights:
        theta = np.concatenate([layer.ravel() for layer in self._curve.at(t)])
        return torch.from_numpy(theta).to(self.chain.weights[FIRST])

    @property
    def done(self) -> bool:
        opened = any(segment.state == "open" for segment in self.chain.in_order())
        return not opened and not self.chain.unmeasured

    def save(self) -> Saved:
        return {}, {"places": {str(bead): t for bead, t in self.places.items()}}

    def restore(self, saved: Saved) -> None:
        self.places = {int(bead): t for bead, t in saved[1]["places"].items()}
