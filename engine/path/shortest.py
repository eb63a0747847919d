"""The shortest string near a given one along which a model of the loss stays below a bound.

The model knows the loss at places along the string, its slope in every segment, and one curvature a
segment: where the string is moved at a place by s, the loss there becomes loss + slope·s +
½·curvature·|s|². A string whose length is least under these bounds is one convex problem, and its
solution moves every bead by a sum of the segments' own vectors and slopes. So all that is needed
are the products of these vectors, whatever the number of weights.

Where the loss turns out higher than the model said, the curvature was too small, and the problem
is solved again with a larger one. Bounds that are corrected so until they hold are those of
conservative convex separable approximations (Svanberg 2002, SIAM J. Optim. 12, 555). The length
itself is bounded by a parabola for each segment, |d| ≤ |d|²/(2l) + l/2, which touches it at the
present length l.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.path.segments import Floats, Measured
from engine.shapes import Weights

#: The share of the bound to which the problem is solved, and the most steps of Newton's method.
EXACT, MOST_STEPS = 1e-6, 200
#: The damping of these steps, at least and at most.
DAMPING = (1e-9, 1e9)
#: Numbers of each vector that are taken in float64 at a time.
CHUNK = 2**18
#: The largest multiplier of a bound, in units of a segment's length over the loss that it changes.
MOST = 1e6
#: The factors by which a curvature is taken larger than it was seen: after a step that was good,
#: and after one that went too far.
LARGER, RAISED = 1.1, 1.2
#: The factors by which a curvature rises after a step that went too far, at least and at most.
RISE = (1.5, 10.0)
#: The factors by which a curvature changes after a step that was good, at least and at most.
DRIFT = (0.1, 4.0)
#: Curvatures stay within these multiples of the mean slope divided by the mean length.
RANGE = (1e-3, 1e3)
#: The share of a segment's length within which its slope is thought to change as much as it is
#: large. It gives the first guess of a curvature.
FIRST_TURN = 0.1
#: The share of a segment's length below which a move is too small to tell a curvature.
STILL = 5e-3


@dataclass(frozen=True)
class Places:
    """The loss at places along a string, and what each place depends on."""

    losses: Floats
    """(place,)"""
    shares: Floats
    """(place, inner bead) The part of each bead's move by which the string moves at the place."""
    mixes: Floats
    """(place, segment) The parts of the segments' slopes and curvatures that hold there: those of
    its own segment, at a bead the means of both."""


def places_of(profiles: Sequence[Measured], t: Floats) -> Places:
    """Returns the losses of a string at places t of each segment, and at its inner beads.

    `profiles` are those of its segments from end to end, which may be measured at other places too.
    Where a profile's peak is higher than what is known at these places, the difference is added
    at all places of its segment.
    """
    segments, inner = len(profiles), t[1:-1]
    own = np.eye(segments)
    left, right = np.eye(segments, segments - 1, -1), np.eye(segments, segments - 1)
    along = np.array([np.interp(t, each.t, each.losses) for each in profiles])
    excess = np.array([each.peak for each in profiles]) - along.max(axis=1)
    along = along + np.maximum(0, excess)[:, None]
    at_beads = np.maximum(along[:-1, -1], along[1:, 0])
    shares = (1 - inner[:, None]) * left[:, None] + inner[:, None] * right[:, None]
    return Places(
        np.concatenate([along[:, 1:-1].ravel(), at_beads]),
        np.concatenate([shares.reshape(-1, segments - 1), np.eye(segments - 1)]),
        np.concatenate([own.repeat(len(inner), axis=0), (own[:-1] + own[1:]) / 2]),
    )


@dataclass(frozen=True)
class Step:
    """A move of all inner beads at once."""

    ways: Floats
    """(inner bead, vector) How each bead moves: by this multiple of each segment's vector, and then
    of each segment's slope."""
    slopes: Floats
    """(place,) By how much the loss changes at each place by the slopes alone."""
    squares: Floats
    """(place,) The square of the distance by which the string moves at each place."""


def products_of(beads: Sequence[Weights], slopes: Sequence[Weights]) -> Floats:
    """Returns the products (vector, vector) of a string's segments, and then of their slopes.

    `beads` are weights (param,) from end to end, `slopes` gradients (param,), one a segment.
    """
    found = sum((part @ part.T for _, part in _in_parts(beads, slopes)), torch.zeros(()))
    return np.asarray(found.cpu())


def moved(beads: Sequence[Weights], slopes: Sequence[Weights], step: Step) -> list[Weights]:
    """Returns the inner beads (param,) of a string after a step; the string stays as it is."""
    after = [torch.empty_like(bead) for bead in beads[1:-1]]
    ways = torch.from_numpy(step.ways).to(beads[0].device)
    for part, vectors in _in_parts(beads, slopes):
        for bead, new, way in zip(beads[1:-1], after, ways @ vectors, strict=True):
            new[part] = bead[part] + way
    return after


def _in_parts(
    beads: Sequence[Weights], slopes: Sequence[Weights]
) -> Iterator[tuple[slice, Tensor]]:
    """Yields parts of the vectors and these parts of the segments and slopes, (vector, part)."""
    for start in range(0, len(beads[0]), CHUNK):
        part = slice(start, start + CHUNK)
        at = torch.stack([bead[part] for bead in beads]).double()
        yield part, torch.cat([at.diff(dim=0), torch.stack([s[part] for s in slopes]).double()])


@dataclass(frozen=True)
class _Dual:
    """What is best for some multipliers of the bounds."""

    step: Step
    value: float
    """The dual function: a bound from below of the change of the length."""
    over: Floats
    """(place,) By how much the model exceeds the bound there, which is the function's gradient."""
    stiffness: Floats
    """(inner bead, inner bead) The second derivatives of the length and of the bounds together."""


class Shortest:
    """Finds the step from a string to the shortest one that the model allows.

    `step` returns it, and `learn` corrects the curvatures by the losses that were found there, so
    that another step can be tried.
    """

    def __init__(self, products: Floats, places: Places, curvatures: Floats | None = None) -> None:
        """Takes a string's products (see `products_of`), its losses, and known curvatures.

        `curvatures` (segment,) are in units of the loss over squared distance; with None they are
        guessed from the slopes.
        """
        self._products, self._places = products, places
        count = len(products) // 2
        squares = products.diagonal()
        lengths, slopes = np.sqrt(squares[:count]), np.sqrt(squares[count:])
        self._lengths = np.maximum(lengths, 1e-6 * lengths.mean() + 1e-30)
        scale = self._lengths.mean()
        self._unit = max(float(slopes.mean()) / scale, float(places.losses.max()) / scale**2, 1e-30)
        self._most = MOST / (self._unit * float(scale))
        self._multipliers = np.zeros(len(places.losses))
        guess = slopes / (FIRST_TURN * self._lengths)
        self.curvatures = self._within(guess if curvatures is None else curvatures)
        """(segment,) The curvatures as they are known now."""

    def _within(self, curvatures: Floats) -> Floats:
        return np.clip(curvatures, RANGE[0] * self._unit, RANGE[1] * self._unit)

    def step(self, bound: float) -> Step:
        """Returns the move to the shortest string whose losses the model puts at `bound` at most.

        Where there is none, the losses come as near to that as the model allows.

        The multipliers of the bounds maximize a concave function. They follow Newton's direction,
        projected to what is not negative (Bertsekas 1982, SIAM J. Control Optim. 20, 221) and
        damped (Levenberg 1944), the more where it leads to no better ones.
        """
        best, damping = self._best(self._multipliers, bound), DAMPING[0]
        for _ in range(MOST_STEPS):
            free = (self._multipliers > 0) | (best.over > 0)
            felt = np.where(self._multipliers > 0, np.abs(best.over), best.over)
            if felt.max() <= EXACT * bound or damping > DAMPING[1]:
                break
            multipliers = self._after(best, free, damping)
            found = self._best(multipliers, bound)
            gain = (multipliers - self._multipliers) @ best.over
            if found.value >= best.value + 1e-4 * gain and gain > 0:
                self._multipliers, best = multipliers, found
                damping = max(damping / 10, DAMPING[0])
            else:
                damping *= 10
        return best.step

    def _after(self, best: _Dual, free: NDArray[np.bool_], damping: float) -> Floats:
        """Returns the multipliers (place,) after a step of those that are free to move."""
        bent = self._bent(best)[np.ix_(free, free)]
        bent[np.diag_indices_from(bent)] += damping * bent.diagonal().mean() + 1e-300
        multipliers = self._multipliers.copy()
        multipliers[free] += np.linalg.solve(bent, best.over[free])
        clipped: Floats = np.clip(multipliers, 0, self._most)
        return clipped

    def _bent(self, best: _Dual) -> Floats:
        """Returns minus the second derivatives (place, place) of the dual function."""
        shares, mixes = self._places.shares, self._places.mixes
        bends = mixes @ self.curvatures
        slopes = bends[:, None] * (shares @ best.step.ways)
        slopes[:, len(self._lengths) :] += mixes
        made: Floats = (shares @ np.linalg.solve(best.stiffness, shares.T)) * (
            slopes @ self._products @ slopes.T
        )
        return made

    @cached_property
    def _stiffness(self) -> Floats:
        """The second derivatives of the bounded length by the beads' moves."""
        near = 1 / self._lengths
        between = -near[1:-1]
        made: Floats = np.diag(near[:-1] + near[1:]) + np.diag(between, 1) + np.diag(between, -1)
        return made

    @cached_property
    def _pull(self) -> Floats:
        """The derivative of the length by each bead as multiples of the segments' vectors."""
        near, beads = 1 / self._lengths, len(self._lengths) - 1
        made: Floats = np.eye(beads, beads + 1) * near[:-1, None]
        made -= np.eye(beads, beads + 1, 1) * near[1:, None]
        return made

    def _best(self, multipliers: Floats, bound: float) -> _Dual:
        """Returns the move that is best for multipliers (place,) of the bounds."""
        shares, mixes, count = self._places.shares, self._places.mixes, len(self._lengths)
        bends = mixes @ self.curvatures
        stiffness: Any = self._stiffness + (shares.T * (multipliers * bends)) @ shares
        force = np.hstack([self._pull, (shares.T * multipliers) @ mixes])
        ways: Floats = -np.linalg.solve(stiffness, force)
        onto = ways @ self._products
        along = shares @ onto
        slopes = (along[:, count:] * mixes).sum(axis=1)
        squares: Floats = np.maximum((along * (shares @ ways)).sum(axis=1), 0)
        over = self._places.losses + slopes + bends * squares / 2 - bound
        length = (onto[:, :count] * self._pull).sum() + (self._stiffness @ onto * ways).sum() / 2
        return _Dual(
            Step(ways, slopes, squares), float(length + multipliers @ over), over, stiffness
        )

    def learn(self, step: Step, losses: Floats, high: NDArray[np.bool_]) -> None:
        """Corrects the curvatures by the losses (place,) that were found after a step.

        `high` (segment,) are the segments for which the step was too far. Where there is none, the
        step was good, and curvatures may become smaller too.
        """
        still = (STILL * self._lengths.mean()) ** 2
        rise = losses - self._places.losses - step.slopes
        seen = np.nan_to_num(2 * rise / np.maximum(step.squares, still), nan=np.inf)
        theirs = np.where(self._places.mixes.T > 0, seen, -np.inf).max(axis=1)
        now = self.curvatures
        if high.any():
            raised = np.clip(RAISED * theirs, RISE[0] * now, RISE[1] * now)
            others = np.clip(theirs, now, DRIFT[1] * now)
            self.curvatures = self._within(np.where(high, raised, others))
        else:
            self.curvatures = self._within(np.clip(LARGER * theirs, *(f * now for f in DRIFT)))
