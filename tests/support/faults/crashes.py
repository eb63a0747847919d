"""Kills a run before, within and after each of its writes, and goes on with it.

`python -m tests.support.faults.crashes` counts the writes, renames, links, deletions, syncs and
folders that a run makes, kills a run at each of them, resumes it, and compares its string with
that of the run that nobody killed, to the bit. `--apart` gives every bead at rest a file of its
own, and `--methods` names other methods than greedy. The thread that writes checkpoints does so at
once, so that the order is the same each time; `--moments N` lets it be and kills N runs at random
moments instead. The exit status is 1 where a run did not come to the same bits.
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
from argparse import Namespace
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import torch

from engine.run import bead_files, store
from engine.spec.keys import Spec
from tests.support.faults.one_run import SPECS, came_to_the_same, counted, search, struck, unharmed
from tests.support.faults.shim import WHEN, Shim, end
from tests.support.faults.trial import Answer, attempt

Death: TypeAlias = tuple[str, Callable[[Path], Answer]]
"""How a run ends: in words, and what kills it in its folder."""


def points(total: int, asked: int | None, draw: random.Random) -> Iterator[tuple[int, str]]:
    """The changes at which runs are killed: all of them, or so many."""
    every = list(itertools.product(range(total), WHEN))
    yield from every if asked is None or asked >= len(every) else draw.sample(every, asked)


@dataclass(frozen=True)
class Counts:
    """What came of the deaths of some runs."""

    tried: int = 0
    killed: int = 0
    """The runs that were killed before they had ended."""
    lost: int = 0
    """The runs that did not come to the same bits."""

    @property
    def words(self) -> str:
        """One line."""
        same = self.tried - self.lost
        return (
            f"{self.tried} tried, {self.killed} killed, {same} to the same bits, {self.lost} lost"
        )


def deaths(spec: Spec, place: Path, asked: Namespace, draw: random.Random) -> Iterator[Death]:
    """Makes the run that nobody kills, at `whole` in a folder, and yields how others end."""
    unharmed(place / "warm", spec)
    began = time.monotonic()
    kinds = counted(place / "whole", spec)
    took_s = time.monotonic() - began
    told = ", ".join(f"{count} {kind}" for kind, count in kinds.items())
    print(f"a whole run changes files {kinds.total()} times: {told}", flush=True)
    if asked.moments is not None:
        for _ in range(asked.moments):
            at = draw.uniform(0, took_s)
            yield f"after {at:.2f} s", _after(at, spec)
        return
    for number, when in points(kinds.total(), asked.points, draw):
        yield f"{when} {number}", _at(number, when, spec)


def counts_of(spec: Spec, asked: Namespace, draw: random.Random) -> Counts:
    """Kills and resumes runs of a spec, and prints a line for each that is lost."""
    found = Counts()
    with tempfile.TemporaryDirectory(prefix="dss-crashes-") as place:
        folder = Path(place) / "killed"
        for name, kill in deaths(spec, Path(place), asked, draw):
            killed = kill(folder).signal == signal.SIGKILL
            why = came_to_the_same(folder, Path(place) / "whole", spec)
            if why is not None:
                print(f"{name}: {why}", flush=True)
            found = Counts(found.tried + 1, found.killed + killed, found.lost + (why is not None))
            shutil.rmtree(folder)
    return found


def main() -> int:
    """Kills and resumes, and prints a line of counts for each method."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.support.faults.crashes", description=__doc__
    )
    parser.add_argument("--methods", nargs="+", choices=SPECS, default=["greedy"])
    parser.add_argument("--apart", action="store_true")
    parser.add_argument("--points", type=int, metavar="N", help="drawn among all of them")
    parser.add_argument("--moments", type=int, metavar="N")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    draw = random.Random(asked.seed)
    if asked.apart:
        bead_files.APART, store.PAUSE = 0, 0
    lost = 0
    for method in asked.methods:
        found = counts_of(SPECS[method], asked, draw)
        lost += found.lost
        print(f"{method}: {found.words}", flush=True)
    return int(lost > 0)


def _at(number: int, when: str, spec: Spec) -> Callable[[Path], Answer]:
    return lambda folder: struck(folder, Shim(number, when), spec=spec)


def _after(seconds: float, spec: Spec) -> Callable[[Path], Answer]:
    """Returns what ends a run after a while, whatever it does."""

    def do(folder: Path) -> int:
        threading.Timer(seconds, end).start()
        return search(folder, spec)

    return lambda folder: attempt(lambda: do(folder))


if __name__ == "__main__":
    sys.exit(main())
