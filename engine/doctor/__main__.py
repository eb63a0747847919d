"""The command `python -m engine.doctor [DONE]`, which `process` starts, checks this machine.

Checks up to number DONE are passed over. Each message is a line of JSON on stdout: a check begins,
or a finding. Whatever else is printed goes to stderr.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from typing import TextIO

from engine.doctor.findings import Begun, Check, Finding, State, looked
from engine.record.events import dump_json

#: How warnings begin of what has a row of its own: that of compiled code, and that of GPUs.
TOLD = (
    *("numba cannot be imported", "compiling for this machine", "compiled code cannot be kept"),
    "no GPU is used",
)


class Warned(logging.Handler):
    """A handler that keeps the engine's warnings, each once, but for those that have a row."""

    def __init__(self) -> None:
        """Has kept nothing yet."""
        super().__init__(logging.WARNING)
        self.new: list[str] = []
        """The warnings since they were taken last."""
        self._seen: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        """Keeps a warning that is new."""
        words = record.getMessage()
        if words not in self._seen and not words.startswith(TOLD):
            self._seen.add(words)
            self.new.append(words)

    def take(self) -> list[str]:
        """Returns the warnings that are new."""
        taken, self.new = self.new, []
        return taken


def findings(check: Check, warned: Warned) -> Iterator[Finding]:
    """Yields what a check finds, and what the engine warns of meanwhile."""
    yield from looked(check)
    for words in warned.take():
        yield Finding(check.name, State.NOTE, words)


def main(done: int, out: TextIO) -> None:
    """Makes all checks beyond number `done`, and writes their messages to a stream."""

    def tell(message: Begun | Finding) -> None:
        """Writes one message."""
        out.write(dump_json({type(message).__name__.lower(): message}) + "\n")
        out.flush()

    from engine.doctor.checks import checks

    warned = Warned()
    logger = logging.getLogger("engine")
    logger.addHandler(warned)
    logger.propagate = False
    every = checks()
    for number, check in enumerate(every[done:], done + 1):
        tell(Begun(check.name, check.part, number, len(every)))
        for finding in findings(check, warned):
            tell(finding)


if __name__ == "__main__":
    stream = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # libraries may print
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 0, stream)
