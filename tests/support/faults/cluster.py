"""Kills workers of a Dask cluster while they are at work on a sweep, which must not lose anything.

`python -m tests.support.faults.cluster` makes a sweep in one process, and then again and again with
`--cluster local:2`, each in a process of its own. Meanwhile workers get SIGKILL, up to three times
at random moments from the first worker's start on, by `--seed`. Each sweep must end by itself in
time, without a traceback, with the strings and the tables of the first, to the bit but for times.
`--trials N` says how many; the exit status is 1 where anything is lost.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO

from tests.support.faults.works import ENDED, differing_many

#: A sweep whose cells take a moment each.
SWEEP = (
    *("sweep", "quadratic", "--levels", "0.02,0.001", "--pairs", "2", "--seed", "2", "--headless"),
    *("--set", "problem.data.points=1024", "--set", "workers=1", "--set", "device=cpu"),
)
CLUSTER = ("--cluster", "local:2")
#: The most kills in one trial. Dask gives up a task whose worker is lost four times.
KILLS = 3
#: The seconds after which a sweep counts as hanging, and between two looks at its processes.
PATIENCE_S, LOOK_S = 300.0, 0.02


def workers_of(process: int) -> list[int]:
    """The workers among the processes that a process has started."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended meanwhile
            facts = (folder / "stat").read_text().rpartition(")")[2].split()
            state, parent = facts[0], int(facts[1])
            if parent == process and state != "Z" and b"spawn_main" in _command(folder):
                found.append(int(folder.name))
    return sorted(found)


def _command(folder: Path) -> bytes:
    return (folder / "cmdline").read_bytes()


def started(out: Path, said: IO[str], *options: str) -> subprocess.Popen[str]:
    """A sweep into a folder that has just begun, all of whose words go to a file."""
    return subprocess.Popen(
        [sys.executable, "-m", "dss_tui", *SWEEP, *options, "--out", str(out)],
        stdout=said,
        stderr=said,
        start_new_session=True,
        text=True,
    )


def _looks(process: subprocess.Popen[str], until_s: float) -> Iterator[None]:
    """Yields now and then while a process lives, until a time."""
    while process.poll() is None and time.monotonic() < until_s:
        yield
        time.sleep(LOOK_S)


def killed(process: subprocess.Popen[str], moments: list[float], draw: random.Random) -> int:
    """Kills a worker at each of these moments after the first one's start, and counts kills."""
    until_s = time.monotonic() + PATIENCE_S
    for _ in _looks(process, until_s):
        if workers_of(process.pid):
            break
    began, kills = time.monotonic(), 0
    for moment in sorted(moments):
        for _ in _looks(process, min(until_s, began + moment)):
            pass
        there = workers_of(process.pid) if process.poll() is None else []
        if there:
            with suppress(ProcessLookupError):
                os.kill(draw.choice(there), signal.SIGKILL)
                kills += 1
    return kills


def swept(out: Path, moments: list[float], draw: random.Random) -> tuple[int, str | None]:
    """How many workers of a sweep were killed, and what is wrong with its end, None for nothing."""
    kills = 0
    with tempfile.TemporaryFile("w+") as said:
        process = started(out, said, *CLUSTER)
        try:
            kills = killed(process, moments, draw)
            process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            return kills, "it hangs"
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        said.seek(0)
        words = said.read()
    if process.returncode not in ENDED:
        return kills, f"exit status {process.returncode}: {words.strip()[-300:]}"
    if "Traceback (most" in words:
        return kills, f"a traceback: {words.strip()[-300:]}"
    return kills, None


def campaign(place: Path, trials: int, seed: int) -> Counter[str]:
    """Returns the counts of so many trials, and prints what is wrong."""
    whole, folder, draw = place / "whole", place / "killed", random.Random(seed)
    with open(os.devnull, "w") as nowhere:
        assert started(whole, nowhere).wait() in ENDED
    began = time.monotonic()
    _, why = swept(folder, [], draw)
    took_s = time.monotonic() - began
    assert why is None, why
    assert differing_many(folder, whole) is None
    counts: Counter[str] = Counter()
    for _ in range(trials):
        shutil.rmtree(folder, ignore_errors=True)
        moments = [draw.uniform(0, took_s) for _ in range(draw.randint(1, KILLS))]
        kills, why = swept(folder, moments, draw)
        why = why or differing_many(folder, whole)
        counts += Counter(tried=1, hit=int(kills > 0), kills=kills, lost=int(why is not None))
        if why is not None:
            told = ", ".join(f"{moment:.2f} s" for moment in sorted(moments))
            print(f"after {told}: {why}", flush=True)
    return counts


def main() -> int:
    """Kills workers, and prints a line of counts."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.support.faults.cluster", description=__doc__
    )
    parser.add_argument("--trials", type=int, default=20, metavar="N")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="dss-cluster-") as place:
        os.environ["DSS_TUI_RUNS"] = place
        counts = campaign(Path(place), asked.trials, asked.seed)
    print(
        f"in all: {counts['tried']} tried, {counts['hit']} hit, {counts['kills']} workers killed, "
        f"{counts['tried'] - counts['lost']} to the same tables, {counts['lost']} lost"
    )
    return int(counts["lost"] > 0)


if __name__ == "__main__":
    sys.exit(main())
