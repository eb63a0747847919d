"""What a viewer does about signals, hang-ups and odd bytes, and how it leaves its terminal."""

from __future__ import annotations

import os
import pty
import signal
import time
from pathlib import Path

import pytest
from textual.drivers.linux_driver import LinuxDriver

from dss_tui.tui.terminal import SteadyDriver, WatchedDriver, driver_class, relied_on
from tests.support.more import always
from tests.support.pseudo_terminal import Viewer, unrest, viewer

# ---------------------------------------------------------------- signals


def at_rest(shown: Viewer) -> bool:
    assert shown.unrest() == []
    return True


@pytest.mark.parametrize(
    "keys, words", [("", "digits"), ("?", "Keys of this screen"), ("2", "no runs")]
)
def test_a_viewer_ends_when_its_terminal_goes_away(
    keys: str, words: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DSS_TUI_RUNS", str(tmp_path / "runs"))
    with viewer() as shown:
        shown.wait_for("digits")
        shown.press(keys)
        shown.wait_for(words)
        shown.hang_up()
        # A viewer that draws at that very moment ends with 1: nobody is left to see its status.
        ends = (128 + signal.SIGHUP, -signal.SIGHUP, 1)
        assert shown.wait_for_end(reading=False) in ends


@pytest.mark.parametrize(
    "name",
    always(
        ["SIGHUP", "SIGINT", "SIGTERM"],
        ["SIGHUP", "SIGINT", "SIGQUIT", "SIGTERM", "SIGUSR1", "SIGABRT"],
    ),
)
def test_a_signal_leaves_the_terminal_as_it_was(name: str) -> None:
    number = signal.Signals[name]
    with viewer() as shown:
        shown.wait_for("digits")
        shown.process.send_signal(number)
        assert shown.wait_for_end() == 128 + number
        assert "Traceback" not in shown.text()
        assert at_rest(shown)


def test_nobody_reads_what_is_written() -> None:
    """The event loop waits for ever on a full terminal; the watchdog does not."""
    with viewer() as shown:
        shown.wait_for("digits")
        for _ in range(200):
            shown.press("jk" * 20)
            time.sleep(0.01)
        shown.process.send_signal(signal.SIGTERM)
        assert shown.wait_for_end(reading=False) == 128 + signal.SIGTERM
        assert at_rest(shown)


@pytest.mark.parametrize(
    "signals",
    [[signal.SIGSTOP, signal.SIGCONT], [signal.SIGCONT], [signal.SIGTSTP, signal.SIGCONT]],
    ids=["stopped", "continued alone", "suspended"],
)
def test_a_viewer_that_was_stopped_goes_on(signals: list[signal.Signals]) -> None:
    """Keys that come before it has taken the terminal anew are dropped."""
    with viewer() as shown:
        shown.wait_for("digits")
        shown.read(1)
        shown.written.clear()
        shown.send(*signals)
        shown.wait_for("digits")
        shown.press("q")
        assert shown.wait_for_end() == 0
        assert at_rest(shown)


def test_a_viewer_that_goes_on_shows_everything_anew() -> None:
    with viewer() as shown:
        shown.wait_for("digits")
        shown.read(1)
        shown.written.clear()
        shown.send(signal.SIGSTOP, signal.SIGCONT)
        shown.wait_for("digits")


def test_a_suspended_viewer_has_given_the_terminal_back() -> None:
    with viewer() as shown:
        shown.wait_for("digits")
        shown.process.send_signal(signal.SIGTSTP)
        assert shown.wait_for_stop() and at_rest(shown)


# ---------------------------------------------------------------- input


@pytest.mark.parametrize("keys", [b"\xe9", b"\x1b[M \xc8\xc9"], ids=["latin 1", "X10 mouse"])
def test_bytes_that_are_not_utf_8_are_survived(
    keys: bytes, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DSS_TUI_RUNS", str(tmp_path / "runs"))
    with viewer() as shown:
        shown.wait_for("digits")
        shown.press(keys)
        shown.read(1)
        shown.press("2")
        shown.wait_for("no runs")
        shown.press("\x11")
        assert shown.wait_for_end() == 0
        assert at_rest(shown)


def test_keys_from_another_terminal_that_goes_away() -> None:
    master, slave = pty.openpty()
    with viewer(stdin=slave) as shown:
        os.close(slave)
        shown.wait_for("digits")
        os.close(master)
        assert shown.wait_for_end() == 128 + signal.SIGHUP
        assert unrest(bytes(shown.written)) == []


def test_a_storm_of_sizes_is_drawn_once() -> None:
    with viewer() as shown:
        shown.wait_for("digits")
        shown.read(2)
        shown.written.clear()
        for columns in range(100, 150):
            shown.resize(30, columns)
            time.sleep(0.01)
        shown.read(3)
        assert shown.written.count(b"digits-cnn") < 10
        assert shown.written.count(b"digits-cnn") > 0


# ---------------------------------------------------------------- textual


def test_the_private_parts_of_textual_that_are_relied_on_are_there() -> None:
    assert all(relied_on().values()), relied_on()
    assert driver_class() is SteadyDriver


def test_another_textual_gets_the_driver_that_needs_less(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(LinuxDriver, "_sigcont_application")
    assert driver_class() is WatchedDriver
