"""What an engine wrote into its log since somebody last looked."""

from __future__ import annotations

from collections.abc import Iterable

from engine.record.lines import LineTail
from engine.record.rundir import RunDir
from engine.record.runs import tried

#: What stands in the log before the line that tells what a session computes with.
COMPUTING = " INFO computing on "


class EngineLog:
    """The lines that are added to a run's engine.log, those of no interest to a person aside."""

    def __init__(self, run: RunDir, *, from_now: bool = False) -> None:
        """Begins at the start of the log, or at its end with `from_now`."""
        self._tail = LineTail(run.log)
        if from_now:
            self.new_lines()

    def new_lines(self) -> list[str]:
        """Returns new lines with their times; none where the log cannot be read.

        They are the warnings and errors, and what each session computes with.
        """
        found = tried(self._tail.new_lines, []) or []
        lines = [line.decode(errors="replace") for line in found]
        return [line for line in lines if " INFO " not in line or COMPUTING in line]


def warned(lines: Iterable[str]) -> list[str]:
    """Returns the words of the warnings among lines of an engine's log, without their times."""
    return [line.partition(" WARNING ")[2] for line in lines if " WARNING " in line]


def computing(lines: Iterable[str]) -> list[str]:
    """Returns what sessions compute with among lines of an engine's log, without the times."""
    return [line.partition(" INFO ")[2] for line in lines if COMPUTING in line]
