"""The viewer under a pseudo-terminal: what a hung-up connection leaves behind."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from engine.record.events import RunFinished
from engine.record.lock import is_live
from engine.record.records import finished, read_records
from engine.record.rundir import RunDir
from engine.record.runs import summarize

SETTINGS = [
    "problem.data.points=64",
    "search.level=5e-3",
    "search.batching=vmap",
    "checkpoint_seconds=0.2",
]
PRESET = ["quadratic", "--seed", "3", *(p for s in SETTINGS for p in ("--set", s))]
#: A search that goes on until it is stopped: its endpoints never reach the level.
ENDLESS = ["search.level=1e-12", "endpoints.patience=1000000000", "endpoints.max_steps=1000000000"]


@dataclass
class Terminal:
    """A viewer that believes it sits on an 80×24 terminal of ours."""

    process: subprocess.Popen[bytes]
    master: int
    written: bytearray = field(default_factory=bytearray)

    def read(self) -> str:
        """All that was written so far, without the escapes."""
        with contextlib.suppress(OSError):  # the other end is closed
            while select.select([self.master], [], [], 0.05)[0]:
                self.written += os.read(self.master, 65536)
        text = self.written.decode(errors="replace")
        return re.sub(r"\x1b\[[0-9;?<>=]*[a-zA-Z]|\x1b[()][A-Z0-9]|\x1b.", "", text)

    def wait_for(self, words: str) -> str:
        """Until the words were written; a viewer that never writes them fails the test."""
        for _ in range(1200):
            text = self.read()
            if words in text:
                return text
            if self.process.poll() is not None:
                break
            time.sleep(0.05)
        raise AssertionError(f"{words!r} was not shown: {self.read()[-2000:]}")

    def wait_for_end(self) -> None:
        """Until the process has ended; what it still writes is read, as a terminal would."""
        for _ in range(6000):
            self.read()
            if self.process.poll() is not None:
                return
            time.sleep(0.05)
        raise AssertionError("the viewer does not end")

    def press(self, keys: str) -> None:
        os.write(self.master, keys.encode())


@contextlib.contextmanager
def terminal(*arguments: str) -> Iterator[Terminal]:
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))

    def own_the_terminal() -> None:
        os.setsid()
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    process = subprocess.Popen(
        [sys.executable, "-m", "dss_tui", *arguments],
        stdin=slave,
        stdout=slave,
        stderr=slave,
        env=os.environ | {"TERM": "xterm-256color", "COLORTERM": "truecolor"},
        preexec_fn=own_the_terminal,
    )
    os.close(slave)
    viewer = Terminal(process, master)
    try:
        yield viewer
    finally:
        process.kill()
        process.wait()
        with contextlib.suppress(OSError):
            os.close(master)


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


@pytest.mark.parametrize("how", ["SIGHUP", "SIGTERM", "closed"])
def test_the_engine_goes_on_without_its_viewer(tmp_path: Path, how: str) -> None:
    run = RunDir(tmp_path / "run")
    with terminal("run", *PRESET, "--out", str(run.path)) as viewer:
        viewer.wait_for("running")
        wait_until(lambda: len(read_records(run)) >= 4)
        if how == "closed":
            os.close(viewer.master)
        else:
            viewer.process.send_signal(signal.Signals[how])
        viewer.wait_for_end()  # gone: it can use no CPU
        number = signal.SIGTERM if how == "SIGTERM" else signal.SIGHUP
        assert viewer.process.returncode in (128 + number, -number)
        assert is_live(run) or finished(read_records(run)) is not None
    totals = ending(run).totals
    with terminal("attach", str(run.path)) as second:
        text = second.wait_for("connected")
        assert f"beads {totals.beads}" in text
        assert f"depth {totals.depth}" in text
        assert f"length {totals.normalized_length:.3f}" in text
        second.press("q")
        second.wait_for_end()
        assert second.process.returncode == 0


def test_a_killed_engine_is_shown_and_resumed_with_a_key(tmp_path: Path) -> None:
    run, whole = RunDir(tmp_path / "run"), RunDir(tmp_path / "whole")
    headless = [sys.executable, "-m", "dss_tui", "run", *PRESET, "--headless"]
    assert (
        subprocess.run([*headless, "--out", str(whole.path)], capture_output=True).returncode == 0
    )
    with terminal("run", *PRESET, "--out", str(run.path)) as viewer:
        wait_until(lambda: run.meta.exists() and len(read_records(run)) >= 6)
        pid = json.loads(run.meta.read_text())["pid"]
        os.kill(pid, signal.SIGKILL)
        viewer.wait_for("interrupted")
        assert summarize(run).state == "interrupted"
        viewer.press("r")
        ended = ending(run)
        viewer.wait_for("connected")
    assert ended.outcome == "connected"

    def tensors(run: RunDir) -> bytes:
        content = run.string.read_bytes()
        return content[8 + int.from_bytes(content[:8], "little") :]

    assert tensors(run) == tensors(whole)


def test_two_viewers_and_a_stop(tmp_path: Path) -> None:
    run = RunDir(tmp_path / "run")
    endless = [part for setting in ENDLESS for part in ("--set", setting)]
    with terminal("run", *PRESET, *endless, "--out", str(run.path)) as first:
        first.wait_for("running")
        with terminal("attach", str(run.path)) as second:
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
    assert "Connected:" in ran.stdout
    assert "\x1b" not in ran.stdout + ran.stderr
