"""A sample of the campaign on damaged files, and how it tells what is lost.

`python -m tests.support.faults` is the whole of it; docs/reliability.md has its counts.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.faults.asked import counts
from tests.support.more import always
from tests.support.run_folders import output_of

ROOT = Path(__file__).parents[2]

#: Trials of each target and each kind of damage, and the targets that share a process.
EACH = 1
TARGETS = (
    ("connected", "own", "sweep", "stopped-auto-greedy"),
    ("strings", "data", "compare", "figures"),
    ("limited", "components", "stopped-linear", "stopped-string-quadratic"),
)


@pytest.mark.parametrize("targets", always(TARGETS[:2], TARGETS), ids=" ".join)
def test_of_a_sample_nothing_is_lost(targets: tuple[str, ...]) -> None:
    counted = r"in all: (\d+) tried, (\d+) answered, (\d+) refused"
    program = ("tests.support.faults", *targets, "--each", str(EACH))
    tried, answered, refused = counts(counted, *program)
    assert tried == answered + refused >= 2 * EACH * len(targets)
    assert answered > EACH and refused > 0


TRIALS = """
import ctypes, os, signal, sys, time
from tests.support.faults.trial import attempt

def hang():
    time.sleep(600)

def crash():
    ctypes.string_at(0)

def fill():
    return len(bytearray(b"x") * 2**31) and 0

def overfill():
    return len(bytearray(b"x") * 2**33) and 0

def raises():
    return {}["key"]

def says(status, *lines):
    def do():
        print(*lines, sep="\\n")
        return status
    return do

for do in (hang, crash, fill, overfill, raises, says(7, "what"), says(2), says(2, "dss-tui: no"),
           says(0, "yes"), says(1, "dss-tui: a", "dss-tui: b"), lambda: sys.exit(2)):
    print(attempt(do, 0.3 if do is hang else 60.0).fault)
"""


def test_what_is_lost_is_told() -> None:
    told = [line.partition(" (")[0] for line in output_of(TRIALS).splitlines()]
    assert told == [
        "hang",
        "ended by SIGSEGV",
        "memory: 2.0 GiB",
        "traceback: MemoryError",
        "traceback: KeyError: 'key'",
        "exit status 7: what",
        "exit status 2 without a sentence",
        "None",
        "None",
        "exit status 1 with 2 sentences: dss-tui: b",
        "exit status 2 without a sentence",
    ]
