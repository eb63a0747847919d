"""Draws inputs from hell by the thousand, and counts what becomes of them.

`python -m tests.support.faults.fuzz --examples 1000` draws so many of each kind by hypothesis and
prints a table. What is neither accepted nor refused in one sentence is printed as hypothesis has
made it small. The exit status is 1 where there was any, or where the process held more than 1 GiB.
"""

from __future__ import annotations

import argparse
import os
import resource
import sys
import tempfile
import time
import traceback
from collections import Counter
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.support.faults.inputs import KINDS, Kind, taken
from tests.support.faults.trial import LARGEST

#: The seconds that no input may take.
PATIENCE_S = 10.0
#: The letters of a finding that are printed.
LONGEST = 4000


def fuzz(kind: Kind, examples: int, start: int) -> tuple[Counter[str], float]:
    """The counts for one kind, and the seconds of the slowest input."""
    counts: Counter[str] = Counter()
    slowest = 0.0

    @seed(start)
    @settings(
        max_examples=examples,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.generate, Phase.shrink),
        print_blob=False,
    )
    @given(kind.drawn())
    def each(drawn: Any) -> None:
        nonlocal slowest
        began = time.process_time()
        counts["drawn"] += 1
        counts[taken(kind, drawn)] += 1
        took = time.process_time() - began
        slowest = max(slowest, took)
        assert took < PATIENCE_S, f"it took {took:.0f} s"

    try:
        each()
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        print("".join(traceback.format_exception(error, limit=-6))[:LONGEST])
        counts["lost"] += 1
    return counts, slowest


def main() -> int:
    """Draws, and prints a line for each kind."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.support.faults.fuzz", description=__doc__
    )
    parser.add_argument("kinds", nargs="*", default=[*KINDS], metavar="KIND")
    parser.add_argument("--examples", type=int, default=1000, metavar="N", help="of each kind")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    total: Counter[str] = Counter()
    print("| inputs | drawn | accepted | refused in a sentence | findings | slowest, s |")
    print("|---|---:|---:|---:|---:|---:|")
    with tempfile.TemporaryDirectory() as here:
        os.chdir(here)
        os.environ |= {"DSS_TUI_RUNS": f"{here}/runs", "XDG_CONFIG_HOME": f"{here}/config"}
        for name in asked.kinds:
            counts, slowest = fuzz(KINDS[name], asked.examples, asked.seed)
            total += counts
            numbers = [counts[word] for word in ("drawn", "accepted", "refused", "lost")]
            print(f"| {name} | {' | '.join(map(str, numbers))} | {slowest:.2f} |", flush=True)
    held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    told = f"{total['drawn']} drawn, {total['lost']} findings"
    print(f"{told}; at most {held / 2**30:.2f} GiB were held")
    return exit_status(total["lost"], held)


def exit_status(findings: int, held: int) -> int:
    """Returns 1 where something was found, or where so many bytes held are too many, else 0."""
    return int(findings > 0 or held > LARGEST)


if __name__ == "__main__":
    sys.exit(main())
