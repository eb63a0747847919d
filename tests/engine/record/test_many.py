"""Many runs in brief: what is told of each, and what is read again."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from engine.record import many
from engine.record.events import Outcome, Paused, Record
from engine.record.many import WAITING, ManyRuns
from engine.record.rundir import RunDir
from engine.record.writer import RunWriter
from tests.support.run_folders import append
from tests.support.sweep_folders import begin, ended


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    return RunDir(tmp_path / "run")


def state(run: RunDir) -> str:
    (brief,) = ManyRuns([run]).look()
    return brief.state


def test_a_run_without_events_waits(run: RunDir) -> None:
    assert ManyRuns([run]).look() == (WAITING,)
    run.path.mkdir()
    run.spec.touch()
    assert ManyRuns([run]).look() == (WAITING,)


@pytest.mark.parametrize("outcome", [*Outcome, Outcome("torn_apart")])
def test_a_run_that_has_ended_is_called_by_its_outcome(outcome: Outcome, run: RunDir) -> None:
    begin(run, ended(outcome))
    (brief,) = ManyRuns([run]).look()
    assert brief.state == outcome and brief.ended == ended(outcome)
    assert brief.written_s == run.events.stat().st_mtime
    assert brief.began_s == run.meta.stat().st_mtime


def test_a_run_at_work_is_told_from_one_whose_process_is_gone(run: RunDir) -> None:
    begin(run)
    runs = ManyRuns([run])
    assert runs.look()[0].state == "interrupted"
    with RunWriter(run) as writer:
        assert runs.look()[0].state == "running"
        writer.record(Paused(), 2.5)
        assert runs.look()[0].state == "paused"
    assert runs.look()[0].state == "interrupted"


def test_a_line_of_a_later_version_is_no_fault(run: RunDir) -> None:
    begin(run)
    append(run.events, b'{"seq": 2, "time": 1.5, "event": "bead_sang"}\n')
    assert state(run) == "interrupted"


def test_a_half_written_line_is_left_for_later(run: RunDir) -> None:
    begin(run, ended(Outcome.CONNECTED))
    line = Record(3, 9.5, ended(Outcome.STOPPED)).to_line().encode()
    append(run.events, line[:40])
    runs = ManyRuns([run])
    assert runs.look()[0].state == "connected"
    append(run.events, line[40:] + b"\n")
    assert runs.look()[0].state == "stopped"


def a_folder(run: RunDir) -> None:
    run.events.mkdir(parents=True)


def a_link(run: RunDir) -> None:
    run.path.mkdir()
    run.events.symlink_to("/etc/passwd")


def a_pipe(run: RunDir) -> None:
    run.path.mkdir()
    os.mkfifo(run.events)


def noise(run: RunDir) -> None:
    run.path.mkdir()
    run.events.write_bytes(bytes(range(256)) * 9 + b"\n")


def a_file_for_the_folder(run: RunDir) -> None:
    run.path.write_text("no folder")


@pytest.mark.parametrize("harm", [a_folder, a_link, a_pipe, noise, a_file_for_the_folder])
def test_what_is_damaged_is_said_and_nothing_is_raised(harm: object, run: RunDir) -> None:
    assert callable(harm)
    harm(run)
    runs = ManyRuns([run])
    (brief,) = runs.look()
    assert brief.state == "damaged" and brief.damaged is not None
    assert "damaged" in str(brief.damaged)
    assert runs.look()[0] is brief


def test_only_what_has_changed_is_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = [begin(RunDir(tmp_path / f"run-{n}"), ended(Outcome.CONNECTED)) for n in range(5)]
    begun = begin(RunDir(tmp_path / "begun"))
    held = ManyRuns([*runs, begun, RunDir(tmp_path / "waits")])
    before = held.look()
    read: list[RunDir] = []
    reading = many._read

    def noted(run: RunDir, written_s: float) -> tuple[many.Brief, str | None]:
        read.append(run)
        return reading(run, written_s)

    monkeypatch.setattr(many, "_read", noted)
    assert all(new is old for new, old in zip(held.look(), before, strict=True))
    assert read == []
    append(runs[3].events, Record(3, 9.5, ended(Outcome.FAILED)).to_line().encode() + b"\n")
    after = held.look()
    assert read == [runs[3]]
    assert [new is old for new, old in zip(after, before, strict=True)].count(False) == 1
    assert after[3].state == "failed"


def test_a_run_that_was_deleted_waits_again(run: RunDir) -> None:
    begin(run, ended(Outcome.CONNECTED))
    runs = ManyRuns([run])
    assert runs.look()[0].state == "connected"
    run.events.unlink()
    assert runs.look() == (WAITING,)
    begin(run)
    assert runs.look()[0].state == "interrupted"
