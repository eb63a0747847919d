"""Signals that ask a process to end, remembered until its work is safe. No torch here."""

from __future__ import annotations

import signal
from types import FrameType
from typing import Any

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Signals:
    """Within its `with` block the first signal to end is only noted; a second one kills."""

    def __init__(self) -> None:
        self.received: signal.Signals | None = None
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Signals:
        self._before = {number: signal.signal(number, self._receive) for number in ENDING}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def ask(self, number: signal.Signals) -> None:
        """Notes a signal as if it had come."""
        self.received = self.received or number

    def _receive(self, number: int, frame: FrameType | None) -> None:
        self.ask(signal.Signals(number))
        signal.signal(number, signal.SIG_DFL)
