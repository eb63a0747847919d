"""Levels that come about in the search: from the ends, or as the lowest at which they connect.

The lowest level is looked for from above. Each try is the method's own search at one level, which
starts from the best string so far: the whole measured string whose highest value is the lowest. A
try that fails costs nothing that is known, and its strings count as any others. The first level
lies a little below the best string, and each that is reached doubles the step, because a search
that fails takes far longer than one that connects. From the first failure on, the next level is the
middle, in logarithms, between the highest that failed and the best string.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import exp, inf, isfinite, nan, sqrt
from typing import Any, Literal

from engine.methods.base import Stage, Verdict
from engine.methods.judged import judged
from engine.path.chain import Chain
from engine.path.pruning import prune
from engine.path.snapshot import Snapshot
from engine.record.bracket import LOWEST, Bracket
from engine.record.events import FIRST, LAST, Event, LevelSet, Outcome
from engine.record.unfit import Unfit
from engine.spec.goal import goal_above
from engine.spec.keys import Spec
from engine.spec.methods import METHODS
from engine.spec.search import TimesEnds

Phase = Literal["ends", "try", "final"]
"""`ends` until both ends are there, `try` at a level that may be too low, `final` at the level that
the search ends with."""
Stages = Callable[[Phase], Sequence[Stage[Any]]]
"""Makes the stages of a phase."""

#: The share of the first string's highest value below which a level is lost in rounding. It is the
#: floor between ends without any loss.
NOTHING = 1e-6
#: The factor by which a level rises where no string at all was finite, and how often it may.
RISE, RISES = 10.0, 6


@dataclass(frozen=True)
class DescentState:
    """All that a checkpoint holds of how a level comes about, beside the chain."""

    bracket: Bracket
    phase: Phase
    level: float
    """The level that is tried, or final; infinite before the ends are there."""
    step: float
    """The logarithm of the factor by which the next level lies below the best string at most."""


class Descent:
    """The level of one search, from its ends to the last string."""

    def __init__(self, spec: Spec, chain: Chain, stages: Stages) -> None:
        """Begins with the phase in which the ends come about."""
        self.spec, self.chain, self._stages = spec, chain, stages
        self.phase: Phase = "ends"
        self.bracket = Bracket(spec.search.level_words, resolution=spec.search.resolution)
        """What is known of the level so far."""
        self.step = 2 * spec.search.resolution
        """The logarithm of the factor by which the next level is below the best string at most."""
        self.verdict: Verdict | None = None
        """How the search ends, where no level follows from the ends."""

    def stages(self) -> list[Stage[Any]]:
        """Returns the stages of the present phase, none of which has begun."""
        return list(self._stages(self.phase))

    # ------------------------------------------------------------ one phase after another

    @property
    def lowers(self) -> bool:
        """Whether the lowest level is looked for."""
        return self.spec.search.level == LOWEST

    @property
    def once(self) -> bool:
        """Whether a single try finds the lowest level that the method can find."""
        search = self.spec.search
        return search.string is None and METHODS[search.method].once

    @property
    def best(self) -> float:
        """The highest value on the best whole string; infinite before there is one."""
        return inf if self.chain.lowest is None else self.chain.lowest.highest

    @property
    def trying(self) -> Snapshot | None:
        """The best string, where another is in the making at a level that may be too low."""
        return self.chain.lowest if self.phase == "try" else None

    @property
    def level_of_best(self) -> float:
        """The level that the best string would be told with."""
        return self.best * (1 + self._half)

    @property
    def over(self) -> bool:
        """Whether a try is decided before its stages are done.

        It is where a whole string was measured below its level, or where a segment has failed and
        nothing but greedy DSS would follow.
        """
        if self.phase != "try":
            return False
        search = self.spec.search
        alone = search.method == "greedy" or search.splits_a_string
        failed = any(segment.state == "failed" for segment in self.chain.in_order())
        return self.best <= self.chain.bound or (alone and failed)

    @property
    def goes_on(self) -> bool:
        """Whether another phase follows once the stages of the present one are done.

        After the last phase it does where the check of a lowest string has found a higher peak.
        """
        closed = all(segment.state == "closed" for segment in self.chain.in_order())
        return self.phase != "final" or (self.lowers and not closed)

    def go_on(self) -> list[Event]:
        """Goes on to the next phase once the stages of the present one are done.

        Its events tell the level. Where there is none, the verdict says why.
        """
        if self.phase == "ends":
            return self._from_ends()
        if self.phase == "final":
            return self._settle()
        if self.best > self.chain.bound:
            self.bracket = replace(self.bracket, failed=self.chain.level)
            self.step = 2 * self.spec.search.resolution
        else:
            self.step *= 2
            if self.best < self.bracket.failed:  # what failed there is done
                self.bracket = replace(self.bracket, failed=nan)
        return self._next()

    def _from_ends(self) -> list[Event]:
        """Measures the ends, and sets the level that follows from them, or the first one to try."""
        chain = self.chain
        worse = max(judged(chain.pool, [chain.weights[end] for end in (FIRST, LAST)]), key=_height)
        self.bracket = replace(self.bracket, ends=worse)
        asked = self.spec.search.level
        if not isfinite(worse):
            self.verdict = _no_level(self.spec, "is not finite")
            return []
        if isinstance(asked, TimesEnds):
            return self._follow(asked.times_ends * worse)
        return [*self._measured(), *self._next()]

    def _follow(self, level: float) -> list[Event]:
        """Sets the level that follows from the ends."""
        if level <= 0:
            self.verdict = _no_level(self.spec, "is 0, of which a multiple is no level")
            return []
        self.bracket = replace(self.bracket, tries=1, settled=True)
        return self._begin("final", level)

    def _measured(self) -> list[Event]:
        """Measures the string that the ends come with, to the tops of all its peaks."""
        self.chain.goal = goal_above(self.spec, self.floor, self.floor)
        events = self.chain.measure(self.chain.keys)
        self.bracket = replace(self.bracket, line=self.best)
        return events

    def _next(self) -> list[Event]:
        """Begins the next try, or settles for the best string where nothing is left to be found."""
        if not isfinite(self.best):
            return self._rise()
        if (self.once and self.bracket.tries) or self._narrow():
            return self._settle()
        self.bracket = replace(self.bracket, tries=self.bracket.tries + 1)
        if self.once:  # its path is one and the same at every level
            return self._begin("try", self.floor * (1 + self._half))
        middle = sqrt(self._low * self.best)
        if isfinite(self.bracket.failed):
            return self._begin("try", middle)
        return self._begin("try", max(middle, self.best * exp(-self.step)))

    def _rise(self) -> list[Event]:
        """Tries a much higher level, since no string so far is finite everywhere."""
        if self.bracket.tries == RISES:
            self.verdict = _no_level(self.spec, "is finite, but no string between them is")
            return []
        self.bracket = replace(self.bracket, tries=self.bracket.tries + 1)
        return self._begin("try", RISE * self._low)

    def _narrow(self) -> bool:
        """Returns whether no lower level is worth another try."""
        quantum = self._quantum
        return self.best <= self._low * (1 + self._half) or self.best - self._low < quantum

    def _settle(self) -> list[Event]:
        """Begins the last phase: the best string, at a level a little above its highest peak.

        Beads are taken out without which that peak stays the highest, since each try leaves some.
        """
        if self.chain.lowest is not None:
            self.chain.take(self.chain.lowest)
        self.chain.goal = goal_above(self.spec, self.best, self.floor)
        self.chain.lowest = None
        events = self.chain.measure(self.chain.keys)  # whose peaks are refined to the top
        level = self.level_of_best
        prune(self.chain, self.best, self.spec.search.min_inner_beads)
        self.chain.lowest = None  # it may have all its beads still
        self.bracket = replace(self.bracket, settled=True)
        return events + self._begin("final", level)

    def _begin(self, phase: Phase, level: float) -> list[Event]:
        """Begins a phase at a level with the best string, whose segments are measured for it."""
        chain = self.chain
        if chain.lowest is not None:
            chain.take(chain.lowest)
        self.phase, chain.goal = phase, goal_above(self.spec, level, self.floor)
        chain.lowest = None  # its peaks were refined for another level
        chain.start_anew()
        events = chain.measure(chain.keys)
        found = self.best if isfinite(self.best) else nan
        self.bracket = replace(self.bracket, found=found)
        return [LevelSet(level, self.bracket), *events]

    # ------------------------------------------------------------ numbers

    @property
    def floor(self) -> float:
        """The worse end's objective, below which no level is, or what is too low to matter."""
        line = self.bracket.line
        return max(self.bracket.ends, self._quantum / 2, NOTHING * line if isfinite(line) else 0.0)

    @property
    def _low(self) -> float:
        """The highest level that is known to be too low, or else the floor."""
        failed = self.bracket.failed
        return max(self.floor, failed) if isfinite(failed) else self.floor

    @property
    def _half(self) -> float:
        """Half of the resolution: one half is kept between the best string and the level."""
        return self.spec.search.resolution / 2

    @property
    def _quantum(self) -> float:
        """The smallest step of the objective: a sample of an error rate, and else none."""
        if self.spec.search.level_on.metric != "error_rate":
            return 0.0
        return 1 / self.chain.problem.objective_samples

    # ------------------------------------------------------------ checkpoint

    @property
    def now(self) -> Bracket:
        """What is known of the level at this moment."""
        if self.phase == "ends" or not isfinite(self.best):
            return self.bracket
        return replace(self.bracket, found=self.best)

    @property
    def state(self) -> DescentState:
        """All that a checkpoint holds of it."""
        return DescentState(self.bracket, self.phase, self.chain.level, self.step)

    def resume(self, state: DescentState) -> None:
        """Goes on from a state. Raises Unfit where it is not one of this search's."""
        if state.bracket.asked != self.bracket.asked:
            raise Unfit(f"the level is {state.bracket.asked}, not {self.bracket.asked}")
        self.bracket, self.phase, self.step = state.bracket, state.phase, state.step
        if state.phase == "ends":
            return
        if not isfinite(state.level) or not isfinite(state.bracket.ends) or state.level <= 0:
            raise Unfit("there are ends, but no level follows from them")
        self.chain.goal = goal_above(self.spec, state.level, self.floor)


def _height(value: float) -> float:
    """Returns a value by which others are compared: what is not finite is the highest."""
    return value if isfinite(value) else inf


def _no_level(spec: Spec, why: str) -> Verdict:
    """Returns the verdict that no level follows from the ends."""
    return Verdict(
        Outcome.ENDPOINT_NOT_TRAINED,
        f"No level follows from the ends: the {spec.search.level_on.words} of the worse one {why}. "
        "Train the ends otherwise, or give search.level a number.",
    )
