"""What things happen to: runs of several methods, a sweep, components and a comparison.

Each is begun or gone on with in a folder, in a moment, and compared there with one to which nothing
has happened. Runs and cells write a checkpoint and their progress after every step, so that there
is much to happen to.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dss_tui.cli import main as dss_tui
from engine.record.records import RecordTail, effective
from engine.record.rundir import RunDir
from engine.run import cells, session, store
from engine.run.loop import Pace
from tests.support.faults.shim import Shim
from tests.support.faults.targets import COMPARE, COMPONENTS, SWEEP
from tests.support.faults.trial import Answer, attempt
from tests.support.run_strings import same_string, untimed

#: A checkpoint and a snapshot of progress come after every step.
PACE = Pace(0.0, 0.0)
#: The exit statuses of what has ended: all that was to be connected is, or not.
ENDED = (0, 3)
#: The exit status of a trial that ends in something else than the unharmed one.
DIFFERS = 4
TABLES = ("sweep.csv", "searches.csv", "components.csv", "compare.csv")


@dataclass(frozen=True)
class Work:
    """What a command begins in a folder, and `resume` goes on with there."""

    begin: tuple[str, ...]
    """The words of the command."""
    plan: str
    """The name of the file that is there once it can be gone on with."""
    differing: Callable[[Path, Path], str | None]
    """What differs between a folder and the unharmed one, None where nothing does but times."""

    def go_on(self, folder: Path) -> int:
        """Begins it or goes on with it, and returns the exit status of the command."""
        setattr(session, "Pace", lambda **_: PACE)  # noqa: B010
        setattr(cells, "PACE", PACE)  # noqa: B010
        if (folder / self.plan).exists():
            return dss_tui(["resume", str(folder), "--headless"])
        return dss_tui([*self.begin, "--headless", "--out", str(folder)])


def differing_run(folder: Path, whole: Path) -> str | None:
    """What is wrong with the events of a run, or with its string."""
    tail = RecordTail(RunDir(folder))
    seqs = [record.seq for record in effective(tail.new_records())]
    if tail.damaged is not None or seqs != sorted(set(seqs)):
        return f"its events are damaged: {tail.damaged}, {seqs}"
    return None if same_string(folder, whole) else "another string"


def differing_many(folder: Path, whole: Path) -> str | None:
    """What differs between the models, the strings and the tables of two folders.

    Checkpoints hold times, and how many there are depends on how often work was gone on with.
    """
    for path in sorted(whole.rglob("*.safetensors")):
        other = folder / path.relative_to(whole)
        if path.name.startswith("checkpoint"):
            continue
        if not other.exists():
            return f"{other} is missing"
        if not _same(path, other):
            return f"{other} differs"
    for table in TABLES:
        if (whole / table).exists() and untimed(folder / table) != untimed(whole / table):
            return f"{table} differs"
    return None


def _same(one: Path, other: Path) -> bool:
    """Whether two strings or two models are the same."""
    if one.name == "string.safetensors":
        return same_string(one.parent, other.parent)
    return one.read_bytes() == other.read_bytes()


#: A search with two ends and a few beads between them.
SMALL = ("seed=3", "problem.data.points=16", "search.level=2e-2", "device=cpu", "workers=1")
#: The methods besides the usual one, and the keys of each that make it take a moment.
METHODS: Mapping[str, tuple[str, ...]] = {
    "constrained": (),
    "neb": ("beads=3", "cycle=20"),
    "bezier": ("control_points=2", "look_every=20"),
    "polychain": ("control_points=3", "look_every=20"),
    "simplex": ("control_points=2", "look_every=80"),
}


def one_run(*lines: str) -> Work:
    """Returns the work of one small run."""
    options = [part for line in (*SMALL, *lines) for part in ("--set", line)]
    return Work(("run", "quadratic", *options), "run.yaml", differing_run)


WORKS: Mapping[str, Work] = {
    "greedy": one_run(),
    "shortened": one_run("search.shorten=true"),
    **{
        name: one_run(f"search.method={name}", *(f"search.{name}.{key}" for key in keys))
        for name, keys in METHODS.items()
    },
    "sweep": Work(SWEEP, "sweep.yaml", differing_many),
    "components": Work(COMPONENTS, "components.yaml", differing_many),
    "compare": Work(COMPARE, "compare.yaml", differing_many),
}


# ---------------------------------------------------------------- trials


class _AtOnce:
    """In place of a thread: what it is given is done when it is given."""

    def __init__(self, *_: Any, **__: Any) -> None:
        """Needs no thread."""

    def submit(self, do: Callable[..., Any], *arguments: Any) -> Future[Any]:
        """Does it."""
        done: Future[Any] = Future()
        try:
            done.set_result(do(*arguments))
        except Exception as error:
            done.set_exception(error)
        return done

    def shutdown(self) -> None:
        """There is nothing to wait for."""


def write_at_once() -> None:
    """Lets the thread that writes checkpoints do so at once, in the order in which it is asked."""
    setattr(store, "ThreadPoolExecutor", _AtOnce)  # noqa: B010


def unharmed(work: Work, folder: Path) -> None:
    """Does the work to which nothing happens."""
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        assert work.go_on(folder) in ENDED


def came_to_the_same(work: Work, folder: Path, whole: Path) -> str | None:
    """What is wrong with work that is gone on with, None where it ends as the unharmed one."""

    def do() -> int:
        status = work.go_on(folder)
        if status not in ENDED:
            return status
        why = work.differing(folder, whole)
        if why is not None:
            print(why)
        return status if why is None else DIFFERS

    answer = attempt(do)
    if answer.status in ENDED and not answer.fault:
        return None
    last = (answer.said.strip().splitlines() or [""])[-1]
    return last if answer.status == DIFFERS else answer.fault or last


def struck(work: Work, folder: Path, shim: Shim, first: Callable[[], object] = bool) -> Answer:
    """What comes of work at one of whose changes of files something strikes.

    What is to be done `first` is done in the process of the work.
    """

    def do() -> int:
        write_at_once()
        first()
        with shim:
            return work.go_on(folder)

    return attempt(do)


def counted(work: Work, folder: Path) -> Counter[str]:
    """The changes of files of unharmed work, by their kinds."""
    out = folder.with_suffix(".counts")

    def do() -> int:
        write_at_once()
        with Shim(-1) as shim:
            status = work.go_on(folder)
        with open(out, "w") as file:
            file.writelines(f"{kind} {count}\n" for kind, count in shim.kinds.items())
        return status

    answer = attempt(do)
    assert answer.status in ENDED, answer.said
    lines = (line.split() for line in out.read_text().splitlines())
    return Counter({kind: int(count) for kind, count in lines})
