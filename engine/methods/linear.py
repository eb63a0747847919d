"""The stage that samples the closed-form path of a deep linear network into beads."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Annotated, Any, Literal

import numpy as np
import torch

from engine.methods.base import Stage, StageState, Verdict
from engine.methods.stage import ChainStage
from engine.path.chain import Chain
from engine.path.linear_path import LinearPath, linear_path
from engine.path.snapshot import Segment
from engine.problem.symmetry import layers_of
from engine.record.bracket import LOWEST
from engine.record.events import FIRST, LAST, BeadInserted, Event
from engine.record.marks import Count, Range
from engine.record.unfit import Unfit
from engine.seeds import derive
from engine.shapes import Weights
from engine.spec.keys import Spec

#: Least distance of two beads, in t of the whole curve.
NEAREST = 1e-5
#: The same where the highest value of the curve is looked for, which need not be below any level.
NEAREST_TO_MEASURE = 2**-9


@dataclass(frozen=True)
class LinearState(StageState):
    """All that a checkpoint holds of the sampling of the closed form."""

    places: dict[Count, Annotated[float, Range(0, 1)]]
    """The t of each bead on the whole curve, by id."""
    kind: Literal["linear"] = "linear"


class LinearSampling(ChainStage):
    """The stage that puts beads on the curve, half-way in t where a segment exceeds the level."""

    name = "search"
    repairs = True

    def __init__(self, spec: Spec, chain: Chain) -> None:
        """Makes the stage; the curve is computed when the first bead is put on it."""
        self.spec, self.chain = spec, chain
        self.nearest = NEAREST_TO_MEASURE if spec.search.level == LOWEST else NEAREST
        """The least distance of two beads, in t of the whole curve."""
        self.places = {FIRST: 0.0, LAST: 1.0}
        """The t of each bead on the whole curve, by id."""
        self.verdict: Verdict | None = None
        self.bead_steps = 0
        self.stuck: str | None = None
        """Why the closed form does not apply, if it does not."""

    def begin(self) -> None:
        """See `Stage`; the chain is taken as it is."""

    def step(self, beads_left: int | None) -> list[Event]:
        """Measures new segments, and splits those that exceed the level."""
        events = self.chain.measure(self.chain.unmeasured)
        opened = [s for s in self.chain.in_order() if s.state == "open"]
        for segment in opened if beads_left is None else opened[: max(0, beads_left)]:
            events.append(self._split(segment))
        return events

    def _split(self, segment: Segment) -> Event:
        left, right = (self.places[bead] for bead in segment.key)
        if right - left < self.nearest:
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
        """Whether every segment is measured, and either closed or failed."""
        opened = any(segment.state == "open" for segment in self.chain.in_order())
        return not opened and not self.chain.unmeasured

    @property
    def state(self) -> LinearState:
        """See `Stage`."""
        return LinearState(dict(self.places))

    def resume(self, state: LinearState) -> None:
        """See `Stage`."""
        if not {FIRST, LAST} <= state.places.keys():
            raise Unfit("places does not hold both ends")
        self.places = dict(state.places)

    def check_ready(self) -> None:
        """Raises Unfit where the place of a bead is not known, or beads are out of their order."""
        if not set(self.chain.order) <= self.places.keys():
            raise Unfit("places does not hold every bead of the string")
        along = [self.places[bead] for bead in self.chain.order]
        if any(left >= right for left, right in pairwise(along)):
            raise Unfit("places does not rise along the string")


def between(spec: Spec, chain: Chain) -> list[Stage[Any]]:
    """Returns the stages of the method `linear`."""
    return [LinearSampling(spec, chain)]
