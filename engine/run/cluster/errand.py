"""What a worker of a cluster does: decide a plan, and run one cell of it.

Everything here runs in a process of the cluster, which may be another machine. What goes there and
comes back is frozen and plain. A cell is run in its own folder where the worker sees that, and else
in a folder of the worker's, of which all files come back.
"""

from __future__ import annotations

import logging
import platform
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import torch

from engine.backends.backend import Backend
from engine.errors import InputError, SaveError
from engine.record.events import Outcome
from engine.record.lock import is_live
from engine.record.rundir import RunDir
from engine.record.signals import Signals
from engine.record.sweep_folder import Plan, plan_in
from engine.run.cells import CellLogs, ending, session_of_cell, writer_of, written_spec
from engine.run.cluster.parcel import Parcel, packed, unpacked
from engine.run.grid import prepare_grid
from engine.run.prepare import prepare
from engine.run.session import Ended
from engine.spec.keys import Spec
from engine.spec.yaml_file import dump, read_yaml, spec_of
from engine.version import __version__
from engine.workers.pool import open_pool

Word = str
"""What the cells of a session are asked for: go, pause or stop."""
GO, PAUSE, STOP = "go", "pause", "stop"

#: The seconds between two questions what is asked for, and between two looks at another's lock.
BETWEEN_QUESTIONS_S = 1.0
#: The errands of a process prepare one after another, so that equal ones share what is prepared.
_preparing = threading.Lock()


@dataclass(frozen=True)
class Errand:
    """One cell for a worker to run."""

    spec: str
    """The text of the cell's run.yaml, with everything decided."""
    place: str
    """The cell's run directory below the folder of all runs."""
    folder: str
    """The folder of all runs on the machine that asks."""
    mark: str
    """The name of a file in that folder, by which a worker knows that it sees the same folder."""
    files: Parcel
    """The cell's files so far, for workers that do not see the folder."""
    ask: Callable[[], Word]
    """Returns, on the worker, what the cells of the session are asked for."""
    version: str = __version__
    """The version of dss-tui that asks."""


@dataclass(frozen=True)
class Answer:
    """What became of an errand."""

    failure: str | None = None
    """The sentence of a failure of the engine, if there was one."""
    refused: str | None = None
    """The sentence of bad input, if that ended the errand."""
    unsaved: str | None = None
    """The sentence about a file that could not be written, if that ended the errand."""
    files: Parcel | None = None
    """The cell's files, where the worker did not see the sweep's folder."""


class Ear:
    """What all cells of a session are asked for, as a worker hears it (`cells.Wishes`)."""

    def __init__(self, ask: Callable[[], Word]) -> None:
        """Hears by `ask`, which may be slow."""
        self.stop = threading.Event()
        self.paused = False
        self._ask = ask
        self._next_s = float("-inf")

    def look(self) -> None:
        """Asks, unless that was done a moment ago. An answer that does not come changes nothing."""
        now = time.monotonic()
        if now < self._next_s:
            return
        self._next_s = now + BETWEEN_QUESTIONS_S
        try:
            word = self._ask()
        except Exception:  # the scheduler is busy or gone, which Dask deals with
            return
        self.paused = word == PAUSE
        if word == STOP:
            self.stop.set()


def decide(plan: str, version: str) -> str:
    """Returns the text of a plan with everything decided by the machine of this process.

    A new plan gets one thread a cell on the CPU, since a worker has cells enough, and on GPUs the
    first one that its process sees. Raises InputError.
    """
    _check_version(version)
    asked = plan_in(plan, Path("sweep.yaml"))
    spec = asked.spec
    if spec.workers is None:
        spec = spec.model_copy(update={"workers": 1})
    if spec.device.startswith("cuda"):
        spec = spec.model_copy(update={"device": "cuda:0"})
    grid, _ = prepare_grid(spec, asked.levels, asked.pairs)
    decided = grid.spec
    if decided.device.startswith("cuda"):
        decided = decided.model_copy(update={"device": "cuda:0"})
    return Plan(decided, grid.levels, grid.pairs).text()


def run_cell(errand: Errand) -> Answer:
    """Runs a cell until its session ends, and returns what became of it."""
    torch.set_num_threads(1)  # more of them on busy cores are up to 100 times slower
    ear = Ear(errand.ask)
    ear.look()
    try:
        _check_version(errand.version)
        if ear.stop.is_set():
            return Answer()
        with _home(errand) as (folder, sees):
            cell = _Cell(RunDir(folder / errand.place))
            ended = _run(cell, errand.spec, folder, ear)
            failure = None
            if ended is not None and ended.outcome is Outcome.FAILED:
                failure = f"{cell.run.path}: {ended.sentence}"
            return Answer(failure, files=None if sees else packed(cell.run.path))
    except InputError as error:
        return Answer(refused=f"{platform.node()}: {error}")
    except SaveError as error:
        return Answer(unsaved=f"{platform.node()}: {error}")


def _check_version(asked: str) -> None:
    """Raises InputError where this process has another version than that which asks."""
    if asked != __version__:
        raise InputError(
            f"the worker on {platform.node()} has dss-tui {__version__}, and {asked} asks; install "
            "the same version there",
            key="--cluster",
        )


def _spec(text: str) -> Spec:
    """Returns the spec in the text of a run.yaml. Raises InputError."""
    file = Path("run.yaml")
    return spec_of(read_yaml(text, file), file)


@lru_cache(maxsize=2)
def _made(text: str) -> Backend:
    """Returns the backend that computes the problem of a spec."""
    return prepare(_spec(text)).backend


def _backend(spec: Spec) -> Backend:
    """Returns the backend of a spec, which a process makes once for all seeds and levels.

    Raises InputError.
    """
    level = 1.0 if isinstance(spec.search.level, float) else spec.search.level
    search = spec.search.model_copy(update={"level": level})
    alike = spec.model_copy(update={"seed": 0, "search": search})
    with _preparing:
        return _made(dump(alike))


@contextmanager
def _home(errand: Errand) -> Iterator[tuple[Path, bool]]:
    """Gives the folder of all runs, or one in its place, and whether it is that of who asks."""
    folder = Path(errand.folder)
    if (folder / errand.mark).is_file():
        yield folder, True
        return
    with tempfile.TemporaryDirectory(prefix="dss-tui-") as own:
        unpacked(errand.files, Path(own) / errand.place, Path(own))
        yield Path(own), False


@dataclass(frozen=True)
class _Cell:
    """A cell, of which a worker knows its run directory alone."""

    run: RunDir


def _run(cell: _Cell, text: str, folder: Path, ear: Ear) -> Ended | None:
    """Runs a cell, unless it has ended or is to stop; returns how the session ended.

    Where a worker that was lost is still at work on the cell, it is waited for. Raises InputError
    and SaveError.
    """
    spec = written_spec(cell, lambda _: _spec(text), folder)
    while is_live(cell.run) and not ear.stop.is_set():
        time.sleep(BETWEEN_QUESTIONS_S)
        ear.look()
    ear.look()
    if ear.stop.is_set() or ending(cell.run) is not None:
        return None
    backend = _backend(spec)
    with (
        writer_of(cell, ear) as writer,
        _logging(cell.run),
        open_pool(backend, spec) as pool,
    ):
        return session_of_cell(writer, spec, pool, Signals(), time.sleep, ear.stop.is_set)


@contextmanager
def _logging(run: RunDir) -> Iterator[None]:
    """Sends what this thread logs to a cell's file within the block."""
    logs, log = CellLogs(), logging.getLogger("engine")
    log.setLevel(logging.INFO)
    log.addHandler(logs)
    try:
        with logs.of(run):
            yield
    finally:
        log.removeHandler(logs)
