"""Kills runs, sweeps, components and comparisons at their changes of files, and goes on with them.

`python -m tests.support.faults.crashes` counts the new files, writes, truncations, renames, links,
deletions, syncs and new folders of each kind of work, kills it before, within and after each of
them, goes on with it, and compares its strings, models and tables with those of one that nobody
killed, to the bit but for times. `--points N` draws so many of these moments. `--apart` gives every
bead at rest a file of its own. The thread that writes checkpoints does so at once, so that the
order is the same each time; `--moments N` lets it be, and kills N times up to three times each, at
random moments. The exit status is 1 where anything did not come to the same bits.
"""

from __future__ import annotations

import argparse
import itertools
import os
import random
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch

from engine.run import bead_files, store
from tests.support.faults.shim import WHEN, Shim, end
from tests.support.faults.trial import Answer, attempt
from tests.support.faults.works import WORKS, Work, came_to_the_same, counted, struck, unharmed

#: The most kills of one at random moments.
KILLS = 3

Kill = Callable[[Path], Answer]
"""Goes on with work in a folder until it is killed."""


@dataclass(frozen=True)
class Trial:
    """One or more kills of the same work."""

    name: str
    kills: tuple[Kill, ...]


def after(work: Work, seconds: float, folder: Path) -> Answer:
    """What comes of work that is ended after a while, whatever it does."""

    def do() -> int:
        threading.Timer(seconds, end).start()
        return work.go_on(folder)

    return attempt(do)


def at_points(work: Work, total: int, asked: int | None, draw: random.Random) -> Iterator[Trial]:
    """Yields kills at all changes of files, or at so many."""
    every = list(itertools.product(range(total), WHEN))
    chosen = every if asked is None or asked >= len(every) else draw.sample(every, asked)
    for number, when in chosen:
        kill = partial(_at_change, work, number, when)
        yield Trial(f"{when} {number}", (kill,))


def _at_change(work: Work, number: int, when: str, folder: Path) -> Answer:
    return struck(work, folder, Shim(number, when))


def at_moments(work: Work, took_s: float, asked: int, draw: random.Random) -> Iterator[Trial]:
    """Yields kills at random moments of work that takes so long."""
    for _ in range(asked):
        moments = [draw.uniform(0, took_s) for _ in range(draw.randint(1, KILLS))]
        name = "after " + ", ".join(f"{moment:.2f} s" for moment in moments)
        yield Trial(name, tuple(partial(after, work, moment) for moment in moments))


def campaign(name: str, place: Path, asked: argparse.Namespace) -> Counter[str]:
    """Returns the counts of one kind of work, and prints what is wrong."""
    work, draw = WORKS[name], random.Random(f"{asked.seed} {name}")
    whole, folder = place / "whole", place / "killed"
    unharmed(work, place / "warm")
    began = time.monotonic()
    changes = counted(work, whole)
    took_s = time.monotonic() - began
    told = ", ".join(f"{count} {kind}" for kind, count in changes.items())
    print(f"{name}: files are changed {changes.total()} times: {told}", flush=True)
    trials = (
        at_points(work, changes.total(), asked.points, draw)
        if asked.moments is None
        else at_moments(work, took_s, asked.moments, draw)
    )
    counts: Counter[str] = Counter()
    for trial in trials:
        killed = sum(kill(folder).signal == signal.SIGKILL for kill in trial.kills)
        why = came_to_the_same(work, folder, whole)
        counts += Counter(tried=1, killed=killed, lost=int(why is not None))
        if why is not None:
            print(f"{name}, {trial.name}: {why}", flush=True)
        shutil.rmtree(folder, ignore_errors=True)
    return counts


def main() -> int:
    """Kills and goes on, and prints a line of counts for each kind of work."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.support.faults.crashes", description=__doc__
    )
    parser.add_argument("works", nargs="*", metavar="WORK", help=f"of {', '.join(WORKS)}")
    parser.add_argument("--apart", action="store_true")
    parser.add_argument("--points", type=int, metavar="N", help="drawn among all of them")
    parser.add_argument("--moments", type=int, metavar="N")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    if asked.apart:
        bead_files.APART, store.PAUSE = 0, 0
    total: Counter[str] = Counter()
    for name in asked.works or WORKS:
        with tempfile.TemporaryDirectory(prefix="dss-crashes-") as place:
            os.environ["DSS_TUI_RUNS"] = place
            counts = campaign(name, Path(place), asked)
        total += counts
        print(f"{name}: {_words(counts)}", flush=True)
    print(f"in all: {_words(total)}")
    return int(total["lost"] > 0)


def _words(counts: Counter[str]) -> str:
    same = counts["tried"] - counts["lost"]
    told = f"{counts['tried']} tried, {counts['killed']} killed"
    return f"{told}, {same} to the same bits, {counts['lost']} lost"


if __name__ == "__main__":
    sys.exit(main())
