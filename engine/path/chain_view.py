"""What viewers see of a chain."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from engine.path.chain import Chain
from engine.path.segments import Floats, Measured, Pair, along, search_grid
from engine.path.snapshot import Key, MethodProgress, Segment
from engine.record.progress import SegmentProgress, TrainingProgress

#: Number of values of t at which the secondary metric is measured along a segment.
SECONDARY_POINTS = 17
#: The multiplications up to which several segments are measured for one look of viewers.
SECONDARY_PRODUCTS = 2 * 10**10
#: The secondary metric along a segment where it is not measured yet.
NOTHING: Floats = np.array([])


@dataclass(frozen=True)
class Work:
    """What is done with a chain, as the stage at work knows it."""

    phase: str
    """What the method is doing, for a person, such as "search" or "audit"."""
    aim: float
    """The level that beads are brought below now; the run's own level at the end."""
    bead_steps: int
    """Optimizer steps of all beads together."""
    training: tuple[TrainingProgress, ...] = ()
    """The beads in training."""
    losses: Mapping[int, float] = field(default_factory=dict)
    """The objective at beads, by id, that have moved since their segments were measured."""


class ChainView:
    """A chain as viewers see it. It only looks at the chain, and keeps what was dear to compute."""

    def __init__(self, chain: Chain) -> None:
        """Makes the view of a chain of which nothing was seen yet."""
        self._chain = chain
        self._secondary: dict[Pair, Floats] = {}
        """The secondary metric along segments as it was seen last, by their beads' weights."""

    def profiles(self, audited: Mapping[Key, Measured]) -> dict[Key, Measured]:
        """Returns the profiles of the segments that have one, by key, from end to end.

        They are those of an audit where it has one of every segment, else those of the search.
        """
        segments = self._chain.in_order()
        if all(segment.key in audited for segment in segments):
            return {segment.key: audited[segment.key] for segment in segments}
        return {segment.key: segment.measured.on(self._chain.grid) for segment in segments}

    def progress(self, work: Work, audited: Mapping[Key, Measured]) -> MethodProgress:
        """Returns where a method stands; `audited` are the profiles of an audit under way."""
        chain = self._chain
        segments, shape = chain.in_order(), chain.shape()
        profiles = list(self.profiles(audited).values())
        known: dict[int, float] = {}
        for segment, profile in zip(segments, profiles, strict=True):
            known[segment.left] = float(profile.losses[0])
            known[segment.right] = float(profile.losses[-1])
        known.update(work.losses)
        depths = list(chain.depths.values())
        order = tuple(chain.order) if len(segments) == len(chain.keys) else ()
        return MethodProgress(
            phase=work.phase,
            aim=work.aim,
            beads=len(chain.order),
            order=order,
            losses=tuple(known.get(bead, float("nan")) for bead in order),
            training=work.training,
            segments=tuple(map(_seen, segments, profiles)),
            beads_per_depth=tuple(depths.count(d) for d in range(max(depths, default=-1) + 1)),
            bead_steps=work.bead_steps,
            normalized_length=shape.normalized_length,
            normalized_length_weights=shape.normalized_length_weights,
            turn_mean=shape.turn_mean,
            turn_max=shape.turn_max,
            max_peak=float(max((p.peak for p in profiles), default=float("nan"))),
            level=chain.level,
            costs=chain.pool.costs,
        )

    def secondary(self) -> list[Floats]:
        """Returns the secondary metric (point,) along the segments that have a profile.

        It is for viewers alone, and so is measured when they look, with the present weights. The
        points are an even grid of t. Of large networks, some segments are measured at a time; those
        that are not measured yet have no points.
        """
        chain = self._chain
        keys = [segment.key for segment in chain.in_order()]
        pairs = [(chain.weights[left], chain.weights[right]) for left, right in keys]
        products = SECONDARY_POINTS * chain.problem.secondary_samples * chain.problem.cost.products
        some = max(1, SECONDARY_PRODUCTS // max(1, products))
        new = [pair for pair in pairs if pair not in self._secondary][:some]
        found = along(
            chain.pool.unmetered,
            new,
            search_grid(SECONDARY_POINTS),
            chain.problem.secondary_samples,
            objective=chain.problem.secondary,
        )
        known = self._secondary | dict(zip(new, found, strict=True))
        self._secondary = {pair: known[pair] for pair in pairs if pair in known}
        return [known.get(pair, NOTHING) for pair in pairs]


def _seen(segment: Segment, measured: Measured) -> SegmentProgress:
    """Returns a segment as viewers see it, with a profile of the audit or of the search."""
    return SegmentProgress(
        segment.left,
        segment.right,
        segment.depth,
        segment.state,
        segment.length,
        measured.peak,
        measured.t_star,
        tuple(measured.losses.tolist()),
        (),
        segment.bead if segment.state == "training" else None,
        segment.proof.bound if segment.proof is not None and segment.proof.proven else None,
    )
