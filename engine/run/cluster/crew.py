"""Hands the cells of a sweep to the workers of a cluster, and takes in what comes back."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Protocol

from engine.errors import InputError, SaveError
from engine.record.sweep_folder import Plan, plan_in
from engine.record.writing import replace
from engine.run.cells import AnyCell, spec_of_cell
from engine.run.cluster.errand import (
    GO,
    PAUSE,
    STOP,
    Answer,
    Errand,
    Word,
    decide,
    run_cell,
)
from engine.run.cluster.parcel import packed_if_begun, unpacked
from engine.run.crew import Crew, Work
from engine.run.sweep import Prepare
from engine.spec.yaml_file import dump
from engine.version import __version__

#: The seconds between two looks at the sweep's commands.
LOOK_S = 0.2


class Cluster(Protocol):
    """The workers of a cluster, as `dask.Dask` and the tests have them."""

    def submit(self, work: Callable[..., Any], *arguments: Any, gpu: bool = False) -> Future[Any]:
        """Asks a worker, with a GPU where there are such, to call a function.

        Another one does if that worker is lost.
        """

    def tell(self, word: Word) -> None:
        """Tells all cells of this session what they are asked for."""

    @property
    def ask(self) -> Callable[[], Word]:
        """What a worker calls to hear that word. It can be sent to workers."""


def on_cluster(cluster: Cluster) -> Prepare:
    """Returns what prepares a sweep for a cluster, whose workers decide what machines differ in."""

    def prepare(plan: Plan) -> tuple[Plan, Crew]:
        gpu = plan.spec.device != "cpu"
        text = cluster.submit(decide, plan.text(), __version__, gpu=gpu).result()
        return plan_in(text, Path("sweep.yaml")), OnCluster(cluster)

    return prepare


@dataclass(frozen=True)
class OnCluster:
    """A crew of the workers of a cluster, each with a cell at a time for each of its threads."""

    cluster: Cluster

    def run(self, work: Work[AnyCell]) -> str | None:
        """Does what `Crew.run` says."""
        self.cluster.tell(GO)
        with _marked(work.folder) as mark:
            asked = {self._submitted(work, cell, mark): cell for cell in work.cells}
            return _Harvest(self.cluster, work, asked).gathered()

    def _submitted(self, work: Work[AnyCell], cell: AnyCell, mark: str) -> Future[Any]:
        """Hands a cell to the workers."""
        spec = spec_of_cell(cell, work.spec_of)
        errand = Errand(
            dump(spec),
            cell.run.path.relative_to(work.folder).as_posix(),
            str(work.folder),
            mark,
            packed_if_begun(cell.run),
            self.cluster.ask,
        )
        return self.cluster.submit(run_cell, errand, gpu=spec.device != "cpu")


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


class _Harvest(Generic[AnyCell]):
    """The errands of a session that are out, and what has come back of them."""

    def __init__(
        self, cluster: Cluster, work: Work[AnyCell], asked: dict[Future[Any], AnyCell]
    ) -> None:
        """Waits for the answers of `asked`."""
        self._cluster, self._work, self._asked = cluster, work, asked
        self._word = GO
        self._failure: str | None = None
        self._error: InputError | SaveError | None = None

    def gathered(self) -> str | None:
        """Returns the sentence of a failure, if any, once nothing is out. Raises its errors."""
        out = set(self._asked)
        while out:
            done, out = wait(out, LOOK_S, FIRST_COMPLETED)
            for future in done:
                self._take(self._asked[future], future)
            self._steer()
        if self._error is not None:
            raise self._error
        return self._failure

    def _steer(self) -> None:
        """Passes on what the sweep is asked for. Cells that have not begun then end at once."""
        desk = self._work.desk
        desk.look()
        stops = self._work.hurried() or self._failure is not None or self._error is not None
        word = STOP if stops else PAUSE if desk.paused else GO
        if word != self._word:
            self._cluster.tell(word)
            self._word = word

    def _take(self, cell: AnyCell, future: Future[Any]) -> None:
        """Writes the files that a worker sent of a cell, or keeps the error that it ended with."""
        try:
            answer: Answer = future.result()
            if answer.files is not None:
                unpacked(answer.files, cell.run.path, self._work.folder)
        except (InputError, SaveError) as error:
            self._error = self._error or error
            return
        except Exception as error:  # the worker was lost too often, or the engine failed
            what = f"{type(error).__name__}: {error}".splitlines()[0]
            self._failure = self._failure or f"{cell.run.path}: {what}"
            return
        self._work.ended(cell)
        self._failure = self._failure or answer.failure
        if answer.refused is not None:
            self._error = self._error or InputError(answer.refused)
        if answer.unsaved is not None:
            self._error = self._error or SaveError(answer.unsaved)
