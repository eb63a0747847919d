"""Every command and every screen on files that are damaged in every way.

`python -m tests.support.faults` makes runs, sweeps, comparisons, strings, presets and data, damages
one file after another, and tries each command that reads them in a process of its own. What is
counted is the answer: a promised exit status, or a refusal in one sentence. The exit status is 1
where anything ended in a traceback, did not come back within 10 s of the processor's time, or held
more than 1 GiB. `--each N` draws so many trials of each target and kind of damage, by `--seed`;
without it all are made, which takes many hours.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path

from tests.support.faults import values, whole
from tests.support.faults.targets import TARGETS, Target
from tests.support.faults.trial import Answer, attempt, drop_privileges
from tests.support.faults.whole import Case

#: The share of what is slow that is tried.
SLOW = 0.15
WORDS = ("tried", "answered", "refused in a sentence", "lost")


@contextmanager
def damaged(target: Target, case: Case) -> Iterator[None]:
    """Within it the folder has that damage; all is as before afterwards, whatever was written."""
    kept = target.folder.with_name(f"kept-{target.folder.name}")
    if not kept.exists():
        shutil.copytree(target.folder, kept, symlinks=True)
    os.utime(target.folder)
    try:
        case.do(target.folder / case.file)
        yield
    finally:
        shutil.rmtree(target.folder)
        for outside in target.folder.parent.glob("outside-*"):
            outside.unlink()
        shutil.copytree(kept, target.folder, symlinks=True)


def trials(target: Target, asked: argparse.Namespace) -> Iterator[tuple[Case, str]]:
    """The damages and what is tried on each, all of them or so many of each kind."""
    draw = random.Random(f"{asked.seed} {target.name}")
    by_kind: dict[str, list[tuple[Case, str]]] = {}
    for file in target.files:
        for case in (*whole.cases(file), *values.cases(file, target.folder / file)):
            found = by_kind.setdefault(case.kind, [])
            found += [(case, name) for name in target.tried if target.reads(name, file)]
    for found in by_kind.values():
        wanted = [pair for pair in found if pair[1] not in target.slow or draw.random() < SLOW]
        yield from draw.sample(wanted, min(len(wanted), asked.each or len(wanted)))


def tried(target: Target, case: Case, name: str) -> Answer:
    """What comes of one trial."""

    def do() -> int:
        os.environ.update(target.environment)
        if case.unprivileged:
            drop_privileges()
        return target.tried[name]()

    with damaged(target, case):
        return attempt(do)


def campaign(target: Target, asked: argparse.Namespace) -> Counter[tuple[str, str]]:
    """Returns the counts of the answers on one target by kind, and prints what is wrong."""
    counts: Counter[tuple[str, str]] = Counter()
    for case, name in trials(target, asked):
        answer = tried(target, case, name)
        counts[case.kind, "tried"] += 1
        if answer.fault is None:
            counts[case.kind, "refused in a sentence" if answer.refused else "answered"] += 1
            continue
        counts[case.kind, "lost"] += 1
        print(f"{target.name}: {name} · {case.file} · {case.name}: {answer.fault}", flush=True)
        if asked.verbose:
            print(answer.said, flush=True)
    return counts


def main() -> int:
    """Makes what is asked for, damages it, and prints a line of counts for each."""
    parser = argparse.ArgumentParser(prog="python -m tests.support.faults", description=__doc__)
    parser.add_argument("targets", nargs="*", default=[*TARGETS], metavar="TARGET")
    parser.add_argument("--each", type=int, metavar="N", help="trials of each target and kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--verbose", action="store_true", help="all that a lost trial said")
    asked = parser.parse_args()
    total: Counter[tuple[str, str]] = Counter()
    with tempfile.TemporaryDirectory(prefix="dss-faults-") as place:
        os.chmod(place, 0o755)
        os.environ |= {"XDG_CONFIG_HOME": f"{place}/config", "DSS_TUI_DATA": f"{place}/data"}
        for name in asked.targets:
            target = _made(Path(place), name)
            counts = campaign(target, asked)
            total += counts
            print(f"{name}: {_words(counts)}", flush=True)
    print(_table(total))
    return int(any(count for (_, word), count in total.items() if word == "lost"))


def _made(place: Path, name: str) -> Target:
    """Returns a target, whose commands print nothing here."""
    nowhere = StringIO()
    with redirect_stdout(nowhere), redirect_stderr(nowhere):
        return TARGETS[name](place)


def _words(counts: Counter[tuple[str, str]]) -> str:
    """The counts of all kinds together, in a line."""
    sums = {
        word: sum(count for (_, each), count in counts.items() if each == word) for word in WORDS
    }
    return ", ".join(f"{count} {word}" for word, count in sums.items())


def _table(counts: Counter[tuple[str, str]]) -> str:
    """The counts as a table for a page."""
    lines = [f"| damage | {' | '.join(WORDS)} |", "|---|" + "---:|" * len(WORDS)]
    for kind in dict.fromkeys(kind for kind, _ in counts):
        lines.append(f"| {kind} | {' | '.join(str(counts[kind, word]) for word in WORDS)} |")
    return "\n".join([*lines, f"in all: {_words(counts)}"])


if __name__ == "__main__":
    import torch

    torch.set_num_threads(1)
    sys.exit(main())
