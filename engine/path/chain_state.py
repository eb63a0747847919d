"""What a checkpoint holds of a chain: frozen values, checked where they are made."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from engine.path.chain import Chain, home_of
from engine.path.snapshot import Peak, Segment, Snapshot
from engine.problem.problem import Problem
from engine.record.events import FIRST, LAST
from engine.record.marks import Count, Depth
from engine.record.unfit import Unfit
from engine.shapes import Weights


@dataclass(frozen=True)
class Bead:
    """A bead at rest, as a checkpoint holds it: its weights are changed by nobody.

    A bead that moves gets another tensor, so whoever knows the tensor knows what it holds.
    """

    bead: Count
    """The id of the bead."""
    weights: Weights
    """(param,)"""


@dataclass(frozen=True)
class StringState:
    """A string as a checkpoint holds it. Raises ValueError where its parts contradict each other.

    Beads are ordered from end to end; of the segments between them some may be missing.
    """

    beads: tuple[Bead, ...]
    depths: tuple[Depth, ...]
    """(bead,) Their depths."""
    segments: tuple[Segment, ...]
    """The segments that have a profile."""

    def __post_init__(self) -> None:
        """Raises ValueError where the parts contradict each other."""
        if len(self.beads) != len(self.depths):
            raise ValueError(f"there are {len(self.beads)} beads, but depths of {len(self.depths)}")
        if len({(each.weights.shape, each.weights.dtype) for each in self.beads}) > 1:
            raise ValueError("beads do not all have as many weights, of one type")
        if (self.order[:1], self.order[-1:]) != ((FIRST,), (LAST,)):
            raise ValueError(f"beads do not lead from bead {FIRST} to bead {LAST}")
        if len(set(self.order)) < len(self.order):
            raise ValueError("beads name a bead twice")
        keys = [segment.key for segment in self.segments]
        if len(set(keys)) < len(keys) or not set(keys) <= set(pairwise(self.order)):
            raise ValueError("segments are not those between neighbouring beads")
        for segment in self.segments:
            _check_profile(segment)

    @property
    def order(self) -> tuple[int, ...]:
        """Ids of the beads."""
        return tuple(each.bead for each in self.beads)

    @property
    def whole(self) -> bool:
        """Whether every segment has a profile."""
        return len(self.segments) == len(self.order) - 1

    @classmethod
    def of(cls, string: Snapshot) -> StringState:
        """Returns a string as a checkpoint holds it."""
        return cls(
            tuple(Bead(bead, string.weights[bead]) for bead in string.order),
            tuple(string.depths[bead] for bead in string.order),
            tuple(string.segments.values()),
        )

    def restored(self, problem: Problem) -> Snapshot:
        """Returns the string with its weights where those of the problem's beads at rest lie.

        Raises Unfit where its beads are not weights of that problem.
        """
        first = self.beads[0].weights
        wanted, found = problem.parameter_count, len(first)
        if found != wanted or first.dtype != problem.dtype:
            raise Unfit(
                f"its beads are {found} numbers of {first.dtype}, but the problem has "
                f"{wanted} of {problem.dtype}"
            )
        return Snapshot(
            self.order,
            {each.bead: each.weights.to(home_of(problem)) for each in self.beads},
            dict(zip(self.order, self.depths, strict=True)),
            {segment.key: segment for segment in self.segments},
        )


def _check_profile(segment: Segment) -> None:
    """Raises ValueError where the arrays of a segment do not belong together."""
    t, losses = segment.measured.t, segment.measured.losses
    if not t.ndim == losses.ndim == 1 or not len(t) == len(losses) >= 2:
        raise ValueError(f"the profile of segment {segment.key} has the wrong shape")
    if (t[0], t[-1]) != (0, 1) or not (np.diff(t) > 0).all():
        raise ValueError(f"the grid of segment {segment.key} does not rise from 0 to 1")


@dataclass(frozen=True)
class ChainState:
    """All that a checkpoint holds of a chain. Raises ValueError where its parts contradict."""

    next_bead: Count
    """The id of the next new bead."""
    now: StringState
    stale: tuple[tuple[Count, Count], ...]
    """Keys of the segments whose beads have moved since they were measured, in ascending order."""
    known: dict[Count, float]
    """The objective at beads, by their ids, where it was measured with their present weights."""
    trace: tuple[Peak, ...]
    """The highest point of the string as it changed."""
    lowest: StringState | None = None
    """The measured string with the lowest peak so far."""

    def __post_init__(self) -> None:
        """Raises ValueError where the parts contradict each other."""
        if not set(self.stale) <= {segment.key for segment in self.now.segments}:
            raise ValueError("stale names a segment that does not exist")
        if not self.known.keys() <= set(self.now.order):
            raise ValueError("known names a bead that does not exist")
        if self.lowest is None:
            ids = self.now.order
        elif not self.lowest.whole:
            raise ValueError("lowest has a segment that is not measured")
        elif not self.trace:
            raise ValueError("trace is empty, but there is a lowest string")
        else:
            ids = self.now.order + self.lowest.order
        if max(ids) >= self.next_bead:
            raise ValueError(f"next_bead is {self.next_bead}, but there is a bead {max(ids)}")


def state_of(chain: Chain) -> ChainState:
    """Returns all that a checkpoint holds of a chain."""
    now = Snapshot(tuple(chain.order), chain.weights, chain.depths, chain.segments)
    return ChainState(
        next_bead=chain.next_bead,
        now=StringState.of(now),
        stale=tuple(sorted(chain.stale)),
        known=dict(chain.known),
        trace=tuple(chain.trace),
        lowest=None if chain.lowest is None else StringState.of(chain.lowest),
    )


def resume(chain: Chain, state: ChainState) -> None:
    """Lets a chain go on from a state.

    Raises Unfit where the state's weights are not those of the chain's problem.
    """
    now = state.now.restored(chain.problem)
    lowest = None if state.lowest is None else state.lowest.restored(chain.problem)
    chain.next_bead = state.next_bead
    chain.take(now)
    chain.stale, chain.known = set(state.stale), dict(state.known)
    chain.trace, chain.lowest = list(state.trace), lowest
