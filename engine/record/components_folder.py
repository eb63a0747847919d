"""The folder of components: its plan, its models, and the searches between them.

No torch here. The folder holds `components.yaml` (the plan), the models under `models`, a run
directory for each search, the tables, and what every grid of runs has (`sweep_folder`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import combinations
from math import isfinite, nan
from pathlib import Path
from typing import Any, ClassVar, Literal

import yaml

from engine.errors import InputError
from engine.record.components_tables import (
    Asked,
    Components,
    ComponentsRow,
    ModelsTold,
    PathMeasured,
    Searched,
    decided,
    row_before,
)
from engine.record.events import Outcome, RunFinished
from engine.record.finding import COMPONENTS
from engine.record.merging import Pair
from engine.record.reading import (
    Damaged,
    Stamp,
    read_json,
    stamp,
)
from engine.record.rundir import RunDir
from engine.record.sweep_folder import (
    MOST_CELLS,
    head_and_preset,
    measurement,
    measurement_path,
    not_a_plan,
    settled,
    text_of_plan,
)
from engine.record.sweep_tables import ENDINGS
from engine.spec.checks import check_method
from engine.spec.ends import between, training_of, without_ends
from engine.spec.grid import levels_of, text_of
from engine.spec.keys import Spec
from engine.spec.level import bound
from engine.spec.yaml_file import dump, parse

#: The folder of the models, and the place of the file that tells of all of them.
MODELS = "models"
MODELS_TOLD = f"{MODELS}/models.json"
#: The number of pairs that are searched between two components at one level, if nobody says.
TRIES = 3
#: The points on each segment at which the evaluator measures, and the fewest.
POINTS, FEWEST = 201, 5


@dataclass(frozen=True)
class PairCell:
    """One pair of models at one level."""

    level: float
    models: Pair
    pair: int
    """The pair's number from 0, in the order (0, 1), (0, 2), …, (1, 2), …"""
    run: RunDir
    """The run directory of its search, where there is one."""


@dataclass(frozen=True)
class ComponentsPlan:
    """What components are asked for: models of a preset at some levels."""

    spec: Spec
    """The preset; models 2k and 2k + 1 are trained with the seed `spec.seed + k`."""
    levels: tuple[float, ...]
    """The levels, the highest first."""
    models: int
    """The number of models."""
    given: tuple[str, ...] = ()
    """The names of models of a user's own; empty where they are trained."""
    tries: int = TRIES
    points: int = POINTS
    """The points on each segment at which the evaluator measures."""

    every_cell_runs: ClassVar[bool] = False
    """Whether all cells are searched, so that the time left follows from those that have ended."""

    @property
    def pairs(self) -> int:
        """The number of pairs of models, M(M−1)/2."""
        return self.models * (self.models - 1) // 2

    @property
    def every_pair(self) -> list[Pair]:
        """All pairs by their numbers."""
        return list(combinations(range(self.models), 2))

    @property
    def columns(self) -> tuple[str, ...]:
        """What the columns of the matrix are called."""
        return tuple(f"{a}–{b}" for a, b in self.every_pair)

    @property
    def about(self) -> str:
        """What is searched, in a few words."""
        count = len(self.levels)
        levels = f"{count} level" if count == 1 else f"{count} levels"
        return f"{self.spec.search.method} · {self.models} models × {levels}"

    @property
    def axis(self) -> str:
        """What the rows of the matrix are."""
        return "level"

    @property
    def asked(self) -> Asked:
        """What is asked for, as far as tables need it."""
        search = self.spec.search
        aligned = self.spec.endpoints.align
        on = search.level_on.words
        return Asked(self.levels, search.tolerance, self.tries, aligned, on)

    def cells(self, folder: Path) -> Iterator[PairCell]:
        """Yields a cell for each pair at each level; few of them are ever searched."""
        pairs = self.every_pair
        for level in self.levels:
            name = text_of(level).removesuffix(".0")
            for number, (a, b) in enumerate(pairs):
                run = RunDir(folder / f"level-{name}" / f"{a:04}-{b:04}")
                yield PairCell(level, (a, b), number, run)

    def model_place(self, model: int) -> str:
        """Returns the place of the file of a model below the folder, with slashes."""
        return f"{MODELS}/model-{model:04}.safetensors"

    def model_file(self, folder: Path, model: int) -> Path:
        """Returns the full path of the file of a model."""
        return folder.absolute() / self.model_place(model)

    def training_spec(self, two: int) -> Spec:
        """Returns the spec by which models 2k and 2k + 1 are trained, for `two` = k.

        Their target is that of the lowest level.
        """
        spec = without_ends(self.spec) if self.given else self.spec
        search = self.spec.search.model_copy(update={"level": min(self.levels)})
        spec = spec.model_copy(update={"search": search})
        return training_of(spec, self.spec.seed + two)

    def spec_of(self, level: float, pair: int, folder: Path) -> Spec:
        """Returns the spec of the search of a pair at a level. Raises InputError."""
        a, b = self.every_pair[pair]
        first, last = (self.model_file(folder, model) for model in (a, b))
        tree = between(self.spec, first, last, self.spec.seed + pair)
        tree["search"]["level"] = level
        return parse(tree)

    def check(self, folder: Path) -> None:
        """Raises InputError where the preset does not say how models are made and joined."""
        if self.spec.search.string is not None:
            raise InputError(
                "starts from a string, but searches are between models; leave it out",
                key="search.string",
            )
        if self.spec.endpoints.kind == "files" and not self.given:
            raise InputError("is files; name the models with --checkpoints", key="endpoints.kind")
        for level in self.levels:
            check_method(self.spec_of(level, 0, folder))

    def text(self) -> str:
        """Returns the content of `components.yaml`."""
        head: dict[str, Any] = {
            "levels": list(self.levels),
            "models": self.models,
            "given": list(self.given),
            "tries": self.tries,
            "points": self.points,
        }
        return f"{yaml.safe_dump({'components': head}, sort_keys=False)}{dump(self.spec)}"

    def told(self) -> dict[str, Any]:
        """Returns the plan as plain values by the names that the command line gives them."""
        levels = ",".join(map(text_of, self.levels))
        head: dict[str, Any] = {"--levels": levels, "--models": self.models}
        head |= {"--checkpoints": list(self.given), "--tries": self.tries, "--grid": self.points}
        spec = {"device": self.spec.device} | self.spec.model_dump(mode="json")
        return head | spec

    # ------------------------------------------------------------ what has ended

    def told_of_models(self, folder: Path) -> ModelsTold | None:
        """Returns what is known of the models, or None before they are there. Raises Damaged."""
        try:
            return read_json(ModelsTold, models_path(folder))
        except Damaged as damaged:
            why = f"{damaged.why}; delete it, and the same command measures the models again"
            raise Damaged(damaged.path, why) from None

    def models_there(self, folder: Path) -> int:
        """Returns the number of models that are trained, or read, so far."""
        return sum(self.model_file(folder, number).exists() for number in range(self.models))

    def result_of(self, cell: PairCell, end: RunFinished) -> Searched | None:
        """Returns the numbers of a search that has ended, or None before its path is measured."""
        measured = measurement(PathMeasured, cell.run)
        if measured is None:
            return None
        totals, (peak, path) = end.totals, _lowest(measured)
        highest = bound(cell.level, self.spec.search.tolerance)
        return Searched(
            cell.level,
            *cell.models,
            nan,
            end.outcome,
            end.outcome is Outcome.CONNECTED and measured.string <= highest,
            end.certified,
            peak,
            measured.bound,
            path,
            totals.beads,
            totals.normalized_length,
            totals.bead_steps,
            totals.sample_gradients,
            totals.forward_samples,
            totals.elapsed_s,
            "/".join(cell.run.path.parts[-2:]),
            end.sentence,
        )

    def found(self, folder: Path, results: Iterable[Searched]) -> Components | None:
        """Returns all that follows from the searches so far, or None before there are models."""
        told = self.told_of_models(folder)
        return None if told is None else Components(self.asked, told, results)

    def rows(self, folder: Path, results: Iterable[Searched]) -> list[ComponentsRow]:
        """Returns the row of each level."""
        found = self.found(folder, results)
        return [row_before(level) for level in self.levels] if found is None else found.rows()

    def left(self, folder: Path, results: Sequence[Searched]) -> int:
        """Returns the number of searches that are decided and have not ended for good.

        Others may follow from what they find. Before the models are there, at least one is left.
        """
        told = self.told_of_models(folder)
        if told is None:
            return 1
        good = [each for each in results if each.outcome in ENDINGS]
        return len(decided(self.asked, told, good).left)

    def marks(self, folder: Path, ended: Iterable[PairCell]) -> tuple[Stamp | None, ...]:
        """Returns what changes when more is known than the events of the cells tell."""
        files = (models_path(folder), *(measurement_path(cell.run) for cell in ended))
        return tuple(map(stamp, files))


def _lowest(measured: PathMeasured) -> tuple[float, Literal["string", "line", "none"]]:
    """Returns the highest loss on the lower of two paths, and which that is."""
    if isfinite(measured.line) and not measured.string <= measured.line:
        return measured.line, "line"
    return (measured.string, "string") if isfinite(measured.string) else (nan, "none")


def models_path(folder: Path) -> Path:
    """Returns the path of the file that tells of all models."""
    return folder / MODELS_TOLD


# ---------------------------------------------------------------- what is asked for


def plan_for(asked: ComponentsPlan, folder: Path) -> ComponentsPlan:
    """Returns the plan of components that are asked for in a folder, new or begun before.

    Where it was begun, what was decided then is kept. Raises InputError where the folder holds
    others, or something else.
    """
    levels = tuple(sorted(asked.levels, reverse=True))
    search = asked.spec.search.model_copy(update={"level": levels[-1]})
    spec = asked.spec.model_copy(update={"search": search})
    return settled(replace(asked, spec=spec, levels=levels), read_plan(folder), folder)


def read_plan(folder: Path) -> ComponentsPlan | None:
    """Returns the plan of the components in a folder, or None where there is none.

    Raises InputError where the folder's `components.yaml` was not written by that command.
    """
    described = folder / COMPONENTS
    text = text_of_plan(described)
    if text is None:
        return None
    head, tree = head_and_preset(text, described, "components")
    match head:  # of plain values, as YAML has them
        case {
            "levels": [*texts],
            "models": int(models),
            "given": [*given],
            "tries": int(tries),
            "points": int(points),
        } if all(isinstance(each, str) for each in given):
            with suppress(ValueError):
                levels = numbers(levels_of(texts))
                plan = ComponentsPlan(
                    parse(tree, described), levels, models, tuple(given), tries, points
                )
                sound = models >= 2 and tries >= 1 and points >= FEWEST
                sound = sound and len(given) in (0, models)
                if sound and plan.pairs * len(levels) <= MOST_CELLS:
                    return plan
    raise not_a_plan(described)


def numbers(levels: Iterable[object]) -> tuple[float, ...]:
    """Returns levels that are all numbers. Raises ValueError where one is not."""
    found = tuple(level for level in levels if isinstance(level, float))
    if len(found) < len(tuple(levels)):
        raise ValueError(levels)
    return found
