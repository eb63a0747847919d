"""The clock of a run's running time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

Clock = Callable[[], float]
"""Returns a time in seconds that only ever grows."""


class Stopwatch:
    """The clock of a run's running time: all its sessions, without the pauses."""

    def __init__(self, clock: Clock, before_s: float = 0.0) -> None:
        """Starts at `before_s` seconds, the running time of earlier sessions."""
        self._clock = clock
        self._since = clock() - before_s
        self._held_at: float | None = None

    def __call__(self) -> float:
        """Returns the running time in seconds."""
        now = self._clock() if self._held_at is None else self._held_at
        return now - self._since

    def hold(self) -> None:
        """Stands still from now on, until `go_on`."""
        self._held_at = self._clock()

    def go_on(self) -> None:
        """Runs again where it stood still."""
        if self._held_at is not None:
            self._since += self._clock() - self._held_at
            self._held_at = None

    @contextmanager
    def held(self) -> Iterator[None]:
        """Stands still within the block, and after it if it did so before."""
        stood = self._held_at is not None
        if not stood:
            self.hold()
        try:
            yield
        finally:
            if not stood:
                self.go_on()
