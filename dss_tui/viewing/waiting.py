"""Tells people at a terminal how far something has come, and about how long it will still take."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TextIO

from dss_tui.viewing.streams import unguarded
from dss_tui.viewing.words import age

#: Seconds before the first telling, between two at a terminal, and between two lines elsewhere.
FIRST_S, AGAIN_S, LINES_S = 1.0, 0.5, 30.0


@dataclass
class Waiting:
    """A line such as `measured 12 %, about 40 s left`, to be used within a `with` block.

    At a terminal the line is written over and over, and is gone in the end. Elsewhere, as in a log,
    a new line comes now and then. What takes less than a second is not told.
    """

    what: str
    """The word before the share, such as *measured*, at first."""
    out: TextIO = field(default_factory=lambda: unguarded(sys.stderr))
    clock: Callable[[], float] = time.monotonic
    _began_s: float = 0.0
    _due_s: float = 0.0
    _share: float = 1.0
    _since_s: float = 0.0
    """The time at which the share that is being counted began, since it may begin anew."""
    _shown: bool = False

    def __enter__(self) -> Waiting:
        """Begins to count the time."""
        self._began_s = self._since_s = self.clock()
        self._due_s = self._began_s + (FIRST_S if self.out.isatty() else LINES_S)
        return self

    def __exit__(self, *_: object) -> None:
        """Takes the line away."""
        if self._shown and self.out.isatty():
            self.out.write("\r\x1b[K")
            self.out.flush()

    def __call__(self, share: float) -> None:
        """Tells the share that is done, from 0 to 1, where it is time to."""
        now = self.clock()
        if share < self._share < 1.0:
            self._since_s = now
        self._share = share
        if now < self._due_s:
            return
        terminal = self.out.isatty()
        self._due_s = now + (AGAIN_S if terminal else LINES_S)
        self.out.write(("\r\x1b[K{}" if terminal else "{}\n").format(self._words(share, now)))
        self.out.flush()
        self._shown = True

    def stage(self, what: str, share: float) -> None:
        """Tells what is being done, in a word, and the share of that which is done."""
        if what != self.what:
            self.what, self._since_s, self._share = what, self.clock(), 1.0
        self(share)

    def _words(self, share: float, now_s: float) -> str:
        left = (now_s - self._since_s) * (1 - share) / share if share > 0 else None
        about = "" if left is None else f", about {age(left)} left"
        return f"{self.what} {100 * share:.0f} %{about}"
