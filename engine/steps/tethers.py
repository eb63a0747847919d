"""Tethers, which tie the rows of a string to each other while they train (§6).

Inner bead i has the neighbours i−1 and i+1 and the chord c_i, the unit vector from one to the
other. A tether adds to the gradients of a step (`pull`), turns the sums (`steer`), takes away from
the step's updates (`project`), and puts the whole string in order after a round (`respace`). It
sees weights, updates and losses of the whole string, resting beads included, and leaves the two
ends alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor
from torch.nn.functional import normalize

from engine.shapes import Beads, PerBead
from engine.steps.pieces import moved, pieces


@runtime_checkable
class Tether(Protocol):
    """A tie between the beads of one string. All tensors are (bead, param) or (bead,)."""

    @property
    def ties(self) -> bool:
        """Whether the beads depend on each other at all. If not, the methods are not called."""

    @property
    def pulls(self) -> bool:
        """Whether it adds to gradients. If not, `pull` is not called."""

    @property
    def steers(self) -> bool:
        """Whether it turns gradients. If not, `steer` is not called."""

    def pull(self, theta: Beads, loss: PerBead) -> Beads:
        """Returns the vectors that are added to the gradients of the losses at `theta`."""

    def steer(self, theta: Beads, grad: Beads, loss: PerBead) -> Beads:
        """Returns the gradients by which the optimizer steps, from those with the pulls."""

    def project(self, theta: Beads, update: Beads, loss: PerBead) -> Beads:
        """Returns the allowed parts of the updates of a step that starts from `theta`."""

    def respace(self, theta: Beads) -> Beads:
        """Returns the weights after a round; those of the ends are unchanged."""


@dataclass(frozen=True)
class Off:
    """The tether that ties nothing: each bead trains alone."""

    @property
    def ties(self) -> bool:
        """False, because beads do not depend on each other."""
        return False

    @property
    def pulls(self) -> bool:
        """False, because nothing is added to gradients."""
        return False

    @property
    def steers(self) -> bool:
        """False, because gradients stay as they are."""
        return False

    def pull(self, theta: Beads, loss: PerBead) -> Beads:
        """Returns zeros."""
        return torch.zeros_like(theta)

    def steer(self, theta: Beads, grad: Beads, loss: PerBead) -> Beads:
        """Returns the gradients as they are."""
        return grad

    def project(self, theta: Beads, update: Beads, loss: PerBead) -> Beads:
        """Returns the updates as they are."""
        return update

    def respace(self, theta: Beads) -> Beads:
        """Returns the weights as they are."""
        return theta


@dataclass(frozen=True)
class Tied(Off):
    """The base of tethers that tie beads, but so far do nothing to them."""

    @property
    def ties(self) -> bool:
        """True, because beads depend on each other."""
        return True


@dataclass(frozen=True)
class Hard(Tied):
    """The tether that keeps each inner bead on the hyperplane equidistant from its neighbours."""

    def project(self, theta: Beads, update: Beads, loss: PerBead) -> Beads:
        """Returns the updates without the part of each inner one along its chord."""
        if len(theta) < 3:
            return update
        chord, inner = _chords(theta), update[1:-1]
        across = inner - (inner * chord).sum(1, keepdim=True) * chord
        return torch.cat([update[:1], across, update[-1:]])

    def respace(self, theta: Beads) -> Beads:
        """Returns the weights after one pass of `spread`."""
        return spread(theta)


@dataclass(frozen=True)
class Soft(Tied):
    """The tether by which leaving the hyperplane costs κ·|⟨θ_i − (θ_{i−1} + θ_{i+1})/2, c_i⟩|."""

    kappa: float
    """The loss per unit of distance from the equidistant hyperplane."""

    @property
    def pulls(self) -> bool:
        """True, because leaving the hyperplane costs something."""
        return True

    def pull(self, theta: Beads, loss: PerBead) -> Beads:
        """Returns the gradient of the cost, with the chords taken as fixed."""
        pull = torch.zeros_like(theta)
        chord = _chords(theta)
        off = ((theta[1:-1] - (theta[:-2] + theta[2:]) / 2) * chord).sum(1, keepdim=True)
        pull[1:-1] = self.kappa * off.sign() * chord
        return pull


@dataclass(frozen=True)
class Springs(Tied):
    """The tether by which each inner bead costs ζ(‖θ_{i−1} − θ_i‖ + ‖θ_{i+1} − θ_i‖)."""

    zeta: float
    """The loss per unit of distance between neighbours."""

    @property
    def pulls(self) -> bool:
        """True, because distance from the neighbours costs something."""
        return True

    def pull(self, theta: Beads, loss: PerBead) -> Beads:
        """Returns the gradient of each inner bead's cost by its own weights θ_i."""
        pull = torch.zeros_like(theta)
        inner, before, after = theta[1:-1], theta[:-2], theta[2:]
        pull[1:-1] = self.zeta * (normalize(inner - before) + normalize(inner - after))
        return pull


@dataclass(frozen=True)
class Several(Tied):
    """A list of tethers as one: pulls add up, projections and respacings follow each other."""

    parts: tuple[Tether, ...]
    """The tethers, in the order in which they are applied."""

    @property
    def pulls(self) -> bool:
        """Whether one of the parts adds to gradients."""
        return any(part.pulls for part in self.parts)

    @property
    def steers(self) -> bool:
        """Whether one of the parts turns gradients."""
        return any(part.steers for part in self.parts)

    def pull(self, theta: Beads, loss: PerBead) -> Beads:
        """Returns the sum of the parts' pulls."""
        pull = torch.zeros_like(theta)
        for part in self.parts:
            pull += part.pull(theta, loss)
        return pull

    def steer(self, theta: Beads, grad: Beads, loss: PerBead) -> Beads:
        """Returns the gradients after the turns of all parts."""
        for part in self.parts:
            grad = part.steer(theta, grad, loss)
        return grad

    def project(self, theta: Beads, update: Beads, loss: PerBead) -> Beads:
        """Returns the updates after the projections of all parts."""
        for part in self.parts:
            update = part.project(theta, update, loss)
        return update

    def respace(self, theta: Beads) -> Beads:
        """Returns the weights after the respacings of all parts."""
        for part in self.parts:
            theta = part.respace(theta)
        return theta


def _chords(theta: Beads) -> Beads:
    """Returns c_i of each inner bead."""
    chord: Beads = normalize(theta[2:] - theta[:-2])
    return chord


# ---------------------------------------------------------------- even spacing

#: A string is evenly spaced when its segments' lengths differ by no more than this share.
EVEN = 1e-6
#: The number of passes of spacing after which a string is left as it is, and of those in a row that
#: made it no more even: weights of large networks may be rounded too coarsely for EVEN.
SPACING_PASSES, IN_VAIN = 200, 5


def spread(theta: Beads) -> Beads:
    """Returns a string after one pass towards even spacing.

    Each inner bead moves along the polyline to the place where its share of the arc length ends
    (E, Ren & Vanden-Eijnden 2007, the string method's reparametrization). At a fixed point each
    bead lies in the hyperplane equidistant from its neighbours. A string with a length that is zero
    or not finite stays as it is.
    """
    if len(theta) < 3:
        return theta
    arc = torch.zeros(len(theta), dtype=torch.float64, device=theta.device)
    arc[1:] = _lengths(theta).cumsum(0)
    last = len(arc) - 1
    places = torch.arange(1, last, dtype=arc.dtype, device=arc.device) * (arc[-1] / last)
    left = (torch.searchsorted(arc, places, right=True) - 1).clamp(0, last - 1)
    gap = arc[left + 1] - arc[left]
    share = torch.where(gap > 0, ((places - arc[left]) / gap).clamp(0, 1), 0.0)
    sound = arc[-1].isfinite() & (arc[-1] > 0)
    found = theta.clone()
    for rows in pieces(theta, 1, len(theta) - 1):
        own = moved(rows, -1)  # of the inner beads, which `left` and `share` are of
        before, after = theta[left[own]].double(), theta[left[own] + 1].double()
        inner = torch.lerp(before, after, share[own, None]).to(theta.dtype)
        found[rows] = torch.where(sound, inner, theta[rows])
    return found


def evenly_spaced(theta: Beads) -> Beads:
    """Returns a string spread until its segments are equally long up to EVEN.

    After SPACING_PASSES passes, or IN_VAIN ones that bring nothing, it is the most even one so far.
    """
    found, least, in_vain = theta, unevenness(theta), 0
    for _ in range(SPACING_PASSES):
        if least <= EVEN or in_vain == IN_VAIN:
            break
        theta = spread(theta)
        uneven = unevenness(theta)
        in_vain = 0 if uneven < least else in_vain + 1
        if not in_vain:
            found, least = theta, uneven
    return found


def unevenness(theta: Tensor) -> float:
    """Returns the largest difference of a segment's length from their mean, as a share of it."""
    lengths = _lengths(theta)
    mean = lengths.mean()
    return float((lengths - mean).abs().max() / mean) if mean > 0 else 0.0


def _lengths(theta: Beads) -> Tensor:
    """Returns the length of each segment in float64, (segment,)."""
    segments = [
        (theta[moved(rows, 1)].double() - theta[rows].double()).norm(dim=1)
        for rows in pieces(theta, 0, len(theta) - 1)
    ]
    return torch.cat(segments)
