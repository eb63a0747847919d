"""The level of a search as a number, with all that follows from it. No torch here.

Everything in a search that compares something with the level reads one `Goal`, which the chain
carries. A preset that names a number has its goal from the beginning; where the level follows from
the ends, or is looked for, `engine.methods.descent` sets it.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, isfinite

from engine.spec.keys import Spec
from engine.spec.level import bound

#: The share of the level that is left to rounding where ends are trained to the level itself.
ROUNDING = 1e-6
#: The level at which beads never stop while their time is taken.
NEVER_REACHED = 1e-12


@dataclass(frozen=True)
class Goal:
    """What a string is held against, in units of the objective."""

    level: float
    """The level L0; infinite as long as it is not known."""
    target: float
    """The objective at which the beads of a string stop training."""
    end_target: float
    """The objective at which the ends stop training; infinite where they are left as they are."""
    tolerance: float = 0.0
    """A segment is closed up to (1 + tolerance) × level."""
    enough: float = -inf
    """The objective up to which a bead that becomes no lower, short of its target, is taken; below
    the target where there is no such leniency."""

    @property
    def bound(self) -> float:
        """The highest objective that a closed segment may have."""
        return bound(self.level, self.tolerance)

    @property
    def known(self) -> bool:
        """Whether the level is a number yet."""
        return isfinite(self.level)


def goal_of(spec: Spec) -> Goal:
    """Returns the goal that a search begins with.

    Its level is infinite where the preset names no number.
    """
    search, level = spec.search, spec.search.number
    if level is None:
        return Goal(inf, inf, inf, search.tolerance)
    return Goal(level, search.alpha * level, _share_of_ends(spec) * level, search.tolerance)


def goal_above(spec: Spec, level: float, floor: float) -> Goal:
    """Returns the goal of a level that came about at run time, between ends that are left alone.

    `floor` is the worse end's objective. What is far below it may be out of every bead's reach, so
    a bead that becomes no lower is taken at the share alpha of the room between floor and level.
    """
    search = spec.search
    enough = floor + search.alpha * (level - floor)
    return Goal(level, search.alpha * level, inf, search.tolerance, enough)


def goal_to_time(spec: Spec) -> Goal:
    """Returns a goal for measurements of time.

    Where the preset names no level, it is so low that no bead reaches it.
    """
    goal = goal_of(spec)
    return goal if goal.known else goal_above(spec, NEVER_REACHED, 0.0)


def _share_of_ends(spec: Spec) -> float:
    """Returns the share of the level at which the ends stop training.

    A loss that was found to be exactly the level may be a little higher when it is measured in
    another precision, so a millionth is left to rounding. An error rate is a count, and is not.
    """
    search, own = spec.search, spec.endpoints.alpha
    share = search.alpha if own is None else own
    if share == 1 and search.level_on.metric != "error_rate":
        share -= ROUNDING
    return share
