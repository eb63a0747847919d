"""What is judged along segments, the loss at first: γ(t) = F_e((1−t)·left + t·right).

All segments and all points go through the same batched call. A peak found on the grid is
refined by golden-section search in its neighbourhood (§3.1; Kiefer 1953).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.pool import Workers
from engine.problem import Problem
from engine.shapes import Pairs, PerSegment, Points, Profiles, Weights
from engine.spec import LevelOn

Pair = tuple[Weights, Weights]

#: How many of a segment's highest local maxima on the grid are refined.
REFINED = 2
#: Each step shrinks a neighbourhood to 0.618 of its width.
GOLDEN_STEPS = 6
GOLDEN = (5**0.5 - 1) / 2
#: Weights that are interpolated at once.
INTERPOLATED = 2**25


@dataclass(frozen=True)
class Measured:
    """One segment's profile, in what the problem judges: F_e, or another metric or split."""

    t: NDArray[np.float64]
    """(point,)"""
    losses: NDArray[np.float64]
    """(point,)"""
    peak: float
    """The highest loss found, between grid points included; not a number where one is."""
    t_star: float
    """Where."""


def search_grid(points: int) -> NDArray[np.float64]:
    return np.linspace(0.0, 1.0, points)


def audit_grid(points: int, factor: int) -> NDArray[np.float64]:
    """A grid at least `factor` times finer that shares only its ends with the search's grid."""
    intervals = factor * (points - 1) + 1
    while np.gcd(intervals, points - 1) != 1:
        intervals += 1
    return np.linspace(0.0, 1.0, intervals + 1)


@dataclass(frozen=True)
class Profile:
    """The profiles of segments on points of t, in some precision."""

    t: tuple[float, ...]
    samples: int
    """Of the whole measurement of a segment."""
    dtype: torch.dtype

    def __call__(self, problem: Problem, pairs: Sequence[Pair]) -> list[Measured]:
        return measure_on(problem.to(dtype=self.dtype), pairs, np.array(self.t))


def measure(
    pool: Workers,
    pairs: Sequence[Pair],
    t: NDArray[np.float64],
    samples: int,
    *,
    dtype: torch.dtype = torch.float32,
) -> list[Measured]:
    """The profiles of many segments at once, peaks refined."""
    return pool.run(Profile(tuple(t.tolist()), samples * len(t), dtype), pairs)


def measure_on(problem: Problem, pairs: Sequence[Pair], t: NDArray[np.float64]) -> list[Measured]:
    """`measure` on the problem's own device, in its own precision."""
    left, right = _stacked(problem, pairs)
    points = torch.from_numpy(t).to(problem.device, problem.dtype)
    grid = _profiles(problem, left, right, points)  # (segment, point)
    peak, t_star = _refined(problem, left, right, points, grid)
    bad = ~grid.isfinite().all(dim=1)
    peak = torch.where(bad, torch.nan, peak)
    return [
        Measured(t, losses, *at)
        for losses, *at in zip(
            grid.double().cpu().numpy(), peak.tolist(), t_star.tolist(), strict=True
        )
    ]


@dataclass(frozen=True)
class Beside:
    """Another metric or split of segments on an even grid of t from 0 to 1."""

    measure: LevelOn
    points: int
    size: int
    """The metric is taken over the first so many samples."""

    @property
    def samples(self) -> int:
        return self.points * self.size

    def __call__(self, problem: Problem, pairs: Sequence[Pair]) -> list[NDArray[np.float64]]:
        problem = replace(problem.cut(self.measure.split, self.size), judge=self.measure)
        left, right = _stacked(problem, pairs)
        t = torch.linspace(0, 1, self.points, device=problem.device, dtype=problem.dtype)
        return list(_profiles(problem, left, right, t).double().cpu().numpy())


def profiles_beside(
    pool: Workers, pairs: Sequence[Pair], measure: LevelOn, points: int, samples: int
) -> list[NDArray[np.float64]]:
    """(point,) each. The metric is taken over the first so many samples."""
    return pool.run(Beside(measure, points, samples), pairs)


def split_point(measured: Measured, rule: Literal["peak", "half"], margin: float) -> float:
    """Where a segment gets its new bead: at its peak, but not within `margin` of an end.

    Half-way where that is the rule, or where the profile is flat or not finite.
    """
    losses = measured.losses
    flat = not np.isfinite(measured.peak) or np.ptp(losses) <= 1e-6 * abs(measured.peak)
    if rule == "half" or flat:
        return 0.5
    return float(np.clip(measured.t_star, margin, 1 - margin))


def _stacked(problem: Problem, pairs: Sequence[Pair]) -> tuple[Pairs, Pairs]:
    left, right = (torch.stack(side) for side in zip(*pairs, strict=True))
    return left.to(problem.device, problem.dtype), right.to(problem.device, problem.dtype)


def _profiles(problem: Problem, left: Pairs, right: Pairs, points: Points) -> Profiles:
    count = len(points)
    rows = torch.arange(len(left), device=left.device).repeat_interleave(count)
    t = points.repeat(len(left))
    return _losses_at(problem, left, right, rows, t).view(-1, count)


def _losses_at(problem: Problem, left: Pairs, right: Pairs, rows: Tensor, t: Points) -> Points:
    """γ of segment rows[i] at t[i], for all i."""
    size = max(1, INTERPOLATED // left.shape[1])
    losses = [
        problem.judged(torch.lerp(left[some], right[some], at[:, None]))
        for some, at in zip(torch.split(rows, size), torch.split(t, size), strict=True)
    ]
    return torch.cat(losses)


def _refined(
    problem: Problem, left: Pairs, right: Pairs, points: Points, grid: Profiles
) -> tuple[PerSegment, PerSegment]:
    """The highest loss of each segment and its place, after golden-section search."""
    inner = grid[:, 1:-1]
    local = (inner >= grid[:, :-2]) & (inner >= grid[:, 2:])
    ranked = torch.where(local, inner, -torch.inf).topk(REFINED, dim=1).indices + 1
    rows = torch.arange(len(left), device=left.device).repeat_interleave(REFINED)
    low, high = points[ranked - 1].flatten(), points[ranked + 1].flatten()

    def loss(t: Tensor) -> Tensor:
        return _losses_at(problem, left, right, rows, t)

    a, b = high - GOLDEN * (high - low), low + GOLDEN * (high - low)
    at_a, at_b = loss(a), loss(b)
    for _ in range(GOLDEN_STEPS):
        up = at_b > at_a  # the maximum lies in [a, high], else in [low, b]
        low, high = torch.where(up, a, low), torch.where(up, high, b)
        new = torch.where(up, low + GOLDEN * (high - low), high - GOLDEN * (high - low))
        at_new = loss(new)
        a, b = torch.where(up, b, new), torch.where(up, new, a)
        at_a, at_b = torch.where(up, at_b, at_new), torch.where(up, at_new, at_a)
    losses = torch.cat([grid, at_a.view(-1, REFINED), at_b.view(-1, REFINED)], dim=1)
    places = torch.cat(
        [points.expand(len(left), -1), a.view(-1, REFINED), b.view(-1, REFINED)], dim=1
    )
    peak, where = losses.max(dim=1)
    return peak, places.gather(1, where[:, None]).squeeze(1)
