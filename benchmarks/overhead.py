"""Engine time that is not spent in training or measuring: events, checkpoints, bookkeeping.

A whole run in the foreground, its directory included; compiled code and imports are warm. What the
pool takes is work, the rest of the session is overhead. Also the longest that a checkpoint, a
snapshot of progress or an event kept training waiting.

python benchmarks/overhead.py quadratic digits [--repeats 5]
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import engine
from engine.backends.fused.compilation import warm_up
from engine.record.finding import create
from engine.record.signals import Signals
from engine.record.writer import RunWriter
from engine.run.session import run, run_session
from engine.run.store import DirectoryStore
from engine.workers.pool import Pool


class Timed:
    """Seconds in each of some methods, and the longest call."""

    def __init__(self) -> None:
        """Begins with nothing watched."""
        self.total: dict[str, float] = {}
        self.longest: dict[str, float] = {}

    @contextmanager
    def watching(self, owner: Any, name: str) -> Iterator[None]:
        """Within it, calls of one method of a class are timed."""
        inner: Callable[..., Any] = getattr(owner, name)

        def timed(*arguments: Any, **named: Any) -> Any:
            began = time.perf_counter()
            try:
                return inner(*arguments, **named)
            finally:
                taken = time.perf_counter() - began
                self.total[name] = self.total.get(name, 0.0) + taken
                self.longest[name] = max(taken, self.longest.get(name, 0.0))

        with mock.patch.object(owner, name, timed):
            yield


def measure(preset: str, seed: int) -> Timed:
    """Returns the times of one run of a preset, its directory included."""
    timed = Timed()
    spec = engine.load_preset(preset, seed=seed)
    with (
        tempfile.TemporaryDirectory() as folder,
        timed.watching(Pool, "run"),
        timed.watching(DirectoryStore, "checkpoint"),
        timed.watching(DirectoryStore, "progress"),
        timed.watching(RunWriter, "record"),
        mock.patch("engine.run.session.run_session", timed_session(timed)),
        Signals() as signals,
    ):
        run(create(spec, preset, Path(folder) / "run"), signals)
    return timed


def timed_session(timed: Timed) -> Callable[..., Any]:
    """Returns a `run_session` that is timed."""

    def session(*arguments: Any, **named: Any) -> Any:
        began = time.perf_counter()
        try:
            return run_session(*arguments, **named)
        finally:
            timed.total["session"] = time.perf_counter() - began

    return session


def main() -> None:
    """Prints a line for each preset."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("presets", nargs="+")
    parser.add_argument("--repeats", type=int, default=5)
    asked = parser.parse_args()
    warm_up()
    for preset in asked.presets:
        measure(preset, 0)
        found = [measure(preset, seed) for seed in range(asked.repeats)]
        shares = [1 - each.total["run"] / each.total["session"] for each in found]
        seconds = statistics.median(each.total["session"] for each in found)
        longest = {
            name: 1e3 * max(each.longest.get(name, 0.0) for each in found)
            for name in ("checkpoint", "progress", "record")
        }
        print(
            f"{preset}: session {seconds:.2f} s, overhead {statistics.median(shares):.1%} "
            f"({min(shares):.1%} … {max(shares):.1%}); longest "
            + ", ".join(f"{name} {ms:.1f} ms" for name, ms in longest.items())
        )


if __name__ == "__main__":
    main()
