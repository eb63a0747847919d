"""Sweeps whose cells are handed to workers: the same strings, whatever becomes of a session.

The workers are threads of this process. `test_dask` has real ones.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from engine.errors import InputError
from engine.record.commands import send
from engine.record.events import Outcome
from engine.record.lock import take_lock
from engine.record.records import read_records
from engine.record.rundir import RunDir
from engine.record.signals import Signals
from engine.record.sweep_desk import End
from engine.record.sweep_folder import read_plan
from engine.record.sweep_state import read_state
from engine.run import sweep
from engine.run.cluster import crew as crews
from engine.run.cluster.crew import on_cluster
from engine.run.cluster.errand import GO, PAUSE, STOP, Errand, decide, run_cell
from engine.run.sweep import Prepare, Sweep, here
from engine.version import __version__
from presets import load_preset
from tests.support.run_strings import cells, same_cells, same_string

LEVELS, PAIRS = (0.05, 0.02), 2


class Threads:
    """Workers that are threads, and what they were asked to do."""

    def __init__(self) -> None:
        self.word = GO
        self.said: list[str] = []
        self.asked: list[tuple[Callable[..., Any], bool]] = []
        self.before: Callable[[Errand], Errand] = lambda errand: errand
        self._executor = ThreadPoolExecutor(1)

    def submit(self, work: Callable[..., Any], *arguments: Any, gpu: bool = False) -> Future[Any]:
        self.asked.append((work, gpu))
        return self._executor.submit(self._do, work, *arguments)

    def _do(self, work: Callable[..., Any], *arguments: Any) -> Any:
        if work is run_cell:
            return work(self.before(arguments[0]))
        return work(*arguments)

    def tell(self, word: str) -> None:
        self.word = word
        self.said.append(word)

    @property
    def ask(self) -> Callable[[], str]:
        return lambda: self.word


def begun(folder: Path, prepare: Prepare) -> tuple[Sweep, Callable[[], End]]:
    """A sweep of four cells with one thread each, and a session of it."""
    tiny = ["problem.data.points=64", "search.level=0.05", "workers=1", "device=cpu"]
    made, crew = sweep.start(load_preset("quadratic", tiny), LEVELS, PAIRS, folder, prepare)
    return made, lambda: made.run(crew, Signals())


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sweep in one process."""
    out = tmp_path_factory.mktemp("whole") / "sweep"
    made, session = begun(out, here())
    assert session().exit_status == 0
    made.write_tables()
    return out


@pytest.fixture(params=["shared folder", "files handed back"])
def workers(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Threads:
    """Workers that see the sweep's folder, and such that do not."""
    if request.param == "files handed back":

        @contextmanager
        def unseen(folder: Path) -> Iterator[str]:
            yield ".cluster-elsewhere"

        monkeypatch.setattr(crews, "_marked", unseen)
    return Threads()


def test_a_cluster_finds_what_one_process_finds(
    whole: Path, workers: Threads, tmp_path: Path
) -> None:
    made, session = begun(tmp_path / "sweep", on_cluster(workers))
    end = session()
    assert (end.exit_status, end.sentence) == (0, "Every cell has ended, 4 connected.")
    assert same_cells(whole, made.folder)
    assert [each.outcome for each in made.results()] == [Outcome.CONNECTED] * 4
    assert all("INFO computing on cpu" in run.log.read_text() for run in cells(made.folder))
    assert not list(made.folder.glob(".cluster-*"))
    assert [work for work, _ in workers.asked] == [decide] + [run_cell] * 4
    assert not any(gpu for _, gpu in workers.asked)
    assert session().exit_status == 0  # nothing is left to do
    assert len(workers.asked) == 5


def test_a_stop_is_passed_on_and_the_sweep_goes_on_to_the_same(
    whole: Path, workers: Threads, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It comes when the second cell is under way, whose checkpoint is kept or handed back."""
    made, session = begun(tmp_path / "sweep", on_cluster(workers))
    monkeypatch.setattr("engine.run.cluster.errand.BETWEEN_QUESTIONS_S", 0.0)
    seen = 0

    def asked_in_second() -> str:
        nonlocal seen
        seen += 1
        if seen == 3:
            send(RunDir(made.folder), "stop")
            while workers.word != STOP:
                time.sleep(0.01)
        return workers.word

    def second(errand: Errand) -> Errand:
        is_second = workers.asked and len(made.results()) >= 1
        return replace(errand, ask=asked_in_second) if is_second else errand

    workers.before = second
    end = session()
    assert end.exit_status == 3
    assert "cells have not ended" in end.sentence
    assert STOP in workers.said
    stopped = [run for run in cells(made.folder) if run.checkpoint.exists()]
    assert len(stopped) == 1

    workers.before = lambda errand: errand
    again, session = begun(tmp_path / "sweep", on_cluster(workers))
    assert session().exit_status == 0
    assert same_cells(whole, again.folder)
    assert "continued" in [record.event.name for record in read_records(stopped[0])]


def test_a_pause_is_passed_on(tmp_path: Path) -> None:
    workers = Threads()
    made, session = begun(tmp_path / "sweep", on_cluster(workers))
    waited: list[str] = []

    def paused_first(errand: Errand) -> Errand:
        if not waited:
            send(RunDir(made.folder), "pause")
            while workers.word != PAUSE:
                time.sleep(0.01)
            state = read_state(made.folder)
            assert state is not None
            waited.append(state.state)
            send(RunDir(made.folder), "continue")
        return errand

    workers.before = paused_first
    assert session().exit_status == 0
    assert waited == ["paused"]
    assert workers.said == [GO, PAUSE, GO]


def test_a_cell_that_a_lost_worker_still_holds_is_waited_for(tmp_path: Path, whole: Path) -> None:
    workers = Threads()
    made, session = begun(tmp_path / "sweep", on_cluster(workers))
    cell = next(iter(made.plan.cells(made.folder)))
    cell.run.path.mkdir(parents=True)
    lock, asked = take_lock(cell.run), 0

    def freed() -> str:
        nonlocal asked
        asked += 1
        if asked == 2:
            lock.close()
        return GO

    workers.before = lambda errand: replace(errand, ask=freed) if not lock.closed else errand
    assert session().exit_status == 0
    assert asked >= 2
    assert same_cells(whole, made.folder)


def test_a_worker_of_another_version_is_refused(tmp_path: Path) -> None:
    workers = Threads()
    made, session = begun(tmp_path / "sweep", on_cluster(workers))
    workers.before = lambda errand: replace(errand, version="0.0.9")
    with pytest.raises(InputError, match=f"has dss-tui {__version__}, and 0.0.9 asks"):
        session()
    assert made.count() == 0


def test_a_failure_of_the_engine_stops_the_sweep(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workers = Threads()
    _, session = begun(tmp_path / "sweep", on_cluster(workers))
    monkeypatch.setattr("engine.run.job.build_method", lambda spec, pool: [][0])
    end = session()
    assert end.exit_status == 1
    assert "IndexError" in end.sentence
    assert workers.word == STOP


def test_a_cell_that_was_begun_here_goes_on_elsewhere(
    whole: Path, tmp_path: Path, workers: Threads
) -> None:
    """What it has so far goes with the errand."""
    shutil.copytree(whole, tmp_path / "sweep")
    plan = read_plan(whole)
    assert plan is not None
    place = next(iter(plan.cells(whole))).run.path.relative_to(whole)
    (tmp_path / "sweep" / place / "events.jsonl").unlink()
    made, session = begun(tmp_path / "sweep", on_cluster(workers))
    assert session().exit_status == 0
    assert same_string(whole / place, made.folder / place)


def test_the_workers_machine_decides_the_device_and_one_thread_a_cell(tmp_path: Path) -> None:
    spec = load_preset("quadratic", ["search.level=0.05", "problem.data.points=64"])
    made, _ = sweep.start(spec, (0.05,), 1, tmp_path / "sweep", on_cluster(Threads()))
    assert (made.plan.spec.device, made.plan.spec.workers) == ("cpu", 1)
