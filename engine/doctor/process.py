"""Makes the checks of a machine in a process of their own, which may die of one. No torch here."""

from __future__ import annotations

import json
import queue
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import IO

from engine.doctor.findings import REPORT, Begun, Finding, State

#: The command that makes the checks. -P: a folder named engine in the current folder must not be
#: imported in place of this one.
COMMAND = (sys.executable, "-P", "-m", "engine.doctor")
#: The seconds between two looks whether to stop, and those after which a check is given up.
LOOK_S, SILENT_S = 0.2, 180.0

#: The remedy where the checks cannot even begin.
REINSTALL = "install torch anew, which they need: pip install --force-reinstall torch"

Message = Begun | Finding


class Stopped(Exception):
    """Raised where the checks were asked to stop before they were done."""


def examined(
    environment: Mapping[str, str],
    stopped: Callable[[], bool] = lambda: False,
    *,
    command: Sequence[str] = COMMAND,
    silent_s: float = SILENT_S,
) -> Iterator[Message]:
    """Yields the messages of all checks. A process that dies of one is followed by another.

    Raises Stopped where `stopped` says so.

    Args:
        environment: The environment of the processes.
        stopped: Returns whether to stop.
        command: The command that makes the checks.
        silent_s: The seconds after which a check that says nothing is given up.
    """
    done, last = 0, 1
    while done < last:
        with Process([*command, str(done)], environment, silent_s) as process:
            begun = None
            for message in process.messages(stopped):
                if isinstance(message, Begun):
                    begun, last = message, message.of
                yield message
            why = process.why_ended()
        if not why:
            return
        if begun is None:  # it cannot even begin
            yield Finding("torch", State.WRONG, why, REINSTALL)
            return
        yield Finding(begun.name, State.WRONG, why, REPORT)
        done = begun.number


class Process:
    """A process that makes checks, which ends with its `with` block."""

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str], silent_s: float
    ) -> None:
        """Starts the process."""
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  # closed in __exit__
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            encoding="utf-8",
            env=environment,
            start_new_session=True,  # so that Ctrl-C reaches only the process that asks
        )
        self._silent_s = silent_s
        self._gave_up = False
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        assert self._process.stdout is not None
        self._reader = threading.Thread(target=self._read, args=(self._process.stdout,))
        self._reader.start()

    def __enter__(self) -> Process:
        """Returns the process itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Ends the process, and waits for it."""
        self._process.kill()
        self._process.wait()
        self._reader.join()
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._errors.close()

    def messages(self, stopped: Callable[[], bool]) -> Iterator[Message]:
        """Yields what the process says until it ends, or says nothing for too long."""
        silent = 0.0
        while silent < self._silent_s:
            if stopped():
                raise Stopped
            try:
                line = self._lines.get(timeout=LOOK_S)
            except queue.Empty:
                silent += LOOK_S
                continue
            if not line:
                self._process.wait()
                return
            silent = 0.0
            yield message_of(line)
        self._gave_up = True

    def why_ended(self) -> str:
        """Returns why the process has not done all checks, or an empty text where it has."""
        if self._gave_up:
            return f"it did not answer within {self._silent_s:.0f} s"
        status = self._process.returncode
        if status == 0:
            return ""
        how = f"with status {status}"
        if status < 0:
            with suppress(ValueError):
                how = f"by {signal.Signals(-status).name}"
        return f"its process ended {how}: {self._last_error()}"

    def _last_error(self) -> str:
        """Returns the last line that the process wrote on stderr."""
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing")

    def _read(self, stream: IO[str]) -> None:
        """Passes on each line, and an empty one at the end."""
        for line in stream:
            self._lines.put(line)
        self._lines.put("")


def message_of(line: str) -> Message:
    """Returns the message that a line of JSON holds."""
    tree = json.loads(line)
    if "begun" in tree:
        return Begun(**tree["begun"])
    values = tree["finding"]
    return Finding(**values | {"state": State(values["state"])})
