"""How many small faults in the engine its tests notice: mutants drawn by a seed.

`python -m benchmarks.mutants OUT` runs the engine's tests once, noting which lines each of them
runs; then it draws mutations of `steps`, `training`, `path` and `methods`, and runs for each the
tests that run its lines, until one fails. All of it happens in copies in OUT of the tree as it
was at the first start. A mutant is *killed* by a failing test, *hung* where a test takes many
times as long as without it, and has *survived* otherwise, also where no test runs its line.

What is done is kept in `OUT/results.jsonl`, so that the same command goes on where it was
stopped. The mutants come in a drawn order: those done are a random sample whenever it is stopped.
"""

from __future__ import annotations

import argparse
import ast
import difflib
import hashlib
import json
import os
import random
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from queue import SimpleQueue

from benchmarks.covering import TOO_LONG
from benchmarks.mutations import Mutation, mutations

ROOT = Path(__file__).parents[1]
ROOMS = ("engine/steps", "engine/training", "engine/path", "engine/methods")
TESTS = ("tests/engine",)
#: The decorators that compile a function.
COMPILING = ("compiled", "inlined", "entry", "part", "inner")
#: A test hangs that takes so many times as long as without a mutation, and so many seconds more.
TIMES_AS_LONG, SECONDS_MORE = 10.0, 60.0


@dataclass(frozen=True)
class Mutant:
    """A file of the engine with one mutation in it."""

    file: str
    mutation: Mutation
    source: str = field(repr=False)
    """The file without it."""

    @property
    def key(self) -> str:
        """A name that is the same as long as the file is the same."""
        told = json.dumps([self.file, asdict(self.mutation), self.source])
        return hashlib.blake2b(told.encode(), digest_size=12).hexdigest()

    @property
    def changed(self) -> str:
        """The file with it."""
        return self.mutation.applied(self.source)

    def diff(self) -> str:
        """Returns the lines that differ."""
        before, after = self.source.splitlines(), self.changed.splitlines()
        lines = difflib.unified_diff(before, after, lineterm="", n=0)
        return "\n".join(line for line in list(lines)[2:] if line[:1] in "+-" and line[1:].strip())


def in_compiled_code(source: str, line: int) -> bool:
    """Whether a line stands in a function that a decorator of COMPILING compiles."""
    for function in ast.walk(ast.parse(source)):
        if not isinstance(function, ast.FunctionDef) or function.end_lineno is None:
            continue
        if not function.lineno <= line <= function.end_lineno:
            continue
        for decorator in function.decorator_list:
            named = decorator.func if isinstance(decorator, ast.Call) else decorator
            if isinstance(named, ast.Name) and named.id in COMPILING:
                return True
    return False


@dataclass(frozen=True)
class Result:
    """What became of one mutant."""

    key: str
    file: str
    line: int
    outcome: str
    """killed, hung or survived"""
    test: str
    """That which noticed."""
    tests: int
    """How many run its lines."""
    seconds: float
    diff: str


@dataclass(frozen=True)
class Covered:
    """Which tests run which lines of the engine, and how long they take."""

    lines: dict[str, dict[int, frozenset[str]]]
    """By file and line; a line that is run on import has no test of its own."""
    seconds: dict[str, float]

    def tests(self, mutant: Mutant) -> list[str]:
        """The tests that run a mutant's lines, the quickest first.

        Where it stands in what is run on import, all that run anything in its file. The lines of
        compiled code are not seen to run, so for these all tests of its folder count too.
        """
        of_file = self.lines.get(mutant.file, {})
        place = range(mutant.mutation.line, mutant.mutation.end_line + 1)
        found = frozenset[str]().union(*(of_file.get(line, frozenset()) for line in place))
        if not found and any(line in of_file for line in place):
            found = found.union(*of_file.values())
        if in_compiled_code(mutant.source, mutant.mutation.line):
            folder = f"tests/{Path(mutant.file).parent}/"
            found |= {test for test in self.seconds if test.startswith(folder)}
        return sorted(found, key=lambda test: (self.seconds[test], test))


# ---------------------------------------------------------------- the tests without a mutation


def copied(tree: Path, to: Path) -> Path:
    """Copies a tree, once: an earlier session's copy is left as it is."""
    if not to.exists():
        ignored = shutil.ignore_patterns(".*", "__pycache__", "build", "dist", "runs")
        shutil.copytree(tree, to.with_suffix(".part"), ignore=ignored)
        to.with_suffix(".part").rename(to)
    return to


def pytest(tree: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Runs tests of a tree with the plugin, to which `more` speaks through the environment."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "benchmarks.covering", *arguments]
    where = os.environ | {"PYTHONPATH": str(tree)} | more
    return subprocess.run(command, cwd=tree, env=where, capture_output=True, text=True)


def recorded(tree: Path, folder: Path, tests: Sequence[str], workers: int) -> Covered:
    """Returns what the tests run, from files of an earlier session where they are there."""
    from coverage import Coverage  # of the extra dev, which the tests of this module do without

    if not (folder / "done").exists():
        folder.mkdir(parents=True, exist_ok=True)
        ran = pytest(tree, "-n", str(workers), *tests, COVERING_RECORD=str(folder))
        if ran.returncode not in (0, 1):
            sys.exit(f"the tests cannot be run:\n{ran.stdout[-3000:]}{ran.stderr[-3000:]}")
        print(f"without a mutation: {ran.stdout.splitlines()[-1]}; what fails is left out")
        (folder / "done").touch()
    seconds: dict[str, float] = {}
    for file in folder.glob("times.*.json"):
        seconds |= json.loads(file.read_text(encoding="utf-8"))
    whole = Coverage(data_file=folder / "lines")
    whole.combine([str(file) for file in folder.glob("lines.*")], keep=True)
    data = whole.get_data()
    lines = {
        str(Path(file).relative_to(tree)): {
            line: frozenset(names) & seconds.keys()
            for line, names in data.contexts_by_lineno(file).items()
        }
        for file in data.measured_files()
    }
    return Covered(lines, seconds)


# ---------------------------------------------------------------- mutants


def drawn(tree: Path, rooms: Sequence[str], seed: int) -> list[Mutant]:
    """Returns all mutants of these folders or files in an order drawn by the seed."""
    files = {
        file
        for room in rooms
        for file in ([tree / room] if (tree / room).is_file() else (tree / room).rglob("*.py"))
    }
    sources = {str(file.relative_to(tree)): file.read_text("utf-8") for file in sorted(files)}
    found = [
        Mutant(file, mutation, source)
        for file, source in sources.items()
        for mutation in mutations(source)
    ]
    random.Random(seed).shuffle(found)
    return found


def tried(mutant: Mutant, covered: Covered, tree: Path) -> Result:
    """Runs the tests on a mutant in a copy of the tree, which is as before afterwards."""
    tests = covered.tests(mutant)
    began = time.monotonic()
    outcome, test = run_with(mutant, tests, covered, tree) if tests else ("survived", "")
    return Result(
        mutant.key,
        mutant.file,
        mutant.mutation.line,
        outcome,
        test,
        len(tests),
        round(time.monotonic() - began, 1),
        mutant.diff(),
    )


def run_with(mutant: Mutant, tests: list[str], covered: Covered, tree: Path) -> tuple[str, str]:
    """Returns the outcome, and the test that noticed."""
    limits, asked = tree.with_suffix(".limits"), tree.with_suffix(".tests")
    by_test = {test: SECONDS_MORE + TIMES_AS_LONG * covered.seconds[test] for test in tests}
    limits.write_text(json.dumps(by_test), encoding="utf-8")
    asked.write_text("\n".join(tests), encoding="utf-8")
    with in_place(tree / mutant.file, mutant.changed, mutant.source):
        ran = pytest(tree, "-n", "0", "-x", "--tb=no", f"@{asked}", COVERING_LIMITS=str(limits))
    return judged(ran)


@contextmanager
def in_place(file: Path, changed: str, source: str) -> Iterator[None]:
    """Changes a file for a while. Compiled files, which go by size and second, are removed."""

    def write(text: str) -> None:
        file.write_text(text, encoding="utf-8")
        for compiled in (file.parent / "__pycache__").glob(f"{file.stem}.*"):
            compiled.unlink()

    write(changed)
    try:
        yield
    finally:
        write(source)


def judged(ran: subprocess.CompletedProcess[str]) -> tuple[str, str]:
    """The outcome of a run of tests, and the test that failed."""
    if TOO_LONG in ran.stderr:
        return "hung", ""
    failed = [line for line in ran.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
    if ran.returncode == 0:
        return "survived", ""
    return "killed", failed[0].split(" ")[1] if failed else "(none could be run)"


def results(file: Path) -> dict[str, Result]:
    """Those that are done, by key; a last line that was cut is not."""
    done: dict[str, Result] = {}
    for line in file.read_text(encoding="utf-8").splitlines() if file.exists() else []:
        try:
            result = Result(**json.loads(line))
        except (ValueError, TypeError):
            continue
        done[result.key] = result
    return done


def run(mutants: Sequence[Mutant], covered: Covered, out: Path, workers: int, end_s: float) -> None:
    """Tries those that are not done, several at once, and writes a line for each."""
    file = out / "results.jsonl"
    done = results(file)
    trees: SimpleQueue[Path] = SimpleQueue()
    for number in range(workers):
        tree = copied(out / "tree", out / f"tree-{number}")
        for mutant in mutants:  # an earlier session may have been killed at work
            (tree / mutant.file).write_text(mutant.source, encoding="utf-8")
        trees.put(tree)

    def one(mutant: Mutant) -> None:
        if mutant.key in done or time.monotonic() > end_s:
            return
        tree = trees.get()
        try:
            result = tried(mutant, covered, tree)
        finally:
            trees.put(tree)
        with file.open("a", encoding="utf-8") as lines:
            lines.write(json.dumps(asdict(result)) + "\n")
        print(f"{result.outcome:8} {result.seconds:6.1f} s {result.file}:{result.line}", flush=True)

    with ThreadPoolExecutor(workers) as threads:
        list(threads.map(one, mutants))


# ---------------------------------------------------------------- what came out


def wilson(hits: int, of: int, z: float = 1.96) -> tuple[float, float]:
    """The 95 % interval of a share (Wilson 1927)."""
    share, width = hits / of, z**2 / of
    middle = (share + width / 2) / (1 + width)
    half = z * (share * (1 - share) / of + z**2 / (4 * of**2)) ** 0.5 / (1 + width)
    return middle - half, middle + half


def report(found: Sequence[Result]) -> None:
    """Prints the shares by folder, and every mutant that survived."""
    print("\n| folder | mutants | killed | hung | survived | noticed |\n|---|---|---|---|---|---|")
    rooms = sorted({str(Path(result.file).parent) for result in found})
    for room in [*rooms, "all"] if len(rooms) > 1 else rooms:
        counts = Counter(r.outcome for r in found if room in ("all", str(Path(r.file).parent)))
        of, noticed = counts.total(), counts["killed"] + counts["hung"]
        low, high = wilson(noticed, of)
        print(
            f"| {room} | {of} | {counts['killed']} | {counts['hung']} | {counts['survived']} "
            f"| {noticed / of:.0%} ({low:.0%} … {high:.0%}) |"
        )
    for result in sorted(found, key=lambda result: (result.file, result.line)):
        if result.outcome == "survived":
            tests = f"{result.tests} tests" if result.tests else "no test runs it"
            print(f"\n{result.file}:{result.line} ({tests})\n{result.diff}")


def main() -> None:
    """Tries the mutants that are asked for, and prints how many a test noticed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, help="folder for copies, records and results")
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--minutes", type=float, default=float("inf"), help="begin none after that")
    parser.add_argument("--mutate", nargs="+", default=ROOMS, metavar="PATH")
    parser.add_argument("--tests", nargs="+", default=TESTS, metavar="PATH")
    options = parser.parse_args()
    out = options.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    end_s = time.monotonic() + 60 * options.minutes
    tree = copied(ROOT, out / "tree")
    covered = recorded(tree, out / "record", options.tests, options.workers)
    mutants = drawn(tree, options.mutate, options.seed)[: options.count]
    run(mutants, covered, out, options.workers, end_s)
    done = results(out / "results.jsonl")
    report([done[mutant.key] for mutant in mutants if mutant.key in done])


if __name__ == "__main__":
    main()
