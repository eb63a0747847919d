"""Keys of schedules: by what factor the learning rate is multiplied as training goes on."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Literal

from pydantic import Field, NonNegativeFloat, model_validator

from engine.part import NonNegativeInt, Part, PositiveInt

Share = Annotated[float, Field(ge=0, le=1)]
Unit = Literal["steps", "epochs"]


class Timed(Part):
    """The keys that every schedule has.

    A schedule counts the steps of the weight vector that is trained, from 0, or the whole passes
    over the training samples that it has seen. The rate then changes between passes only.
    """

    unit: Unit = "steps"
    """The unit in which the schedule counts: steps, or epochs, which are passes over the training
    samples."""
    warmup: NonNegativeInt = 0
    """The number of units in which the rate first rises to its full value, in equal parts."""


class Constant(Timed):
    """The schedule that leaves the rate as it is after its warm-up."""

    kind: Literal["constant"]
    """The schedule's name."""


class Step(Timed):
    """The schedule that multiplies the rate by a factor at each milestone (MultiStepLR)."""

    kind: Literal["step"]
    """The schedule's name."""
    milestones: Annotated[tuple[PositiveInt, ...], Field(min_length=1)]
    """The places, in units from the beginning, at which the rate falls."""
    gamma: Annotated[float, Field(gt=0, le=1)] = 0.1
    """The factor by which the rate falls at each milestone."""

    @model_validator(mode="after")
    def _milestones_rise(self) -> Step:
        """Raises ValueError unless each milestone lies after the one before."""
        if any(b <= a for a, b in pairwise(self.milestones)):
            raise ValueError("milestones must rise, such as [60, 120, 160]")
        return self


class Falling(Timed):
    """The keys of schedules that fall over a given length."""

    length: PositiveInt
    """The number of units after which the rate stays at its floor, the warm-up included."""
    floor: Share = 0.0
    """The share of the learning rate at which the schedule ends."""

    @model_validator(mode="after")
    def _warmup_is_shorter(self) -> Falling:
        """Raises ValueError where the warm-up leaves nothing of the length."""
        if self.warmup >= self.length:
            raise ValueError(f"warmup: {self.warmup} must be below length: {self.length}")
        return self


class Cosine(Falling):
    """The schedule that falls by half a cosine wave (CosineAnnealingLR)."""

    kind: Literal["cosine"]
    """The schedule's name."""


class Linear(Falling):
    """The schedule that falls in a straight line (LinearLR)."""

    kind: Literal["linear"]
    """The schedule's name."""


class Piecewise(Timed):
    """The schedule that goes in straight lines through given points."""

    kind: Literal["piecewise"]
    """The schedule's name."""
    length: PositiveInt
    """The number of units that a share of 1 stands for."""
    points: Annotated[tuple[tuple[Share, NonNegativeFloat], ...], Field(min_length=2)]
    """The points as [share of the length, factor of the learning rate], from share 0 to share 1."""

    @model_validator(mode="after")
    def _points_rise_from_0_to_1(self) -> Piecewise:
        """Raises ValueError unless the points go from share 0 to share 1 and never back."""
        shares = [share for share, _ in self.points]
        if shares[0] != 0 or shares[-1] != 1 or any(b <= a for a, b in pairwise(shares)):
            raise ValueError("the shares of points must rise from 0 to 1")
        return self


Schedule = Annotated[
    Constant | Step | Cosine | Linear | Piecewise,
    Field(discriminator="kind"),
]
