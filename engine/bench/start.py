"""Measures start-up times: an answer of the command line, and the first frame of a screen."""

from __future__ import annotations

import os
import select
import struct
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence

from engine.bench.measures import Action, Clock, Effort, Spread, Start, repeated, spread

#: The terminal's size, and the seconds after which a frame counts as missing.
ROWS, COLUMNS, PATIENCE_S = 40, 140, 30.0
TERMINAL = {"TERM": "xterm-256color", "COLORTERM": "truecolor"}


class NoFrame(Exception):
    """Raised where no frame was drawn; says why."""


def measure_start(
    command: Sequence[str],
    words: str,
    environment: Mapping[str, str],
    effort: Effort,
    clock: Clock = time.perf_counter,
) -> Start:
    """Returns the times of `command --help`, and of `command` until it has drawn `words`.

    The runs folder is an empty one. Raises subprocess.CalledProcessError where `--help` fails.
    """
    with tempfile.TemporaryDirectory() as folder:
        own = {**environment, "DSS_TUI_RUNS": folder}
        helped = _seconds(lambda: _answer([*command, "--help"], own), effort, clock)
        try:
            frame = _seconds(lambda: _frame(command, words.encode(), own), effort, clock)
            return Start(helped, frame, None)
        except NoFrame as error:
            return Start(helped, None, str(error))


def _seconds(action: Action, effort: Effort, clock: Clock) -> Spread:
    """Returns the seconds of an action, over repeated timings."""
    timings = repeated(lambda: action, effort.repeats, clock)
    return spread([timing.seconds for timing in timings])


def _answer(command: Sequence[str], environment: Mapping[str, str]) -> int:
    """Runs a command to its end. Raises subprocess.CalledProcessError where it fails."""
    subprocess.run(
        command, env=environment, check=True, capture_output=True, stdin=subprocess.DEVNULL
    )
    return 1


def _frame(command: Sequence[str], words: bytes, environment: Mapping[str, str]) -> int:
    """Runs a command on a pseudo-terminal until it has drawn `words`, and then kills it.

    Raises NoFrame where there is no pseudo-terminal, or the words do not come.
    """
    try:
        import fcntl
        import pty
        import termios

        master, slave = pty.openpty()
    except (ImportError, OSError) as error:
        raise NoFrame(f"no pseudo-terminal: {error}") from None
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    process = subprocess.Popen(
        command,
        stdin=slave,
        stdout=slave,
        stderr=slave,
        env={**environment, "COLUMNS": str(COLUMNS), "LINES": str(ROWS), **TERMINAL},
        start_new_session=True,
    )
    os.close(slave)
    try:
        _wait_for(words, master)
    finally:
        process.kill()
        process.wait()
        os.close(master)
    return 1


def _wait_for(words: bytes, master: int) -> None:
    """Waits until `words` come from a pseudo-terminal. Raises NoFrame where they do not."""
    written, until = b"", time.monotonic() + PATIENCE_S
    while words not in written:
        left = until - time.monotonic()
        if left <= 0 or not select.select([master], [], [], left)[0]:
            raise NoFrame(f"{words.decode()!r} was not drawn within {PATIENCE_S:.0f} s")
        try:
            written += os.read(master, 65536)
        except OSError:  # the other end is closed
            raise NoFrame(f"the command ended without drawing {words.decode()!r}") from None
