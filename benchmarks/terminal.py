"""What the screens cost: time to the first frame, bytes to the terminal, a long run's keys.

`python -m benchmarks.terminal [--repeats 5]` prints a table. Where the system tells how long a
process waited for a core (Linux), that time is taken out and told beside: a busy machine then gives
nearly the figures of a quiet one.
"""

from __future__ import annotations

import argparse
import math
import os
import random
import select
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import engine
from engine.record.events import (
    BeadInserted,
    BeadTrained,
    EndpointTrained,
    Outcome,
    RunFinished,
    RunStarted,
    SegmentClosed,
    SegmentMeasured,
)
from engine.record.finding import create
from engine.record.findings import Totals
from engine.record.progress import Counters, Progress, SegmentProgress
from engine.record.rundir import RunDir
from engine.record.writer import RunWriter
from tests.support import pseudo_terminal
from tests.support.pseudo_terminal import Viewer

viewer = partial(pseudo_terminal.viewer, rows=40, columns=140)


@dataclass(frozen=True)
class Took:
    """How long something took."""

    seconds: float
    """Wall time less the time for which the process waited for a core."""
    waited: float
    """That time in seconds."""


def waited(screen: Viewer) -> float:
    """Returns the seconds for which a viewer's main thread has waited for a core so far."""
    with suppress(OSError):
        return int(Path(f"/proc/{screen.process.pid}/schedstat").read_text().split()[1]) / 1e9
    return 0.0


def time_to(words: bytes, *arguments: str) -> Took:
    """Returns how long it takes until a viewer has shown these words."""
    began = time.monotonic()
    with viewer(*arguments) as screen:
        os.write(screen.master, b"\x1b[?62c")  # as a terminal without pictures answers
        if words not in screen.read(30, until=words):
            raise SystemExit(f"{words!r} never came")
        seconds, lost = time.monotonic() - began, waited(screen)
    return Took(seconds - lost, lost)


def long_run(folder: Path, beads: int) -> RunDir:
    """A finished run of that many beads, as an engine would have left it."""
    draw = random.Random(4)
    level = 1e-3
    run = create(engine.load_preset("quadratic"), "long", folder / "long")

    def profile(peak: float) -> tuple[float, ...]:
        return tuple(8e-4 + (peak - 8e-4) * math.sin(math.pi * t / 32) for t in range(33))

    with RunWriter(run) as writer:
        writer.record(RunStarted("greedy", level, 0.8, 0, 33, 256, ("cpu",)), 0.0)
        for bead in (1, 2):
            writer.record(EndpointTrained(bead, 8e-4, 900, 1), 1.0)
        order = [1, 2]
        for bead in range(3, beads + 1):
            at = draw.randrange(len(order) - 1)
            left, right, now = order[at], order[at + 1], bead / 10
            depth = 1 + int(math.log2(bead))
            for attempt in range(12):  # as many events as a hard search
                writer.record(BeadInserted(bead, left, right, depth, 0.4, 2e-3), now)
                if attempt == 11:
                    writer.record(BeadTrained(bead, left, right, depth, 8e-4, 400, 1), now)
            for pair in ((left, bead), (bead, right)):
                peak = draw.uniform(8e-4, 1.2e-3)
                writer.record(SegmentMeasured(*pair, depth, 0.4, peak, 0.5), now)
                writer.record(SegmentClosed(*pair, peak), now)
            order.insert(at + 1, bead)
        peaks = [draw.uniform(8e-4, 1e-3) for _ in order[1:]]
        totals = Totals(beads, beads - 1, beads - 1, 0, 9, (2, 1), 10**6, max(peaks), 1.4, 60.0)
        writer.record(RunFinished(Outcome.CONNECTED, "Connected: made up.", totals), 60.0)
        segments = tuple(
            SegmentProgress(
                left=left,
                right=right,
                depth=5,
                state="closed",
                length=0.4,
                peak=peak,
                t_star=0.5,
                profile=profile(peak),
                secondary=profile(peak)[::2],
                bead=None,
            )
            for left, right, peak in zip(order, order[1:], peaks, strict=False)
        )
        counters = Counters(
            depth=9,
            beads=beads,
            beads_per_depth=(2, 1),
            open=0,
            closed=beads - 1,
            failed=0,
            in_training=0,
            bead_steps=10**6,
            max_peak=max(peaks),
            normalized_length=1.4,
        )
        writer.progress(
            Progress(
                seq=writer.seq,
                time=60.0,
                state="ended",
                phase="audit",
                level=level,
                alpha=0.8,
                counters=counters,
                order=tuple(order),
                losses=(8e-4,) * beads,
                training=(),
                segments=segments,
            )
        )
    return run


def key_to_repaint(screen: Viewer, keys: list[str]) -> list[Took]:
    """Returns how long it takes from each key to the first bytes of what it changed."""
    times = []
    for key in keys:
        screen.read(0.4)
        began, before = time.monotonic(), waited(screen)
        os.write(screen.master, key.encode())
        if not select.select([screen.master], [], [], 5)[0]:
            raise SystemExit(f"nothing came after {key!r}")
        seconds, lost = time.monotonic() - began, waited(screen) - before
        times.append(Took(seconds - lost, lost))
    return times


def row(what: str, figure: str, aim: str) -> None:
    """Prints a row of the table."""
    print(f"| {what} | {figure} | {aim} |", flush=True)


def spread(times: list[Took], unit: str = "s") -> str:
    """Returns the median and the highest of some times, and the longest wait for a core."""
    scale, digits = (1e3, 0) if unit == "ms" else (1.0, 2)
    shown = [scale * took.seconds for took in times]
    lost = scale * max(took.waited for took in times)
    out = f", without waits of up to {lost:.{digits}f} {unit} for a core" if lost else ""
    return (
        f"median {statistics.median(shown):.{digits}f} {unit}, at most {max(shown):.{digits}f}"
        f" (of {len(times)}{out})"
    )


#: Keys on a run's screen that change what is shown: other beads, views, scales and orders.
KEYS = ["l", "l", "\x1b[C", "h", "L", "2", "j", "k", "s", "1", "l", "3", "1"]


def main() -> None:
    """Prints a row for each thing that is measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    repeats = parser.parse_args().repeats
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["DSS_TUI_RUNS"] = str(folder / "runs")
        print("| 140×40 | measured | aim |\n|---|---|---|")
        row("textual imported", spread([start_of_textual() for _ in range(repeats)]), "")
        of_menu = [time_to(b"quadratic-paper") for _ in range(repeats)]
        row("start to the menu", spread(of_menu), "< 0.8 s")
        of_long_run(long_run(folder, 500), repeats)
        of_live_run(folder / "live")


def of_long_run(run: RunDir, repeats: int) -> None:
    """Measures how an ended run of many beads opens, how it takes keys, and what it costs idle."""
    there = b"Connected: made up"
    opened = [time_to(there, "attach", str(run.path)) for _ in range(repeats)]
    row("a run of 500 beads opens", spread(opened), "< 1 s")
    with viewer("attach", str(run.path)) as screen:
        screen.read(30, until=there)
        screen.read(3)
        idle = len(screen.read(10))
        times = key_to_repaint(screen, KEYS * repeats)
    low = statistics.quantiles([took.seconds for took in times], n=20)[-1]
    row("a key there to the repaint", spread(times, "ms"), "")
    row("… for 19 keys of 20", f"{1e3 * low:.0f} ms", "< 100 ms")
    row("idle for 10 s", f"{idle} bytes", "0")


def of_live_run(folder: Path) -> None:
    """Measures what a search under way writes to the terminal, and the end after a hang-up."""
    options = ["--set", "search.level=5e-4", "--seed", "3", "--out", str(folder)]
    events = folder / "events.jsonl"
    with viewer("run", "quadratic-paper", *options) as screen:
        while not events.exists() or b"bead_trained" not in events.read_bytes():
            screen.read(0.2)
        before = len(events.read_bytes().splitlines())
        sent = len(screen.read(20))
        new = len(events.read_bytes().splitlines()) - before
        what = f"a search under way, over 20 s with {new} events"
        row(what, f"{sent / 20 / 1024:.1f} KiB/s", "< 15 KiB/s")
        began = time.monotonic()
        screen.process.send_signal(signal.SIGHUP)
        while screen.process.poll() is None:
            screen.read(0.02)
        row("SIGHUP to the end", f"{time.monotonic() - began:.2f} s", "< 2 s")
    stop = [sys.executable, "-m", "dss_tui", "stop", str(folder)]
    subprocess.run(stop, check=False, capture_output=True)


def start_of_textual() -> Took:
    """Returns how long it takes to import the library of screens, which no menu can undercut."""
    before = os.times()
    subprocess.run([sys.executable, "-c", "import textual.app"], check=True)
    after = os.times()
    return Took(sum(after[2:4]) - sum(before[2:4]), 0.0)  # of the child, user and system


if __name__ == "__main__":
    main()
