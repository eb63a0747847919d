"""A viewer on a terminal of ours, for tests and benchmarks."""

from __future__ import annotations

import contextlib
import fcntl
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
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

CHECKOUT = Path(__file__).parents[2]

TRUE_COLOUR = {"TERM": "xterm-256color", "COLORTERM": "truecolor"}

ESCAPES = re.compile(r"\x1b\[[0-9;?<>=]*[a-zA-Z]|\x1b[()][A-Z0-9]|\x1b.")

#: Private modes of a terminal that is at rest, by their numbers.
AT_REST = {
    1049: ("alternate screen", False),
    25: ("cursor", True),
    7: ("line wrap", True),
    1000: ("mouse", False),
    1003: ("mouse motion", False),
    1006: ("mouse reports", False),
    1004: ("focus reports", False),
    2004: ("bracketed paste", False),
}


@dataclass
class Viewer:
    """A process that believes it sits on a terminal, whose other end is held here."""

    process: subprocess.Popen[bytes]
    master: int
    slave: int
    before: list[object]
    """The terminal's modes before the viewer took it."""
    written: bytearray = field(default_factory=bytearray)
    """All that was read of what the viewer wrote."""

    def read(self, seconds: float = 0.05, until: bytes | None = None) -> bytes:
        """Reads for that time, or until some bytes came, and returns what is new."""
        end, new = time.monotonic() + seconds, bytearray()
        while (left := end - time.monotonic()) > 0 and not (until is not None and until in new):
            if select.select([self.master], [], [], left)[0]:
                try:
                    new += os.read(self.master, 65536)
                except OSError:
                    break
        self.written += new
        return bytes(new)

    def text(self) -> str:
        """Returns all that was written so far, without the escapes."""
        self.read()
        return ESCAPES.sub("", self.written.decode(errors="replace"))

    def wait_for(self, words: str) -> str:
        """Waits until the words were written. Raises AssertionError where they never are."""
        for _ in range(2400):
            text = self.text()
            if words in text:
                return text
            if self.process.poll() is not None:
                break
        raise AssertionError(f"{words!r} was not shown: {self.text()[-2000:]}")

    def wait_for_end(self, *, reading: bool = True) -> int:
        """Waits until the process has ended and returns its status; reads what it writes."""
        for _ in range(6000):
            if self.process.poll() is not None:
                return self.process.returncode
            if reading:
                self.read()
            else:
                time.sleep(0.05)
        raise AssertionError("the viewer does not end")

    def leave(self) -> int:
        """Presses q, waits until the viewer has ended, and returns its status."""
        self.press("q")
        return self.wait_for_end()

    def press(self, keys: str | bytes) -> None:
        """Types keys."""
        os.write(self.master, keys.encode() if isinstance(keys, str) else keys)

    def send(self, *signals: signal.Signals) -> None:
        """Sends signals, a moment apart, and after SIGTSTP once the viewer has stopped."""
        for number in signals:
            self.process.send_signal(number)
            if number is signal.SIGTSTP:
                self.wait_for_stop()
            time.sleep(0.2)

    def wait_for_stop(self) -> bool:
        """Waits until the process has stopped, and returns whether it has before long."""
        for _ in range(200):
            self.read()
            stopped = os.WSTOPPED | os.WNOHANG | os.WNOWAIT
            if os.waitid(os.P_PID, self.process.pid, stopped) is not None:
                return True
        return False

    def resize(self, rows: int, columns: int) -> None:
        """Gives the terminal another size."""
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def hang_up(self) -> None:
        """Takes the terminal away, as a lost connection does."""
        os.close(self.master)
        self.master = -1

    def unrest(self) -> list[str]:
        """Returns what the viewer left changed on its terminal; nothing is as it should be."""
        self.read()
        changed = [] if termios.tcgetattr(self.slave) == self.before else ["line modes"]
        return changed + unrest(bytes(self.written))


def unrest(written: bytes) -> list[str]:
    """Returns the names of the modes that some output leaves other than a terminal at rest has."""
    last: dict[int, bool] = {}
    for numbers, letter in re.findall(rb"\x1b\[\?([0-9;]+)([hl])", written):
        last |= {int(number): letter == b"h" for number in numbers.split(b";")}
    left = [name for number, (name, rest) in AT_REST.items() if last.get(number, rest) != rest]
    depth = 0
    for letter in re.findall(rb"\x1b\[([<>])[0-9;]*u", written):
        depth = depth + 1 if letter == b">" else max(0, depth - 1)
    return left + ["keyboard protocol"] * (depth > 0)


@contextlib.contextmanager
def viewer(
    *arguments: str,
    rows: int = 24,
    columns: int = 80,
    stdin: int | None = None,
    python: str = sys.executable,
    checkout: Path = CHECKOUT,
) -> Iterator[Viewer]:
    """Runs `dss-tui` with these arguments on a new terminal; kills it in the end.

    `stdin` is a descriptor to read keys from other than the terminal, `python` the interpreter,
    `checkout` the folder of the project to run.
    """
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    before = termios.tcgetattr(slave)

    def own_the_terminal() -> None:
        os.setsid()
        fcntl.ioctl(2, termios.TIOCSCTTY, 0)

    process = subprocess.Popen(
        [python, "-m", "dss_tui", *arguments],
        stdin=slave if stdin is None else stdin,
        stdout=slave,
        stderr=slave,
        env=os.environ | TRUE_COLOUR | {"PYTHONPATH": str(checkout)},
        cwd=checkout,
        preexec_fn=own_the_terminal,
    )
    held = Viewer(process, master, slave, before)
    try:
        yield held
    finally:
        process.kill()
        process.wait()
        os.close(slave)
        if held.master >= 0:
            os.close(held.master)
