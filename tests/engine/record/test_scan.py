"""The runs folder looked at again and again."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from engine.record import scan
from engine.record.events import Outcome
from engine.record.finding import create
from engine.record.lock import take_lock
from engine.record.notes import write_note
from engine.record.rundir import RunDir
from engine.record.runs import Summary, summarize
from engine.record.scan import RunScan
from engine.record.sweep_desk import Desk
from engine.record.sweep_summary import summarize_sweep
from engine.record.sweeps import SweepReader
from engine.record.writer import RunWriter
from engine.spec.keys import Spec
from tests.support.run_folders import CONNECTED, STOPPED, progress, write
from tests.support.sweep_folders import begin, cell, ended, sweep_of

ALL_DAY = 1e5


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the runs that were read, in order."""
    names: list[str] = []

    def noted(run: RunDir) -> Summary:
        names.append(run.name)
        return summarize(run)

    monkeypatch.setattr(scan, "summarize", noted)
    return names


def made(spec: Spec, runs: Path, name: str, at_s: float) -> RunDir:
    """A run that ended, made at a time."""
    run = create(spec, "cubic", runs / name)
    write(run, CONNECTED)
    os.utime(run.spec, (at_s, at_s))
    return run


def test_runs_come_newest_first_and_are_read_once(spec: Spec, runs: Path, read: list[str]) -> None:
    for name, at_s in (("b", 50), ("c", 90), ("a", 20)):
        made(spec, runs, name, at_s)
    (runs / "no-run").mkdir()
    (runs / "file").touch()
    looking = RunScan()
    for _ in range(3):
        look = looking.look(ALL_DAY)
        assert [run.name for run in look.runs] == ["c", "b", "a"]
        assert look.complete
    assert read == ["c", "b", "a"]


def test_only_what_has_changed_is_read_again(spec: Spec, runs: Path, read: list[str]) -> None:
    first, second = (made(spec, runs, name, 50) for name in ("one", "two"))
    looking = RunScan()
    looking.look(ALL_DAY)
    for change, told in (
        (lambda: write_note(first, "mine"), ("mine", "connected")),
        (lambda: write(first, STOPPED), ("mine", "stopped")),
        (lambda: first.progress.write_bytes(progress().to_json()), ("mine", "stopped")),
        (lambda: first.spec.unlink(), ("mine", "damaged")),
    ):
        read.clear()
        change()
        found = {run.name: run for run in looking.look(ALL_DAY).runs}
        assert (found["one"].note, found["one"].state) == told
        assert read == ["one"]
    assert second.path.exists()


def test_a_run_that_an_engine_holds_is_read_each_time(
    spec: Spec, runs: Path, read: list[str]
) -> None:
    """Its end may show in the lock alone."""
    run = made(spec, runs, "live", 50)
    looking = RunScan()
    with RunWriter(run):
        states = [looking.look(ALL_DAY).runs[0].state for _ in range(2)]
    assert [*states, looking.look(ALL_DAY).runs[0].state] == ["running", "running", "connected"]
    looking.look(ALL_DAY)
    assert read == ["live"] * 3


def test_a_short_look_goes_on_where_it_stopped(spec: Spec, runs: Path, read: list[str]) -> None:
    for number in range(5):
        made(spec, runs, f"r{number}", 50 + number)
    seconds = count()
    looking = RunScan(clock=lambda: float(next(seconds)))
    sizes = []
    while True:
        look = looking.look(2.5)
        sizes.append(len(look.runs))
        if look.complete:
            break
    assert sizes[-1] == 5 and len(sizes) > 1 and sizes == sorted(sizes)
    assert read == ["r4", "r3", "r2", "r1", "r0"]


def test_live_runs_take_turns(spec: Spec, runs: Path, read: list[str]) -> None:
    live = [made(spec, runs, name, 50) for name in ("x", "y", "z")]
    with RunWriter(live[0]), RunWriter(live[1]), RunWriter(live[2]):
        looking = RunScan()
        for _ in range(6):
            looking.look(0.0)
    assert sorted(read) == ["x", "x", "y", "y", "z", "z"]


def test_a_run_that_is_gone_is_left_out(spec: Spec, runs: Path) -> None:
    kept, gone = (made(spec, runs, name, 50) for name in ("kept", "gone"))
    looking = RunScan()
    looking.look(ALL_DAY)
    shutil.rmtree(gone.path)
    assert [run.name for run in looking.look(ALL_DAY).runs] == [kept.name]
    shutil.rmtree(runs)
    assert looking.look(ALL_DAY).runs == ()


def test_folders_that_come_and_go_never_raise(spec: Spec, runs: Path) -> None:
    source = made(spec, runs.with_name("source"), "it", 50)
    stop = threading.Event()

    def churn() -> None:
        names: Iterator[str] = (f"run-{number % 3}" for number in count())
        while not stop.is_set():
            to = runs / next(names)
            shutil.copytree(source.path, to)
            shutil.rmtree(to)

    other = threading.Thread(target=churn)
    other.start()
    try:
        looking = RunScan()
        states = {run.state for _ in range(300) for run in looking.look(ALL_DAY).runs}
    finally:
        stop.set()
        other.join()
    assert states <= {"connected", "damaged", "interrupted", "starting"}


# ---------------------------------------------------------------- sweeps


def test_a_sweep_is_listed_with_how_many_of_its_searches_have_ended(runs: Path) -> None:
    folder = runs / "wide"
    sweep_of(folder, (0.05,), 4)
    begin(cell(folder, 0.05, 0), ended(Outcome.CONNECTED))
    looking = RunScan()

    def seen() -> Summary:
        (found,) = looking.look(ALL_DAY).runs
        return found

    assert (seen().name, seen().state, seen().pairs) == ("wide", "unfinished", (1, 4))
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    assert seen().size_bytes == size
    with take_lock(RunDir(folder)):
        desk = Desk(folder)
        desk.begin()
        assert (seen().state, seen().pairs, seen().size_bytes) == ("running", (1, 4), None)
        for pair in (1, 2, 3):  # no file of the sweep's own folder changes
            begin(cell(folder, 0.05, pair), ended(Outcome.NOT_CONNECTED))
            assert seen().pairs == (1 + pair, 4)
    assert (seen().state, seen().pairs) == ("ended", (4, 4))


def test_a_sweep_that_rests_is_read_once(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sweep_of(runs / "wide", (0.05,), 4)
    reads: list[str] = []

    def noted(reader: SweepReader) -> Summary:
        reads.append(reader.folder.name)
        return summarize_sweep(reader)

    monkeypatch.setattr(scan, "summarize_sweep", noted)
    looking = RunScan()
    for _ in range(3):
        looking.look(ALL_DAY)
    assert reads == ["wide"]


def test_a_plan_that_is_no_plan_is_damaged(runs: Path) -> None:
    (runs / "odd").mkdir(parents=True)
    (runs / "odd" / "sweep.yaml").write_text("[")
    (found,) = RunScan().look(ALL_DAY).runs
    assert (found.name, found.state, found.pairs) == ("odd", "damaged", None)
    (fault,) = found.damaged
    assert fault.short.startswith("damaged: sweep.yaml: YAML: expected") and "/" not in fault.short
