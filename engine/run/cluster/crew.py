"""Hands tasks to the workers of a cluster, and takes in what comes back."""

from __future__ import annotations

import pickle
import secrets
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Protocol

from engine.errors import InputError, SaveError
from engine.problem.problem import Problem
from engine.record.writing import replace
from engine.run.cluster.errand import GO, PAUSE, STOP, Answer, Errand, Word, decide, do
from engine.run.cluster.parcel import packed, unpacked
from engine.run.crew import AnyItem, Work
from engine.run.prepare import problem_of
from engine.spec.keys import Spec
from engine.version import __version__

#: The seconds between two looks at the commands for the folder.
LOOK_S = 0.2


class Cluster(Protocol):
    """The workers of a cluster, as `dask.Dask` and the tests have them."""

    def submit(self, work: Callable[..., Any], *arguments: Any, gpu: bool = False) -> Future[Any]:
        """Asks a worker, with a GPU where there are such, to call a function.

        Another one does if that worker is lost.
        """

    def tell(self, word: Word) -> None:
        """Tells all tasks of this session what they are asked for."""

    @property
    def ask(self) -> Callable[[], Word]:
        """What a worker calls to hear that word. It can be sent to workers."""


@dataclass(frozen=True)
class OnCluster:
    """A crew of the workers of a cluster, each with a task at a time for each of its threads."""

    cluster: Cluster
    at_once: None = None
    """Workers come and go, so as many tasks are done at a time as there are of them."""

    def decide(self, spec: Spec, others: Iterable[Spec]) -> Spec:
        """Does what `Crew.decide` says: the machine is a worker's."""
        asked = pickle.dumps((spec, tuple(others)))
        decided = self.cluster.submit(decide, asked, __version__, gpu=spec.device != "cpu")
        found: Spec = decided.result()
        return found

    def problem(self, spec: Spec) -> Problem:
        """Does what `Crew.problem` says."""
        return problem_of(spec)

    def run(self, work: Work[AnyItem]) -> str | None:
        """Does what `Crew.run` says."""
        if not work.items or work.session.hurried():
            return None
        self.cluster.tell(GO)
        with _marked(work.session.folder) as mark:
            return _Harvest(self.cluster, work, mark).gathered()


@contextmanager
def _marked(folder: Path) -> Iterator[str]:
    """Makes an empty file in a folder, gives its name, and deletes the file after the block.

    Raises SaveError.
    """
    name = f".cluster-{secrets.token_hex(8)}"
    replace(folder / name, b"", durable=False)
    try:
        yield name
    finally:
        (folder / name).unlink(missing_ok=True)


@dataclass(frozen=True)
class _Asked(Generic[AnyItem]):
    """An item whose task was handed to a worker."""

    item: AnyItem
    writes: tuple[str, ...]
    """The places whose files may come back."""


class _Harvest(Generic[AnyItem]):
    """The errands of a session that are out, and what has come back of them."""

    def __init__(self, cluster: Cluster, work: Work[AnyItem], mark: str) -> None:
        """Hands all tasks to the workers, who know the folder by a mark."""
        self._cluster, self._work, self._mark = cluster, work, mark
        self._folder = work.session.folder
        self._word = GO
        self._failure: str | None = None
        self._error: InputError | SaveError | None = None
        self._asked: dict[Future[Any], _Asked[AnyItem]] = {}
        for item in work.items:
            self._ask(item)

    def _ask(self, item: AnyItem, *, whole: bool = False) -> None:
        """Hands the task of an item to the workers, with all files that it reads if `whole`."""
        task = self._work.task_of(item)
        places = task.reads(self._folder)
        files = packed(self._folder, places) if whole or not places else None
        folder = str(self._folder.absolute())
        errand = Errand(pickle.dumps(task), folder, self._mark, files, self._cluster.ask)
        future = self._cluster.submit(do, errand, gpu=task.spec.device != "cpu")
        self._asked[future] = _Asked(item, task.writes)

    def gathered(self) -> str | None:
        """Returns the sentence of a failure, if any, once nothing is out. Raises its errors."""
        while self._asked:
            done, _ = wait(self._asked, LOOK_S, FIRST_COMPLETED)
            for future in done:
                self._take(self._asked.pop(future), future)
            self._steer()
        if self._error is not None:
            raise self._error
        return self._failure

    def _steer(self) -> None:
        """Passes on what is asked for. Tasks that have not begun then end at once."""
        session = self._work.session
        session.desk.look()
        stops = session.hurried() or self._failure is not None or self._error is not None
        word = STOP if stops else PAUSE if session.desk.paused else GO
        if word != self._word:
            self._cluster.tell(word)
            self._word = word

    def _take(self, asked: _Asked[AnyItem], future: Future[Any]) -> None:
        """Writes the files that a worker sent, or keeps the error that the task ended with."""
        place = self._folder / asked.writes[0]
        try:
            answer: Answer = future.result()
            if answer.lacks:
                self._ask(asked.item, whole=True)
                return
            if answer.files is not None:
                unpacked(answer.files, self._folder, asked.writes)
        except (InputError, SaveError) as error:
            self._error = self._error or error
            return
        except Exception as error:  # the worker was lost too often, or the engine failed
            what = f"{type(error).__name__}: {error}".splitlines()[0]
            self._failure = self._failure or f"{place}: {what}"
            return
        self._work.ended(asked.item)
        if answer.failure is not None:
            self._failure = self._failure or f"{place}: {answer.failure}"
        if answer.refused is not None:
            self._error = self._error or InputError(answer.refused)
        if answer.unsaved is not None:
            self._error = self._error or SaveError(answer.unsaved)
