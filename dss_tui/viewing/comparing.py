"""Puts two runs that are compared into words."""

from __future__ import annotations

from dss_tui.viewing.run_columns import BY_KEY, UNKNOWN
from dss_tui.viewing.words import thousands
from engine.record.comparison import Comparison, Side

#: The facts that are told of both runs, as columns of the list of runs, and their number of steps.
FACTS, STEPS = ("state", "preset", "method", "level", "beads", "peak/level", "length"), "steps"

#: The facts in the line of one run, and the words before them.
SHORT = {"state": "", "peak/level": "peak ", "length": "length ", "beads": "beads ", "time": ""}

Row = tuple[str, str, str]
"""What is compared, and its value in the first and in the second run."""


def rows(compared: Comparison) -> list[Row]:
    """Returns the facts of both runs, and then each key of their presets that differs."""
    first, second = compared.sides
    found = [(key, _fact(first, key), _fact(second, key)) for key in (*FACTS, STEPS, "time")]
    return found + list(compared.keys)


def line(side: Side) -> tuple[str, ...]:
    """Returns the wordings of a line with a run's name and its main facts, the longest first."""
    facts = [f"{words}{_fact(side, key)}" for key, words in SHORT.items()]
    told = [side.summary.name, *facts]
    return tuple(" · ".join(told[:count]) for count in range(len(told), 0, -1))


def _fact(side: Side, key: str) -> str:
    """Returns a fact of a run in words."""
    if key == STEPS:
        progress = side.progress
        return UNKNOWN if progress is None else thousands(progress.counters.bead_steps)
    return BY_KEY[key].cell(side.summary)
