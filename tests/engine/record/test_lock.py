"""One engine at a time, and viewers that know of it."""

from __future__ import annotations

import fcntl
import subprocess
from collections.abc import Iterator

import pytest

from engine.errors import InputError
from engine.record.lock import is_live
from engine.record.rundir import RunDir
from engine.record.writer import RunWriter
from tests.support.run_folders import (
    in_child,
    saved,
    seqs,
    write,
)


def test_a_second_writer_is_refused(run: RunDir, impatient: None) -> None:
    with RunWriter(run) as first:
        with pytest.raises(InputError) as caught:
            RunWriter(run)
        assert str(caught.value) == (
            f"{run.path}: another process is running it; `dss-tui stop {run.path}` stops it"
        )
        first.record(saved("a"), 0.5)
    assert seqs(run) == [1]


def test_the_run_is_free_again_however_the_block_ends(run: RunDir, impatient: None) -> None:
    with pytest.raises(ZeroDivisionError), RunWriter(run):
        raise ZeroDivisionError
    assert not is_live(run)
    write(run, saved("a"))
    write(run, saved("b"))
    assert seqs(run) == [1, 2]


def test_a_run_is_live_while_a_writer_holds_it(run: RunDir) -> None:
    assert not is_live(run)
    with RunWriter(run):
        assert is_live(run)
    assert not is_live(run)


def test_looking_does_not_disturb_the_writer(run: RunDir, impatient: None) -> None:
    with RunWriter(run) as writer:
        assert all(is_live(run) for _ in range(5))
        with pytest.raises(InputError):
            RunWriter(run)
        writer.record(saved("a"), 0.5)
    assert seqs(run) == [1]


def test_who_looks_is_not_taken_for_a_writer(run: RunDir) -> None:
    write(run, saved("a"))
    with open(run.lock, "rb") as looking:
        fcntl.flock(looking, fcntl.LOCK_SH)
        assert not is_live(run)


def test_a_writer_outwaits_somebody_who_looks(run: RunDir, monkeypatch: pytest.MonkeyPatch) -> None:
    write(run, saved("a"))
    waits: list[float] = []
    with open(run.lock, "rb") as looking:
        fcntl.flock(looking, fcntl.LOCK_SH)

        def leave(seconds: float) -> None:
            waits.append(seconds)
            fcntl.flock(looking, fcntl.LOCK_UN)

        monkeypatch.setattr("engine.record.lock.time.sleep", leave)
        write(run, saved("b"))
    assert len(waits) == 1
    assert seqs(run) == [1, 2]


HOLD = """
import sys
from pathlib import Path
from engine.record.rundir import RunDir
from engine.record.writer import RunWriter

with RunWriter(RunDir(Path(sys.argv[1]))):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(run: RunDir) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the run."""
    with in_child(HOLD, run.path) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "held\n"
        yield child
        child.kill()


def test_a_run_belongs_to_the_process_that_runs_it_until_it_dies(
    run: RunDir, holder: subprocess.Popen[str], impatient: None
) -> None:
    assert is_live(run)
    with pytest.raises(InputError, match="another process is running it"):
        RunWriter(run)
    holder.kill()
    holder.wait()
    assert not is_live(run)
    write(run, saved("a"))
    assert seqs(run) == [1]
