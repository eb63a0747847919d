"""How the level of a search came about, where the preset named no number. No torch here.

The screens, the events, the string file and the last sentence tell it from this one value.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, isfinite, log, log2, nan

from engine.record.marks import Count

#: What a preset asks for where the level is to be as low as can be found.
LOWEST = "lowest"


@dataclass(frozen=True)
class Bracket:
    """What is known of a level that follows from the ends, or is looked for between them."""

    asked: str
    """What the preset asks for: "lowest", or "1.5 × the worse end"."""
    ends: float = nan
    """The worse end's objective; NaN before both ends are there."""
    line: float = nan
    """The highest objective on the string that the search for a lowest level began with."""
    found: float = nan
    """The highest objective on the best whole string so far; NaN before one was measured."""
    failed: float = nan
    """The highest level at which the search has failed; NaN where it has not failed yet."""
    tries: Count = 0
    """The number of levels at which the search has begun."""
    settled: bool = False
    """Whether the level is final: the string is then proven or audited at it."""

    resolution: float = 0.0
    """The share to which a lowest level is looked for."""

    @property
    def tries_left(self) -> int | None:
        """About how many more levels will be tried, each halfway to the last; None: not known."""
        low = max(self.ends, self.failed) if isfinite(self.failed) else self.ends
        if self.settled or not self.resolution or not 0 < low <= self.found:
            return None
        halvings = log(self.found / low) / log(1 + self.resolution / 2)
        return max(0, ceil(log2(halvings))) if halvings > 0 else 0

    @property
    def words(self) -> str:
        """How the level comes about, in the few words that fit beside it on a screen."""
        if not isfinite(self.ends):
            return f"{self.asked}, known once both ends are there"
        said = [f"ends {self.ends:.4g}"]
        if isfinite(self.failed):
            said.append(f"failed at {self.failed:.4g}")
        if isfinite(self.found) and self.asked == LOWEST:
            said.append(f"best string {self.found:.4g}")
        if not self.settled:
            said.append(f"try {self.tries}")
        if self.tries and self.tries_left is not None:
            said.append(f"about {self.tries_left} more")
        return f"{self.asked}: {', '.join(said)}"

    def told(self, level: float) -> str:
        """Returns the sentences that tell how a level came about, and what it says of the ends."""
        if not isfinite(level):
            return "No level was set yet."
        if self.asked != LOWEST:
            return f"The level {level:.6g} is {self.asked}, which has {self.ends:.6g}."
        if not self.settled:
            best = f"; the best string so far rises to {self.found:.6g}"
            return f"The level is still sought{best if isfinite(self.found) else ''}."
        tries = f"{self.tries} {'try' if self.tries == 1 else 'tries'}"
        said = (
            f"The lowest level found between these ends is {level:.6g}, in {tries}. It is an upper "
            f"bound of the lowest peak of all paths between them"
        )
        if level <= self.ends * (1 + self.resolution):
            return f"{said}, none of which is lower than the worse end, which has {self.ends:.6g}."
        failed = f"the search failed at {self.failed:.6g}" if isfinite(self.failed) else ""
        ends = f"the worse end has {self.ends:.6g}"
        return f"{said}: {', and '.join(filter(None, [failed, ends]))}."
