"""Long computations: how far a thread has come with one, and how it is broken off.

A worker passes many places in a call that takes long, such as one before each pass of samples
through a network. There it counts what it computes, and gives up where that was asked.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

#: The seconds that a process which is to end waits for what its workers compute. Then they give it
#: up, well within the half minute that the schedulers of clusters allow.
PATIENCE_S = 10.0

Attend = Callable[[float, float], None]
"""Is called now and then while a call takes long.

Its arguments are the share of the call that is done, from 0 to 1, and the seconds that it has taken
so far. It may raise BrokenOff, so that the call ends."""


class BrokenOff(Exception):
    """A computation was given up in the midst, because the process is to end."""


@dataclass
class Patience:
    """How long somebody who is asked to end waits for a computation."""

    asked: Callable[[], bool]
    """Returns whether that is asked."""
    clock: Callable[[], float] = time.monotonic
    since_s: float | None = None
    """The time at which it was first seen to be asked."""

    def check(self) -> None:
        """Raises BrokenOff where it has been asked for `PATIENCE_S` seconds."""
        if self.since_s is None and self.asked():
            self.since_s = self.clock()
        if self.since_s is not None and self.clock() - self.since_s >= PATIENCE_S:
            raise BrokenOff


@dataclass
class Part:
    """What one thread computes of a call."""

    broken: threading.Event
    """The event that asks all threads of the call to give up."""
    done: int = 0
    """The number of samples that were passed through a network so far."""


_here = threading.local()


@contextmanager
def computing(part: Part) -> Iterator[None]:
    """Makes what this thread computes within the block count for `part`."""
    _here.part = part
    try:
        yield
    finally:
        _here.part = None


def passing(samples: int) -> None:
    """Counts samples that this thread is about to pass through a network.

    Raises BrokenOff where the thread was asked to give up.
    """
    part: Part | None = getattr(_here, "part", None)
    if part is None:
        return
    if part.broken.is_set():
        raise BrokenOff
    part.done += samples
