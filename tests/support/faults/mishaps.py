"""Lets things happen to runs and to many runs, goes on with them, and looks what is lost.

`python -m tests.support.faults.mishaps` lets each of these happen to a work (`works`), goes on with
it, and compares what comes of it with the unharmed one, to the bit but for times:

- *power*: it goes at each change of a file, and takes all that was not made to survive, or only
  contents, where a file system writes names first;
- *full*: there is no room on the disk, for one change of a file or from one on, until the resume;
- *read-only*: from a change of a file on the disk lets nothing be changed; *closed*: from one on
  the folder and its files may not be written;
- *descriptors*: few files may be open at a time; *memory*: there is none left at a change of a
  file, or little from the beginning;
- *clock*: the system's clock jumps by years, at random moments or between a kill and the resume;
- *two*: a second engine comes while one is at work;
- *moved*, *deleted*: the folder gets another name, or goes, while an engine is at work.

`--of WORK` says what it happens to, a greedy run unless it is given. `--each N` draws so many
trials of each, by `--seed`. The exit status is 1 where anything is lost: what did not come to the
same bits, a traceback, or no sentence about why it ended. *Hit* is what did not end as unharmed.
"""

from __future__ import annotations

import argparse
import errno
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch

from engine.run import bead_files, store
from tests.support.faults.shim import (
    BROKEN,
    Power,
    Shim,
    Strike,
    refuse,
    refuse_memory,
    refuse_room,
)
from tests.support.faults.trial import Answer, attempt, data_bytes, drop_privileges
from tests.support.faults.works import (
    ENDED,
    WORKS,
    Work,
    came_to_the_same,
    counted,
    struck,
    unharmed,
)

#: The seconds by which a clock jumps at most: ten years.
JUMP_S = 3.2e8
#: The seconds within which another engine comes, or a folder goes.
SOON_S = 0.25
#: The most files that may be open where few may, and the most bytes where there is little memory.
FEW, LITTLE = 5, 2**24


@dataclass(frozen=True)
class Found:
    """What has come of a trial."""

    hit: bool
    """Whether the work did not end as it would have."""
    why: str | None
    """What is wrong with it, None where nothing is lost."""


Trial = Callable[[Work, Path, Path], Found]
"""Lets something happen to work in a folder, beside an unharmed one, and tells what came of it."""


@dataclass(frozen=True)
class Setting:
    """What trials are drawn from."""

    changes: int
    """How often the work changes files."""
    draw: random.Random


def wrong(answer: Answer) -> str | None:
    """What is wrong with the end of work to which something has happened."""
    if answer.signal == signal.SIGKILL:
        return None
    if answer.fault is None and answer.status and not answer.said.strip():
        return f"exit status {answer.status} without a sentence"
    return answer.fault


def gone_on(answer: Answer, work: Work, folder: Path, whole: Path) -> Found:
    """Goes on with work to which something has happened."""
    why = wrong(answer) or came_to_the_same(work, folder, whole)
    return Found(answer.status not in ENDED, why)


# ---------------------------------------------------------------- each change of a file


def power(setting: Setting, *, names: bool) -> Iterator[tuple[str, Trial]]:
    """The power goes before each change of a file."""
    for number in range(setting.changes):
        yield f"before {number}", partial(_lose_power, number, names)


def _lose_power(number: int, names: bool, work: Work, folder: Path, whole: Path) -> Found:
    holds = Power(folder, names)
    shim = Shim(number, strike=holds.lose, synced=holds.synced)
    answer = struck(work, folder, shim, holds.listen)
    broken = [line for line in answer.said.splitlines() if line.startswith(BROKEN)]
    found = gone_on(answer, work, folder, whole)
    return Found(found.hit, found.why or broken[0]) if broken else found


def refused(setting: Setting, strike: Strike, *, lasting: bool) -> Iterator[tuple[str, Trial]]:
    """A change of a file is refused, before it or within it, or all are from there on."""
    for number in range(setting.changes):
        for when in ("before", "within"):
            shim = partial(Shim, number, when, strike, lasting)
            yield f"{when} {number}", partial(_refuse, shim)


def _refuse(shim: Callable[[], Shim], work: Work, folder: Path, whole: Path) -> Found:
    return gone_on(struck(work, folder, shim()), work, folder, whole)


def closed(setting: Setting) -> Iterator[tuple[str, Trial]]:
    """From a change of a file on the folder and its files may not be written."""
    for number in range(setting.changes):
        yield f"before {number}", partial(_close, number)


def _close(number: int, work: Work, folder: Path, whole: Path) -> Found:
    shim = Shim(number, strike=lambda _: permit(folder, writing=False))
    answer = struck(work, folder, shim, drop_privileges)
    permit(folder, writing=True)
    return gone_on(answer, work, folder, whole)


def permit(folder: Path, *, writing: bool) -> None:
    """Lets a folder, where there is one, and all within it be written, or no more."""
    for path in (folder, *folder.rglob("*")) if folder.exists() else ():
        mode = path.stat().st_mode
        path.chmod(mode | 0o200 if writing else mode & ~0o222)


# ---------------------------------------------------------------- little of something


def limited(
    setting: Setting, limit: int, most: int, held: Callable[[], int]
) -> Iterator[tuple[str, Trial]]:
    """There is little of something from the beginning, beyond what is held already."""
    while True:
        more = setting.draw.randrange(most)
        yield f"{more} more", partial(_limit, limit, more, held)


def _open_files() -> int:
    """The number of files that are open here."""
    return len(os.listdir("/proc/self/fd"))


def _limit(
    limit: int, more: int, held: Callable[[], int], work: Work, folder: Path, whole: Path
) -> Found:
    def do() -> int:
        _, hard = resource.getrlimit(limit)
        resource.setrlimit(limit, (held() + more, hard))
        return work.go_on(folder)

    return gone_on(attempt(do), work, folder, whole)


# ---------------------------------------------------------------- moments


def clock(setting: Setting) -> Iterator[tuple[str, Trial]]:
    """The clock jumps at every look, while a run is killed at a change of a file and resumed."""
    while True:
        seed, number = setting.draw.randrange(2**31), setting.draw.randrange(setting.changes)
        yield f"seed {seed}, killed before {number}", partial(_jump, seed, number)


def _jump(seed: int, number: int, work: Work, folder: Path, whole: Path) -> Found:
    draw, real, real_ns = random.Random(seed), time.time, time.time_ns

    def jumped() -> float:
        return real() + draw.uniform(-JUMP_S, JUMP_S)

    setattr(time, "time", jumped)  # noqa: B010
    setattr(time, "time_ns", lambda: int(1e9 * jumped()))  # noqa: B010
    try:
        return gone_on(struck(work, folder, Shim(number)), work, folder, whole)
    finally:
        setattr(time, "time", real)  # noqa: B010
        setattr(time, "time_ns", real_ns)  # noqa: B010


def two(setting: Setting) -> Iterator[tuple[str, Trial]]:
    """A second engine comes."""
    while True:
        after_s = setting.draw.uniform(0, SOON_S)
        yield f"after {after_s:.3f} s", partial(_come_second, after_s)


def _come_second(after_s: float, work: Work, folder: Path, whole: Path) -> Found:
    second: list[Answer] = []

    def come() -> None:
        time.sleep(after_s)
        second.append(attempt(lambda: work.go_on(folder)))

    coming = threading.Thread(target=come)
    coming.start()
    first = attempt(lambda: work.go_on(folder))
    coming.join()
    refused = [answer for answer in (first, *second) if answer.status not in ENDED]
    if len(refused) == 2:
        return Found(True, f"neither went on: {first.said} {second[0].said}")
    faults = filter(None, map(wrong, (first, *second)))
    why = next(faults, None) or came_to_the_same(work, folder, whole)
    return Found(bool(refused), why)


def gone(setting: Setting, *, to: str | None) -> Iterator[tuple[str, Trial]]:
    """The folder is moved, or deleted, while an engine is at work."""
    while True:
        after_s = setting.draw.uniform(0, SOON_S)
        yield f"after {after_s:.3f} s", partial(_go, after_s, to)


def _go(after_s: float, to: str | None, work: Work, folder: Path, whole: Path) -> Found:
    other = folder.with_name(f"{folder.name}-{to}")

    def go() -> None:
        if to is None:
            shutil.rmtree(folder, ignore_errors=True)
        else:
            with suppress(FileNotFoundError):  # it is not there yet
                os.rename(folder, other)

    def do() -> int:
        threading.Timer(after_s, go).start()
        return work.go_on(folder)

    answer = attempt(do)
    if other.exists():
        if folder.exists():  # a new run has begun in its place
            shutil.rmtree(folder)
        other.rename(folder)
    if to is None:
        return Found(answer.status not in ENDED, wrong(answer))
    return gone_on(answer, work, folder, whole)


KINDS: dict[str, Callable[[Setting], Iterator[tuple[str, Trial]]]] = {
    "power": partial(power, names=False),
    "power-names-first": partial(power, names=True),
    "full-once": partial(refused, strike=refuse_room, lasting=False),
    "full-from-there-on": partial(refused, strike=refuse_room, lasting=True),
    "read-only": partial(refused, strike=partial(refuse, errno.EROFS), lasting=True),
    "closed": closed,
    "descriptors": partial(limited, limit=resource.RLIMIT_NOFILE, most=FEW, held=_open_files),
    "no-memory": partial(refused, strike=refuse_memory, lasting=False),
    "little-memory": partial(limited, limit=resource.RLIMIT_DATA, most=LITTLE, held=data_bytes),
    "clock": clock,
    "two": two,
    "moved": partial(gone, to="moved"),
    "deleted": partial(gone, to=None),
}
#: The kinds whose trials are as many as one asks for.
ENDLESS = ("descriptors", "little-memory", "clock", "two", "moved", "deleted")


def main() -> int:
    """Lets it happen, and prints a line of counts for each kind."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.support.faults.mishaps",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("kinds", nargs="*", metavar="KIND", help=f"of {', '.join(KINDS)}")
    parser.add_argument("--of", default="greedy", choices=WORKS, metavar="WORK")
    parser.add_argument("--apart", action="store_true", help="beads have files of their own")
    parser.add_argument("--each", type=int, metavar="N", help="trials of each kind")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    if asked.apart:
        bead_files.APART, store.PAUSE = 0, 0
    total: Counter[str] = Counter()
    work = WORKS[asked.of]
    with tempfile.TemporaryDirectory(prefix="dss-mishaps-") as place:
        os.environ["DSS_TUI_RUNS"] = place
        whole = Path(place) / "whole"
        unharmed(work, Path(place) / "warm")
        changes = counted(work, whole).total()
        for kind in asked.kinds or KINDS:
            setting = Setting(changes, random.Random(f"{asked.seed} {kind}"))
            trials = [
                (name, partial(trial, work, Path(place) / "run", whole))
                for name, trial in _some(kind, setting, asked.each)
            ]
            counts = campaign(f"{asked.of}, {kind}", trials, Path(place) / "run")
            total += counts
            print(f"{asked.of}, {kind}: {_words(counts)}", flush=True)
    print(f"in all: {_words(total)}")
    return int(total["lost"] > 0)


def campaign(
    told: str, trials: Iterable[tuple[str, Callable[[], Found]]], folder: Path
) -> Counter[str]:
    """Returns the counts of trials in a folder, and prints what is wrong."""
    counts: Counter[str] = Counter()
    for name, trial in trials:
        found = trial()
        counts += Counter(tried=1, hit=int(found.hit), lost=int(found.why is not None))
        if found.why is not None:
            print(f"{told}, {name}: {found.why}", flush=True)
        shutil.rmtree(folder, ignore_errors=True)
    return counts


def _words(counts: Counter[str]) -> str:
    return f"{counts['tried']} tried, {counts['hit']} hit, {counts['lost']} lost"


def _some(kind: str, setting: Setting, each: int | None) -> list[tuple[str, Trial]]:
    """The trials of a kind: all of them, or so many."""
    trials = KINDS[kind](setting)
    if kind in ENDLESS:
        return [next(trials) for _ in range(each or 100)]
    every = list(trials)
    return every if each is None or each >= len(every) else setting.draw.sample(every, each)


if __name__ == "__main__":
    sys.exit(main())
