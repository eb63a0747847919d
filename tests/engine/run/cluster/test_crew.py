"""Sweeps whose cells are handed to workers: the same strings, whatever becomes of a session.

The workers are threads of this process. `test_dask` has real ones.
"""

from __future__ import annotations

import pickle
import shutil
import time
from dataclasses import replace
from pathlib import Path

import pytest

from engine.errors import InputError
from engine.record.commands import send
from engine.record.events import Outcome
from engine.record.lock import take_lock
from engine.record.reading import Damaged
from engine.record.records import read_records
from engine.record.rundir import RunDir
from engine.record.signals import Signals
from engine.record.sweep_folder import read_plan
from engine.record.sweep_state import read_state
from engine.run import sweep
from engine.run.batched import Batched
from engine.run.cluster.crew import OnCluster
from engine.run.cluster.errand import GO, PAUSE, STOP, Answer, Errand, decide
from engine.run.crew import Crew
from engine.run.sweep import Sweep
from engine.spec.keys import Spec
from engine.version import __version__
from presets import load_preset
from tests.support.cluster_threads import HANDED_BACK, Threads, workers_that
from tests.support.run_strings import cells, same_cells, same_string

LEVELS, PAIRS = (0.05, 0.02), 2


def begun(folder: Path, crew: Crew) -> Sweep:
    """A sweep of four cells with one thread each."""
    tiny = ["problem.data.points=64", "search.level=0.05", "workers=1", "device=cpu"]
    return sweep.start(load_preset("quadratic", tiny), LEVELS, PAIRS, folder, crew)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sweep in one process."""
    made = begun(tmp_path_factory.mktemp("whole") / "sweep", Batched())
    assert made.run(Signals()).exit_status == 0
    made.write_tables()
    return made.folder


def test_a_cluster_finds_what_one_process_finds(
    whole: Path, workers: Threads, tmp_path: Path
) -> None:
    made = begun(tmp_path / "sweep", OnCluster(workers))
    end = made.run(Signals())
    assert (end.exit_status, end.sentence) == (0, "Every cell has ended, 4 connected.")
    assert same_cells(whole, made.folder)
    assert [each.outcome for each in made.results()] == [Outcome.CONNECTED] * 4
    assert all("INFO computing on cpu" in run.log.read_text() for run in cells(made.folder))
    assert not list(made.folder.glob(".cluster-*"))
    assert [work for work, _ in workers.asked] == ["decide"] + ["Search"] * 4
    assert not any(gpu for _, gpu in workers.asked)
    assert made.run(Signals()).exit_status == 0  # nothing is left to do
    assert len(workers.asked) == 5


def test_a_stop_is_passed_on_and_the_sweep_goes_on_to_the_same(
    whole: Path, workers: Threads, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It comes when the second cell is under way, whose checkpoint is kept or handed back."""
    made = begun(tmp_path / "sweep", OnCluster(workers))
    monkeypatch.setattr("engine.run.cluster.errand.BETWEEN_QUESTIONS_S", 0.0)
    monkeypatch.setattr("engine.run.session.BETWEEN_LOOKS_S", 0.0)
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
    end = made.run(Signals())
    assert end.exit_status == 3
    assert "cells have not ended" in end.sentence
    assert STOP in workers.said
    stopped = [run for run in cells(made.folder) if run.checkpoint.exists()]
    assert len(stopped) == 1

    workers.before = lambda errand: errand
    again = begun(tmp_path / "sweep", OnCluster(workers))
    assert again.run(Signals()).exit_status == 0
    assert same_cells(whole, again.folder)
    assert "continued" in [record.event.name for record in read_records(stopped[0])]


def test_a_pause_is_passed_on(tmp_path: Path) -> None:
    workers = Threads()
    made = begun(tmp_path / "sweep", OnCluster(workers))
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
    assert made.run(Signals()).exit_status == 0
    assert waited == ["paused"]
    assert workers.said == [GO, PAUSE, GO]


def test_a_cell_that_a_lost_worker_still_holds_is_waited_for(tmp_path: Path, whole: Path) -> None:
    workers = Threads()
    made = begun(tmp_path / "sweep", OnCluster(workers))
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
    assert made.run(Signals()).exit_status == 0
    assert asked >= 2
    assert same_cells(whole, made.folder)


def test_a_worker_of_another_version_is_refused(tmp_path: Path) -> None:
    workers = Threads()
    made = begun(tmp_path / "sweep", OnCluster(workers))
    workers.before = lambda errand: replace(errand, version="0.0.9")
    with pytest.raises(InputError, match=f"has dss-tui {__version__}, and 0.0.9 asks"):
        made.run(Signals())
    assert made.count() == 0


def test_a_failure_of_the_engine_stops_the_sweep(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workers = Threads()
    made = begun(tmp_path / "sweep", OnCluster(workers))
    monkeypatch.setattr("engine.run.job.build_method", lambda spec, pool: [][0])
    end = made.run(Signals())
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
    made = begun(tmp_path / "sweep", OnCluster(workers))
    assert made.run(Signals()).exit_status == 0
    assert same_string(whole / place, made.folder / place)


def test_what_a_worker_refuses_can_be_sent_whatever_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def damaged(spec: Spec) -> None:
        raise Damaged(tmp_path / "x.npz", "it is not whole")

    monkeypatch.setattr("engine.run.backends.prepare", damaged)
    asked = pickle.dumps((load_preset("quadratic", ["search.level=0.05"]), ()))
    with pytest.raises(InputError, match=r"x\.npz") as raised:
        decide(asked, __version__)
    assert str(pickle.loads(pickle.dumps(raised.value))) == str(raised.value)


def test_the_workers_machine_decides_the_device_and_one_thread_a_cell(tmp_path: Path) -> None:
    spec = load_preset("quadratic", ["search.level=0.05", "problem.data.points=64"])
    made = sweep.start(spec, (0.05,), 1, tmp_path / "sweep", OnCluster(Threads()))
    assert (made.plan.spec.device, made.plan.spec.workers) == ("cpu", 1)


@pytest.mark.parametrize("name", ["../out", "level-0.02/pair-0001/x", "sweep.yaml", "/etc/x"])
def test_a_worker_that_sends_what_is_none_of_its_cell_s_is_refused(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workers = workers_that(HANDED_BACK, monkeypatch)
    made = begun(tmp_path / "sweep", OnCluster(workers))
    plan = (made.folder / "sweep.yaml").read_bytes()

    def foreign(answer: Answer) -> Answer:
        own = answer.files and any("level-0.05/pair-0000" in each for each in answer.files)
        return replace(answer, files={**(answer.files or {}), name: b"x"}) if own else answer

    workers.after = foreign
    with pytest.raises(InputError, match="a worker sent a file named"):
        made.run(Signals())
    assert (made.folder / "sweep.yaml").read_bytes() == plan
    assert not (tmp_path / "out").exists() and not list(made.folder.glob("level-*/*/x"))
    assert not (made.folder / "level-0.05" / "pair-0000").exists()


def test_a_cell_in_which_the_engine_has_failed_is_run_again(
    whole: Path, workers: Threads, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = begun(tmp_path / "sweep", OnCluster(workers))
    with monkeypatch.context() as broken:
        broken.setattr("engine.run.job.build_method", lambda spec, pool: [][0])
        assert made.run(Signals()).exit_status == 1
    again = begun(tmp_path / "sweep", OnCluster(workers))
    assert again.run(Signals()).exit_status == 0
    assert same_cells(whole, again.folder)
