"""The viewer under a pseudo-terminal: what a hung-up connection leaves behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.record.events import RunFinished
from engine.record.lock import is_live
from engine.record.records import finished, read_records
from engine.record.rundir import RunDir
from engine.record.runs import summarize
from tests.support.more import always
from tests.support.pseudo_terminal import viewer

SETTINGS = [
    "problem.data.points=64",
    "search.level=5e-3",
    "search.batching=vmap",
    "checkpoint_seconds=0.2",
]
PRESET = ["quadratic", "--seed", "3", *(p for s in SETTINGS for p in ("--set", s))]
#: A search that goes on until it is stopped: its endpoints never reach the level.
ENDLESS = ["search.level=1e-12", "endpoints.patience=1000000000", "endpoints.max_steps=1000000000"]


def wait_until(condition: Callable[[], bool]) -> None:
    for _ in range(6000):
        if condition():
            return
        time.sleep(0.02)
    raise AssertionError("it never happened")


def ending(run: RunDir) -> RunFinished:
    wait_until(lambda: finished(read_records(run)) is not None and not is_live(run))
    ended = finished(read_records(run))
    assert ended is not None
    return ended


@pytest.mark.parametrize("how", always(["closed"], ["SIGHUP", "SIGTERM", "closed"]))
def test_the_engine_goes_on_without_its_viewer(tmp_path: Path, how: str) -> None:
    run = RunDir(tmp_path / "run")
    with viewer("run", *PRESET, "--out", str(run.path)) as shown:
        shown.wait_for("running")
        wait_until(lambda: len(read_records(run)) >= 4)
        if how == "closed":
            shown.hang_up()
        else:
            shown.process.send_signal(signal.Signals[how])
        number = signal.SIGTERM if how == "SIGTERM" else signal.SIGHUP
        # gone: it can use no CPU
        assert shown.wait_for_end(reading=how != "closed") in (128 + number, -number)
        assert is_live(run) or finished(read_records(run)) is not None
    totals = ending(run).totals
    with viewer("attach", str(run.path)) as second:
        text = second.wait_for("connected")
        assert f"beads {totals.beads}" in text
        assert f"depth {totals.depth}" in text
        assert f"length {totals.normalized_length:.3f}" in text
        second.press("q")
        assert second.wait_for_end() == 0


def test_a_killed_engine_is_shown_and_resumed_with_a_key(tmp_path: Path) -> None:
    run, whole = RunDir(tmp_path / "run"), RunDir(tmp_path / "whole")
    headless = [sys.executable, "-m", "dss_tui", "run", *PRESET, "--headless"]
    assert (
        subprocess.run([*headless, "--out", str(whole.path)], capture_output=True).returncode == 0
    )
    with viewer("run", *PRESET, "--out", str(run.path)) as shown:
        wait_until(lambda: run.meta.exists() and len(read_records(run)) >= 6)
        pid = json.loads(run.meta.read_text())["pid"]
        os.kill(pid, signal.SIGKILL)
        shown.wait_for("interrupted")
        assert summarize(run).state == "interrupted"
        shown.press("r")
        ended = ending(run)
        shown.wait_for("connected")
    assert ended.outcome == "connected"

    def tensors(run: RunDir) -> bytes:
        content = run.string.read_bytes()
        return content[8 + int.from_bytes(content[:8], "little") :]

    assert tensors(run) == tensors(whole)


def test_two_viewers_and_a_stop(tmp_path: Path) -> None:
    run = RunDir(tmp_path / "run")
    endless = [part for setting in ENDLESS for part in ("--set", setting)]
    with viewer("run", *PRESET, *endless, "--out", str(run.path)) as first:
        first.wait_for("running")
        with viewer("attach", str(run.path)) as second:
            second.wait_for("running")
            second.press("p")
            first.wait_for("paused")
            second.wait_for("paused")
            with open(run.commands, "ab") as commands:
                commands.write(b'\xff\xfe nonsense\n{"command": []}\n[[[[\n')
            first.press("p")
            wait_until(lambda: summarize(run).state != "paused")
            first.press("x")
            first.wait_for("Stop the search?")
            first.press("y")
            assert str(ending(run).outcome) == "stopped"
            second.wait_for("stopped")


def test_without_a_standard_input_one_sentence() -> None:
    ran = subprocess.run(
        ["sh", "-c", 'exec "$0" -m dss_tui <&-', sys.executable], capture_output=True, text=True
    )
    assert ran.returncode == 2
    assert ran.stderr.count("\n") == 1 and "no terminal" in ran.stderr


def test_no_terminal_no_screen(tmp_path: Path) -> None:
    """Without a terminal `run` is headless, and the menu says that it needs one."""
    bare = subprocess.run(
        [sys.executable, "-m", "dss_tui"], capture_output=True, text=True, stdin=subprocess.DEVNULL
    )
    assert bare.returncode == 2
    assert "no terminal" in bare.stderr
    assert "\x1b" not in bare.stdout + bare.stderr
    ran = subprocess.run(
        [sys.executable, "-m", "dss_tui", "run", *PRESET, "--out", str(tmp_path / "run")],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )
    assert ran.returncode == 0
    assert "Connected, proven:" in ran.stdout
    assert "\x1b" not in ran.stdout + ran.stderr
