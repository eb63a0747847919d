"""The folder of a sweep: its plan, its cells, and whether it is the sweep that is asked for.

No torch here. The folder holds `sweep.yaml` (the plan), `session.json` (the newest session,
`sweep_state`), `commands.jsonl`, `engine.log`, the tables, and a run directory for each cell.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from dataclasses import replace as replaced
from pathlib import Path
from typing import Any, ClassVar, Protocol, TypeVar

import yaml

from engine.errors import InputError, SaveError
from engine.record.events import RunFinished, dump_json
from engine.record.finding import PLAN, kind_of
from engine.record.reading import LARGEST_PRESET, Damaged, check_regular, read_json, read_text
from engine.record.rundir import RunDir
from engine.record.sweep_tables import ENDINGS, LevelRow, Result, as_told, by_level
from engine.record.writing import replace, sync_folder
from engine.spec.checks import check_method
from engine.spec.grid import Grid, LevelAsked, levels_of, text_of
from engine.spec.keys import Spec
from engine.spec.yaml_file import dump, parse, read_yaml

#: The largest number of cells of a sweep.
MOST_CELLS = 100_000


@dataclass(frozen=True)
class Cell:
    """One pair at one level."""

    level: LevelAsked
    pair: int
    """The pair's number from 0."""
    run: RunDir
    """The run directory of its search."""


@dataclass(frozen=True)
class Plan(Grid):
    """The searches that a sweep is asked for."""

    every_cell_runs: ClassVar[bool] = True
    """Whether all cells are searched, so that the time left follows from those that have ended."""

    def cells(self, folder: Path) -> Iterator[Cell]:
        """Yields the cells in a folder, level by level."""
        for level, pair in self.places():
            name = text_of(level).removesuffix(".0")
            yield Cell(level, pair, RunDir(folder / f"level-{name}" / f"pair-{pair:04}"))

    @property
    def size(self) -> int:
        """The number of cells."""
        return len(self.levels) * self.pairs

    @property
    def about(self) -> str:
        """What is searched, in a few words."""
        return f"{self.spec.search.method} · {len(self.levels)} levels × {self.pairs} pairs"

    @property
    def axis(self) -> str:
        """What the rows of the matrix are."""
        return "level"

    @property
    def columns(self) -> tuple[str, ...]:
        """What the columns of the matrix are called: the numbers of the pairs."""
        return tuple(map(str, range(self.pairs)))

    def result_of(self, cell: Cell, end: RunFinished) -> Result:
        """Returns the numbers of a cell that has ended."""
        totals = end.totals
        return Result(
            as_told(cell.level),
            cell.pair,
            self.spec.seed + cell.pair,
            end.outcome,
            totals.beads,
            totals.normalized_length,
            totals.max_peak,
            totals.depth,
            totals.bead_steps,
            totals.elapsed_s,
            end.certified,
            totals.sample_gradients,
            totals.forward_samples,
            end.level,
            totals.normalized_length_weights,
        )

    def rows(self, folder: Path, results: Sequence[Result]) -> list[LevelRow]:
        """Returns the row of each level."""
        return by_level(list(results), self.levels)

    def left(self, folder: Path, results: Sequence[Result]) -> int:
        """Returns the number of cells that have not ended for good."""
        return self.size - sum(each.outcome in ENDINGS for each in results)

    def marks(self, folder: Path, ended: Iterable[Cell]) -> tuple[()]:
        """Returns nothing, because the events of a cell tell all of it."""
        return ()

    def text(self) -> str:
        """Returns the content of `sweep.yaml`."""
        levels = [level if isinstance(level, float) else text_of(level) for level in self.levels]
        head = {"levels": levels, "pairs": self.pairs}
        return f"{yaml.safe_dump({'sweep': head})}{dump(self.spec)}"

    def told(self) -> dict[str, Any]:
        """Returns the plan as plain values by the names that the command line gives them."""
        levels = ",".join(map(text_of, self.levels))
        spec = {"device": self.spec.device} | self.spec.model_dump(mode="json")
        del spec["search"]["level"]  # it is the first of the levels
        return {"--levels": levels, "--pairs": self.pairs} | spec


def read_plan(folder: Path) -> Plan | None:
    """Returns the plan of the sweep in a folder, or None where there is no sweep.

    Raises InputError where the folder's `sweep.yaml` was not written by a sweep.
    """
    text = text_of_plan(folder / PLAN)
    return None if text is None else plan_in(text, folder / PLAN)


def plan_in(text: str, described: Path) -> Plan:
    """Returns the plan in a text that is, or was, the content of the file `described`.

    Raises InputError where no sweep wrote it.
    """
    head, tree = head_and_preset(text, described, "sweep")
    match head:
        case {"levels": [*texts], "pairs": int(pairs)} if 0 < pairs * len(texts) <= MOST_CELLS:
            with suppress(ValueError):
                return Plan(parse(tree, described), levels_of(texts), pairs)
    raise not_a_plan(described)


def text_of_plan(described: Path) -> str | None:
    """Returns the content of the file of a plan, or None where there is none. Raises Damaged."""
    return read_text(described, LARGEST_PRESET) if check_regular(described) else None


def head_and_preset(text: str, described: Path, word: str) -> tuple[Any, Any]:
    """Returns the plain values of a plan below its `word`, and those of its preset.

    The first is None where the file `described` has no such word. Raises InputError.
    """
    tree = read_yaml(text, described)
    head = tree.pop(word, None) if isinstance(tree, dict) else None
    return head, tree


def not_a_plan(described: Path) -> InputError:
    """Returns the error for the file of a plan that holds something else."""
    word = described.stem
    return InputError(
        f"is not what `dss-tui {word}` wrote; choose another folder with --out", file=described
    )


def plan_for(spec: Spec, levels: Iterable[LevelAsked], pairs: int, folder: Path) -> Plan:
    """Returns the plan of a sweep that is asked for in a folder, new or begun before.

    Where it was begun, what was decided then is kept, and it may go on with more pairs and more
    levels. Raises InputError where a level does not fit the preset, or the folder holds another
    sweep or something else.
    """
    asked, begun = Plan(spec, tuple(levels), pairs), read_plan(folder)
    for level in asked.levels:
        check_method(asked.at(level))
    return settled(asked, None if begun is None else grown(begun, asked), folder)


def grown(begun: Plan, asked: Plan) -> Plan:
    """Returns the plan of a sweep that was begun, with the levels and pairs that are asked for now.

    Where these leave out levels or pairs that it had, it keeps its own.
    """
    levels = asked.levels if set(begun.levels) <= set(asked.levels) else begun.levels
    return replaced(begun, levels=levels, pairs=max(begun.pairs, asked.pairs))


class PlanOfMany(Protocol):
    """What the plans of all folders of many runs have in common."""

    def text(self) -> str:
        """Returns the content of the plan's file."""

    @property
    def spec(self) -> Spec:
        """The preset."""

    def told(self) -> dict[str, Any]:
        """Returns the plan as plain values by the names that the command line gives them."""


AnyPlan = TypeVar("AnyPlan", bound=PlanOfMany)
AnyMeasured = TypeVar("AnyMeasured")


def settled(asked: AnyPlan, begun: AnyPlan | None, folder: Path) -> AnyPlan:
    """Returns a plan that is asked for with what was decided when the folder was begun, if it was.

    Raises InputError where the folder was begun with another plan, or holds something else.
    """
    if begun is None:
        check_unused(folder)
        return _with_spec(asked, asked.spec.of_a_new_run())
    plan = _with_spec(asked, as_begun(asked.spec, begun.spec))
    _check_same(begun.told(), plan.told(), folder)
    return plan


def _with_spec(plan: AnyPlan, spec: Spec) -> AnyPlan:
    """Returns a plan, which is a frozen dataclass, with another spec."""
    changed: AnyPlan = replaced(plan, spec=spec)  # type: ignore[type-var]
    return changed


def measurement_path(run: RunDir) -> Path:
    """Returns the path of what the one evaluator has measured of a cell's string, where it has."""
    return run.path / "measured.json"


def measurement(kind: type[AnyMeasured], run: RunDir) -> AnyMeasured | None:
    """Returns what was measured of a cell's string, or None before it was. Raises Damaged."""
    try:
        return read_json(kind, measurement_path(run))
    except Damaged as damaged:
        why = f"{damaged.why}; the same command measures it again"
        raise Damaged(damaged.path, why) from None


def keep(decided: PlanOfMany, begun: PlanOfMany | None, folder: Path, name: str) -> None:
    """Writes a plan as it was decided, unless it is as the folder was begun. Raises InputError."""
    if begun is None or begun.told() != decided.told():
        write_plan(decided.text(), folder, name)


def create(plan: Plan, folder: Path) -> None:
    """Makes the folder of a sweep, or writes the plan of one anew. Raises InputError."""
    write_plan(plan.text(), folder, PLAN)


def write_plan(text: str, folder: Path, name: str) -> None:
    """Makes a folder that holds a plan in a file of that name. Raises InputError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        replace(folder / name, text.encode())
        sync_folder(folder.resolve().parent)
    except (OSError, SaveError) as error:
        raise unusable(folder, error) from None


def check_unused(folder: Path) -> None:
    """Raises InputError where a folder without a plan holds anything else than a sweep's files."""
    try:
        held = sorted(path.name for path in folder.iterdir() if not is_ours(path))
    except FileNotFoundError:
        return
    except OSError as error:
        raise unusable(folder, error) from None
    if held:
        raise InputError(
            f"is not empty (it holds {held[0]}), and holds no sweep; choose a new folder",
            file=folder,
            key="--out",
        )


def as_begun(spec: Spec, begun: Spec) -> Spec:
    """Returns the spec with its open keys as they were decided when the sweep began.

    Rounding depends on device, workers and batching, and losses on the samples that are drawn, for
    statistics and for mini-batches.
    """
    if spec.device not in ("auto", begun.device, begun.device.partition(":")[0]):
        return spec  # it is refused later
    update: dict[str, Any] = {"device": begun.device, "workers": spec.workers or begun.workers}
    if "mini_batches" not in spec.model_fields_set:
        update["mini_batches"] = begun.mini_batches
    if spec.search.batching == "auto":
        batching = {"batching": begun.search.batching}
        update["search"] = spec.search.model_copy(update=batching)
    if "seed" not in spec.problem.batch_norm.model_fields_set:
        seed = {"seed": begun.problem.batch_norm.seed}
        batch_norm = spec.problem.batch_norm.model_copy(update=seed)
        update["problem"] = spec.problem.model_copy(update={"batch_norm": batch_norm})
    return spec.model_copy(update=update)


def _check_same(begun: Any, asked: Any, folder: Path) -> None:
    """Raises InputError where a folder was begun with other plain values than those asked for."""
    difference = _first_difference(begun, asked)
    if difference is not None:
        key, value = difference
        raise InputError(
            f"holds another {kind_of(folder)}, begun with {key} {value}; give the same, or choose "
            "another folder",
            file=folder,
            key="--out",
        )


def _first_difference(held: Any, other: Any, key: str = "") -> tuple[str, str] | None:
    """Returns the key of the first value that differs and the value held there, or None."""
    if isinstance(held, dict) and isinstance(other, dict) and held.keys() == other.keys():
        found = (_first_difference(held[part], other[part], f"{key}.{part}") for part in held)
        return next((difference for difference in found if difference is not None), None)
    if held == other:
        return None
    return key.removeprefix("."), held if isinstance(held, str) else dump_json(held)


def is_ours(path: Path) -> bool:
    """Returns whether a file may be in the folder of a sweep that has no sweep.yaml yet."""
    ours = (".lock", "engine.log", "session.json", "commands.jsonl")
    begun = path.name.startswith((".sweep", ".compare", ".components")) and path.suffix == ".tmp"
    return path.name in ours or begun


def unusable(folder: Path, error: OSError | SaveError) -> InputError:
    """Returns the error for a folder that cannot be used."""
    reason = error.strerror if isinstance(error, OSError) else str(error)
    return InputError(f"cannot be used: {reason}; choose another folder", file=folder, key="--out")
