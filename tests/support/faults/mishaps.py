"""Lets things happen to a run while it runs, goes on with it, and looks whether anything is lost.

`python -m tests.support.faults.mishaps` makes a run to which one of these happens, resumes it, and
compares its string with that of the unharmed run, to the bit:

- *power*: it goes at each change of a file, and takes all that was not made to survive, or only
  contents, where a file system writes names first;
- *full*: there is no room on the disk, for one change of a file or from one on, until the resume;
- *clock*: the system's clock jumps by years, at random moments or between a kill and the resume;
- *two*: a second engine comes while one is at work;
- *moved*, *deleted*: the folder gets another name, or goes, while an engine is at work.

`--each N` draws so many trials of each, by `--seed`. The exit status is 1 where anything is lost:
a run that did not come to the same bits, a traceback, or no sentence about why it ended.
"""

from __future__ import annotations

import argparse
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
from tests.support.faults.one_run import came_to_the_same, counted, search, struck, unharmed
from tests.support.faults.shim import BROKEN, Power, Shim, refuse_room
from tests.support.faults.trial import Answer, attempt

#: The seconds by which a clock jumps at most: ten years.
JUMP_S = 3.2e8
#: The seconds within which another engine comes, or a folder goes.
SOON_S = 0.25

Trial = Callable[[Path, Path], str | None]
"""Lets something happen to a run in a folder, beside an unharmed one, and returns what is wrong."""


@dataclass(frozen=True)
class Setting:
    """What trials are drawn from."""

    changes: int
    """How often a run changes files."""
    draw: random.Random


def wrong(answer: Answer) -> str | None:
    """What is wrong with the end of a run to which something has happened."""
    if answer.signal == signal.SIGKILL:
        return None
    if answer.fault is None and answer.status and not answer.said.strip():
        return f"exit status {answer.status} without a sentence"
    return answer.fault


# ---------------------------------------------------------------- each change of a file


def power(setting: Setting, *, names: bool) -> Iterator[tuple[str, Trial]]:
    """The power goes before each change of a file."""
    for number in range(setting.changes):
        yield f"before {number}", partial(_lose_power, number, names)


def _lose_power(number: int, names: bool, folder: Path, whole: Path) -> str | None:
    holds = Power(folder, names)
    shim = Shim(number, strike=holds.lose, synced=holds.synced)
    answer = struck(folder, shim, holds.listen)
    broken = [line for line in answer.said.splitlines() if line.startswith(BROKEN)]
    return wrong(answer) or (broken[0] if broken else came_to_the_same(folder, whole))


def full(setting: Setting, *, lasting: bool) -> Iterator[tuple[str, Trial]]:
    """There is no room at a change of a file, before or within it."""
    for number in range(setting.changes):
        for when in ("before", "within"):
            yield f"{when} {number}", partial(_have_no_room, number, when, lasting)


def _have_no_room(number: int, when: str, lasting: bool, folder: Path, whole: Path) -> str | None:
    answer = struck(folder, Shim(number, when, refuse_room, lasting))
    return wrong(answer) or came_to_the_same(folder, whole)


# ---------------------------------------------------------------- moments


def clock(setting: Setting) -> Iterator[tuple[str, Trial]]:
    """The clock jumps at every look, while a run is killed at a change of a file and resumed."""
    while True:
        seed, number = setting.draw.randrange(2**31), setting.draw.randrange(setting.changes)
        yield f"seed {seed}, killed before {number}", partial(_jump, seed, number)


def _jump(seed: int, number: int, folder: Path, whole: Path) -> str | None:
    draw, real, real_ns = random.Random(seed), time.time, time.time_ns

    def jumped() -> float:
        return real() + draw.uniform(-JUMP_S, JUMP_S)

    setattr(time, "time", jumped)  # noqa: B010
    setattr(time, "time_ns", lambda: int(1e9 * jumped()))  # noqa: B010
    try:
        return wrong(struck(folder, Shim(number))) or came_to_the_same(folder, whole)
    finally:
        setattr(time, "time", real)  # noqa: B010
        setattr(time, "time_ns", real_ns)  # noqa: B010


def two(setting: Setting) -> Iterator[tuple[str, Trial]]:
    """A second engine comes."""
    while True:
        after_s = setting.draw.uniform(0, SOON_S)
        yield f"after {after_s:.3f} s", partial(_come_second, after_s)


def _come_second(after_s: float, folder: Path, whole: Path) -> str | None:
    second: list[Answer] = []

    def come() -> None:
        time.sleep(after_s)
        second.append(attempt(lambda: search(folder)))

    coming = threading.Thread(target=come)
    coming.start()
    first = attempt(lambda: search(folder))
    coming.join()
    for answer in (first, *second):
        if why := wrong(answer):
            return why
    if 0 not in (first.status, second[0].status):
        return f"neither went on: {first.said} {second[0].said}"
    return came_to_the_same(folder, whole)


def gone(setting: Setting, *, to: str | None) -> Iterator[tuple[str, Trial]]:
    """The folder is moved, or deleted, while an engine is at work."""
    while True:
        after_s = setting.draw.uniform(0, SOON_S)
        yield f"after {after_s:.3f} s", partial(_go, after_s, to)


def _go(after_s: float, to: str | None, folder: Path, whole: Path) -> str | None:
    other = folder.with_name(f"{folder.name}-{to}")

    def go() -> None:
        if to is None:
            shutil.rmtree(folder, ignore_errors=True)
        else:
            os.rename(folder, other)

    def do() -> int:
        threading.Timer(after_s, go).start()
        return search(folder)

    answer = attempt(do)
    if other.exists():
        if folder.exists():  # a new run has begun in its place
            shutil.rmtree(folder)
        other.rename(folder)
    if (why := wrong(answer)) is not None:
        return why
    if to is None:
        return None
    return came_to_the_same(folder, whole)


KINDS: dict[str, Callable[[Setting], Iterator[tuple[str, Trial]]]] = {
    "power": partial(power, names=False),
    "power-names-first": partial(power, names=True),
    "full-once": partial(full, lasting=False),
    "full-from-there-on": partial(full, lasting=True),
    "clock": clock,
    "two": two,
    "moved": partial(gone, to="moved"),
    "deleted": partial(gone, to=None),
}
#: The kinds whose trials are as many as one asks for.
ENDLESS = ("clock", "two", "moved", "deleted")


def main() -> int:
    """Lets it happen, and prints a line of counts for each kind."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.support.faults.mishaps",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("kinds", nargs="*", metavar="KIND", help=f"of {', '.join(KINDS)}")
    parser.add_argument("--apart", action="store_true", help="beads have files of their own")
    parser.add_argument("--each", type=int, metavar="N", help="trials of each kind")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    if asked.apart:
        bead_files.APART, store.PAUSE = 0, 0
    total: Counter[str] = Counter()
    with tempfile.TemporaryDirectory(prefix="dss-mishaps-") as place:
        whole = Path(place) / "whole"
        unharmed(Path(place) / "warm")
        changes = counted(whole).total()
        for kind in asked.kinds or KINDS:
            setting = Setting(changes, random.Random(f"{asked.seed} {kind}"))
            counts = campaign(kind, setting, Path(place) / "run", whole, asked.each)
            total += counts
            print(f"{kind}: {counts['tried']} tried, {counts['lost']} lost", flush=True)
    print(f"in all: {total['tried']} tried, {total['lost']} lost")
    return int(total["lost"] > 0)


def campaign(
    kind: str, setting: Setting, folder: Path, whole: Path, each: int | None
) -> Counter[str]:
    """Returns the counts of one kind's trials, and prints what is wrong."""
    counts: Counter[str] = Counter()
    for name, trial in _some(kind, setting, each):
        why = trial(folder, whole)
        counts["tried"] += 1
        if why is not None:
            counts["lost"] += 1
            print(f"{kind}, {name}: {why}", flush=True)
        shutil.rmtree(folder, ignore_errors=True)
    return counts


def _some(kind: str, setting: Setting, each: int | None) -> list[tuple[str, Trial]]:
    """The trials of a kind: all of them, or so many."""
    trials = KINDS[kind](setting)
    if kind in ENDLESS:
        return [next(trials) for _ in range(each or 100)]
    every = list(trials)
    return every if each is None or each >= len(every) else setting.draw.sample(every, each)


if __name__ == "__main__":
    sys.exit(main())
