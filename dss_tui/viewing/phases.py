"""The phases of a run, the time to its nearest limit, and what its engine does, in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from dss_tui.viewing.follow import Snapshot
from dss_tui.viewing.words import age, short_clock
from engine.record.events import FIRST, LAST, Outcome
from engine.record.progress import Progress, Within

Standing = Literal["done", "now", "ahead", "broken"]

#: The glyph that stands before the name of a phase.
GLYPHS: dict[Standing, str] = {"done": "✓", "now": "▶", "ahead": "·", "broken": "✕"}
#: The names of the stages that bring the ends, and of those that check the whole string.
ENDS, CHECKS = ("endpoints", "start"), ("audit", "proof")
#: The seconds without news after which a screen says so.
SILENT_S = 5.0


@dataclass(frozen=True)
class Phase:
    """A phase of a run."""

    name: str
    standing: Standing
    detail: str = ""
    """How much of it is done, such as 38/40, or nothing."""

    @property
    def words(self) -> str:
        """The phase with its glyph, such as ▶search 38/40."""
        return f"{GLYPHS[self.standing]}{self.name}" + (f" {self.detail}" if self.detail else "")


def phases(now: Snapshot) -> tuple[Phase, ...]:
    """Returns the phases of a run: its ends, its search and its check. Empty before the first."""
    progress = now.progress
    if progress is None:
        return ()
    trained = {FIRST, LAST} & now.view.depths.keys()
    found, at = _in_order(progress, len(trained)), _place(progress.phase)
    if at > 0 and not trained:
        found, at = found[1:], at - 1  # the search itself made the ends
    standings = [_standing(number - at, now) for number in range(len(found))]
    return tuple(
        Phase(name, standing, "" if standing == "ahead" else detail)
        for (name, detail), standing in zip(found, standings, strict=True)
    )


def _in_order(progress: Progress, trained: int) -> list[tuple[str, str]]:
    """Returns the names of the phases and how much of each is done; `trained` counts the ends."""
    stage = progress.phase
    closed = f"{progress.counters.closed}/{len(progress.segments)}"
    return [
        (
            "start" if stage == "start" else "endpoints",
            f"{trained}/2" if stage == "endpoints" else "",
        ),
        ("search" if stage in (*ENDS, *CHECKS) else stage, closed if progress.segments else ""),
        (stage if stage in CHECKS else "audit", _proven(progress) if stage == "proof" else ""),
    ]


def _place(stage: str) -> int:
    """Returns the number of the phase that a stage is in, from 0."""
    return 0 if stage in ENDS else 2 if stage in CHECKS else 1


def _standing(after: int, now: Snapshot) -> Standing:
    """Returns how a phase stands that comes a number of phases after the one at work."""
    ended = now.view.finished
    if ended is not None and ended.outcome is Outcome.CONNECTED:
        return "done"
    if after == 0:
        return "now" if ended is None else "broken"
    return "done" if after < 0 else "ahead"


def _proven(progress: Progress) -> str:
    """Returns how many segments are proven, and of how many."""
    proven = sum(segment.bound is not None for segment in progress.segments)
    return f"{proven}/{len(progress.segments)}"


def to_limit(now: Snapshot, seconds: float) -> str:
    """Returns the time to the limit that a running search reaches first, such as steps in ~0:09.

    Only limits on seconds and steps are reckoned with. Returns nothing where there is none, or
    while nothing runs.
    """
    progress = now.progress
    if progress is None or progress.limits is None or not now.live or now.state == "paused":
        return ""
    left: list[tuple[float, str]] = []
    if progress.limits.seconds is not None:
        left.append((progress.limits.seconds - seconds, "seconds"))
    if progress.limits.steps is not None and now.steps_per_s:
        steps = progress.limits.steps - progress.counters.bead_steps
        left.append((steps / now.steps_per_s, "steps"))
    if not left:
        return ""
    nearest, name = min(left)
    return f"limit on {name} in ~{short_clock(max(nearest, 0.0))}"


def at_work(now: Snapshot, seconds: float) -> str:
    """Returns what an engine does that takes no steps of training, or that has not been heard of.

    Returns nothing for a run that trains beads and tells of it, and for one that is not at work.
    """
    progress = now.progress
    if progress is None or not now.live or now.state == "paused":
        return ""
    limit = progress.limits.seconds if progress.limits is not None else None
    said = []
    if limit is not None and seconds >= limit:
        said.append("at its limit on seconds: it ends its step and writes the string")
    elif progress.phase == "audit":
        said.append("the audit samples every segment again, on a finer grid")
    elif progress.phase == "proof":
        said.append("segment after segment is being proven")
    if progress.within is not None:
        said.append(done(progress.within, "of a long computation is done"))
    if now.silent_s >= SILENT_S:
        said.append(f"no news for {now.silent_s:.0f} s")
    return " · ".join(said)


def done(within: Within, words: str) -> str:
    """Returns what share of a long computation is done, in these words, and how long is left."""
    left = "" if within.left is None else f", about {age(within.left)} left"
    return f"{within.share:.0%} {words}{left}"
