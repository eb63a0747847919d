"""The stage that pulls a connected string tight below its level.

First every bead goes whose neighbours connect directly. Then all inner beads move at once, sweep
after sweep, each time to the shortest string that a model of the loss allows (`path/shortest`).
What the loss is there decides: only a string that stays below the level where it was measured is
taken. Sweeps are cheap at first: the slopes of the model are computed on a part of the samples, and
the loss at few places. When they gain little, slopes get more samples, and then every segment a
bead half-way, which changes nothing, so that the string can bend where the level makes it. What is
left is an upper bound of the length of the shortest path below the level: the geodesic.

The final string is measured on the whole grid. Where that, a proof or the audit finds a segment
above the level, the string comes down there, looked at in more places than before. Only where that
fails is the string as it was taken again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
import torch

from engine.methods.base import StageState, Verdict
from engine.methods.stage import ChainStage
from engine.path.chain import Chain
from engine.path.chain_state import StringState
from engine.path.pruning import prune
from engine.path.segments import Measured, Pair, search_grid
from engine.path.shortest import Shortest, moved, places_of, products_of
from engine.path.slope import Slope
from engine.path.snapshot import Snapshot
from engine.record.events import Event, StringShortened
from engine.record.marks import Count
from engine.record.unfit import Unfit
from engine.shapes import Weights
from engine.spec.keys import Spec

#: Shares of the level by which segments must stay below it, because a proof or the audit sees more:
#: the next one each time that a shortened string is refused.
MARGINS = (1e-3, 1e-2, 5e-2)
#: The shares of the level by which sweeps, and the last sweeps, aim lower than that, so that few of
#: them go too far.
AIM, LAST_AIM = 0.03, 1e-4
#: The number of inner places at which each segment is looked at in sweeps, beside its two beads.
#: They become more where the whole grid shows a peak that these have missed.
PLACES = 1
#: The number of sweeps that gain little, one after the other, after which something changes.
PATIENCE = 2
#: The number of sweeps that may bring a string down that is too high.
DESCENTS = 30
#: The number of steps that a sweep tries, each with larger curvatures than the one before.
TRIES = 8
#: The share of the training samples on which slopes are computed at first, and how many these are
#: at least and at most.
SHARE, LEAST, MOST = 0.25, 256, 1024
#: The most samples on which slopes are ever computed. They only show the way, so that more of them
#: would cost more than they gain.
ENOUGH = 8192


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
    slow: Count = 0
    places: Count = PLACES
    batch: Count = 0
    """The number of samples of slopes; 0 where an older version wrote the file, which takes all."""
    last: bool = False
    curvatures: tuple[float, ...] = ()
    kind: Literal["shorten"] = "shorten"

    def __post_init__(self) -> None:
        """Raises ValueError where the parts contradict each other."""
        if self.before is not None and not self.before.whole:
            raise ValueError("before has a segment that is not measured")
        if self.applied and (self.before is None or not self.finished):
            raise ValueError("applied is true, but nothing was shortened")
        if not self.places:
            raise ValueError("places is 0, but a segment is looked at in one at least")


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
        """Number of times that the string was refused or did not come down, up to all margins."""
        self.applied = False
        """Whether the chain is the shortened string."""
        self._start()

    def _start(self) -> None:
        """Sets out from the string as the chain has it."""
        self.finished = self.before is None or self.margins >= len(MARGINS)
        """Whether the string becomes no shorter."""
        self.sweep = 0
        """Number of sweeps made since."""
        self.slow = 0
        """Number of the last sweeps that gained little, or after which the string was too high."""
        self.doublings = 0
        """Number of times that every segment got a bead half-way."""
        self.length = float("inf")
        """The string's normalized length after the last sweep."""
        self.places = PLACES
        """Number of inner places at which segments are looked at."""
        samples = len(self.chain.problem.train)
        self.batch = min(samples, MOST, max(LEAST, round(SHARE * samples)))
        """Number of training samples on which slopes are computed."""
        self.last = False
        """Whether sweeps go as near to the level as they may."""
        self.curvatures: tuple[float, ...] = ()
        """(segment,) How the loss bends, from the last sweep; empty where nothing is known."""

    @property
    def repairs(self) -> bool:
        """Whether the string can be mended, or taken as it was again."""
        return self.applied

    # ------------------------------------------------------------ the steps

    def begin(self) -> None:
        """Takes note of the string, where it is connected."""
        connected = all(segment.state == "closed" for segment in self.chain.in_order())
        self.before = self.chain.snapshot() if connected else None
        self.applied = False
        self._start()

    def step(self, beads_left: int | None) -> list[Event]:
        """Makes one sweep, and what is due after it; or takes up a string that was refused."""
        if self.applied:
            return self._refused()
        if not self.sweep:
            self._prune()
        if len(self.chain.order) < 3:
            return self._finish()
        self.sweep += 1
        was_high = self._high
        if not self._move():
            return self._undo() if was_high else self._change(beads_left)
        before, self.length = self.length, self.chain.shape().normalized_length
        if self._high:
            self.slow += 1
            return self._undo() if self.slow >= DESCENTS else []
        gained = was_high or self.length <= before * (1 - self.settings.gain)
        self.slow = 0 if gained else self.slow + 1
        over = self.sweep >= self.settings.sweeps
        return self._change(beads_left) if over or self.slow >= PATIENCE else []

    def _change(self, beads_left: int | None) -> list[Event]:
        """Changes what may gain more: samples, beads or the distance to the level; or finishes."""
        self.slow = 0
        if self.sweep >= self.settings.sweeps:
            return self._finish()
        enough = min(ENOUGH, len(self.chain.problem.train))
        if self.batch < enough:
            self.batch = min(enough, 2 * self.batch)
        elif not self._refine(beads_left):
            if self.last:
                return self._finish()
            self.last = True
        return []

    def _finish(self) -> list[Event]:
        """Measures the string on the whole grid, and finishes where all of it holds there."""
        assert self.before is not None
        found = self.chain.profiles_of(self._pairs, self._bound)
        self.chain.enter(dict(zip(self.chain.keys, found, strict=True)))
        if self._high:
            return [] if self._look_closer() else self._undo()
        if self.chain.shape().normalized_length > self.before.normalized_length:
            self.chain.take(self.before)
        self._prune()
        self.finished = self.applied = True
        return self._tell()

    def _tell(self) -> list[Event]:
        """Returns what shortening came to, and then every segment as it was measured."""
        assert self.before is not None
        before, now = self.before, self.chain.snapshot()
        report = StringShortened(
            before.normalized_length, now.normalized_length, len(before.order), len(now.order)
        )
        measured = {segment.key: segment.measured for segment in self.chain.in_order()}
        return [report, *self.chain.enter(measured)]

    # ------------------------------------------------------------ a string that is too high

    def _refused(self) -> list[Event]:
        """Takes up a string in which a proof or the audit has opened a segment."""
        self.margins += 1
        self.applied = False
        if self.margins >= len(MARGINS) or len(self.chain.order) < 3:
            return self._undo()
        self.finished, self.last, self.slow, self.curvatures = False, True, 0, ()
        self.places = min(2 * self.places + 1, len(self.chain.grid) - 2)
        return []

    def _look_closer(self) -> bool:
        """Has segments looked at in more places; returns whether there are more."""
        if self.places >= len(self.chain.grid) - 2:
            return False
        self.places, self.last, self.curvatures = 2 * self.places + 1, True, ()
        return True

    def _undo(self) -> list[Event]:
        """Begins again with a wider margin, from the string as it was."""
        assert self.before is not None
        self.chain.take(self.before)
        self.margins = min(self.margins + 1, len(MARGINS))
        self._start()
        return self._tell() if self.finished else []

    @property
    def _high(self) -> bool:
        """Whether a segment is above the bound, as far as is known."""
        return any(segment.measured.peak > self._bound for segment in self.chain.in_order())

    # ------------------------------------------------------------ a shorter string

    def _move(self) -> bool:
        """Moves all inner beads towards the shortest string, and returns whether a step was taken.

        A step is taken where every segment stays below the bound, or comes down.
        """
        chain, beads, t = self.chain, self._line, search_grid(self.places + 2)
        profiles = [chain.segments[key].measured for key in chain.keys]
        slopes = self._slopes(profiles)
        known = np.array(self.curvatures) if self.curvatures else None
        places = places_of(profiles, t)
        shortest = Shortest(products_of(beads, slopes), places, known)
        limits = np.array([max(self._bound, each.peak) for each in profiles])
        aim = self._aim
        for _ in range(TRIES):
            step = shortest.step(aim)
            inner = moved(beads, slopes, step)
            found = chain.seen_of(list(pairwise([beads[0], *inner, beads[-1]])), t)
            high = ~(np.array([each.peak for each in found]) <= limits)  # not finite is high
            shortest.learn(step, places_of(found, t).losses, high)
            self.curvatures = tuple(shortest.curvatures.tolist())
            if not high.any():
                chain.move(zip(chain.order[1:-1], inner, strict=True))
                chain.sketch(dict(zip(chain.keys, found, strict=True)))
                return True
        self.curvatures = ()
        return False

    def _slopes(self, profiles: Sequence[Measured]) -> list[Weights]:
        """Returns the slope (param,) of the loss at the peak of each segment.

        It is that of the training loss on some samples, in units of what is held against the level.
        """
        peaks = [
            torch.lerp(left, right, profile.t_star)
            for (left, right), profile in zip(self._pairs, profiles, strict=True)
        ]
        part = self.batch < len(self.chain.problem.train)
        found = self.chain.pool.run(Slope(self.batch, self.sweep if part else None), peaks)
        return [
            gradient.to(peak) * (profile.peak / loss if loss > 0 else 1.0)
            for peak, profile, (loss, gradient) in zip(peaks, profiles, found, strict=True)
        ]

    def _refine(self, beads_left: int | None) -> bool:
        """Puts a bead half-way on every segment, and returns whether the settings allowed that."""
        new = len(self.chain.keys)
        room = beads_left is None or new <= beads_left
        if self.doublings >= self.settings.doublings or not room:
            return False
        self.doublings += 1
        self.places = max(1, self.places // 2)  # as many on the string as before, and the new beads
        self.curvatures = tuple(each for each in self.curvatures for _ in range(2))
        for key, (left, right) in zip(self.chain.keys, self._pairs, strict=True):
            self.chain.place(self.chain.new_bead(), torch.lerp(left, right, 0.5), key)
        found = self.chain.seen_of(self._pairs, search_grid(self.places + 2))
        self.chain.sketch(dict(zip(self.chain.keys, found, strict=True)))
        return True

    def _prune(self) -> None:
        prune(self.chain, self._bound, self.spec.search.min_inner_beads)
        self.curvatures = ()

    # ------------------------------------------------------------ small things

    @property
    def _line(self) -> list[Weights]:
        """The beads' weights (param,) from end to end."""
        return [self.chain.weights[bead] for bead in self.chain.order]

    @property
    def _pairs(self) -> list[Pair]:
        """The segments' weights from end to end."""
        return list(pairwise(self._line))

    @property
    def _bound(self) -> float:
        """The loss that segments must stay below."""
        return (1 - MARGINS[min(self.margins, len(MARGINS) - 1)]) * self.chain.bound

    @property
    def _aim(self) -> float:
        """The loss that sweeps aim at: below the bound by at least what the string is above it."""
        share = LAST_AIM if self.last else AIM
        peak = max(segment.measured.peak for segment in self.chain.in_order())
        return min((1 - share) * self._bound, 2 * self._bound - peak)

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
            slow=self.slow,
            places=self.places,
            batch=self.batch,
            last=self.last,
            curvatures=self.curvatures,
        )

    def resume(self, state: ShorteningState) -> None:
        """See `Stage`."""
        before = state.before
        self.before = None if before is None else before.restored(self.chain.problem)
        self.margins, self.sweep, self.doublings = state.margins, state.sweep, state.doublings
        self.length, self.finished, self.applied = state.length, state.finished, state.applied
        self.slow, self.places, self.last = state.slow, state.places, state.last
        samples = len(self.chain.problem.train)
        if state.batch > samples:
            raise Unfit(f"batch is {state.batch}, but there are {samples} training samples")
        self.batch = state.batch or samples
        if state.curvatures and len(state.curvatures) != len(self.chain.keys):
            raise Unfit("curvatures are not those of the string's segments")
        self.curvatures = state.curvatures

    def check_ready(self) -> None:
        """Raises Unfit where there is no connected string to shorten."""
        if self.before is None and not self.finished:
            raise Unfit("before is missing, but the string is to be shortened")
