"""A run without screens: JSON lines, plain lines, or a line of counters on a terminal.

The displays read the run directory like any other viewer; they never touch the engine.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from typing import Any

from rich.console import Console, RenderableType
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from dss_tui.words import clock, thousands
from engine.events import Record
from engine.rundir import RunDir, read_progress
from engine.signals import Signals


class JsonLines:
    """Writes every event to stdout; where nobody reads them any more, asks the run to end."""

    def __init__(self, signals: Signals) -> None:
        self._signals = signals

    def __enter__(self) -> JsonLines:
        return self

    def __exit__(self, *_: object) -> None:
        if self._signals.received is signal.SIGPIPE:
            # What is left in the buffer has no reader; Python would complain on exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

    def __call__(self, record: Record) -> None:
        if self._signals.received is signal.SIGPIPE:
            return
        try:
            print(record.to_line(), flush=True)
        except BrokenPipeError:
            self._signals.ask(signal.SIGPIPE)


class _Watcher:
    """Shows the newest progress every so often, from a thread of its own."""

    every_s = 1.0

    def __init__(self, run: RunDir) -> None:
        self.run = run
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="display", daemon=True)
        self._seen: dict[str, Any] = {}
        self.steps_per_s = 0.0

    def __enter__(self) -> _Watcher:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def show(self, progress: dict[str, Any]) -> None:
        raise NotImplementedError

    def summarize(self, sentence: str) -> None:
        """The ending, and where everything is, on stdout."""
        print(sentence)
        print(f"run directory: {self.run.path}")
        print(f"export it with: dss-tui export {self.run.path} --out string.safetensors")

    def _watch(self) -> None:
        while not self._ended.wait(self.every_s):
            progress = read_progress(self.run)
            if progress and progress.get("time") != self._seen.get("time"):
                self._rate(progress)
                self.show(progress)
                self._seen = progress

    def _rate(self, progress: dict[str, Any]) -> None:
        if self._seen:
            seconds = progress["time"] - self._seen["time"]
            steps = progress["counters"]["bead_steps"] - self._seen["counters"]["bead_steps"]
            self.steps_per_s = max(0.0, steps / seconds) if seconds > 0 else self.steps_per_s


class PlainLines(_Watcher):
    """A line every five seconds on stderr, for logs and dumb terminals."""

    every_s = 5.0

    def show(self, progress: dict[str, Any]) -> None:
        words = "  ".join(f"{name} {value}" for name, value in _fields(progress, self.steps_per_s))
        print(words, file=sys.stderr, flush=True)


class RichDisplay(_Watcher):
    """A few lines on a terminal that are redrawn in place."""

    every_s = 0.25

    def __init__(self, run: RunDir) -> None:
        super().__init__(run)
        console = Console(stderr=True)
        waiting = Spinner("dots", text=f"starting {run.name}")
        self._live = Live(waiting, console=console, refresh_per_second=4, transient=True)

    def __enter__(self) -> RichDisplay:
        self._live.__enter__()
        super().__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        super().__exit__()
        self._live.__exit__(None, None, None)

    def show(self, progress: dict[str, Any]) -> None:
        self._live.update(_panel(self.run.name, progress, self.steps_per_s))


def _panel(name: str, progress: dict[str, Any], steps_per_s: float) -> RenderableType:
    grid = Table.grid(padding=(0, 2))
    grid.add_row(Text(name, style="bold"), *(Text(n, style="dim") for n, _ in _fields(progress, 0)))
    grid.add_row("", *(value for _, value in _fields(progress, steps_per_s)))
    for bead in progress["training"][:8]:
        loss = "–" if bead["loss"] is None else f"{bead['loss']:.4g}"
        grid.add_row(
            Text(f"bead {bead['bead']}", style="cyan"),
            f"loss {loss}",
            f"goal {progress['level']:g}",
            f"step {thousands(bead['steps'])}",
            f"try {bead['attempt']}",
        )
    return grid


def _fields(progress: dict[str, Any], steps_per_s: float) -> list[tuple[str, str]]:
    counters = progress["counters"]
    segments = len(progress["segments"])
    peak = counters["max_peak"]
    fields = [
        ("time", clock(progress["time"])),
        ("phase", progress["phase"]),
        ("depth", str(counters["depth"])),
        ("beads", str(counters["beads"])),
        ("open", f"{counters['open']} of {segments}"),
        ("in training", str(counters["in_training"])),
        ("steps", thousands(counters["bead_steps"])),
        ("steps/s", thousands(round(steps_per_s))),
        ("peak/level", "–" if peak is None else f"{peak / progress['level']:.3g}"),
    ]
    if counters["failed"]:
        fields.append(("failed", str(counters["failed"])))
    return fields
