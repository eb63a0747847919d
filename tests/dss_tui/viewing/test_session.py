"""Runs handled as the screens do: engines in sessions of their own, resumed, refused, deleted."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import presets
from dss_tui.viewing import session
from dss_tui.viewing.follow import Follower
from engine.errors import InputError
from engine.record import finding, string_file
from engine.record.commands import send
from engine.record.events import Outcome, RunFinished, RunStarted
from engine.record.findings import Totals
from engine.record.lock import is_live
from engine.record.records import finished, read_records
from engine.record.rundir import RunDir
from engine.record.writer import RunWriter
from engine.spec.keys import Spec

QUICK = ("problem.data.points=64", "search.level=1e-2", "seed=1")

#: The viewer goes on, or ends, without waiting for its engine.
pytestmark = pytest.mark.filterwarnings("ignore:subprocess .* is still running:ResourceWarning")


def quick(*overrides: str) -> Spec:
    return presets.load_preset("quadratic", [*QUICK, *overrides])


def ended(run: RunDir) -> RunFinished:
    """How a launched run ends; one that neither runs nor ends fails the test."""
    for _ in range(6000):
        found = finished(read_records(run))
        if found is not None and not is_live(run):
            return found
        time.sleep(0.02)
    raise AssertionError(f"it neither ran nor ended: {run.log.read_text()}")


@pytest.fixture(scope="module")
def connected(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunDir]:
    """A run that was started where another project's `engine` is."""
    here = tmp_path_factory.mktemp("here")
    (here / "engine").mkdir()
    for name in ("__init__.py", "__main__.py"):
        (here / "engine" / name).write_text("raise SystemExit('another engine')\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(here)
        run = session.start(quick(), "quadratic", Path("run"))
    ended(run)
    yield run


# ---------------------------------------------------------------- start


def test_a_started_run_connects(connected: RunDir) -> None:
    assert ended(connected).outcome is Outcome.CONNECTED
    assert Follower(connected).look().state == "connected"
    assert connected.string.exists()


def test_an_engine_of_another_project_is_not_run(connected: RunDir) -> None:
    assert (connected.path.parent / "engine").is_dir()
    assert "another engine" not in connected.log.read_text()


def test_the_engine_writes_to_the_log_and_nowhere_else(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    run = session.start(quick("device=cuda:97"), "quadratic", tmp_path / "run")
    end = ended(run)
    assert capfd.readouterr() == ("", "")
    assert "cuda:97" in run.log.read_text()
    # … and the run that cannot have its device says so, where viewers look.
    assert end.outcome is Outcome.FAILED
    assert end.sentence.startswith("It cannot run") and "cuda:97" in end.sentence
    seen = Follower(run, launched=True)
    seen.look()
    told = seen.look()
    assert told.view.finished is not None and told.exit_status == 1
    assert told.view.finished.sentence == end.sentence  # numbers of no string are equal to nothing


def test_the_engine_has_a_session_of_its_own(tmp_path: Path) -> None:
    run = session.start(quick("search.level=5e-3"), "quadratic", tmp_path / "run")
    send(run, "pause")
    pid = engine_pid(run)
    try:
        assert os.getsid(pid) == os.getpgid(pid) == pid
        if Path("/proc/self/fd").is_dir():
            streams = [os.readlink(f"/proc/{pid}/fd/{number}") for number in range(3)]
            assert streams == [os.devnull, str(run.log), str(run.log)]
    finally:
        send(run, "stop")
        outcome = ended(run).outcome
    assert outcome is Outcome.STOPPED


def engine_pid(run: RunDir) -> int:
    """Of the engine, once it has begun."""
    for _ in range(6000):
        if read_records(run):
            return int(json.loads(run.meta.read_text())["pid"])
        time.sleep(0.02)
    raise AssertionError("the engine did not begin")


def test_a_run_that_cannot_be_is_refused_before_anything_is_made(runs: Path) -> None:
    with pytest.raises(InputError, match="sizes"):
        session.start(quick("problem.network.sizes=[3,4,1]"), "quadratic")
    assert not runs.exists()


def test_a_run_starts_in_the_runs_folder_under_its_preset_s_name(
    runs: Path, launched: list[RunDir]
) -> None:
    run = session.start(quick(), "quadratic")
    assert launched == [run]
    assert run.path.parent == runs and run.name.startswith("quadratic-")
    assert run.load_spec() == quick().of_a_new_run()


# ---------------------------------------------------------------- resume


@pytest.fixture
def launched(monkeypatch: pytest.MonkeyPatch) -> list[RunDir]:
    """The directories on which an engine would have been launched."""
    asked: list[RunDir] = []
    monkeypatch.setattr(session, "launch", lambda run, **_: asked.append(run))
    return asked


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    return finding.create(quick(), "quadratic", tmp_path / "run")


def write(run: RunDir, *outcomes: Outcome) -> None:
    """A session that begins, and ends with the outcome if there is one."""
    totals = Totals(5, 4, 3, 1, 2, (2, 1, 2), 700, 0.02, 1.7, 8.5)
    with RunWriter(run) as writer:
        writer.record(RunStarted("greedy", 0.02, 0.7, 5, 61, 40, ("cpu",)), 0.25)
        for outcome in outcomes:
            writer.record(RunFinished(outcome, f"It is {outcome}.", totals), 8.5)


@pytest.mark.parametrize("outcome", [Outcome.STOPPED, Outcome.FAILED])
def test_a_run_with_more_to_do_goes_on(
    run: RunDir, launched: list[RunDir], outcome: Outcome
) -> None:
    write(run, outcome)
    assert session.resume(run) == ""
    assert launched == [run]


def test_an_interrupted_run_goes_on(run: RunDir, launched: list[RunDir]) -> None:
    write(run)
    assert session.resume(run) == ""
    assert launched == [run]


@pytest.mark.parametrize(
    "outcome",
    [
        Outcome.CONNECTED,
        Outcome.NOT_CONNECTED,
        Outcome.ENDPOINT_NOT_TRAINED,
        Outcome.LIMIT_REACHED,
    ],
)
def test_a_run_with_nothing_to_do_says_so(
    run: RunDir, launched: list[RunDir], outcome: Outcome
) -> None:
    write(run, outcome)
    answer = session.resume(run)
    assert answer is not None and f"It is {outcome}." in answer
    assert launched == []


def test_a_live_run_is_not_launched_again(run: RunDir, launched: list[RunDir]) -> None:
    with RunWriter(run):
        assert session.resume(run) == "it is running"
    assert launched == []


def test_a_resumed_run_really_goes_on(connected: RunDir, tmp_path: Path) -> None:
    """One whose process was lost before its first checkpoint starts again, to the same end."""
    run = finding.create(connected.load_spec(), "quadratic", tmp_path / "lost")
    kept = connected.events.read_text().splitlines(keepends=True)[:3]
    run.events.write_text("".join(kept))
    assert session.resume(run) == ""
    assert ended(run).outcome is Outcome.CONNECTED
    one, other = (string_file.read(each.string).string.beads for each in (run, connected))
    assert one.tobytes() == other.tobytes()


# ---------------------------------------------------------------- delete


def test_a_live_run_is_not_deleted(run: RunDir) -> None:
    with RunWriter(run) as writer:
        writer.record(RunStarted("greedy", 0.02, 0.7, 5, 61, 40, ("cpu",)), 0.25)
        with pytest.raises(InputError, match="is running") as refusal:
            session.delete(run)
    assert str(run.path) in str(refusal.value)
    assert run.events.exists()


@pytest.mark.parametrize("outcomes", [(), (Outcome.CONNECTED,)], ids=["interrupted", "ended"])
def test_a_run_without_a_process_is_deleted(run: RunDir, outcomes: tuple[Outcome, ...]) -> None:
    write(run, *outcomes)
    beside = run.path.parent / "beside.txt"
    beside.write_text("mine")
    session.delete(run)
    assert not run.path.exists()
    assert beside.exists()
