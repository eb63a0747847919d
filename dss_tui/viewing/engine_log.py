"""What an engine wrote into its log since somebody last looked."""

from __future__ import annotations

from collections.abc import Iterable

from engine.record.lines import LineTail
from engine.record.rundir import RunDir
from engine.record.runs import tried


class EngineLog:
    """The lines that are added to a run's engine.log, those of no interest to a person aside."""

    def __init__(self, run: RunDir, *, from_now: bool = False) -> None:
        """Begins at the start of the log, or at its end with `from_now`."""
        self._tail = LineTail(run.log)
        if from_now:
            self.new_lines()

    def new_lines(self) -> list[str]:
        """Returns new warnings and errors with their times; none where the log cannot be read."""
        found = tried(self._tail.new_lines, []) or []
        lines = [line.decode(errors="replace") for line in found]
        return [line for line in lines if " INFO " not in line]


def warned(lines: Iterable[str]) -> list[str]:
    """Returns the words of the warnings among lines of an engine's log, without their times."""
    return [line.partition(" WARNING ")[2] for line in lines if " WARNING " in line]
