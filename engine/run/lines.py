"""Loss and error along the straight line between two models, as one measurement has found them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Literal, get_args

from engine.problem.problem import Problem, Split
from engine.spec.level import LevelOn


@dataclass(frozen=True)
class Line:
    """One metric over one split along the straight line between two models."""

    measure: LevelOn
    """The metric and the split."""
    values: tuple[float, ...]
    """The metric at each t of the barrier, (point,); of an error the share of samples."""
    peak: float
    """The highest value found, also between the points; NaN where one is not finite."""
    t_peak: float
    """The place of the peak, from 0 at the first model to 1 at the second."""
    over_interpolation: float
    """max over t of γ(t) − (1 − t)·γ(0) − t·γ(1), at least 0 (linear mode connectivity)."""
    proven: float | None = None
    """What the metric is proven not to exceed for any t; None where nothing is proven."""
    unproven: str = ""
    """A clause that says why nothing is proven; empty where something is, or where that was not
    asked for."""

    @property
    def ends(self) -> tuple[float, float]:
        """The metric of the two models."""
        return self.values[0], self.values[-1]

    @property
    def over_mean(self) -> float:
        """The peak less the mean of the two ends (Git Re-Basin)."""
        return self.peak - sum(self.ends) / 2

    @property
    def proven_over_mean(self) -> float | None:
        """What the peak less the mean of the ends is proven not to exceed, if anything is."""
        return None if self.proven is None else self.proven - sum(self.ends) / 2

    def chord(self, t: float) -> float:
        """Returns the value at t of the straight line between the values of the two models."""
        return (1 - t) * self.ends[0] + t * self.ends[1]


@dataclass(frozen=True)
class OnSplit:
    """What was measured over the samples of one split."""

    loss: Line
    error: Line | None
    """The share of samples, or tokens, whose class is missed; None where there are no classes."""

    @property
    def lines(self) -> tuple[Line, ...]:
        """All that was measured over the split."""
        return (self.loss,) if self.error is None else (self.loss, self.error)


def measures_of(problem: Problem) -> list[LevelOn]:
    """Returns what is measured: the loss, and the error where there are classes, on each split."""
    metrics: list[Literal["loss", "error_rate"]] = ["loss"]
    if problem.classes is not None:
        metrics.append("error_rate")
    splits: list[Split] = [split for split in get_args(Split) if len(problem.samples(split))]
    return [LevelOn(metric=metric, split=split) for split, metric in product(splits, metrics)]


def on_split(lines: Sequence[Line], split: Split) -> OnSplit | None:
    """Returns what was measured over a split; None where nothing was."""
    by_metric = {line.measure.metric: line for line in lines if line.measure.split == split}
    if not by_metric:
        return None
    return OnSplit(by_metric["loss"], by_metric.get("error_rate"))
