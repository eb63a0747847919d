"""What is judged along segments, the loss at first: γ(t) = F_e((1−t)·left + t·right).

All segments and all points go through the same batched call, of which every worker has a part. A
peak found on the grid is refined by golden-section search in its neighbourhood (§3.1; Kiefer
1953), where it can matter.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from math import gcd
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from engine.backends.backend import Backend
from engine.problem.problem import Problem
from engine.shapes import Points, Weights
from engine.spec.level import LevelOn
from engine.workers.pool import Workers

Pair = tuple[Weights, Weights]
Floats = NDArray[np.float64]

#: How many of a segment's highest local maxima on the grid are refined.
REFINED = 2
#: Each step shrinks a neighbourhood to 0.618 of its width.
GOLDEN_STEPS = 6
GOLDEN = (5**0.5 - 1) / 2
#: Segments for each worker from which on none is cut: they are even enough among the workers.
WHOLE = 4


@dataclass(frozen=True)
class Measured:
    """One segment's profile, in what the problem judges: F_e, or another metric or split."""

    t: Floats
    """(point,)"""
    losses: Floats
    """(point,)"""
    peak: float
    """The highest loss found, between grid points included; not a number where one is."""
    t_star: float
    """Where."""


def search_grid(points: int) -> Floats:
    return np.linspace(0.0, 1.0, points)


def audit_grid(points: int, factor: int) -> Floats:
    """A grid at least `factor` times finer that shares only its ends with the search's grid."""
    intervals = factor * (points - 1) + 1
    while np.gcd(intervals, points - 1) != 1:
        intervals += 1
    return np.linspace(0.0, 1.0, intervals + 1)


def split_point(measured: Measured, rule: Literal["peak", "half"], margin: float) -> float:
    """Where a segment gets its new bead: at its peak, but not within `margin` of an end.

    Half-way where that is the rule, or where the profile is flat or not finite.
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
) -> list[Measured]:
    """The profiles of many segments on t from 0 to 1, peaks refined.

    `samples`: that what is judged is taken over; `known`: what is judged of some beads. Where only
    peaks above a `level` matter, those that the bend of the profile keeps below it are not
    refined, and of a segment that exceeds it only the highest is.
    """
    profiles = along(pool, pairs, t, samples, dtype=dtype, known=known)
    summits = [
        (number, place)
        for number, losses in enumerate(profiles)
        for place in _summits(losses, level)
    ]
    spans = [(*pairs[number], t[place - 1], t[place + 1]) for number, place in summits]
    looks = [[(float(losses.max()), float(t[losses.argmax()]))] for losses in profiles]
    for (number, _), found in zip(summits, pool.run(Climb(samples, dtype), spans), strict=True):
        looks[number].append(found)
    return [
        Measured(t, losses, *_highest(seen)) for losses, seen in zip(profiles, looks, strict=True)
    ]


def along(
    pool: Workers,
    pairs: Sequence[Pair],
    t: Floats,
    samples: int,
    *,
    dtype: torch.dtype = torch.float32,
    known: Mapping[Weights, float] | None = None,
    objective: LevelOn | None = None,
) -> list[Floats]:
    """Returns the objective on t from 0 to 1 of each segment, (point,) each, as in `measure`.

    A bead that is known, or that several segments share, is not computed again. `objective` is
    measured in place of the problem's own, over the first so many samples.
    """
    at = dict(known or {})  # by the identity of their tensors
    beads = [bead for bead in dict.fromkeys(chain.from_iterable(pairs)) if bead not in at]
    parts = np.array_split(t[1:-1], _parts(len(pairs), len(pool.devices)))
    lines = [(bead, bead, t[:1]) for bead in beads]
    lines += [(*pair, part) for pair in pairs for part in parts]
    found = pool.run(Along(samples, dtype, objective), lines)
    at |= {bead: float(values[0]) for bead, values in zip(beads, found, strict=False)}
    inner = found[len(beads) :]
    return [
        np.concatenate([[at[left]], *inner[n * len(parts) : (n + 1) * len(parts)], [at[right]]])
        for n, (left, right) in enumerate(pairs)
    ]


def _highest(seen: list[tuple[float, float]]) -> tuple[float, float]:
    """Of (loss, t), the loss not a number where one is not finite."""
    for loss, t in seen:
        if not np.isfinite(loss):
            return float("nan"), t
    return max(seen, key=lambda look: look[0])


def _parts(segments: int, workers: int) -> int:
    """Of each segment, so that each worker has as much to do."""
    return 1 if segments >= WHOLE * workers else workers // gcd(segments, workers)


def _summits(losses: Floats, level: float | None) -> list[int]:
    """The places of the local maxima on a grid that are to be refined, the highest first.

    Where the profile is a parabola near a maximum of the grid, it rises above that by at most an
    eighth of its second difference; a peak counts as surely below the level where even the whole
    of it does not reach it.
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
    """The objective, the problem's own or another, at places on lines between two beads."""

    samples: int
    dtype: torch.dtype
    objective: LevelOn | None = None

    def size(self, line: tuple[Weights, Weights, Floats]) -> int:
        return self.samples * len(line[2])

    def __call__(
        self, backend: Backend, lines: Sequence[tuple[Weights, Weights, Floats]]
    ) -> list[Floats]:
        backend = backend.to(self.dtype)
        if self.objective is not None:
            backend = backend.with_objective(self.objective, self.samples)
        counts = [len(t) for _, _, t in lines]
        rows = torch.arange(len(lines)).repeat_interleave(torch.tensor(counts))
        left, right = _stacked(backend.problem, [(a, b) for a, b, _ in lines])
        t = torch.from_numpy(np.concatenate([t for _, _, t in lines]))
        losses = backend.interpolated_losses(left, right, rows.to(left.device), t.to(left))
        ends = np.cumsum(counts)[:-1]
        return np.split(losses.double().cpu().numpy(), ends)


@dataclass(frozen=True)
class Climb:
    """Golden-section search for the highest loss between two places of a segment: (loss, t)."""

    samples: int
    dtype: torch.dtype

    def size(self, span: tuple[Weights, Weights, float, float]) -> int:
        return self.samples * (2 + GOLDEN_STEPS)

    def __call__(
        self, backend: Backend, spans: Sequence[tuple[Weights, Weights, float, float]]
    ) -> list[tuple[float, float]]:
        backend = backend.to(self.dtype)
        left, right = _stacked(backend.problem, [(a, b) for a, b, _, _ in spans])
        rows = torch.arange(len(spans), device=left.device)
        low, high = (torch.tensor([span[side] for span in spans]).to(left) for side in (2, 3))

        def loss(t: Points) -> Points:
            return backend.interpolated_losses(left, right, rows, t)

        a, b = high - GOLDEN * (high - low), low + GOLDEN * (high - low)
        at_a, at_b = loss(a), loss(b)
        for _ in range(GOLDEN_STEPS):
            up = at_b > at_a  # the maximum lies in [a, high], else in [low, b]
            low, high = torch.where(up, a, low), torch.where(up, high, b)
            new = torch.where(up, low + GOLDEN * (high - low), high - GOLDEN * (high - low))
            at_new = loss(new)
            a, b = torch.where(up, b, new), torch.where(up, new, a)
            at_a, at_b = torch.where(up, at_b, at_new), torch.where(up, at_new, at_a)
        first = at_a > at_b
        highest, place = torch.where(first, at_a, at_b), torch.where(first, a, b)
        return list(zip(highest.tolist(), place.tolist(), strict=True))


def _stacked(problem: Problem, pairs: Sequence[Pair]) -> tuple[torch.Tensor, torch.Tensor]:
    """(pair, param) each, on the problem's device in its precision."""
    left, right = (torch.stack(side) for side in zip(*pairs, strict=True))
    return left.to(problem.device, problem.dtype), right.to(problem.device, problem.dtype)
