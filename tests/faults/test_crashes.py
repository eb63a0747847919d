"""Works that are killed at some of their changes of files: each goes on to the same bits.

`python -m tests.support.faults.crashes` kills them at all; docs/reliability.md has its counts.
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.support.faults.asked import counts
from tests.support.faults.shim import CALLS, Shim
from tests.support.faults.trial import attempt
from tests.support.faults.works import WORKS
from tests.support.more import always

COUNTED = r"in all: (\d+) tried, (\d+) killed, (\d+) to the same bits"

#: Points of each, those of one call in one process after another.
ASKED = {
    "beads within": ("greedy", 10),
    "beads apart": ("greedy", 10, "--apart"),
    "methods": ("constrained", "neb", "bezier", 2),
    "more methods": ("polychain", "simplex", 2),
    "many runs": ("sweep", "components", "compare", 2),
}


@pytest.mark.parametrize("name", always(ASKED.keys() - {"more methods"}, ASKED))
def test_what_was_killed_comes_to_the_same_bits(name: str) -> None:
    words = [each for each in ASKED[name] if isinstance(each, str)]
    (points,) = (each for each in ASKED[name] if isinstance(each, int))
    program = ("tests.support.faults.crashes", *words, "--points", str(points))
    tried, killed, same = counts(COUNTED, *program)
    assert tried == same == points * sum(word in WORKS for word in words)
    assert killed > tried / 2


@pytest.mark.exhaustive
def test_many_runs_that_were_killed_at_moments_come_to_the_same_tables() -> None:
    works = ("sweep", "components", "compare")
    tried, killed, same = counts(COUNTED, "tests.support.faults.crashes", *works, "--moments", "1")
    assert tried == same == len(works) and killed > 0


#: What Python tells of the functions of the system that change files, by the name of its event.
EVENTS = {
    "os.rename": ("replace", "rename"),
    "os.remove": ("unlink", "remove"),
    "os.link": ("link",),
    "os.symlink": ("symlink",),
    "os.mkdir": ("mkdir",),
    "os.rmdir": ("rmdir",),
}


def test_every_change_of_a_file_is_counted(tmp_path: Path) -> None:
    """What the interpreter tells of the system's functions, and what the shim counts."""
    told: Counter[str] = Counter()

    def hear(event: str, arguments: tuple[Any, ...]) -> None:
        if event in EVENTS:
            told[event] += 1
        elif event == "open" and isinstance(arguments[0], str | bytes | os.PathLike):
            path, mode, flags = arguments
            if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
                # There is a mode where `open` was called, which the shim does not see.
                told["opened" if mode is None else f"not seen: {path!r}"] += 1

    def do() -> int:
        with Shim(-1) as shim:
            sys.addaudithook(hear)
            status = WORKS["greedy"].go_on(tmp_path / "run")
            heard = +told
        kinds = shim.kinds
        seen = Counter({event: sum(kinds[n] for n in names) for event, names in EVENTS.items()})
        seen["opened"] = kinds["create"] + kinds["open"]
        assert heard == +seen and heard["opened"] > 10, (heard, kinds)
        return status

    answer = attempt(do)
    assert answer.status == 0, answer.said
    untold = {"fsync", "fdatasync", "truncate", "ftruncate"}
    assert {*CALLS} - untold == {name for names in EVENTS.values() for name in names}
