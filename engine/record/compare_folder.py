"""The folder of a comparison of methods: its plan, its cells, and the ends that they share.

No torch here. The folder holds `compare.yaml` (the plan), the ends of each pair under `ends`, a run
directory for each method and pair, the tables, and what every grid of runs has (`sweep_folder`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import nan
from pathlib import Path
from typing import Any, ClassVar

import yaml

from engine.errors import InputError, nearest
from engine.record.compare_tables import (
    Compared,
    Measurement,
    MethodRow,
    by_method,
)
from engine.record.events import Outcome, RunFinished
from engine.record.finding import COMPARISON
from engine.record.marks import Count
from engine.record.reading import (
    Stamp,
    stamp,
)
from engine.record.rundir import RunDir
from engine.record.sweep_folder import (
    head_and_preset,
    measurement,
    measurement_path,
    not_a_plan,
    settled,
    text_of_plan,
)
from engine.record.sweep_tables import ENDINGS
from engine.spec.checks import check_method
from engine.spec.ends import between, training_of
from engine.spec.keys import Spec
from engine.spec.search import Search
from engine.spec.validation import validated
from engine.spec.yaml_file import dump, parse, with_overrides

#: What may follow the name of a method behind a plus sign, and the key that it sets.
ADDED = {
    "shorten": ("search.shorten=true",),
    "align": ("endpoints.align=weights",),
}

#: The name of a variant, which is that of a folder too, and a comma between two of its settings.
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]{0,60}")
BETWEEN_SETTINGS = re.compile(r",(?=\s*[A-Za-z_][\w.]*\s*=)")

#: The folder of the ends, and the blocks and keys that a variant may not set: all methods get the
#: same problem, the same ends and the same level.
ENDS = "ends"
SHARED = (
    "problem",
    "seed",
    "device",
    "workers",
    "path_parameters",
    "description",
    "endpoints",
    "search.level",
    "search.level_on",
    "search.tolerance",
    "search.string",
)
NOT_SHARED = ("endpoints.align",)

#: The largest number of cells of a comparison.
MOST_CELLS = 10_000
#: The points on each segment at which the evaluator measures, and the fewest.
POINTS, FEWEST = 201, 5


@dataclass(frozen=True)
class Variant:
    """A method with settings of its own."""

    name: str
    settings: tuple[str, ...]
    """The keys in which it departs from the preset, as `a.b=value`."""


@dataclass(frozen=True)
class EndsOfPair:
    """What `ends.json` tells of the two models of a pair, all methods alike."""

    trained: bool
    """Whether both models are there."""
    sentence: str
    """Where they come from, or why there are none."""
    sample_gradients: Count | None = None
    """Number of samples passed forward and back to train them; None where they were given."""
    forward_samples: Count | None = None


@dataclass(frozen=True)
class MethodCell:
    """One method between the ends of one pair."""

    method: str
    pair: int
    """The pair's number from 0."""
    run: RunDir
    """The run directory of its search."""


@dataclass(frozen=True)
class ComparePlan:
    """What a comparison is asked for: variants of a preset between the ends of some pairs."""

    spec: Spec
    """The preset; the ends of pair k are trained with the seed `spec.seed + k`."""
    variants: tuple[Variant, ...]
    pairs: int
    models: tuple[str, ...] = ()
    """The names of the two models of the only pair; empty where the ends are trained."""
    points: int = POINTS
    """The points on each segment at which the evaluator measures."""

    every_cell_runs: ClassVar[bool] = True
    """Whether all cells are searched, so that the time left follows from those that have ended."""

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the variants."""
        return tuple(variant.name for variant in self.variants)

    @property
    def about(self) -> str:
        """What is compared, in a few words."""
        return f"{len(self.variants)} methods × {self.pairs} {_pairs(self.pairs)}"

    @property
    def axis(self) -> str:
        """What the rows of the matrix are."""
        return "method"

    @property
    def columns(self) -> tuple[str, ...]:
        """What the columns of the matrix are called: the numbers of the pairs."""
        return tuple(map(str, range(self.pairs)))

    def cells(self, folder: Path) -> Iterator[MethodCell]:
        """Yields the cells in a folder, method by method."""
        for variant in self.variants:
            for pair in range(self.pairs):
                path = folder / variant.name / f"pair-{pair:04}"
                yield MethodCell(variant.name, pair, RunDir(path))

    def models_of(self, pair: int) -> tuple[str, str]:
        """Returns the places of the two models of a pair below the folder, with slashes."""
        there = f"{ENDS}/pair-{pair:04}"
        return f"{there}/a.safetensors", f"{there}/b.safetensors"

    def told_of(self, pair: int) -> str:
        """Returns the place of the file that tells of the ends of a pair, once they are known."""
        return f"{ENDS}/pair-{pair:04}/ends.json"

    def spec_of(self, name: str, pair: int, folder: Path) -> Spec:
        """Returns the spec of a variant between the ends of a pair. Raises InputError."""
        (variant,) = (each for each in self.variants if each.name == name)
        first, last = (folder.absolute() / model for model in self.models_of(pair))
        tree = between(self.spec, first, last, self.spec.seed + pair)
        try:
            return parse(with_overrides(tree, variant.settings))
        except InputError as error:
            raise InputError(f"of the method {name}, {error.what}", key=error.key) from None

    def check(self, folder: Path) -> None:
        """Raises InputError, which names the method, where one does not fit the problem."""
        for name in self.names:
            try:
                check_method(self.spec_of(name, 0, folder))
            except InputError as error:
                where = "" if error.key is None else f"{error.key} "
                raise InputError(
                    f"the method {name} cannot run here: {where}{error.what}", key="--methods"
                ) from None

    def ends_spec(self, pair: int) -> Spec:
        """Returns the spec by which the ends of a pair are trained."""
        return training_of(self.spec, self.spec.seed + pair)

    def text(self) -> str:
        """Returns the content of `compare.yaml`."""
        head: dict[str, Any] = {
            "methods": {variant.name: list(variant.settings) for variant in self.variants},
            "pairs": self.pairs,
            "models": list(self.models),
            "points": self.points,
        }
        return f"{yaml.safe_dump({'compare': head}, sort_keys=False)}{dump(self.spec)}"

    def told(self) -> dict[str, Any]:
        """Returns the plan as plain values by the names that the command line gives them."""
        methods = {each.name: list(each.settings) for each in self.variants}
        head = {"--methods": methods, "--pairs": self.pairs, "models": list(self.models)}
        return head | {"--grid": self.points} | self.spec.model_dump(mode="json")

    # ------------------------------------------------------------ what has ended

    def result_of(self, cell: MethodCell, end: RunFinished) -> Compared:
        """Returns the numbers of a cell that has ended, as far as its string is measured."""
        found = measurement(Measurement, cell.run)
        totals = end.totals
        level = self.spec.search.number if end.level is None else end.level
        level = level if found is None else found.level
        connected = end.outcome is Outcome.CONNECTED
        return Compared(
            method=cell.method,
            pair=cell.pair,
            seed=self.spec.seed + cell.pair,
            outcome=end.outcome,
            connected=connected and (found is None or found.holds),
            certified=end.certified,
            level=nan if level is None else level,
            peak=totals.max_peak if found is None else found.peak,
            barrier=nan if found is None else found.barrier,
            mean_loss=nan if found is None else found.mean_loss,
            normalized_length=totals.normalized_length,
            turning=nan if found is None else found.turning,
            beads=totals.beads,
            sample_gradients=totals.sample_gradients,
            forward_samples=totals.forward_samples,
            bead_steps=totals.bead_steps,
            elapsed_s=totals.elapsed_s,
        )

    def is_measured(self, folder: Path) -> bool:
        """Returns whether each string that cells have left is measured."""
        runs = (cell.run for cell in self.cells(folder))
        return all(measurement_path(run).exists() or not run.string.exists() for run in runs)

    def rows(self, folder: Path, results: Sequence[Compared]) -> list[MethodRow]:
        """Returns the row of each method."""
        return by_method(list(results), self.names)

    def left(self, folder: Path, results: Sequence[Compared]) -> int:
        """Returns the number of cells that have not ended for good."""
        return len(self.variants) * self.pairs - sum(each.outcome in ENDINGS for each in results)

    def marks(self, folder: Path, ended: Iterable[MethodCell]) -> tuple[Stamp | None, ...]:
        """Returns what changes when more is known of cells than their events tell."""
        return tuple(stamp(measurement_path(cell.run)) for cell in ended)


def _pairs(count: int) -> str:
    return "pair" if count == 1 else "pairs"


# ---------------------------------------------------------------- what is asked for


def variants_of(methods: str, free: Iterable[str]) -> tuple[Variant, ...]:
    """Returns the variants in a list of methods such as `greedy,greedy+shorten`, and free ones.

    A free one is `NAME:key=value,key=value`. Raises InputError for what is none.
    """
    named = [_method(text.strip()) for text in methods.split(",") if text.strip()]
    variants = (*named, *map(_free, free))
    if not variants:
        raise InputError("names no method; give some, such as greedy,auto", key="--methods")
    names = [variant.name for variant in variants]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise InputError(f"names {twice} twice", key="--methods")
    return variants


def _method(text: str) -> Variant:
    """Returns the variant in a text such as `greedy+align+shorten`. Raises InputError."""
    method, *added = text.split("+")
    try:
        validated(Search, {"method": method, "level": 1.0})
    except InputError as error:
        raise InputError(error.what, key="--methods") from None
    for word in added:
        if word not in ADDED:
            raise InputError(f"is {text}; {nearest(word, ADDED)} behind the +", key="--methods")
    settings = [setting for word in added for setting in ADDED[word]]
    return Variant(text, (f"search.method={method}", *settings))


def _free(text: str) -> Variant:
    """Returns the variant in a text such as `fast:search.method=greedy`. Raises InputError."""
    name, colon, settings = text.partition(":")
    parts = tuple(part.strip() for part in BETWEEN_SETTINGS.split(settings) if part.strip())
    if not colon or not parts or not all("=" in part for part in parts):
        raise InputError(f"is {text!r}; give NAME:key=value,key=value", key="--variant")
    if not NAME.fullmatch(name) or name == ENDS:
        raise InputError(
            f"is named {name!r}; give a name of letters, digits and . _ + -, other than {ENDS}",
            key="--variant",
        )
    for part in parts:
        key = part.partition("=")[0].strip()
        if key not in NOT_SHARED and any(f"{key}.".startswith(f"{own}.") for own in SHARED):
            raise InputError(
                f"{name} sets {key}, but all methods get the same problem, ends and level; give "
                "it with --set for all of them",
                key="--variant",
            )
    return Variant(name, parts)


def plan_for(asked: ComparePlan, folder: Path) -> ComparePlan:
    """Returns the plan of a comparison that is asked for in a folder, new or begun before.

    Where it was begun, what was decided then is kept. Raises InputError where the folder holds
    another one, or something else, and where a variant is no spec.
    """
    plan = settled(asked, read_plan(folder), folder)
    for name in plan.names:
        plan.spec_of(name, 0, folder)
    return plan


def read_plan(folder: Path) -> ComparePlan | None:
    """Returns the plan of the comparison in a folder, or None where there is none.

    Raises InputError where the folder's `compare.yaml` was not written by a comparison.
    """
    described = folder / COMPARISON
    text = text_of_plan(described)
    if text is None:
        return None
    head, tree = head_and_preset(text, described, "compare")
    match head:  # of plain values, as YAML has them
        case {
            "methods": {**methods},
            "pairs": int(pairs),
            "models": [*models],
            "points": int(points),
        } if methods and all(map(_is_variant, methods.items())):
            sound = len(models) in (0, 2) and all(isinstance(each, str) for each in models)
            if sound and 0 < pairs * len(methods) <= MOST_CELLS and points >= FEWEST:
                variants = tuple(Variant(str(name), _texts(own)) for name, own in methods.items())
                return ComparePlan(parse(tree, described), variants, pairs, tuple(models), points)
    raise not_a_plan(described)


def _texts(settings: Any) -> tuple[str, ...]:
    """Returns a variant's settings."""
    return tuple(map(str, settings))


def _is_variant(item: tuple[Any, Any]) -> bool:
    """Returns whether a name and its settings are those of a variant."""
    name, settings = item
    named = isinstance(name, str) and NAME.fullmatch(name) is not None
    return named and isinstance(settings, list) and all(isinstance(s, str) for s in settings)
