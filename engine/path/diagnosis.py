"""The diagnosis of a search without a connection, and what it does and does not prove."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from engine.alignment.align import unaligned
from engine.errors import InputError
from engine.path.chain import Chain
from engine.path.snapshot import Peak
from engine.problem.symmetry import Relabelling, relabelling
from engine.record.events import (
    FIRST,
    LAST,
    BeadFailed,
    Event,
    LevelHeld,
    LevelLowered,
    SegmentFailed,
    StringShortened,
)
from engine.record.findings import Diagnosis
from engine.record.marks import Count
from engine.spec.goal import Goal
from engine.spec.keys import Spec
from engine.spec.level import LevelOn, in_brackets

#: Share of the string's length by which a peak moves at most that is said to stay in its place.
STAYS = 0.15
#: Share of its loss by which a peak changes at most that is said to keep its height.
KEPT = 0.05
#: What helps where hidden units are not aligned.
ALIGN = "`--set endpoints.align=weights` (or activations) relabels endpoint 2 before a search."


@dataclass(frozen=True)
class Trials:
    """What was tried so far; `after` counts further events."""

    remedies: Mapping[str, Count] = field(default_factory=dict)
    """Number of times that each remedy followed a bead that missed its target."""
    reasons: Mapping[str, Count] = field(default_factory=dict)
    """Number of segments that failed for each reason."""
    held_level: float | None = None
    """The level at which the string is held now, of methods that lower one."""
    shortened: StringShortened | None = None
    """What shortening came to, once it has ended."""

    def after(self, events: Iterable[Event]) -> Trials:
        """Returns what was tried once these events have happened too."""
        now = self
        for event in events:
            match event:
                case BeadFailed(remedy=remedy):
                    now = replace(now, remedies=_one_more(now.remedies, remedy))
                case SegmentFailed(reason=reason):
                    now = replace(now, reasons=_one_more(now.reasons, reason))
                case LevelLowered(level=level) | LevelHeld(level=level):
                    now = replace(now, held_level=level)
                case StringShortened():
                    now = replace(now, shortened=event)
        return now


def _one_more(counts: Mapping[str, int], name: str) -> dict[str, int]:
    return {**counts, name: counts.get(name, 0) + 1}


def diagnose(spec: Spec, chain: Chain, trials: Trials) -> Diagnosis | None:
    """Returns what is known of the highest peak; None where no whole string was ever measured."""
    if chain.lowest is None:
        return None
    lowest = chain.lowest.peak()
    stuck = trials.held_level
    if stuck is not None and stuck <= chain.goal.target:
        stuck = None
    relabelled = _relabelling(spec, chain)
    return Diagnosis(
        barrier=lowest.loss,
        level=chain.goal.level,
        tolerance=spec.search.tolerance,
        left=lowest.left,
        right=lowest.right,
        t=lowest.t,
        place=lowest.place,
        depth=lowest.depth,
        trace=tuple((peak.beads, peak.depth, peak.place, peak.loss) for peak in chain.trace),
        stuck_level=stuck,
        retries=_counted(trials.remedies),
        reasons=_counted(trials.reasons),
        relabelled=() if relabelled is None else relabelled.units,
        rescaled=relabelled is not None and relabelled.rescaled,
        words=" ".join(
            _words(
                spec.search.level_on,
                chain.goal,
                lowest,
                chain.trace,
                stuck,
                relabelled,
                not_aligned=_unaligned(spec, chain),
            )
        ),
    )


def _relabelling(spec: Spec, chain: Chain) -> Relabelling | None:
    """Returns how the ends are copies of each other, None where that cannot be told."""
    layout = spec.problem.network.layout
    ends = chain.weights[FIRST], chain.weights[LAST]
    if not chain.problem.moves_all:
        return None
    if layout is None or layout.linear or not all(end.isfinite().all() for end in ends):
        return None
    scalable = layout.activation == "relu"
    return relabelling(*ends, chain.problem.parameters, scalable=scalable)


def _unaligned(spec: Spec, chain: Chain) -> str:
    """Returns a sentence on ends whose hidden units are not aligned, or may not be.

    It is empty where they are aligned, and where `endpoints.align` could not align them.
    """
    ends = chain.weights[FIRST], chain.weights[LAST]
    if spec.search.string is not None or spec.endpoints.kind == "permuted":
        return ""
    if chain.problem.relabelled is not None or not all(end.isfinite().all() for end in ends):
        return ""
    try:
        found = unaligned(chain.problem, *ends)
    except InputError:  # the network has no hidden units that can be found
        return ""
    if found is not None and not found[0]:
        return ""
    return f"{_not_aligned(found)} {ALIGN}"


def _not_aligned(found: tuple[int, int] | None) -> str:
    """Says how many hidden units (moved, of) would change places; None: nobody has looked."""
    if found is None:
        return (
            "Whether the ends' hidden units are aligned was not looked at, since that would take "
            "long for so many of them."
        )
    moved, units = found
    return (
        f"The ends' hidden units are not aligned: {moved} of {units} would change places, which "
        "may be all that keeps the two apart."
    )


def _counted(counts: Mapping[str, int]) -> tuple[str, ...]:
    """Returns the counts in words, the greatest first."""
    return tuple(f"{count} × {name}" for name, count in Counter(counts).most_common())


def _words(
    on: LevelOn,
    goal: Goal,
    lowest: Peak,
    trace: list[Peak],
    stuck: float | None,
    relabelled: Relabelling | None,
    *,
    not_aligned: str,
) -> list[str]:
    level, tolerance = goal.level, goal.tolerance
    said = [
        f"The best string found still rises to a {on.words} of {lowest.loss:.4g}, "
        f"{lowest.loss / level:.3g} × the level{in_brackets(level, tolerance)}, between beads "
        f"{lowest.left} and {lowest.right}, "
        f"{lowest.place:.0%} of the way from endpoint 1 to endpoint 2."
    ]
    if stuck is not None:
        said.append(f"The string as a whole could not be lowered below {stuck:.4g}.")
    said.append(_moved(trace, lowest))
    if not_aligned:
        said.append(not_aligned)
    if relabelled is not None and relabelled.units:
        said.append(_same_function(relabelled))
    said.append(
        "A peak that keeps its place and height over many splits, seeds and methods speaks for a "
        "disconnection; one that wanders or falls speaks for more beads, more steps, or another "
        "method."
    )
    return said


def _moved(trace: list[Peak], lowest: Peak) -> str:
    """Says how the worst peak went from the first string to the best, and where it was of late.

    A search may begin anew, so that its last string says nothing of how far it came.
    """
    first, last = trace[0], trace[-1]
    if len(trace) < 2:
        return "Only one string was measured."
    places = [peak.place for peak in trace[len(trace) // 2 :]]
    stays = max(places) - min(places) < STAYS
    where = f"stayed near {last.place:.0%} of the string" if stays else "moved about on the string"
    since = ""
    if last.loss > lowest.loss * (1 + KEPT):
        since = f" The last string, of {last.beads} beads, rises to {last.loss:.4g}."
    return (
        f"From the first string, of {first.beads} beads, to the best, of {lowest.beads}, the worst "
        f"peak {_height(first.loss, lowest.loss)}; in the second half of the search it {where}."
        f"{since}"
    )


def _height(first: float, last: float) -> str:
    if abs(last - first) <= KEPT * first:
        return f"kept its height of about {first:.4g}"
    return f"{'fell' if last < first else 'rose'} from {first:.4g} to {last:.4g}"


def _same_function(relabelled: Relabelling) -> str:
    units = ", ".join(
        f"unit {unit} of hidden layer {layer} is unit {source} of endpoint 1"
        for layer, unit, source in relabelled.units
    )
    scaled = ", some of them rescaled" if relabelled.rescaled else ""
    return (
        f"The endpoints compute the same function with hidden units in other places{scaled}: in "
        f"endpoint 2, {units} (units counted from 0). Narrow networks are known to be "
        "disconnected between such copies at low levels."
    )
