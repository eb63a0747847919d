"""Remembers signals that ask a process to end until its work is safe. No torch here."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

#: The signals that ask a process to end. SLURM sends SIGUSR1 before a job's time is over, where it
#: is told to (`--signal=USR1@60`), and SIGTERM when it is.
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)


@contextmanager
def ending_at_once() -> Iterator[None]:
    """Ends this process with status 128 + N at signal N within the block, where nothing is lost.

    Raises SystemExit in the main thread.
    """

    def end(number: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    before = {number: signal.signal(number, end) for number in ENDING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class Signals:
    """Notes the first signal to end that comes within its `with` block. A second one kills."""

    def __init__(self) -> None:
        """Makes the object; signals are noted only within its `with` block."""
        self.received: signal.Signals | None = None
        """The first signal that came."""
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Signals:
        """Takes over the handlers of the signals to end."""
        self._before = {number: signal.signal(number, self._receive) for number in ENDING}
        return self

    def __exit__(self, *_: object) -> None:
        """Gives the signals their old handlers back."""
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def ask(self, number: signal.Signals) -> None:
        """Notes a signal as if it had come, unless one was noted before."""
        self.received = self.received or number

    def _receive(self, number: int, frame: FrameType | None) -> None:
        """Notes a signal that has come, and lets the next one of its kind kill."""
        self.ask(signal.Signals(number))
        signal.signal(number, signal.SIG_DFL)
