"""The tables of components: a line for each search and each level, and the tree that they make.

Everything here follows from what is known of the models and from the searches that have ended.
What was not connected is *not found*: numbers of components and barriers are upper bounds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache
from math import inf, isfinite
from typing import Annotated, Literal

from engine.record.disconnectivity import Barrier, Node, by_levels, by_peaks, components
from engine.record.events import Outcome
from engine.record.marks import Count, Length
from engine.record.merging import Decided, Models, Pair, decide, spanning_tree
from engine.record.sweep_tables import REFUTED, Row, Statistic, figures
from engine.spec.level import bound


@dataclass(frozen=True)
class ModelTold:
    """What is known of a model before any search."""

    name: str
    """What it is called: how it was trained, or the checkpoint that it is from."""
    seed: int | None
    """The seed of its training; None for a model of a user's own."""
    loss: float
    """The objective at it, in float64 where that does not take very long; NaN if not finite."""
    sentence: str = ""
    """How its training ended."""


@dataclass(frozen=True)
class ModelsTold:
    """What `models.json` tells of all models."""

    models: Annotated[tuple[ModelTold, ...], Length(2)]
    distances: tuple[tuple[float, ...], ...]
    """The distance of each two, (model, model), after alignment where that is asked for."""

    @property
    def losses(self) -> tuple[float, ...]:
        """The objective at each model; infinite where it is not known."""
        return tuple(each.loss if isfinite(each.loss) else inf for each in self.models)


@dataclass(frozen=True)
class PathMeasured:
    """The highest losses between two models, as the one evaluator has found them."""

    points: Count
    """The number of points on each segment, without the refinement of peaks."""
    precision: str
    """float64, or float32 where that would take very long; empty where there was no string."""
    string: float
    """The highest loss on the string that the search has left; NaN where it has left none."""
    line: float
    """The highest loss on the straight line between the ends; NaN where the string connects them,
    or is that line."""
    bound: float | None = None
    """The highest proven bound, where the whole string is proven."""


@dataclass(frozen=True)
class Searched:
    """The outcome and the numbers of one search between two models at one level."""

    level: float
    a: int
    """The first model, by its number."""
    b: int
    """The second one, which is relabelled into the first one's order where that is asked for."""
    distance: float
    """The distance of the two, after alignment where that is asked for."""
    outcome: Outcome
    """How the search ended."""
    connected: bool
    """Whether it connected them, and the evaluator found no point above the level."""
    certified: bool | None
    """True where the whole path is proven, false where a point above the level is known."""
    peak: float
    """The highest loss on the lowest path that it has left; NaN where it has left none. An upper
    bound of the barrier."""
    bound: float | None
    """The highest proven bound, where the whole path is proven."""
    path: Literal["string", "line", "none"]
    """Which path that is: the search's string, or the straight line, which may be lower than a
    string that does not connect."""
    beads: int
    normalized_length: float
    bead_steps: int
    sample_gradients: int | None
    forward_samples: int | None
    elapsed_s: float
    run: str
    """The run directory, from the folder of the components on."""
    sentence: str
    """How the search ended, in a sentence for a person."""

    @property
    def pair(self) -> Pair:
        """Both models."""
        return self.a, self.b

    @property
    def barrier(self) -> Barrier:
        """The path as an edge between the two models; infinite where there is none."""
        peak = self.peak if isfinite(self.peak) else inf
        return Barrier(self.a, self.b, peak, self.connected and self.certified is True)


@dataclass(frozen=True, kw_only=True)
class ComponentsRow(Row):
    """The components at one level, as far as the searches have come. `pairs` are the searches."""

    normalized_length: Statistic
    """The statistic of the lengths of the paths that were found at this level."""
    level: float
    components: tuple[tuple[int, ...], ...]
    """The models of each component, the largest component first; they are an upper bound."""
    absent: tuple[int, ...]
    """The models whose own loss is above the level."""
    more: bool = False
    """Whether searches have not ended that may join some of these components."""

    @property
    def label(self) -> str:
        """The level."""
        return f"{self.level:g}"

    @property
    def sentence(self) -> str:
        """What is known at this level, in a sentence that says what it does not prove."""
        present = sum(map(len, self.components))
        above = ""
        if self.absent:
            count = len(self.absent)
            above = f" {count} of the models {'lies' if count == 1 else 'lie'} above it."
        head = f"At level {self.level:g},"
        if not present:
            return f"{head} no model is there: the loss of each is higher."
        if present == 1:
            return f"{head} only model {self.components[0][0]} is there.{above}"
        if len(self.components) == 1:
            return f"{head} {present} models are in one component.{above}"
        if self.more:
            return (
                f"{head} {present} models are in at most {len(self.components)} components so far; "
                f"searches have not ended.{above}"
            )
        return (
            f"{head} {present} models are in at most {len(self.components)} components: no path "
            f"between these was found, which does not prove that there is none.{above}"
        )


@dataclass(frozen=True)
class Asked:
    """What components are asked for, as far as tables need it."""

    levels: tuple[float, ...]
    tolerance: float
    tries: int
    """The number of pairs that are searched between two components at one level."""
    aligned: str | None
    """What second models are relabelled by; None for models as they are."""
    objective: str
    """What is held against the levels, in words."""


class Components:
    """All that follows from the models and from the searches that have ended."""

    def __init__(self, asked: Asked, told: ModelsTold, searches: Iterable[Searched]) -> None:
        """Keeps the searches that were decided, in the order in which they were."""
        self.asked, self.told = asked, told
        ended = {
            (each.level, each.pair): replace(each, distance=told.distances[each.a][each.b])
            for each in searches
        }
        self.decided = decided(asked, told, ended.values())
        """The searches that are decided so far."""
        self.searches = [ended[key] for key in self.decided.searches if key in ended]
        """Those of them that have ended, round by round."""
        self.barriers = [each.barrier for each in self.searches]

    @property
    def pairs(self) -> int:
        """The number of pairs of models, M(M−1)/2."""
        models = len(self.told.models)
        return models * (models - 1) // 2

    def rows(self) -> list[ComponentsRow]:
        """Returns what is known at each level, in the order in which they were asked for."""
        return [self._row(level) for level in self.asked.levels]

    def _row(self, level: float) -> ComponentsRow:
        """Returns what is known at a level."""
        highest, losses = bound(level, self.asked.tolerance), self.told.losses
        here = [each for each in self.searches if each.level == level]
        good = [each for each in here if each.connected]
        failed = Counter(
            REFUTED if each.outcome is Outcome.CONNECTED else each.outcome
            for each in here
            if not each.connected
        )
        return ComponentsRow(
            level=level,
            components=components(losses, self.barriers, highest),
            absent=tuple(model for model, loss in enumerate(losses) if not loss <= highest),
            more=any(at <= level for at, _ in self.decided.left),
            **figures(here, good, failed),
        )

    @property
    def brief(self) -> str:
        """How many components there are at the lowest and at the highest level, in a clause."""
        rows = sorted(self.rows(), key=lambda row: row.level)
        some = rows if len(rows) == 1 else (rows[0], rows[-1])
        counts = ((len(row.components), row.label) for row in some)
        told = [f"{'at most ' if n > 1 else ''}{n} at level {label}" for n, label in counts]
        return f"components: {' and '.join(told)}"

    def between(self, a: int, b: int) -> tuple[float, int] | None:
        """Returns the lowest highest loss on the way from one model to another over the tree.

        With it comes the number of paths on that way. Returns None where they are not joined.
        """
        ways: dict[int, tuple[float, int]] = {a: (-inf, 0)}
        edges = [(each.a, each.b, each.peak) for each in self.tree()]
        for _ in edges:
            for one, other, peak in (*edges, *((y, x, peak) for x, y, peak in edges)):
                if one in ways and other not in ways:
                    ways[other] = max(ways[one][0], peak), ways[one][1] + 1
        return ways.get(b)

    def tree(self) -> list[Searched]:
        """Returns the searches whose paths are the minimum spanning tree of barriers.

        The lowest barrier comes first. It is a forest where not all models are joined.
        """
        lowest: dict[Pair, Searched] = {}
        for each in sorted(self.searches, key=lambda each: (each.barrier.peak, each.level)):
            lowest.setdefault(each.pair, each)
        peaks = {pair: each.barrier.peak for pair, each in lowest.items()}
        return [lowest[pair] for pair in spanning_tree(peaks)]

    def nodes(self) -> tuple[Node, ...]:
        """Returns the disconnectivity graph, by peaks and then by levels."""
        losses, asked = self.told.losses, self.asked
        levels = by_levels(losses, self.barriers, asked.levels, asked.tolerance)
        return (*by_peaks(losses, self.barriers), *levels)

    def said(self) -> list[str]:
        """Returns sentences on what was found, and what that does and does not prove."""
        searches = len(self.searches)
        not_found = sum(not each.connected for each in self.searches)
        tree = self.tree()
        proven = sum(each.barrier.proven for each in tree)
        every = f"{self.pairs} pairs at {_counted(len(self.asked.levels), 'level')}"
        lines = [f"{_counted(searches, 'search', 'searches')} for {every}."]
        if not_found:
            lines.append(
                f"{not_found} of them found no path at {'its' if not_found == 1 else 'their'} "
                "level. That does not prove that there is none, so numbers of components above "
                "one are upper bounds."
            )
        if tree:
            paths = _counted(len(tree), "path")
            how = f"its {paths} proven at every point"
            if proven < len(tree):
                how = f"{proven} of its {paths} proven at every point, the rest sampled"
            lines.append(
                "The tree is made of upper bounds, since barriers are the highest losses on the "
                f"paths that were found: {how}."
            )
        if self.asked.aligned is not None:
            lines.append(
                f"Second models were relabelled by {self.asked.aligned} before each search: a "
                "model stands for all models that its hidden units make in other orders."
            )
        return lines


def decided(asked: Asked, told: ModelsTold, searches: Iterable[Searched]) -> Decided:
    """Returns the searches that are decided by those that have ended."""
    peaks = tuple(sorted((each.level, each.pair, each.barrier.peak) for each in searches))
    return _decided(asked, told, peaks)


@lru_cache(maxsize=4)
def _decided(
    asked: Asked, told: ModelsTold, peaks: tuple[tuple[float, Pair, float], ...]
) -> Decided:
    """Returns the searches that are decided; of the newest few questions answers are kept."""
    models = Models(told.losses, told.distances)
    known = {(level, pair): peak for level, pair, peak in peaks}
    return decide(models, asked.levels, known, tries=asked.tries, tolerance=asked.tolerance)


def _counted(count: int, one: str, many: str = "") -> str:
    """Returns a number with its noun."""
    return f"{count} {one if count == 1 else many or f'{one}s'}"


def row_before(level: float) -> ComponentsRow:
    """Returns the row of a level before the models are there."""
    return ComponentsRow(level=level, components=(), absent=(), **figures([], [], {}))
