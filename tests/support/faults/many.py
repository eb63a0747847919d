"""Kills sweeps, components and comparisons at random moments, and goes on with them.

`python -m tests.support.faults.many` kills each up to three times, resumes it to its end, and
compares its models, its strings and its tables with those of one that nobody killed, to the bit
but for times. `--each N` says how often, `--seed` which moments. The exit status is 1 where
anything differs.
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
from pathlib import Path

import torch

from dss_tui.cli import main as dss_tui
from tests.support.faults.shim import end
from tests.support.faults.targets import COMPARE, COMPONENTS, SWEEP
from tests.support.faults.trial import Answer, attempt
from tests.support.run_strings import same_string, untimed

#: The command that begins each, and the file that is there once it can be resumed.
KINDS = {
    "sweep": (SWEEP, "sweep.yaml"),
    "components": (COMPONENTS, "components.yaml"),
    "compare": (COMPARE, "compare.yaml"),
}
#: The most kills of one.
KILLS = 3
TABLES = ("sweep.csv", "searches.csv", "components.csv", "compare.csv")


def go_on(kind: str, folder: Path) -> int:
    """Begins or resumes many runs, and returns the exit status."""
    begin, plan = KINDS[kind]
    if (folder / plan).exists():
        return dss_tui(["resume", str(folder), "--headless"])
    return dss_tui([*begin, "--out", str(folder)])


def killed(kind: str, folder: Path, after_s: float) -> Answer:
    """What comes of many runs that are ended after a while."""

    def do() -> int:
        threading.Timer(after_s, end).start()
        return go_on(kind, folder)

    return attempt(do)


def differing(folder: Path, whole: Path) -> str | None:
    """What differs between two folders, None where nothing does but times."""
    for path in sorted(whole.rglob("*.safetensors")):
        other = folder / path.relative_to(whole)
        if not other.exists():
            return f"{other} is missing"
        if not _same(path, other):
            return f"{other} differs"
    for table in TABLES:
        if (whole / table).exists() and untimed(folder / table) != untimed(whole / table):
            return f"{table} differs"
    return None


def _same(one: Path, other: Path) -> bool:
    """Whether two strings or two models are the same; checkpoints hold times and may differ."""
    if one.name == "string.safetensors":
        return same_string(one.parent, other.parent)
    return one.name.startswith("checkpoint") or one.read_bytes() == other.read_bytes()


def trial(kind: str, folder: Path, whole: Path, moments: list[float]) -> tuple[int, str | None]:
    """Returns how often many runs were killed, and what is wrong with what came of them."""
    kills = sum(killed(kind, folder, at).signal == signal.SIGKILL for at in moments)
    answer = attempt(lambda: go_on(kind, folder))
    if answer.fault is not None:
        return kills, answer.fault
    if answer.status not in (0, 3):
        return kills, answer.said
    return kills, differing(folder, whole)


def campaign(kind: str, place: Path, each: int, draw: random.Random) -> Counter[str]:
    """Returns the counts of one kind's trials, and prints what is wrong."""
    whole, folder = place / "whole" / kind, place / "killed" / kind
    _unharmed(kind, place / "warm" / kind)  # which may have to compile
    took_s = _unharmed(kind, whole)
    counts: Counter[str] = Counter()
    for _ in range(each):
        moments = [draw.uniform(0.1, took_s) for _ in range(draw.randint(1, KILLS))]
        kills, why = trial(kind, folder, whole, moments)
        counts += Counter(tried=1, killed=kills, lost=int(why is not None))
        if why is not None:
            print(f"{kind}, killed after {moments} s: {why}", flush=True)
        shutil.rmtree(folder, ignore_errors=True)
    return counts


def _unharmed(kind: str, folder: Path) -> float:
    """Makes what nobody kills, and returns the seconds that it took."""
    began = time.monotonic()
    assert attempt(lambda: go_on(kind, folder)).status in (0, 3)
    return time.monotonic() - began


def main() -> int:
    """Kills and resumes, and prints a line of counts for each kind."""
    parser = argparse.ArgumentParser(prog="python -m tests.support.faults.many")
    parser.add_argument("kinds", nargs="*", metavar="KIND", help=f"of {', '.join(KINDS)}")
    parser.add_argument("--each", type=int, default=20, metavar="N")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    total: Counter[str] = Counter()
    with tempfile.TemporaryDirectory(prefix="dss-many-") as place:
        os.environ["DSS_TUI_RUNS"] = place
        for kind in asked.kinds or KINDS:
            counts = campaign(kind, Path(place), asked.each, random.Random(f"{asked.seed} {kind}"))
            total += counts
            print(f"{kind}: {_words(counts)}", flush=True)
    print(f"in all: {_words(total)}")
    return int(total["lost"] > 0)


def _words(counts: Counter[str]) -> str:
    return f"{counts['tried']} tried, {counts['killed']} killed, {counts['lost']} lost"


if __name__ == "__main__":
    sys.exit(main())
