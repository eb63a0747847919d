"""Engines of other machines: heard, lost, and told apart from those of this one."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dss_tui.commands.runs import ls
from engine.errors import InputError
from engine.record import heartbeat, lock
from engine.record.heartbeat import LOST_S, Holder, this_process
from engine.record.lock import is_live, life_of, take_lock
from engine.record.rundir import RunDir
from engine.record.runs import summarize
from engine.record.writer import RunWriter
from tests.support.run_folders import saved, write

#: An engine of another machine.
ELSEWHERE = Holder("elsewhere", "another", 7)


class Clock:
    """A clock that only grows, and that a test moves."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    made = Clock()
    monkeypatch.setattr(heartbeat, "clock", made)
    heartbeat._SEEN.clear()
    yield made
    heartbeat._SEEN.clear()


def away(run: RunDir, ago_s: float, holder: Holder = ELSEWHERE) -> None:
    """An engine of another machine, whose last beat was so long ago by the file's time."""
    run.lock.write_text(json.dumps(vars(holder)))
    beat(run, time.time() - ago_s)


def beat(run: RunDir, at_s: float) -> None:
    os.utime(run.lock, (at_s, at_s))


def until(true: Callable[[], bool]) -> None:
    while not true():
        time.sleep(0.002)


def test_an_engine_beats_as_long_as_it_holds_the_run(
    run: RunDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heartbeat, "EVERY_S", 0.005)
    with RunWriter(run):
        told = json.loads(run.lock.read_text())
        assert told["pid"] == os.getpid() and told["host"] == this_process().host
        for _ in range(2):
            beat(run, 1e9)
            until(lambda: run.lock.stat().st_mtime > 1e9)
    assert run.lock.read_bytes() == b"" and not is_live(run)


def test_one_that_is_heard_is_live(run: RunDir, clock: Clock) -> None:
    away(run, 2.0)
    assert is_live(run) and life_of(run).lost is None
    away(run, 2 * LOST_S)
    heartbeat._SEEN.clear()
    assert life_of(run).words.startswith("no heartbeat from elsewhere (process 7) for 6")


def test_clocks_may_be_wrong_and_jump(
    run: RunDir, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """This machine's is an hour off; then the file system's goes back and forth by a day."""
    monkeypatch.setattr(heartbeat, "wall_ns", lambda: int(1e9 * (time.time() + 3600)))
    away(run, 2.0)
    assert is_live(run)
    for at in (-86400.0, 86400.0, 0.0):
        clock.now += 5
        beat(run, time.time() + at)
        assert is_live(run)
    clock.now += LOST_S - 1
    assert is_live(run)
    clock.now += 2
    found = life_of(run)
    assert not found.live and found.silent_s == pytest.approx(LOST_S + 1)


def test_a_time_to_come_does_not_keep_one_alive(run: RunDir, clock: Clock) -> None:
    away(run, -7200.0)
    assert not is_live(run)
    clock.now += 5
    beat(run, time.time() + 7205)
    assert is_live(run)


def test_without_a_file_system_that_tells_the_time(
    run: RunDir, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(**_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(heartbeat, "TemporaryFile", refuse)
    away(run, 2.0)
    assert is_live(run)
    clock.now += LOST_S + 1
    assert not is_live(run)


def test_of_this_machine_the_lock_alone_tells(run: RunDir, clock: Clock) -> None:
    """Also of a start before this one, whose processes are gone."""
    away(run, 0.0, Holder(this_process().host, this_process().boot, 7))
    assert life_of(run) == lock.AT_REST
    away(run, 3600.0, Holder(this_process().host, "before", 7))
    assert life_of(run) == lock.AT_REST


def test_a_run_is_taken_only_where_nobody_is_heard(
    run: RunDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock, "LISTEN_S", 0.3)
    away(run, 7200.0)
    take_lock(run).close()  # silent for the while
    stop = threading.Event()

    def beating() -> None:
        at = 1e9
        while not stop.is_set():
            at += 1
            beat(run, at)
            time.sleep(0.01)

    away(run, 7200.0)
    thread = threading.Thread(target=beating)
    thread.start()
    monkeypatch.setattr(lock, "LISTEN_S", 60.0)
    try:
        with pytest.raises(InputError, match="process 7 of elsewhere is running it"):
            take_lock(run)
    finally:
        stop.set()
        thread.join()


def test_a_lost_run_in_the_list(
    tmp_path: Path,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("DSS_TUI_RUNS", str(tmp_path))
    run = RunDir(tmp_path / "far")
    run.path.mkdir()
    run.spec.touch()
    write(run, saved("a"))
    away(run, 600.0)
    assert summarize(run).state == "lost"
    assert ls() == 0
    out, said = capsys.readouterr()
    assert "lost" in out and "far: no heartbeat from elsewhere (process 7) for 10 min" in said
