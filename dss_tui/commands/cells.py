"""Lines on stderr that say how many cells of a sweep or a comparison have ended."""

from __future__ import annotations

import sys
import threading
import time
from contextlib import suppress
from typing import Protocol

from dss_tui.viewing.words import clock
from engine.record.events import Outcome


class Cells(Protocol):
    """Many runs that this process computes."""

    @property
    def cells(self) -> int:
        """The number of cells."""

    def count(self, *outcomes: Outcome) -> int:
        """Returns how many cells have ended, or how many of them with one of `outcomes`."""


class CellLines:
    """Prints a line about many cells every few seconds on stderr, from a thread of its own."""

    every_s = 5.0

    def __init__(self, runs: Cells) -> None:
        """Makes the display of a sweep or a comparison, which starts with its `with` block."""
        self._runs = runs
        self._since = time.monotonic()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="progress", daemon=True)

    def __enter__(self) -> CellLines:
        """Starts the thread."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Prints a last line and ends the thread."""
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        """Prints lines until the block is left."""
        with suppress(OSError):  # where stderr has no reader
            while not self._over.wait(self.every_s):
                self._tell()
            self._tell()

    def _tell(self) -> None:
        """Prints one line."""
        ended, connected = self._runs.count(), self._runs.count(Outcome.CONNECTED)
        print(
            f"{clock(time.monotonic() - self._since)}  {ended} of {self._runs.cells} cells ended, "
            f"{connected} connected",
            file=sys.stderr,
            flush=True,
        )
