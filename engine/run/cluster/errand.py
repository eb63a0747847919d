"""What a worker of a cluster does: decide a spec, and do one task.

Everything here runs in a process of the cluster, which may be another machine. A task is done in
the folder of all runs where the worker sees that, and else in a folder of the worker's, to which
the files come that it reads, and from which those go back that it writes.
"""

from __future__ import annotations

import logging
import pickle
import platform
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

from engine.data.files import in_place_of
from engine.errors import InputError, SaveError
from engine.record.lock import is_live
from engine.record.rundir import RunDir
from engine.record.signals import Signals
from engine.run.backends import Backends
from engine.run.cells import CellLogs
from engine.run.cluster.parcel import Parcel, packed, unpacked
from engine.run.tasks import Means, Task, giving_up
from engine.spec.keys import Spec
from engine.version import __version__
from engine.workers.pool import cores, open_pool

Word = str
"""What the tasks of a session are asked for: go, pause or stop."""
GO, PAUSE, STOP = "go", "pause", "stop"

#: The seconds between two questions what is asked for, and between two looks at another's lock.
BETWEEN_QUESTIONS_S = 1.0
#: The backends of this process, which its errands share.
_backends = Backends()


@dataclass(frozen=True)
class Errand:
    """One task for a worker, in plain values, which any version can read."""

    task: bytes
    """The pickled task, for this version alone."""
    folder: str
    """The full path of the folder of all runs on the machine that asks."""
    mark: str
    """The name of a file in that folder, by which a worker knows that it sees the same folder."""
    files: Parcel | None
    """The files that the task reads, for workers that do not see the folder; None where they come
    only once such a worker has said so, since they may be large."""
    ask: Callable[[], Word]
    """Returns, on the worker, what the tasks of the session are asked for."""
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
    """The files that the task has written, where the worker did not see the folder."""
    lacks: bool = False
    """Whether nothing was done, because the worker lacks the files that the task reads."""


class Ear:
    """What all tasks of a session are asked for, as a worker hears it (`cells.Wishes`)."""

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


def decide(asked: bytes, version: str) -> Spec:
    """Returns a spec with everything decided by the machine of this process.

    A new one gets one thread a task on the CPU, since a worker has tasks enough, and on GPUs the
    first one that its process sees.

    Args:
        asked: The pickled spec, and those that are to fit its problem, as `Crew.decide` has them.
        version: The version of dss-tui that asks.

    Raises:
        InputError: It cannot run, or one of the others does not fit.
    """
    _check_version(version)
    spec, others = pickle.loads(asked)
    if spec.workers is None:
        spec = spec.model_copy(update={"workers": 1})
    try:
        return _on_first_gpu(_backends.decide(_on_first_gpu(spec), others))
    except InputError as error:  # some kinds of it are not made anew elsewhere
        raise InputError(error.what, file=error.file, key=error.key) from None


def _on_first_gpu(spec: Spec) -> Spec:
    """Returns a spec with the first GPU of this process in place of any."""
    return spec.model_copy(update={"device": "cuda:0"}) if spec.device.startswith("cuda") else spec


def do(errand: Errand) -> Answer:
    """Does a task until it has ended or is to stop, and returns what became of it."""
    torch.set_num_threads(1)  # more of them on busy cores are up to 100 times slower
    ear = Ear(errand.ask)
    try:
        _check_version(errand.version)
        if errand.files is None and not _sees(errand):
            return Answer(lacks=True)
        ear.look()
        if ear.stop.is_set():
            return Answer()
        task: Task = pickle.loads(errand.task)
        with _home(errand) as (folder, sees):
            if not _is_free(folder, task, ear):
                return Answer()
            failure = _done(task, folder, ear)
            return Answer(failure, files=None if sees else packed(folder, task.writes))
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


def _sees(errand: Errand) -> bool:
    """Returns whether this process sees the folder of who asks."""
    return (Path(errand.folder) / errand.mark).is_file()


@contextmanager
def _home(errand: Errand) -> Iterator[tuple[Path, bool]]:
    """Gives the folder of all runs, or one in its place, and whether it is that of who asks."""
    folder, files = Path(errand.folder), errand.files or {}
    if _sees(errand):
        yield folder, True
        return
    with tempfile.TemporaryDirectory(prefix="dss-tui-") as own:
        unpacked(files, Path(own), tuple(files))
        with in_place_of(folder, Path(own)):
            yield Path(own), False


def _is_free(folder: Path, task: Task, ear: Ear) -> bool:
    """Returns whether a task is to be done, once nobody else is at work on it.

    That is a worker which was thought lost.
    """
    for path in (folder / place for place in task.writes):
        while path.is_dir() and is_live(RunDir(path)) and not ear.stop.is_set():
            time.sleep(BETWEEN_QUESTIONS_S)
            ear.look()
    ear.look()
    return not ear.stop.is_set()


def _done(task: Task, folder: Path, ear: Ear) -> str | None:
    """Does a task and returns the sentence of a failure. Raises InputError and SaveError."""
    spec = task.spec
    prepared = _backends.of(spec)
    measuring = cores() if spec.device != "cpu" else spec.workers or 1
    with (
        _logging() as logs,
        open_pool(prepared.backend, prepared.spec) as pool,
        pool.attended(giving_up(ear, ear.stop.is_set)),
    ):
        return task(Means(folder, prepared, pool, ear, Signals(), logs, time.sleep, measuring))


@contextmanager
def _logging() -> Iterator[CellLogs]:
    """Gives what sends a thread's log to the file of the cell that it runs."""
    logs, log = CellLogs(), logging.getLogger("engine")
    log.setLevel(logging.INFO)
    log.addHandler(logs)
    try:
        yield logs
    finally:
        log.removeHandler(logs)
