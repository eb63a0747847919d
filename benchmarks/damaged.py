"""Commands and screens on damaged run folders: how many answer, refuse in words, fail or hang.

`python -m benchmarks.damaged` damages every file of a run that has connected and of one that came
to its limit in every way that `tests.support.damage` knows, or in `--values` of the ways to damage
a single value, and tries every command that reads a run on each. Commands that begin a search are
tried on every `--searches-every`th, the screens on every `--screens-every`th. The checkpoints of
further runs are damaged in the same ways, and gone on with for some steps; `--checkpoints` does
nothing but that, on all of them. The exit status is 1 where anything ended in a traceback or did
not come back.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import random
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from dss_tui.cli import main as command_line
from dss_tui.tui.app import DssApp, Opening
from engine.record.rundir import RunDir
from tests.support.damage import (
    WHOLE,
    Answer,
    Case,
    answer,
    cases,
    commands,
    damaged,
    go_on,
    goes_on,
    judged,
)

QUICK = ("--set", "problem.data.points=64", "--headless", "--seed", "2")
#: How the two runs are made.
MADE = {
    "connected": ("--set", "search.level=1e-2"),
    "limited": ("--set", "search.level=1e-4", "--set", "limits.beads=4"),
}
#: How runs are made whose checkpoints alone are damaged: each ends within another stage.
STAGES = {
    "limited": MADE["limited"],
    "endpoints": ("--set", "limits.steps=200"),
    "lowered": ("--set", "search.method=constrained", "--set", "limits.steps=600"),
    "even": ("--set", "search.min_inner_beads=3", "--set", "limits.steps=4100"),
}
#: Runs of an older version whose checkpoints are damaged too.
FIXTURES = Path(__file__).parents[1] / "tests" / "fixtures" / "6706f4a" / "runs"
OLDER = (
    "stopped-auto-greedy",
    "limited-auto-detour",
    "limited-auto-release",
    "stopped-auto-constrained",
    "stopped-linear",
    "stopped-shortening-digits",
    "stopped-string-quadratic",
)


def screens(folder: Path) -> int:
    """Opens the run's screen with all its views, and the menu's list of runs."""

    async def look() -> None:
        for opening in (Opening(RunDir(folder), fps=20), Opening(fps=20)):
            app = DssApp(opening)
            async with app.run_test(size=(100, 30)) as pilot:
                for key in "123456" if opening.run else "2":
                    await pilot.press(key)
                    await pilot.pause(0.02)

    asyncio.run(look())
    return 0


def begins_search(kind: str, name: str, case: Case) -> bool:
    """Whether a command begins a search: where nobody can see that the run has connected."""
    beginning = name == "shorten" or (name, case.file) == ("resume", "events.jsonl")
    return kind == "connected" and beginning


def drawn(folder: Path, values: int) -> list[Case]:
    """Every damage to a whole file, and so many damages to single values, drawn by a seed."""
    found = list(cases(folder))
    whole = [case for case in found if case.name in WHOLE]
    single = [case for case in found if case.name not in WHOLE]
    return whole + random.Random(7).sample(single, min(values, len(single)))


def tried(kind: str, folder: Path, asked: argparse.Namespace) -> Counter[str]:
    """Returns counts of the answers on one run, and prints what is wrong."""
    counts: Counter[str] = Counter()
    for number, case in enumerate(drawn(folder, asked.values)):
        for name, command in commands(folder).items():
            if not goes_on(kind, name, case):
                continue
            if begins_search(kind, name, case) and number % asked.searches_every:
                continue
            with damaged(folder, case):
                count(counts, answer(command), f"{name} with {case.file} {case.name}")
        if number % asked.screens_every == 0:
            with damaged(folder, case):
                seen = answer(partial(screens, folder))
                count(counts, seen, f"screens with {case.file} {case.name}")
    return counts


def gone_on(kind: str, folder: Path, asked: argparse.Namespace) -> Counter[str]:
    """Returns counts of the answers of searches that go on from damaged checkpoints of one run."""
    counts: Counter[str] = Counter()
    for case in drawn(folder, asked.values):
        if case.file == "checkpoint.safetensors":
            with damaged(folder, case):
                count(counts, answer(partial(go_on, folder)), f"{kind}: {case.name}")
    return counts


def checkpoints(place: Path) -> Iterator[tuple[str, Path]]:
    """Yields runs that can be gone on with, by name."""
    for kind, options in STAGES.items():
        yield kind, made(place, kind, options)
    for kind in OLDER:
        yield kind, Path(shutil.copytree(FIXTURES / kind, place / kind / "run"))


def made(place: Path, kind: str, options: tuple[str, ...]) -> Path:
    """Returns the folder of a run that was made with these options, in a runs folder of its own."""
    folder = place / kind / "run"
    os.environ["DSS_TUI_RUNS"] = str(folder.parent)
    with contextlib.redirect_stdout(sys.stderr):
        command_line(["run", "quadratic", "--out", str(folder), *QUICK, *options])
    return folder


def count(counts: Counter[str], asked: Answer, what: str) -> None:
    """Adds an answer to the counts."""
    fault = judged(asked)
    counts["tried"] += 1
    if fault is None:
        refused = asked.status in (1, 2) and "dss-tui: " in asked.said
        counts["refused in words" if refused else "answered"] += 1
        return
    counts["hangs" if asked.hangs else "tracebacks"] += 1
    print(f"{what}: {fault}"[:300], flush=True)


def main() -> int:
    """Makes the runs, damages them and prints one line of counts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--values", type=int, default=10**6, metavar="N", help="of each run")
    parser.add_argument("--searches-every", type=int, default=50, metavar="N")
    parser.add_argument("--screens-every", type=int, default=25, metavar="N")
    parser.add_argument("--checkpoints", action="store_true")
    asked = parser.parse_args()
    total: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as place:
        for kind, options in () if asked.checkpoints else MADE.items():
            folder = made(Path(place), kind, options)
            (folder / "commands.jsonl").write_text('{"command": "checkpoint"}\n')
            total += tried(kind, folder, asked)
        for kind, folder in checkpoints(Path(place) / "checkpoints"):
            counts = gone_on(kind, folder, asked)
            print(f"{kind}: {dict(counts)}", flush=True)
            total += counts
    words = ("tried", "answered", "refused in words", "tracebacks", "hangs")
    print(", ".join(f"{total[word]} {word}" for word in words))
    return int(total["tracebacks"] + total["hangs"] > 0)


if __name__ == "__main__":
    sys.exit(main())
