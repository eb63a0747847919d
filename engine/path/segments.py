"""Measures the objective along segments, such as γ(t) = F_e((1−t)·left + t·right).

All segments and all points go through the same batched call, of which every worker has a part. A
peak found on the grid is refined by golden-section search in its neighbourhood (§3.1; Kiefer
1953), where that can matter.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from math import gcd
from typing import Any, Literal, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from engine.backends.backend import Backend
from engine.problem.problem import Problem
from engine.record.costs import Costs
from engine.shapes import Weights
from engine.spec.level import LevelOn
from engine.workers.pool import Workers

Pair = tuple[Weights, Weights]
Floats = NDArray[np.float64]
Item = TypeVar("Item")
Places = NDArray[Any]
"""The places along segments, float32 or float64."""

#: Number of a segment's highest local maxima on the grid that are refined.
REFINED = 2
#: Number of steps of golden-section search, each of which leaves 0.618 of a neighbourhood.
GOLDEN_STEPS = 6
GOLDEN = (5**0.5 - 1) / 2
#: About so many inner points tell most segments that exceed a level.
FEW = 4
#: The bytes of beads that a worker puts side by side to measure segments between them. Further
#: segments are measured after those.
SIDE_BY_SIDE = 256 * 2**20
#: Segments for each worker from which on none is cut: they are even enough among the workers.
WHOLE = 4


@dataclass(frozen=True)
class Measured:
    """The profile of one segment: the objective along it, and its peak."""

    t: Floats
    """The places along the segment, from 0 to 1, (point,)."""
    losses: Floats
    """The objective at these places, (point,)."""
    peak: float
    """The highest loss found, also between grid points; NaN where a loss is not finite."""
    t_star: float
    """The place of the peak, from 0 at the left bead to 1 at the right one."""

    def on(self, grid: Floats) -> Measured:
        """Returns the profile on a grid, itself where it has as many places already."""
        if len(self.t) == len(grid):
            return self
        return replace(self, t=grid, losses=np.interp(grid, self.t, self.losses))


def search_grid(points: int) -> Floats:
    """Returns the grid of the search, `points` values of t from 0 to 1 at equal distances."""
    return np.linspace(0.0, 1.0, points)


def audit_grid(points: int, factor: int) -> Floats:
    """Returns a grid that is at least `factor` times finer than the search's of `points` points.

    The two grids share only their ends.
    """
    intervals = factor * (points - 1) + 1
    while np.gcd(intervals, points - 1) != 1:
        intervals += 1
    return np.linspace(0.0, 1.0, intervals + 1)


def few_of(t: Floats) -> Floats:
    """Returns few of the points of a grid, evenly spread, its two ends among them."""
    step = max(2, (len(t) - 1) // (FEW + 1))
    return np.concatenate([t[:1], t[step:-1:step], t[-1:]])


def glimpse(t: Floats, losses: Floats) -> Measured:
    """Returns a profile from few evenly spread points, with the peak of a parabola through three.

    These are the highest inner point and its two neighbours. The peak counts where it is between
    them; otherwise it is the highest of the points.
    """
    highest = int(losses.argmax())
    peak, place = float(losses[highest]), float(t[highest])
    inner = min(max(highest, 1), len(t) - 2)
    before, here, after = losses[inner - 1 : inner + 2]
    bend, slope = before - 2 * here + after, after - before
    if bend < 0 and abs(slope) < -2 * bend:
        peak = float(here - slope**2 / (8 * bend))
        place = float(t[inner] - slope / (2 * bend) * (t[inner + 1] - t[inner]))
    return Measured(t, losses, peak, place)


def split_point(measured: Measured, rule: Literal["peak", "half"], margin: float) -> float:
    """Returns the t at which a segment gets a new bead: at its peak, but `margin` from both ends.

    It is half-way where that is the rule, or where the profile is flat or not finite.
    """
    losses = measured.losses
    flat = not np.isfinite(measured.peak) or np.ptp(losses) <= 1e-6 * abs(measured.peak)
    if rule == "half" or flat:
        return 0.5
    return float(np.clip(measured.t_star, margin, 1 - margin))


# ---------------------------------------------------------------- many segments at once


def measure(
    pool: Workers,
    pairs: Sequence[Pair],
    t: Floats,
    samples: int,
    *,
    dtype: torch.dtype = torch.float32,
    known: Mapping[Weights, float] | None = None,
    level: float | None = None,
    cut: int = 1,
) -> list[Measured]:
    """Returns the profiles of many segments on t from 0 to 1, with refined peaks.

    `samples` is the number of samples of the objective, and `known` its value at some beads. Where
    only peaks above a `level` matter, those that the bend of the profile keeps below it are not
    refined, and of a segment that exceeds it only the highest peak is. Each segment is measured in
    `cut` parts at least.
    """
    profiles = along(pool, pairs, t, samples, dtype=dtype, known=known, cut=cut)
    places = [
        (number, place)
        for number, losses in enumerate(profiles)
        for place in summits(losses, level)
    ]
    spans = [(*pairs[number], t[place - 1], t[place + 1]) for number, place in places]
    peaks = [[(float(losses.max()), float(t[losses.argmax()]))] for losses in profiles]
    for (number, _), found in zip(places, pool.run(Climb(samples, dtype), spans), strict=True):
        peaks[number].append(found)
    return [
        Measured(t, losses, *_highest(seen)) for losses, seen in zip(profiles, peaks, strict=True)
    ]


def above_chord(
    pool: Workers,
    pair: Pair,
    measured: Measured,
    samples: int,
    *,
    dtype: torch.dtype = torch.float32,
) -> float:
    """Returns max over t of γ(t) − (1 − t)·γ(0) − t·γ(1), the profile's rise above its chord.

    `measured` is the profile of the segment `pair`, whose highest rise is refined like a peak. The
    result is at least 0, and NaN where a loss is not finite.
    """
    t, first, last = measured.t, float(measured.losses[0]), float(measured.losses[-1])
    rise = measured.losses - ((1 - t) * first + t * last)
    spans = [(*pair, t[place - 1], t[place + 1]) for place in summits(rise, None)[:1]]
    climbed = pool.run(Climb(samples, dtype, (first, last)), spans)
    found, _ = _highest([(float(height), 0.0) for height in rise] + climbed)
    return max(0.0, found) if np.isfinite(found) else found


def along(
    pool: Workers,
    pairs: Sequence[Pair],
    t: Floats,
    samples: int,
    *,
    dtype: torch.dtype = torch.float32,
    known: Mapping[Weights, float] | None = None,
    objective: LevelOn | None = None,
    cut: int = 1,
) -> list[Floats]:
    """Returns the objective on t from 0 to 1 of each segment, (point,) each, as in `measure`.

    A bead that is known, or that several segments share, is not computed again. `objective` is
    measured in place of the problem's own, over the first so many samples.
    """
    at = dict(known or {})  # by the identity of their tensors
    beads = [bead for bead in dict.fromkeys(chain.from_iterable(pairs)) if bead not in at]
    inner = t[1:-1]
    wanted = max(cut, _parts(len(pairs), len(pool.devices)))
    parts = np.array_split(inner, max(1, min(wanted, len(inner))))  # none of them empty
    lines = [(bead, bead, t[:1]) for bead in beads]
    lines += [(*pair, part) for pair in pairs for part in parts]
    found = pool.run(Along(samples, dtype, objective), lines)
    at |= {bead: float(values[0]) for bead, values in zip(beads, found, strict=False)}
    between = found[len(beads) :]
    return [
        np.concatenate([[at[left]], *between[n * len(parts) : (n + 1) * len(parts)], [at[right]]])
        for n, (left, right) in enumerate(pairs)
    ]


def _highest(seen: list[tuple[float, float]]) -> tuple[float, float]:
    """Returns the highest of some (loss, t), with a loss of NaN where one is not finite."""
    for loss, t in seen:
        if not np.isfinite(loss):
            return float("nan"), t
    return max(seen, key=lambda each: each[0])


def _parts(segments: int, workers: int) -> int:
    """Returns the number of parts into which each segment is cut, so that all workers have work."""
    return 1 if segments >= WHOLE * workers else workers // gcd(segments, workers)


def summits(losses: Floats, level: float | None) -> list[int]:
    """Returns the places on a grid of the local maxima to refine, the highest first.

    Where the profile is a parabola near a maximum of the grid, it rises above that by at most an
    eighth of its second difference. A peak counts as surely below the level where not even the
    whole second difference reaches it.
    """
    if not np.isfinite(losses).all():
        return []
    before, inner, after = losses[:-2], losses[1:-1], losses[2:]
    (local,) = ((inner >= before) & (inner >= after)).nonzero()
    places: list[int] = (local[np.argsort(-inner[local], kind="stable")] + 1).tolist()
    if level is None:
        return places[:REFINED]
    if losses.max() > level:
        return [place for place in places[:1] if losses[place] == losses.max()]
    bend = 2 * inner - before - after
    return [p for p in places[:REFINED] if losses[p] + bend[p - 1] > level]


# ---------------------------------------------------------------- tasks for the pool


@dataclass(frozen=True)
class Along:
    """The task of measuring an objective at places on lines between two beads."""

    samples: int
    """The number of samples of the objective."""
    dtype: torch.dtype
    objective: LevelOn | None = None
    """The objective, or None for the problem's own."""

    def size(self, line: tuple[Weights, Weights, Floats]) -> int:
        """Returns the number of samples that are computed for a line."""
        return self.samples * len(line[2])

    def cost(
        self, problem: Problem, line: tuple[Weights, Weights, Floats], losses: Floats
    ) -> Costs:
        """Returns what a line has cost: the samples at each of its places."""
        return Costs(forward_samples=len(losses) * problem.passed(self.samples))

    def __call__(
        self, backend: Backend, lines: Sequence[tuple[Weights, Weights, Floats]]
    ) -> list[Floats]:
        """Returns the objective at the places of each line (left, right, t), (point,) each."""
        backend = backend.to(self.dtype)
        if self.objective is not None:
            backend = backend.on(backend.problem.with_objective(self.objective, self.samples))
        return [
            losses
            for some in few_at_once(lines, backend.problem)
            for losses in self._together(backend, some)
        ]

    def _together(
        self, backend: Backend, lines: Sequence[tuple[Weights, Weights, Floats]]
    ) -> list[Floats]:
        """Returns the objective at the places of some lines, whose beads lie side by side."""
        counts = [len(t) for _, _, t in lines]
        rows = torch.arange(len(lines)).repeat_interleave(torch.tensor(counts))
        left, right = _stacked(backend.problem, [(a, b) for a, b, _ in lines])
        t = torch.from_numpy(np.concatenate([t for _, _, t in lines]))
        losses = backend.interpolated_losses(left, right, rows.to(left.device), t.to(left))
        ends = np.cumsum(counts)[:-1]
        return np.split(losses.double().cpu().numpy(), ends)


@dataclass(frozen=True)
class Climb:
    """The task of a golden-section search for the highest loss between two places of a segment."""

    samples: int
    """Number of samples that the objective is averaged over."""
    dtype: torch.dtype
    chord: tuple[float, float] = (0.0, 0.0)
    """The values at t = 0 and at t = 1 of a straight line that is subtracted from the profile."""

    def size(self, span: tuple[Weights, Weights, float, float]) -> int:
        """Returns the number of samples that are computed for a span."""
        return self.samples * (2 + GOLDEN_STEPS)

    def cost(
        self,
        problem: Problem,
        span: tuple[Weights, Weights, float, float],
        found: tuple[float, float],
    ) -> Costs:
        """Returns what a span has cost: the samples at each place that was looked at."""
        return Costs(forward_samples=(2 + GOLDEN_STEPS) * problem.passed(self.samples))

    def __call__(
        self, backend: Backend, spans: Sequence[tuple[Weights, Weights, float, float]]
    ) -> list[tuple[float, float]]:
        """Returns the highest loss found on each span, less the chord's there, and its t."""
        backend = backend.to(self.dtype)
        return [
            found
            for some in few_at_once(spans, backend.problem)
            for found in self._together(backend, some)
        ]

    def _together(
        self, backend: Backend, spans: Sequence[tuple[Weights, Weights, float, float]]
    ) -> list[tuple[float, float]]:
        """Returns what is found on some spans, whose beads lie side by side."""
        left, right = _stacked(backend.problem, [(a, b) for a, b, _, _ in spans])
        rows = torch.arange(len(spans), device=left.device)
        real: Any = np.float64 if self.dtype is torch.float64 else np.float32
        at_left, at_right = self.chord
        low: Places = np.array([span[2] for span in spans], real)
        high: Places = np.array([span[3] for span in spans], real)

        def loss(t: Places) -> Places:
            losses: Places = (
                backend.interpolated_losses(left, right, rows, torch.from_numpy(t).to(left))
                .cpu()
                .numpy()
            )
            chord: Places = (1 - t) * real(at_left) + t * real(at_right)
            return losses - chord

        a, b = high - GOLDEN * (high - low), low + GOLDEN * (high - low)
        at_a, at_b = loss(a), loss(b)
        for _ in range(GOLDEN_STEPS):
            up = at_b > at_a  # the maximum lies in [a, high], else in [low, b]
            low, high = np.where(up, a, low), np.where(up, high, b)
            new: Places = np.where(up, low + GOLDEN * (high - low), high - GOLDEN * (high - low))
            at_new = loss(new)
            a, b = np.where(up, b, new), np.where(up, new, a)
            at_a, at_b = np.where(up, at_b, at_new), np.where(up, at_new, at_a)
        first = at_a > at_b
        highest, place = np.where(first, at_a, at_b), np.where(first, a, b)
        return list(zip(highest.tolist(), place.tolist(), strict=True))


def few_at_once(items: Sequence[Item], problem: Problem) -> Iterator[Sequence[Item]]:
    """Yields items, between two beads each, in parts whose beads fit side by side."""
    size = max(1, SIDE_BY_SIDE // (2 * problem.parameter_count * problem.dtype.itemsize))
    for start in range(0, len(items), size):
        yield items[start : start + size]


def _stacked(problem: Problem, pairs: Sequence[Pair]) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns the left and the right models, (pair, param) each, in the problem's precision."""
    if len(pairs) == 1:  # as they are: a copy of a large one takes its time
        left, right = (bead[None] for bead in pairs[0])
    else:
        left, right = (torch.stack(side) for side in zip(*pairs, strict=True))
    return left.to(problem.device, problem.dtype), right.to(problem.device, problem.dtype)
