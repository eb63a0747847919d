"""Curves between two models that are trained for their expected loss, then sampled into beads.

The control points of a curve train together with gradients of models along it. Now and then some of
those models are judged. Where none is above the level, they become the string, whose segments are
measured like any others, and a segment that a bent curve leaves too far gets a bead of the curve in
its middle. Where that does not close the string, the curve is trained further.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Annotated, Any, Literal

import numpy as np
import torch

from engine.methods.base import Stage, StageState, Verdict
from engine.methods.endpoints import NEVER
from engine.methods.judged import judged
from engine.methods.stage import TrainingStage
from engine.methods.starts import perturbed
from engine.path.chain import Chain
from engine.path.snapshot import Segment
from engine.record.events import FIRST, LAST, BeadInserted, Event
from engine.record.marks import Count, Range
from engine.record.progress import TrainingProgress
from engine.record.unfit import Unfit
from engine.seeds import derive
from engine.shapes import Beads, Weights
from engine.spec.keys import Spec
from engine.spec.search import Complex
from engine.spec.search import Curve as Settings
from engine.spec.stages import stages_of
from engine.steps.curves import Bezier, Curve, Polychain, Roomy, Simplexes
from engine.steps.groups import Group
from engine.steps.recipe import recipe_of
from engine.steps.rows import Rows
from engine.steps.tethers import Off, Tether
from engine.training.trainer import Trainer, TrainerState

#: The curves by the names of their methods.
CURVES: dict[str, Curve] = {"bezier": Bezier(), "polychain": Polychain(), "simplex": Simplexes()}
#: The least distance of two beads, in t of the curve.
NEAREST = 2**-9


@dataclass(frozen=True)
class CurveState(StageState):
    """All that a checkpoint holds of a curve beside the chain."""

    trainer: TrainerState
    places: dict[Count, Annotated[float, Range(0, 1)]]
    """The t of each bead on the curve, by id."""
    losses: dict[Count, float]
    """The objective at the inner beads when they were judged last, by id."""
    begun: bool
    steps: Count
    string: bool
    kind: Literal["curve"] = "curve"


class CurveSearch(TrainingStage):
    """The stage that trains a curve until a string of its models is closed."""

    name = "search"
    verdict: Verdict | None = None

    def __init__(self, spec: Spec, chain: Chain) -> None:
        """Makes the stage; the curve begins as the straight line in its first step."""
        self.spec, self.chain = spec, chain
        self.curve = CURVES[spec.search.method]
        self.settings: Settings = getattr(spec.search, spec.search.method)
        training = stages_of(spec).method
        self.max_steps = training.max_steps
        endless = {"patience": training.max_steps + 1, "max_steps": training.max_steps + 1}
        recipe = recipe_of(
            spec,
            training.model_copy(update=endless),
            at=self.curve,
            tether=tether_of(self.settings),
            evaluate="after",
        )
        self.trainer = Trainer(recipe, chain.pool)
        self.places = {FIRST: 0.0, LAST: 1.0}
        """The t of each bead on the curve, by id."""
        self.known: dict[int, float] = {}
        """The objective at the inner beads when they were judged last, by id."""
        self.begun = False
        """Whether the straight line is measured."""
        self.steps = 0
        """The number of steps that the curve has taken."""
        self.string = False
        """Whether the beads are being made a string, and not the curve trained."""

    # ------------------------------------------------------------ the curve

    def begin(self) -> None:
        """See `Stage`; the chain is taken as it is."""

    def step(self, beads_left: int | None) -> list[Event]:
        """Takes a round of steps, or judges the curve, or makes a string of it."""
        if not self.begun:
            self.begun = True
            return self.chain.measure(self.chain.unmeasured)
        if not self.trainer.groups:
            self._put_on_line()
        if self.string:
            return self._sampled(beads_left)
        before = self.steps // self.settings.look_every
        self.trainer.advance()
        self.steps += self.trainer.training.check_every
        if self.steps // self.settings.look_every > before or self._spent:
            return self._look(beads_left)
        return []

    @property
    def _spent(self) -> bool:
        """Whether the curve has no steps left."""
        return self.steps >= self.max_steps

    def _put_on_line(self) -> None:
        """Puts control points on the straight line and into training, the two ends at rest."""
        count = self.settings.control_points
        beads = [FIRST, *(self.chain.new_bead() for _ in range(count)), LAST]
        theta = self._line(beads)
        seeds = [derive(self.spec.seed, "control point", bead) for bead in beads]
        rows = self.trainer.rows_for(theta, NEVER, seeds)
        target = rows.target.clone()
        target[0] = target[-1] = torch.inf
        rows = replace(rows, target=target, loss=torch.zeros_like(rows.loss))
        self.trainer.groups = [Group(tuple(beads), _at_rest(rows))]

    def _line(self, beads: list[int]) -> Beads:
        """Returns the weights (row, param) that the ends and the control points begin with.

        The vertices of a simplex begin in the middle, each a little aside, so that it has a volume.
        """
        first, last = self.chain.weights[FIRST], self.chain.weights[LAST]
        if not isinstance(self.curve, Simplexes):
            places = torch.linspace(0, 1, len(beads), dtype=torch.float64).tolist()
            return torch.stack([torch.lerp(first, last, t) for t in places])
        middle = torch.lerp(first, last, 0.5)
        seeds = [derive(self.spec.seed, "vertex", bead) for bead in beads[1:-1]]
        return torch.stack([first, *(perturbed(middle, last - first, s) for s in seeds), last])

    def _look(self, beads_left: int | None) -> list[Event]:
        """Moves the beads to where the curve is, and judges them and the models half-way between.

        Where none is above the level, or no steps are left, the beads become the string. Where
        there is no room for them the segment between the ends has failed. Tells of new beads.
        """
        new = self.curve.places(self._rows)[1:-1] if len(self.chain.order) == 2 else []
        if beads_left is not None and len(new) > beads_left:
            (line,) = self.chain.in_order()
            return [self.chain.fail(line, f"the curve needs {len(new)} inner beads")]
        self._put(new)
        self._follow()
        inner = self.chain.order[1:-1]
        along = [self.places[bead] for bead in self.chain.order]
        between = [(left + right) / 2 for left, right in pairwise(along)]
        models = [self.chain.weights[bead] for bead in inner]
        found = judged(self.chain.pool, [*models, *self._at(between)])
        self.known = dict(zip(inner, found[: len(inner)], strict=True))
        self.string = self._spent or all(value <= self.chain.bound for value in found)
        return [
            BeadInserted(bead, FIRST, LAST, self.chain.depths[bead], t, self.known[bead])
            for bead, t in zip(inner, new, strict=False)
        ]

    def _put(self, places: list[float]) -> None:
        """Puts new beads at places of the curve, of which the chain has none but the ends."""
        for t, theta in zip(places, self._at(places), strict=True):
            bead = self.chain.new_bead()
            self.places[bead] = t
            self.chain.place(bead, theta, (self.chain.order[-2], LAST))
        if places:
            self.chain.start_anew()

    def _follow(self) -> None:
        """Moves all beads to where the curve is."""
        inner = self.chain.order[1:-1]
        moved = self._at([self.places[bead] for bead in inner])
        self.chain.move(zip(inner, moved, strict=True))

    @property
    def _rows(self) -> int:
        """The number of rows of the curve: its control points and the two ends."""
        return len(self.trainer.groups[0])

    def _at(self, places: list[float]) -> list[Weights]:
        """Returns the models (param,) at places of the curve."""
        if not places:
            return []
        theta = self.trainer.groups[0].rows.theta
        t = torch.tensor(places, dtype=torch.float64, device=theta.device)
        return list((self.curve.along(self._rows, t) @ theta.double()).to(theta))

    # ------------------------------------------------------------ the string

    def _sampled(self, beads_left: int | None) -> list[Event]:
        """Measures the string; where it is not closed, adds beads or goes back to training."""
        events = self.chain.measure(self.chain.unmeasured)
        opened = self._opened()
        if not opened:
            return events
        able = self.curve.bends and all(map(self._can_be_halved, opened))
        if able and (beads_left is None or len(opened) <= beads_left):
            return events + [self._halved(segment) for segment in opened]
        if not self._spent:
            self.string = False
            return events
        reason = f"the curve stayed above the level for {self.steps} steps"
        return events + [self.chain.fail(segment, reason) for segment in opened]

    def _can_be_halved(self, segment: Segment) -> bool:
        """Returns whether a segment may come nearer to the curve with a bead in its middle."""
        left, right = (self.places[bead] for bead in segment.key)
        losses = segment.measured.losses
        return max(losses[0], losses[-1]) <= self.chain.bound and right - left > NEAREST

    def _halved(self, segment: Segment) -> Event:
        """Puts the bead of the curve that is half-way into a segment."""
        left, right = (self.places[bead] for bead in segment.key)
        bead, t = self.chain.new_bead(), (left + right) / 2
        self.places[bead] = t
        (theta,) = self._at([t])
        self.chain.place(bead, theta, segment.key)
        loss = float(np.interp(0.5, segment.measured.t, segment.measured.losses))
        return BeadInserted(bead, *segment.key, segment.depth + 1, 0.5, loss)

    def _opened(self) -> list[Segment]:
        return [segment for segment in self.chain.in_order() if segment.state == "open"]

    # ------------------------------------------------------------ what others see

    @property
    def repairs(self) -> bool:
        """Whether the curve has steps left."""
        return not self._spent

    @property
    def done(self) -> bool:
        """Whether every segment is measured, and either closed or failed."""
        return self.begun and not self.chain.unmeasured and not self._opened()

    def losses(self) -> dict[int, float]:
        """See `Stage`; they are those of the last judgement."""
        return dict(self.known)

    def training(self) -> tuple[TrainingProgress, ...]:
        """Returns the control points, with the mean loss of the points of their last step."""
        rows = [row for row in self.trainer.rows if row.bead not in (FIRST, LAST)]
        return tuple(TrainingProgress(row.bead, row.loss, row.steps, 1, aims=False) for row in rows)

    def weights_in_training(self) -> dict[int, Weights]:
        """Returns the weights of the control points; the ends are the chain's."""
        rows = [row for row in self.trainer.rows if row.bead not in (FIRST, LAST)]
        return {row.bead: row.theta for row in rows}

    # ------------------------------------------------------------ checkpoint

    @property
    def state(self) -> CurveState:
        """See `Stage`."""
        places, known = dict(self.places), dict(self.known)
        return CurveState(self.trainer.state, places, known, self.begun, self.steps, self.string)

    def resume(self, state: CurveState) -> None:
        """See `Stage`."""
        self.trainer.resume(state.trainer)
        if len(self.trainer.groups) > 1:
            raise Unfit("trainer holds more than one curve")
        if not {FIRST, LAST} <= state.places.keys():
            raise Unfit("places does not hold both ends")
        self.places, self.known = dict(state.places), dict(state.losses)
        self.begun, self.steps, self.string = state.begun, state.steps, state.string

    def check_ready(self) -> None:
        """Raises Unfit where beads are not on the curve, or there is no curve to go on with."""
        if not set(self.chain.order) <= self.places.keys():
            raise Unfit("places does not hold every bead of the string")
        along = [self.places[bead] for bead in self.chain.order]
        if any(left >= right for left, right in pairwise(along)):
            raise Unfit("places does not rise along the string")
        held = [group.beads for group in self.trainer.groups]
        wanted = self.settings.control_points + 2
        if any((beads[0], beads[-1], len(beads)) != (FIRST, LAST, wanted) for beads in held):
            raise Unfit("trainer does not hold the ends and the control points")
        if not held and (self.steps or self.string):
            raise Unfit("the curve is missing, but it has taken steps")


def tether_of(settings: Settings) -> Tether:
    """Returns what ties the control points besides the curve."""
    return Roomy(settings.volume) if isinstance(settings, Complex) and settings.volume else Off()


def _at_rest(rows: Rows) -> Rows:
    """Returns rows that have not been judged, of which those with an infinite target rest."""
    judged_rows = rows.with_loss(rows.loss)
    loss = torch.where(judged_rows.going, torch.nan, judged_rows.loss)
    return replace(judged_rows, loss=loss)


def between(spec: Spec, chain: Chain) -> list[Stage[Any]]:
    """Returns the stages of the methods `bezier`, `polychain` and `simplex`."""
    return [CurveSearch(spec, chain)]
