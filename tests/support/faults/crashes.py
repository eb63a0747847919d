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
import io
import itertools
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
from concurrent.futures import Future
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from engine.backends.fused.backend import FusedBackend
from engine.backends.fused.layout import fused_layout
from engine.problem.problem import build_problem
from engine.record import finding, string_file, writing
from engine.record.events import Outcome
from engine.record.records import RecordTail, effective
from engine.record.rundir import RunDir
from engine.record.signals import Signals
from engine.record.writer import RunWriter
from engine.run import bead_files, store
from engine.run.loop import Pace
from engine.run.session import run_session
from engine.spec.keys import Spec
from engine.workers.pool import Pool
from presets import load_preset
from tests.support.faults.trial import Answer, attempt

#: The search: two ends and a few beads between them, in a moment.
SPEC = load_preset(
    "quadratic", ["seed=3", "problem.data.points=16", "search.level=2e-2", "device=cpu"]
)
#: A checkpoint and a snapshot of progress come after every step.
PACE = Pace(0.0, 0.0)

#: The functions of the system that change files, besides writing.
CALLS = ("replace", "rename", "link", "unlink", "fsync", "mkdir", "ftruncate")
WHEN = ("before", "within", "after")


@dataclass
class Shim:
    """Counts what changes files, and ends this process at one of them."""

    number: int
    """The change at which it ends, from 0; −1 for none."""
    when: str = "before"
    seen: int = 0
    kinds: Counter[str] | None = None

    def __enter__(self) -> Shim:
        """Puts itself between the engine and the system."""
        self._lock = threading.RLock()
        self.kinds = Counter()
        for name in CALLS:
            setattr(os, name, self._around(name, getattr(os, name)))
        whole_open, whole_fdopen = open, os.fdopen
        setattr(writing, "open", lambda *a, **k: self._file(whole_open(*a, **k)))  # noqa: B010

        def fdopen(fd: int, mode: str = "r", *more: Any, **named: Any) -> Any:
            made = whole_fdopen(fd, mode, *more, **named)
            return self._file(made) if mode == "ab" else made

        os.fdopen = fdopen
        return self

    def __exit__(self, *_: object) -> None:
        """Does nothing: the process ends."""

    def _file(self, made: Any) -> Any:
        return _File(made, self)

    def _around(self, name: str, whole: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            return self.point(name, lambda: whole(*arguments, **named))

        return call

    def point(
        self, kind: str, whole: Callable[[], Any], part: Callable[[], Any] | None = None
    ) -> Any:
        """Does it whole, or ends the process before, within or after it."""
        with self._lock:
            here = self.seen == self.number
            self.seen += 1
            assert self.kinds is not None
            self.kinds[kind] += 1
            if here and self.when == "before":
                _end()
            if here and self.when == "within" and part is not None:
                part()
                _end()
            found = whole()
            if here:
                _end()
            return found


class _File:
    """A file whose writes are counted."""

    def __init__(self, held: Any, shim: Shim) -> None:
        self._held, self._shim = held, shim

    def __enter__(self) -> _File:
        self._held.__enter__()
        return self

    def __exit__(self, *how: Any) -> Any:
        return self._held.__exit__(*how)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._held, name)

    def write(self, content: Any) -> Any:
        """Writes, and lets the system have it at once."""

        def put(part: Any) -> Any:
            count = self._held.write(part)
            self._held.flush()
            return count

        half = content[: len(content) // 2]
        return self._shim.point("write", lambda: put(content), lambda: put(half))

    def writelines(self, parts: Any) -> None:
        for part in parts:
            self.write(part)


def _end() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


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


def search(folder: Path, spec: Spec = SPEC) -> int:
    """Begins a run or goes on with it, and returns 0 where it connects."""
    run = RunDir(folder)
    if not run.spec.exists():
        run = finding.create(spec, "quadratic", folder)
    layout = fused_layout(spec.problem.network, spec.problem.loss)
    assert layout is not None
    with (
        Pool(FusedBackend(build_problem(spec.problem), layout), [torch.device("cpu")]) as pool,
        RunWriter(run) as writer,
    ):
        ended = run_session(writer, spec, pool, Signals(), pace=PACE)
    return 0 if ended.outcome is Outcome.CONNECTED else 3


def killed_at(folder: Path, number: int, when: str) -> Answer:
    """What comes of a run that is ended at one of its changes of files."""

    def do() -> int:
        setattr(store, "ThreadPoolExecutor", _AtOnce)  # noqa: B010
        with Shim(number, when):
            return search(folder)

    return attempt(do)


def killed_after(folder: Path, seconds: float) -> Answer:
    """What comes of a run that is ended after a while, whatever it does."""

    def do() -> int:
        threading.Timer(seconds, _end).start()
        return search(folder)

    return attempt(do)


def came_to_the_same(folder: Path, whole: Path) -> str | None:
    """What is wrong with a run that is gone on with, None where it ends as the whole one."""

    def do() -> int:
        status = search(folder)
        tail = RecordTail(RunDir(folder))
        records = effective(tail.new_records())
        seqs = [record.seq for record in records]
        if tail.damaged is not None or seqs != sorted(set(seqs)):
            print(f"its events are damaged: {tail.damaged}, {seqs}")
            return 4
        a, b = (string_file.read(each / "string.safetensors").string for each in (folder, whole))
        same = (
            a.beads.tobytes() == b.beads.tobytes() and a.profiles.tobytes() == b.profiles.tobytes()
        )
        return status if same else 5

    answer = attempt(do)
    if answer.status == 0 and not answer.signal:
        return None
    last = (answer.said.strip().splitlines() or [""])[-1]
    return {4: last, 5: "another string"}.get(answer.status or 0, f"{answer.fault or last}")


def counted(folder: Path) -> Counter[str]:
    """The changes of files of a whole run, by their kinds."""
    out = folder.with_suffix(".counts")

    def do() -> int:
        setattr(store, "ThreadPoolExecutor", _AtOnce)  # noqa: B010
        with Shim(-1) as shim:
            status = search(folder)
            assert shim.kinds is not None
        with open(out, "w") as file:
            file.writelines(f"{kind} {count}\n" for kind, count in shim.kinds.items())
        return status

    answer = attempt(do)
    assert answer.status == 0, answer.said
    lines = (line.split() for line in out.read_text().splitlines())
    return Counter({kind: int(count) for kind, count in lines})


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
        with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            search(Path(place) / "warm")
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
    return lambda folder: killed_at(folder, number, when)


def _after(seconds: float) -> Callable[[Path], Answer]:
    return lambda folder: killed_after(folder, seconds)


if __name__ == "__main__":
    sys.exit(main())
