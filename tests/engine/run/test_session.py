"""Runs as processes: killed, signalled, watched by a reader that goes away, out of disk space."""

from __future__ import annotations

import json
import os
import random
import re
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.record.commands import send
from engine.record.lock import is_live
from engine.record.records import read_records
from engine.record.rundir import RunDir
from engine.record.runs import summarize
from engine.spec.yaml_file import load
from tests.support.run_strings import same_string

#: A search of about two seconds with several beads.
PRESET = ["quadratic", "--seed", "3", "--set", "problem.data.points=64"]
SETTINGS = [
    "search.level=5e-3",
    "search.batching=vmap",
    "workers=2",
    "checkpoint_seconds=0.2",
]
OPTIONS = [*(part for setting in SETTINGS for part in ("--set", setting)), "--headless"]
NUMBERS = {signal.SIGTERM: 143, signal.SIGUSR1: 128 + signal.SIGUSR1}


def start(*arguments: str, limit: Callable[[], None] | None = None) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "dss_tui", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=limit,
    )


def run(out: Path) -> subprocess.Popen[str]:
    return start("run", *PRESET, *OPTIONS, "--out", str(out))


def events(out: Path) -> list[str]:
    """The names of those that stand."""
    return [record.event.name for record in read_records(RunDir(out))]


def resume(out: Path) -> tuple[int, str]:
    process = start("resume", str(out), "--headless")
    _, errors = process.communicate()
    return process.returncode, errors


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    """Until the condition holds or the process has ended; a stuck process fails the test."""
    for _ in range(6000):
        if condition() or process.poll() is not None:
            return
        time.sleep(0.02)
    process.kill()
    raise AssertionError("the process neither did it nor ended")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run that nothing happened to."""
    out = tmp_path_factory.mktemp("whole") / "run"
    process = run(out)
    process.communicate()
    assert process.returncode == 0
    return out


@pytest.mark.exhaustive  # tests/faults kills runs at more moments
@pytest.mark.parametrize("seed", [0, 1])
def test_a_killed_run_resumes_to_the_same_bits(whole: Path, tmp_path: Path, seed: int) -> None:
    """Killed twice, each time after a random number of events or checkpoints."""
    draw = random.Random(seed)
    out = tmp_path / "run"
    process = run(out)
    for kill in range(2):
        wait_for_events(out, draw.randint(1, 25), process)
        time.sleep(draw.random() * 0.3)
        process.kill()
        process.communicate()
        assert not is_live(RunDir(out))
        if kill == 0:
            process = start("resume", str(out), "--headless")
    status, errors = resume(out)
    assert status == 0, errors
    assert same_string(out, whole)
    kept = [record.event for record in read_records(RunDir(out))]
    expected = [record.event for record in read_records(RunDir(whole))]
    facts = [event for event in kept if event.name != "continued"]
    assert [e.name for e in facts] == [e.name for e in expected]
    assert facts[:-1] == expected[:-1]  # the last holds the running time


def test_a_run_killed_before_its_first_checkpoint_still_says_how_it_started(tmp_path: Path) -> None:
    out = tmp_path / "run"
    late = ["--set", "checkpoint_seconds=1000"]
    process = start("run", *PRESET, *OPTIONS, *late, "--out", str(out))
    wait_for_events(out, 2, process)
    process.kill()
    process.communicate()
    assert not (out / "checkpoint.safetensors").exists()
    status, errors = resume(out)
    assert status == 0, errors
    names = [record.event.name for record in read_records(RunDir(out))]
    assert names[:2] == ["run_started", "continued"]
    assert names[-1] == "run_finished"


def count(out: Path) -> int:
    return len(read_records(RunDir(out))) if out.exists() else 0


def wait_for_events(out: Path, number: int, process: subprocess.Popen[str]) -> None:
    wait_for(lambda: count(out) >= number, process)


@pytest.mark.parametrize(
    "number",
    [pytest.param(signal.SIGTERM, marks=pytest.mark.exhaustive), signal.SIGUSR1],
    ids=lambda number: number.name,
)
def test_an_ending_signal_leaves_a_checkpoint(
    whole: Path, tmp_path: Path, number: signal.Signals
) -> None:
    out = tmp_path / "run"
    process = run(out)
    wait_for_events(out, 8, process)
    process.send_signal(number)
    printed, errors = process.communicate()
    assert process.returncode == NUMBERS[number]
    assert f"Stopped by {number.name}" in printed
    assert "Traceback" not in errors
    assert (out / "checkpoint.safetensors").exists()
    assert summarize(RunDir(out)).state == "stopped"
    status, errors = resume(out)
    assert status == 0, errors
    assert same_string(out, whole)


def test_a_signal_during_the_start_is_not_lost(tmp_path: Path) -> None:
    out = tmp_path / "run"
    process = run(out)
    wait_for(lambda: (out / "run.yaml").exists(), process)
    process.terminate()
    process.communicate()
    assert process.returncode == 143
    assert resume(out)[0] == 0


def test_stop_pause_and_a_second_engine(whole: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    process = run(out)
    wait_for_events(out, 3, process)
    (out / "commands.jsonl").write_text('nonsense\n{"command": 3}\n[]\n{"command": "fly"}\n')
    send(RunDir(out), "pause")
    wait_for(lambda: summarize(RunDir(out)).state == "paused", process)
    status, errors = resume(out)
    assert (status, len(errors.splitlines())) == (2, 1)
    assert "another process is running it" in errors
    with open(out / "commands.jsonl", "a") as commands:  # at one go: it may not end in between
        commands.write('{"command": "continue"}\n{"command": "pause"}\n')
    wait_for(lambda: events(out).count("paused") == 2, process)
    asked = subprocess.run(
        [sys.executable, "-m", "dss_tui", "stop", str(out)], capture_output=True, text=True
    )
    assert asked.returncode == 0
    process.communicate()
    assert process.returncode == 3
    assert resume(out)[0] == 0
    assert same_string(out, whole)
    names = events(out)
    assert names[names.index("paused") :][:3] == ["paused", "continued", "checkpoint_saved"]


def test_a_reader_of_json_that_goes_away(whole: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    options = [option for option in OPTIONS if option != "--headless"]
    process = start("run", *PRESET, *options, "--json", "--out", str(out))
    assert process.stdout is not None and process.stderr is not None
    assert json.loads(process.stdout.readline())["event"] == "run_started"
    process.stdout.close()
    assert process.wait() == 128 + signal.SIGPIPE
    assert process.stderr.read() == ""
    process.stderr.close()
    assert resume(out)[0] == 0
    assert same_string(out, whole)


def test_a_full_disk_while_checkpointing(tmp_path: Path) -> None:
    """No file may become as large as the string was, so the next one cannot be written.

    Which file meets the limit first depends on the machine's speed. That the run goes on to the
    same bits where there is room again is tried in tests/faults.
    """
    out = tmp_path / "run"
    process = run(out)
    wait_for_events(out, 12, process)
    process.terminate()
    process.communicate()
    good = (out / "checkpoint.safetensors").read_bytes()

    room = min(len(good), (out / "string.safetensors").stat().st_size) - 1

    def no_room() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, resource.RLIM_INFINITY))

    process = start("resume", str(out), "--headless", limit=no_room)
    printed, errors = process.communicate()
    assert process.returncode == 1, printed + errors
    assert re.search(r"run/\w+\.\w+: cannot be written: File too large", printed)
    assert "is still good: make room, then `dss-tui resume" in printed
    assert "Traceback" not in errors
    assert (out / "checkpoint.safetensors").read_bytes() == good
    assert not [path for path in os.listdir(out) if path.endswith(".tmp")]


def test_the_engine_by_itself(whole: Path, tmp_path: Path) -> None:
    """`python -m engine RUN_DIR` runs what `create` has made, and keeps run.yaml as it is."""
    out = tmp_path / "run"
    out.mkdir()
    (out / "run.yaml").write_bytes((whole / "run.yaml").read_bytes())
    ran = subprocess.run([sys.executable, "-m", "engine", str(out)], capture_output=True, text=True)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")
    assert same_string(out, whole)
    assert load(out / "run.yaml") == load(whole / "run.yaml")
    ran = subprocess.run([sys.executable, "-m", "engine"], capture_output=True, text=True)
    assert ran.returncode == 2
