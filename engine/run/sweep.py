"""Runs many pairs at many levels in one process, where each cell is a run directory of its own.

The open segments of all strings share their batches (`shared`). A number of cells are under way at
a time. When one ends the next begins, and only its line of the table is kept in memory. A sweep
that was killed goes on: cells that have ended are kept, and the others resume from their
checkpoints.

With `search.batching: fused` a bead's bits do not depend on its batch, so a cell's string is that
of its run alone. With vmap or loop the same holds up to rounding, which depends on the batch, and
so on the cells that are under way. Where a bead starts on a pass, rounding can choose the side to
which it falls. A cell's running time includes its waits for others, and `limits.seconds` counts
them.
"""

from __future__ import annotations

import fcntl
import logging
import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, field, fields
from math import inf, isfinite
from pathlib import Path
from statistics import fmean, median, stdev
from typing import Any

import yaml

from engine.backends.backend import Backend
from engine.errors import InputError, SaveError
from engine.record.commands import Command
from engine.record.decoding import Unfit
from engine.record.events import Outcome, RunFinished, dump_json, from_line
from engine.record.lines import LineTail
from engine.record.reading import LARGEST_PRESET, Damaged, check_regular, read_text
from engine.record.rundir import RunDir
from engine.record.signals import Signals
from engine.record.writer import RunWriter
from engine.record.writing import open_log, open_to_append, replace
from engine.run.grid import AT_ONCE, Grid, prepare_grid
from engine.run.loop import Pace
from engine.run.session import Ended, logging_to, run_session
from engine.spec.keys import Spec
from engine.spec.yaml_file import dump, parse, read_yaml
from engine.workers.pool import open_pool
from engine.workers.shared import SharedPool

#: The pace of cells, which are short and many: checkpoints and snapshots of progress are rare.
PACE = Pace(checkpoint_s=60.0, progress_s=20.0)
#: The outcomes of a cell that is not run again. A cell in which the engine failed is run again.
ENDINGS = (
    Outcome.CONNECTED,
    Outcome.NOT_CONNECTED,
    Outcome.ENDPOINT_NOT_TRAINED,
    Outcome.LIMIT_REACHED,
)
#: The outcomes without a connection that the tables count.
UNCONNECTED = (*ENDINGS[1:], Outcome.FAILED)


@dataclass(frozen=True)
class Cell:
    """One pair at one level."""

    level: float
    pair: int
    """The pair's number from 0."""
    run: RunDir
    """The run directory of its search."""


@dataclass(frozen=True)
class Plan(Grid):
    """The searches that a sweep is asked for."""

    def cells(self, folder: Path) -> Iterator[Cell]:
        """Yields the cells in a folder, level by level."""
        for level, pair in self.places():
            name = repr(level).removesuffix(".0")
            yield Cell(level, pair, RunDir(folder / f"level-{name}" / f"pair-{pair:04}"))

    def text(self) -> str:
        """Returns the content of `sweep.yaml`."""
        head = {"levels": list(self.levels), "pairs": self.pairs}
        return f"{yaml.safe_dump({'sweep': head})}{dump(self.spec)}"


@dataclass(frozen=True)
class Result:
    """The outcome and the numbers of a cell that has ended."""

    level: float
    pair: int
    """The pair's number from 0."""
    seed: int
    outcome: Outcome
    beads: int
    """Number of beads on the string, the ends included."""
    normalized_length: float
    """The string's length divided by the distance of its ends."""
    max_peak: float
    """The highest loss found on the string."""
    depth: int
    """The largest depth of splits."""
    bead_steps: int
    """Number of steps of all beads together, endpoints and failed tries included."""
    elapsed_s: float
    """Running time in seconds, waits for other cells included."""


class Sweep:
    """A sweep in its folder, new or begun before."""

    def __init__(self, plan: Plan, folder: Path) -> None:
        """Opens the folder, and makes it where it is new.

        Raises InputError where it holds something else, or a sweep with another plan.
        """
        self.plan, self.folder = plan, folder
        self._open()
        self._ended: dict[Cell, Result] = {}
        self._read()

    def _open(self) -> None:
        """Checks that the folder holds this sweep, or makes it. Raises InputError."""
        begun = read_plan(self.folder)
        if begun is not None:
            _check_same(begun, self.plan, self.folder)
            return
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            held = sorted(path.name for path in self.folder.iterdir() if not _is_ours(path))
            if held:
                raise InputError(
                    f"is not empty (it holds {held[0]}), and holds no sweep; choose a new folder",
                    file=self.folder,
                    key="--out",
                )
            replace(self.folder / "sweep.yaml", self.plan.text().encode())
        except (OSError, SaveError) as error:
            raise _unusable(self.folder, error) from None

    @property
    def cells(self) -> int:
        """The number of cells."""
        return len(self.plan.levels) * self.plan.pairs

    def count(self, *outcomes: Outcome) -> int:
        """Returns how many cells have ended so far, or how many of them with one of `outcomes`."""
        ended = list(self._ended.values())  # at one go: threads add to it
        return sum(result.outcome in (outcomes or ENDINGS) for result in ended)

    def results(self) -> list[Result]:
        """Returns how the cells ended that have, in the order of the plan."""
        cells = self.plan.cells(self.folder)
        return [self._ended[cell] for cell in cells if cell in self._ended]

    def run(self, backend: Backend, signals: Signals, at_once: int = AT_ONCE) -> str | None:
        """Runs until every cell has ended, a signal asks to stop, or the engine fails in a cell.

        In the last case the others are stopped with their checkpoints written, and the sentence of
        that failure is returned; None otherwise. `backend` computes the problem of the plan's spec,
        which is resolved, and `at_once` cells are under way at a time.

        What a cell raises is raised when the others have stopped: InputError where another process
        runs it, or its checkpoint cannot be read; SaveError where its folder cannot be written.
        """
        with ExitStack() as stack:
            stack.enter_context(_held(self.folder))
            self._read()
            todo = [cell for cell in self.plan.cells(self.folder) if not self._has_ended(cell)]
            todo.sort(key=lambda cell: cell.level)  # the lowest take longest, so they begin
            if not todo or signals.received is not None:
                return None
            logs = stack.enter_context(_logging(self.folder / "engine.log"))
            pool = SharedPool(stack.enter_context(open_pool(backend, self.plan.spec)))
            session = _Session(self, pool, signals, logs)
            pool.run_each(todo, session.work, at_once, session.stop)
            return session.failure

    def write_tables(self) -> list[LevelRow]:
        """Writes the sweep's tables into its folder, and returns the rows of the levels.

        sweep.csv has a line for each cell, levels.csv for each level, sweep.json both. Raises
        SaveError.
        """
        results = self.results()
        rows = by_level(results, self.plan.levels)
        texts = {
            "sweep.csv": csv_of(results),
            "levels.csv": csv_of_levels(rows),
            "sweep.json": json_of(rows, results),
        }
        for name, text in texts.items():
            replace(self.folder / name, text.encode())
        return rows

    def note(self, cell: Cell) -> None:
        """Reads how a cell has ended, if it has, and keeps that."""
        self._ended.pop(cell, None)
        end = ending(cell.run)
        if end is not None:
            totals = end.totals
            self._ended[cell] = Result(
                cell.level,
                cell.pair,
                self.plan.spec.seed + cell.pair,
                end.outcome,
                totals.beads,
                totals.normalized_length,
                totals.max_peak,
                totals.depth,
                totals.bead_steps,
                totals.elapsed_s,
            )

    def _read(self) -> None:
        """Reads how all cells have ended."""
        for cell in self.plan.cells(self.folder):
            self.note(cell)

    def _has_ended(self, cell: Cell) -> bool:
        """Returns whether a cell has ended for good."""
        return cell in self._ended and self._ended[cell].outcome in ENDINGS


def start(spec: Spec, levels: Iterable[float], pairs: int, folder: Path) -> tuple[Sweep, Backend]:
    """Returns the sweep in a folder, new or begun before, and the backend that computes it.

    Raises InputError where it cannot run, or the folder holds another sweep.
    """
    begun = read_plan(folder)
    spec = spec.of_a_new_run() if begun is None else _as_begun(spec, begun.spec)
    grid, backend = prepare_grid(spec, levels, pairs)
    return Sweep(Plan(grid.spec, grid.levels, grid.pairs), folder), backend


def ending(run: RunDir) -> RunFinished | None:
    """Returns the event that ended a run, or None where it has not ended or was stopped."""
    try:
        lines = LineTail(run.events).new_lines()
        record = from_line(lines[-1]) if lines else None
    except (Damaged, Unfit):
        return None
    if record is None or not isinstance(record.event, RunFinished):
        return None
    return None if record.event.outcome is Outcome.STOPPED else record.event


# ---------------------------------------------------------------- at work


@dataclass
class _Session:
    """A session of a sweep, whose threads run one cell after another."""

    sweep: Sweep
    pool: SharedPool
    signals: Signals
    logs: _CellLogs
    failure: str | None = None
    stop: threading.Event = field(default_factory=threading.Event)
    """The event that is set where something went wrong, so that all cells stop."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def work(self, cell: Cell) -> None:
        """Runs a cell, unless a signal has asked this process to end."""
        if self.signals.received is not None:
            return
        ended = self._run(cell)
        self.sweep.note(cell)
        if ended.outcome is Outcome.FAILED:
            self._fail(f"{cell.run.path}: {ended.sentence}")

    def _fail(self, sentence: str) -> None:
        """Keeps the sentence of the first failure, and stops all cells."""
        with self.lock:
            self.failure = self.failure or sentence
        self.stop.set()

    def _run(self, cell: Cell) -> Ended:
        """Runs a cell to the end of its session. Raises InputError and SaveError."""
        try:
            spec = self._spec(cell)
            writer = _Writer(cell.run, self.stop)
        except OSError as error:
            raise SaveError(f"{cell.run.path}: cannot be written: {error.strerror}") from error
        with self.logs.of(cell.run), writer:
            return run_session(writer, spec, self.pool, self.signals, pace=PACE)

    def _spec(self, cell: Cell) -> Spec:
        """Returns the spec in a cell's run.yaml, whose limits may have been changed.

        Writes the file first where it is missing.
        """
        if cell.run.spec.exists():
            return cell.run.load_spec()
        cell.run.path.mkdir(parents=True, exist_ok=True)
        spec = self.sweep.plan.at(cell.level, cell.pair)
        replace(cell.run.spec, dump(spec).encode())
        return spec


class _Writer(RunWriter):
    """The writer of a cell, which also gives the command to stop once all cells are to stop."""

    def __init__(self, run: RunDir, stop: threading.Event) -> None:
        """Holds a cell's run. `stop` is set once all cells are to stop."""
        super().__init__(run)
        self._stop = stop

    def new_commands(self) -> list[Command]:
        """Returns the commands since the last call, with a stop once all cells are to stop."""
        commands = super().new_commands()
        return [*commands, "stop"] if self._stop.is_set() else commands


class _CellLogs(logging.Handler):
    """The handler that writes what a thread logs to the engine.log of the cell that it runs."""

    def __init__(self) -> None:
        """Makes the handler; no thread runs a cell yet."""
        super().__init__()
        self.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        self._here = threading.local()

    @contextmanager
    def of(self, run: RunDir) -> Iterator[None]:
        """Makes this thread's log go to a cell's file within the block."""
        self._here.log = run.log
        try:
            yield
        finally:
            del self._here.log

    def emit(self, record: logging.LogRecord) -> None:
        """Writes a record to the file of the thread's cell, if it runs one."""
        path: Path | None = getattr(self._here, "log", None)
        if path is not None:
            # A log that cannot be written, as on a full disk, must not hide the failure itself.
            with suppress(OSError, SaveError), open_log(path) as file:
                file.write(self.format(record) + "\n")


@contextmanager
def _logging(path: Path) -> Iterator[_CellLogs]:
    """Sends the engine's log to the sweep's file and to the cells' within the block."""
    cells, log = _CellLogs(), logging.getLogger("engine")
    with logging_to(path):
        log.addHandler(cells)
        try:
            yield cells
        finally:
            log.removeHandler(cells)


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    """Keeps other processes from running the sweep within the block.

    Raises InputError where one runs it already, and SaveError where the lock cannot be opened.
    """
    with open_to_append(folder / ".lock") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(
                "another process is running this sweep; stop it first, or let it end",
                file=folder,
                key="--out",
            ) from None
        yield


# ---------------------------------------------------------------- folder


def read_plan(folder: Path) -> Plan | None:
    """Returns the plan of the sweep in a folder, or None where there is no sweep.

    Raises InputError where the folder's `sweep.yaml` was not written by a sweep.
    """
    described = folder / "sweep.yaml"
    if not check_regular(described):
        return None
    tree = read_yaml(read_text(described, LARGEST_PRESET), described)
    head = tree.pop("sweep", None) if isinstance(tree, dict) else None
    match head:
        case {"levels": [*levels], "pairs": int(pairs)} if levels and _are_levels(levels):
            return Plan(parse(tree, described), tuple(levels), pairs)
    raise InputError("is not what a sweep wrote; choose another folder with --out", file=described)


def _are_levels(values: list[Any]) -> bool:
    """Returns whether every value is a level that a sweep can be asked for."""
    return all(type(value) in (int, float) and 0 < value < inf for value in values)


def _as_begun(spec: Spec, begun: Spec) -> Spec:
    """Returns the spec with its open keys as they were decided when the sweep began.

    Rounding depends on device, workers and batching, and losses on the samples that are drawn.
    """
    if spec.device not in ("auto", begun.device, begun.device.partition(":")[0]):
        return spec  # it is refused later
    update: dict[str, Any] = {"device": begun.device, "workers": spec.workers or begun.workers}
    if spec.search.batching == "auto":
        batching = {"batching": begun.search.batching}
        update["search"] = spec.search.model_copy(update=batching)
    if "seed" not in spec.problem.batch_norm.model_fields_set:
        seed = {"seed": begun.problem.batch_norm.seed}
        batch_norm = spec.problem.batch_norm.model_copy(update=seed)
        update["problem"] = spec.problem.model_copy(update={"batch_norm": batch_norm})
    return spec.model_copy(update=update)


def _check_same(begun: Plan, asked: Plan, folder: Path) -> None:
    """Raises InputError where the folder's sweep is another one than the one asked for."""
    held, other = (
        {"--levels": ",".join(map(repr, plan.levels)), "--pairs": plan.pairs}
        | {"device": plan.spec.device}
        | plan.spec.model_dump(mode="json")
        for plan in (begun, asked)
    )
    difference = _first_difference(held, other)
    if difference is not None:
        key, value = difference
        raise InputError(
            f"holds another sweep, begun with {key} {value}; give the same, or choose another "
            "folder",
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


def _is_ours(path: Path) -> bool:
    """Returns whether a file may be in the folder of a sweep that has no sweep.yaml yet."""
    return path.name == ".lock" or (path.name.startswith(".sweep") and path.suffix == ".tmp")


def _unusable(folder: Path, error: OSError | SaveError) -> InputError:
    """Returns the error for a folder that cannot be used."""
    reason = error.strerror if isinstance(error, OSError) else str(error)
    return InputError(f"cannot be used: {reason}; choose another folder", file=folder, key="--out")


# ---------------------------------------------------------------- tables


@dataclass(frozen=True)
class Statistic:
    """The mean and standard error of one quantity over the connected pairs at one level.

    The mean is NaN where no pair is connected, the error where fewer than two are.
    """

    mean: float
    standard_error: float
    """The standard deviation of the samples divided by the root of their number."""


@dataclass(frozen=True)
class LevelRow:
    """The results of the pairs at one level, as far as they have ended."""

    level: float
    pairs: int
    """Number of pairs that have ended."""
    connected: int
    """Number of those that are connected."""
    failed: tuple[tuple[Outcome, int], ...]
    """The number of pairs that ended otherwise, by outcome."""
    normalized_length: Statistic
    """The statistic of the strings' lengths, each divided by the distance of its ends."""
    beads: Statistic
    """The statistic of the numbers of beads, the ends included."""
    median_bead_steps: float
    """The median number of bead-steps over all pairs, connected or not."""


def by_level(results: list[Result], levels: Iterable[float]) -> list[LevelRow]:
    """Returns a row for each level: means over its connected pairs, and counts of the others."""
    return [_row(level, [each for each in results if each.level == level]) for level in levels]


def _row(level: float, results: list[Result]) -> LevelRow:
    """Returns the row of one level."""
    good = [each for each in results if each.outcome is Outcome.CONNECTED]
    count = Counter(each.outcome for each in results)
    return LevelRow(
        level=level,
        pairs=len(results),
        connected=len(good),
        failed=tuple((outcome, count[outcome]) for outcome in UNCONNECTED if count[outcome]),
        normalized_length=_statistic([each.normalized_length for each in good]),
        beads=_statistic([float(each.beads) for each in good]),
        median_bead_steps=_median([each.bead_steps for each in results]),
    )


def _statistic(values: list[float]) -> Statistic:
    """Returns the statistic of some values.

    The error is NaN where a value is infinite, as the normalized length of a closed string is.
    """
    nan = float("nan")
    sane = len(values) > 1 and all(map(isfinite, values))
    error = stdev(values) / len(values) ** 0.5 if sane else nan
    return Statistic(fmean(values) if values else nan, error)


def _median(values: list[int]) -> float:
    """Returns the median, or NaN where there are no values."""
    return float(median(values)) if values else float("nan")


def csv_of(results: list[Result]) -> str:
    """Returns the table of the cells as CSV, a line for each."""
    head = [column.name for column in fields(Result)]
    return _csv(head, [list(asdict(each).values()) for each in results])


def csv_of_levels(rows: list[LevelRow]) -> str:
    """Returns the table of the levels as CSV, a line for each."""
    head = [
        "level",
        "pairs",
        "connected",
        *map(str, UNCONNECTED),
        "normalized_length_mean",
        "normalized_length_standard_error",
        "beads_mean",
        "beads_standard_error",
        "median_bead_steps",
    ]
    return _csv(head, [_line(row) for row in rows])


def _line(row: LevelRow) -> list[Any]:
    """Returns the values of a level's line."""
    failed = dict(row.failed)
    return [
        row.level,
        row.pairs,
        row.connected,
        *(failed.get(outcome, 0) for outcome in UNCONNECTED),
        row.normalized_length.mean,
        row.normalized_length.standard_error,
        row.beads.mean,
        row.beads.standard_error,
        row.median_bead_steps,
    ]


def _csv(head: list[str], lines: list[list[Any]]) -> str:
    """Returns a table as CSV, in which a number that is not finite is left out."""

    def told(value: Any) -> str:
        return "" if isinstance(value, float) and not isfinite(value) else str(value)

    return "".join(",".join(map(told, line)) + "\n" for line in [head, *lines])


def json_of(rows: list[LevelRow], results: list[Result]) -> str:
    """Returns both tables as one JSON object, with a line's end."""
    levels = [asdict(row) | {"failed": dict(row.failed)} for row in rows]
    return dump_json({"levels": levels, "cells": [asdict(each) for each in results]}) + "\n"
