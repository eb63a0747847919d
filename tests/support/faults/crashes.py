"""Kills a run before, within and after each of its writes, and goes on with it.

`python -m tests.support.faults.crashes` counts the writes, renames, links, deletions, syncs and
folders that a run makes, kills a run at each of them, resumes it, and compares its string with
that of the run that nobody killed, to the bit. `--apart` gives every bead at rest a file of its
own. The thread that writes checkpoints does so at once, so that the order is the same each time;
`--moments N` lets it be and kills N runs at random moments instead. The exit status is 1 where a
run did not come to the same bits.
"""

from __future__ import annotations

import argparse
import itertools
import random
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch

from engine.run import bead_files, store
from tests.support.faults.one_run import came_to_the_same, counted, search, struck, unharmed
from tests.support.faults.shim import WHEN, Shim, end
from tests.support.faults.trial import Answer, attempt


def killed_after(folder: Path, seconds: float) -> Answer:
    """What comes of a run that is ended after a while, whatever it does."""

    def do() -> int:
        threading.Timer(seconds, end).start()
        return search(folder)

    return attempt(do)


def points(total: int, asked: int | None, draw: random.Random) -> Iterator[tuple[int, str]]:
    """The changes at which runs are killed: all of them, or so many."""
    every = list(itertools.product(range(total), WHEN))
    yield from every if asked is None or asked >= len(every) else draw.sample(every, asked)


def main() -> int:
    """Kills and resumes, and prints a line of counts."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.support.faults.crashes", description=__doc__
    )
    parser.add_argument("--apart", action="store_true")
    parser.add_argument("--points", type=int, metavar="N", help="drawn among all of them")
    parser.add_argument("--moments", type=int, metavar="N")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    draw = random.Random(asked.seed)
    if asked.apart:
        bead_files.APART, store.PAUSE = 0, 0
    with tempfile.TemporaryDirectory(prefix="dss-crashes-") as place:
        whole = Path(place) / "whole"
        unharmed(Path(place) / "warm")
        began = time.monotonic()
        kinds = counted(whole)
        took_s = time.monotonic() - began
        told = ", ".join(f"{count} {kind}" for kind, count in kinds.items())
        print(f"a whole run changes files {kinds.total()} times: {told}", flush=True)
        lost = tried = killed = 0
        deaths: Iterator[tuple[str, Callable[[Path], Answer]]]
        if asked.moments is None:
            found = points(kinds.total(), asked.points, draw)
            deaths = ((f"{when} {n}", _at(n, when)) for n, when in found)
        else:
            moments = (draw.uniform(0, took_s) for _ in range(asked.moments))
            deaths = ((f"after {at:.2f} s", _after(at)) for at in moments)
        for name, kill in deaths:
            folder = Path(place) / "killed"
            killed += kill(folder).signal == signal.SIGKILL
            tried += 1
            why = came_to_the_same(folder, whole)
            if why is not None:
                lost += 1
                print(f"{name}: {why}", flush=True)
            shutil.rmtree(folder)
        print(f"{tried} tried, {killed} killed, {tried - lost} to the same bits, {lost} lost")
    return int(lost > 0)


def _at(number: int, when: str) -> Callable[[Path], Answer]:
    return lambda folder: struck(folder, Shim(number, when))


def _after(seconds: float) -> Callable[[Path], Answer]:
    return lambda folder: killed_after(folder, seconds)


if __name__ == "__main__":
    sys.exit(main())
