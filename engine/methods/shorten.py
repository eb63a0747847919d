"""The stage that pulls a connected string tight below its level.

First every bead goes whose neighbours connect directly; then each bead moves towards the chord
of its neighbours as far as both of its segments stay below the level, straight, or sliding along
the level where the straight way would climb. Beads are added half-way between, which changes
nothing, so that the string can bend where the level makes it. What is left is an upper bound of
the length of the shortest path below the level: the geodesic.

A segment that a proof or the audit finds above the level gets a bead of its own, a little downhill
from there, and the rest of the string stays. Only where that does not help is the string as it was
taken again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch

from engine.backends.backend import Backend
from engine.methods.base import StageState, Verdict
from engine.methods.stage import ChainStage
from engine.path.chain import Chain
from engine.path.chain_state import StringState
from engine.path.pruning import prune
from engine.path.segments import Measured, Pair
from engine.path.snapshot import Key, Segment, Snapshot
from engine.problem.problem import Problem
from engine.record.costs import Costs
from engine.record.events import Event, StringShortened
from engine.record.marks import Count
from engine.record.unfit import Unfit
from engine.shapes import Weights
from engine.spec.keys import Spec

#: Shares of the way to the chord that are tried.
SHARES = (1.0, 0.5, 0.25, 0.1)
#: Shares of the level by which segments must stay below it, because a proof or the audit sees more:
#: the next one each time that a shortened string is refused.
MARGINS = (1e-3, 1e-2, 5e-2)
#: Multiples of the step down to the level that are tried where a segment was refused.
DOWNHILL = (1.0, 2.0, 4.0, 8.0)


def _both(held: Iterable[bool]) -> list[bool]:
    """Returns for each two values whether both are true."""
    each = list(held)
    return [left and right for left, right in zip(each[::2], each[1::2], strict=True)]


@dataclass(frozen=True)
class Gradient:
    """A task for the pool: F_e and its gradient at beads."""

    samples: int
    """Number of samples that a gradient costs, passes forward and back counted alike."""

    def size(self, bead: Weights) -> int:
        """Returns the number of samples that a bead (param,) is computed on."""
        return self.samples

    def cost(self, problem: Problem, bead: Weights, found: tuple[float, Weights]) -> Costs:
        """Returns what a bead has cost: a gradient on all training samples."""
        return Costs(sample_gradients=len(problem.train))

    def __call__(self, backend: Backend, beads: Sequence[Weights]) -> list[tuple[float, Weights]]:
        """Returns the loss and its gradient (param,) at each bead."""
        theta = torch.stack([bead.to(backend.problem.device) for bead in beads])
        losses, gradients = backend.loss_and_grad(theta)
        return list(zip(losses.tolist(), gradients, strict=True))


@dataclass(frozen=True)
class ShorteningState(StageState):
    """All that a checkpoint holds of shortening beside the chain.

    Raises ValueError where its parts contradict each other.
    """

    before: StringState | None
    margins: Count
    sweep: Count
    doublings: Count
    length: float
    finished: bool
    applied: bool
    kind: Literal["shorten"] = "shorten"

    def __post_init__(self) -> None:
        """Raises ValueError where the parts contradict each other."""
        if self.before is not None and not self.before.whole:
            raise ValueError("before has a segment that is not measured")
        if self.applied and (self.before is None or not self.finished):
            raise ValueError("applied is true, but nothing was shortened")


class Shortening(ChainStage):
    """The stage that shortens a connected string; it does nothing to one that is not connected."""

    name = "shorten"
    verdict: Verdict | None = None
    bead_steps = 0

    def __init__(self, spec: Spec, chain: Chain) -> None:
        """Makes the stage, which has no string to shorten before it begins."""
        self.spec, self.chain, self.settings = spec, chain, spec.search.shortening
        self.before: Snapshot | None = None
        """The connected string that it began with; None where there is none."""
        self.margins = 0
        """Number of times that the shortened string was refused, at most that of `MARGINS`."""
        self.sweep = 0
        """Number of sweeps made with the present margin."""
        self.doublings = 0
        """Number of times that every segment got a bead half-way."""
        self.length = float("inf")
        """The string's normalized length after the last sweep."""
        self.finished = False
        """Whether the string becomes no shorter."""
        self.applied = False
        """Whether the chain is the shortened string."""

    @property
    def repairs(self) -> bool:
        """Whether the string as it was can be taken again."""
        return self.applied

    # ------------------------------------------------------------ the steps

    def begin(self) -> None:
        """Takes note of the string, where it is connected."""
        connected = all(segment.state == "closed" for segment in self.chain.in_order())
        self.before = self.chain.snapshot() if connected else None
        self.applied = False
        self._start()

    def _start(self) -> None:
        self.finished = self.before is None or self.margins >= len(MARGINS)
        self.sweep, self.doublings, self.length = 0, 0, float("inf")

    def step(self, beads_left: int | None) -> list[Event]:
        """Makes one sweep over all inner beads, or mends a shortened string that was refused."""
        if self.applied:
            self.margins += 1
            return self._mend(beads_left) or self._undo()
        if not self.sweep:
            self._prune()
        self._pull(0)
        self._pull(1)
        self.sweep += 1
        before, self.length = self.length, self.chain.shape().normalized_length
        slow = self.length > before * (1 - self.settings.gain)
        if self.sweep >= self.settings.sweeps or (slow and not self._refine(beads_left)):
            self.finished = self.applied = True
            self._prune()
            return self._tell()
        return []

    def _undo(self) -> list[Event]:
        """Begins again with a wider margin, where the shortened string cannot be mended."""
        assert self.before is not None
        self.chain.take(self.before)
        self.applied = False
        self._start()
        return self._tell() if self.finished else []

    def _tell(self) -> list[Event]:
        return [self._report(), *self.chain.measure(self.chain.keys)]

    def _report(self) -> Event:
        assert self.before is not None
        before, now = self.before, self.chain.snapshot()
        return StringShortened(
            before.normalized_length, now.normalized_length, len(before.order), len(now.order)
        )

    # ------------------------------------------------------------ a segment that was refused

    def _mend(self, beads_left: int | None) -> list[Event]:
        """Puts a bead into each open segment, downhill from its peak, and returns the events.

        There are none, and the chain stays as it is, where one of them cannot be mended so.
        """
        opened = [segment for segment in self.chain.in_order() if segment.state == "open"]
        room = beads_left is None or len(opened) <= beads_left
        if self.margins >= len(MARGINS) or not room:
            return []
        beads = [theta for theta in map(self._downhill, opened) if theta is not None]
        if len(beads) < len(opened):
            return []
        for segment, theta in zip(opened, beads, strict=True):
            self.chain.place(self.chain.new_bead(), theta, segment.key)
        events = self.chain.measure(self.chain.unmeasured)
        return [self._report(), *events]

    def _downhill(self, segment: Segment) -> Weights | None:
        """Returns weights (param,) near a segment's peak by way of which both halves stay below.

        The loss there is to be lower by the present margin, to first order. Returns None where no
        multiple of that step leads there.
        """
        left, right = (self.weights[bead] for bead in segment.key)
        peak = torch.lerp(left, right, segment.measured.t_star)
        (found,) = self.chain.pool.run(Gradient(3 * len(self.chain.problem.train)), [peak])
        loss, gradient = found[0], found[1].to(peak)
        margin = MARGINS[self.margins] * self.chain.bound
        drop = max(loss - self.chain.bound + margin, margin)
        down = gradient * (drop / (gradient @ gradient).clamp(min=1e-30))
        tried = [peak - multiple * down for multiple in DOWNHILL]
        pairs = [pair for theta in tried for pair in ((left, theta), (theta, right))]
        limit = (1 - MARGINS[0]) * self.chain.bound
        halves = self.chain.profiles_of(pairs, limit)
        for number, theta in enumerate(tried):
            if max(half.peak for half in halves[2 * number : 2 * number + 2]) <= limit:
                return theta
        return None

    def _prune(self) -> None:
        prune(self.chain, self._bound, self.spec.search.min_inner_beads)

    # ------------------------------------------------------------ a tighter string

    def _pull(self, parity: int) -> None:
        """Moves every other inner bead towards the chord of its neighbours.

        Each goes to the place nearest to a straight line at which both of its segments hold. Places
        are tried in that order, so that none behind the first that holds is measured.
        """
        left = self._places(self._inner(parity))
        found: dict[Key, Measured] = {}
        while left := {bead: places for bead, places in left.items() if places}:
            tried = [(bead, places.pop(0)) for bead, places in left.items()]
            for (bead, theta), halves in zip(tried, self._held(tried), strict=True):
                if halves is not None:
                    before, after = self.chain.neighbours(bead)
                    found |= zip([(before, bead), (bead, after)], halves, strict=True)
                    self.chain.move({bead: theta})
                    del left[bead]
        self.chain.enter(found)

    def _places(self, beads: list[int]) -> dict[int, list[Weights]]:
        """Returns the weights (param,) that each bead may be moved to, the shortest string first.

        All of them make the string shorter.
        """
        found = {}
        for bead, ways in self._ways(beads).items() if beads else ():
            here = self.weights[bead]
            lengths = [
                (self._length_at(bead, here + share * way), here + share * way)
                for share in SHARES
                for way in ways
            ]
            now = self._length_at(bead, here)
            ahead = [each for each in lengths if each[0] < now]
            found[bead] = [theta for _, theta in sorted(ahead, key=lambda each: each[0])]
        return found

    def _held(self, moved: Sequence[tuple[int, Weights]]) -> list[list[Measured] | None]:
        """Returns both segments of a bead as measured for each new place, None where one is high.

        `moved` are beads with the weights (param,) that each may be moved to. Most that do not hold
        are told by few points, after which the others are measured on all.
        """
        pairs: list[Pair] = []
        for bead, theta in moved:
            left, right = (self.weights[end] for end in self.chain.neighbours(bead))
            pairs += [(left, theta), (theta, right)]
        low = _both(peak <= self._bound for peak in self.chain.seen_of(pairs))
        some = [pair for number, pair in enumerate(pairs) if low[number // 2]]
        measured = self.chain.profiles_of(some, self._bound)
        rest = iter(zip(measured[::2], measured[1::2], strict=True))
        halves = [list(next(rest)) if holds else [] for holds in low]
        hold = [both and all(half.peak <= self._bound for half in both) for both in halves]
        return [both if holds else None for both, holds in zip(halves, hold, strict=True)]

    def _ways(self, beads: list[int]) -> dict[int, list[Weights]]:
        """Returns two ways (param,) for each bead.

        One leads to the nearest point of the chord of its neighbours, the other is the same without
        its uphill part.
        """
        samples = 3 * len(self.chain.problem.train)
        here = [self.weights[bead] for bead in beads]
        gradients = self.chain.pool.run(Gradient(samples), here)
        ways = {}
        for bead, theta, (_, gradient) in zip(beads, here, gradients, strict=True):
            left, right = (self.weights[end] for end in self.chain.neighbours(bead))
            chord = right - left
            share = ((theta - left) @ chord / (chord @ chord).clamp(min=1e-30)).clamp(0, 1)
            straight = left + share * chord - theta
            uphill = gradient.to(theta)
            climb = (straight @ uphill).clamp(min=0) / (uphill @ uphill).clamp(min=1e-30)
            ways[bead] = [straight, straight - climb * uphill]
        return ways

    def _refine(self, beads_left: int | None) -> bool:
        """Puts a bead half-way on every segment, and returns whether the settings allowed that."""
        new = len(self.chain.keys)
        room = beads_left is None or new <= beads_left
        if self.doublings >= self.settings.doublings or len(self.chain.order) < 3 or not room:
            return False
        self.doublings += 1
        for key in self.chain.keys:
            left, right = (self.weights[end] for end in key)
            self.chain.place(self.chain.new_bead(), torch.lerp(left, right, 0.5), key)
        self.chain.measure(self.chain.unmeasured)
        return True

    # ------------------------------------------------------------ small things

    @property
    def weights(self) -> dict[int, Weights]:
        """The weights of the chain's beads, by id."""
        return self.chain.weights

    def _inner(self, parity: int) -> list[int]:
        return self.chain.order[1:-1][parity::2]

    def _length_at(self, bead: int, theta: Weights) -> float:
        left, right = (self.weights[end] for end in self.chain.neighbours(bead))
        return float((theta - left).norm() + (right - theta).norm())

    @property
    def _bound(self) -> float:
        """The loss that segments must stay below."""
        return (1 - MARGINS[min(self.margins, len(MARGINS) - 1)]) * self.chain.bound

    # ------------------------------------------------------------ what others see

    @property
    def done(self) -> bool:
        """Whether the string is as short as it becomes, and nothing of it was refused."""
        opened = any(segment.state == "open" for segment in self.chain.in_order())
        return self.finished and not (self.applied and opened)

    @property
    def state(self) -> ShorteningState:
        """See `Stage`."""
        return ShorteningState(
            before=None if self.before is None else StringState.of(self.before),
            margins=self.margins,
            sweep=self.sweep,
            doublings=self.doublings,
            length=self.length,
            finished=self.finished,
            applied=self.applied,
        )

    def resume(self, state: ShorteningState) -> None:
        """See `Stage`."""
        before = state.before
        self.before = None if before is None else before.restored(self.chain.problem)
        self.margins, self.sweep, self.doublings = state.margins, state.sweep, state.doublings
        self.length, self.finished, self.applied = state.length, state.finished, state.applied

    def check_ready(self) -> None:
        """Raises Unfit where there is no connected string to shorten."""
        if self.before is None and not self.finished:
            raise Unfit("before is missing, but the string is to be shortened")
