"""What the screens cost: time to the menu, bytes to the terminal, a long run's keys, a hang-up.

`python -m benchmarks.terminal [--repeats 5]`
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
    Totals,
)
from engine.record.finding import create
from engine.record.progress import Counters, Progress, SegmentProgress
from engine.record.rundir import RunDir
from engine.record.writer import RunWriter
from tests.support import pseudo_terminal
from tests.support.pseudo_terminal import Viewer

viewer = partial(pseudo_terminal.viewer, rows=40, columns=140)


def time_to(words: bytes, *arguments: str) -> float:
    """Returns the seconds until a viewer has shown these words."""
    began = time.monotonic()
    with viewer(*arguments) as screen:
        if words not in screen.read(30, until=words):
            raise SystemExit(f"{words!r} never came")
        return time.monotonic() - began


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
        print(f"long run: {beads} beads, {writer.seq} events")
    return run


def key_to_repaint(screen: Viewer, keys: list[str]) -> list[float]:
    """Seconds from each key to the first bytes of what it changed."""
    seconds = []
    for key in keys:
        screen.read(0.4)
        began = time.monotonic()
        os.write(screen.master, key.encode())
        if not select.select([screen.master], [], [], 5)[0]:
            raise SystemExit(f"nothing came after {key!r}")
        screen.read(0.02)
        seconds.append(time.monotonic() - began - 0.02)
    return seconds


def main() -> None:
    """Prints a line for each thing that is measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    repeats = parser.parse_args().repeats
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["DSS_TUI_RUNS"] = str(folder / "runs")
        menu = [time_to(b"quadratic-paper") for _ in range(repeats)]
        print(f"start to the menu: median {statistics.median(menu):.2f} s of {repeats}")

        long = long_run(folder, 500)
        opened = [time_to(b"Connected: made up", "attach", str(long.path)) for _ in range(repeats)]
        with viewer("attach", str(long.path)) as screen:
            screen.read(30, until=b"Connected: made up")
            screen.read(3)
            idle = len(screen.read(10))
            keys = key_to_repaint(screen, ["j", "j", "\x1b[C", "k", "s", "2", "1", "G", "g", "l"])
        print(f"a 500-bead run opens in: median {statistics.median(opened):.2f} s of {repeats}")
        print(f"idle for 10 s: {idle} bytes")
        worst, middle = max(keys) * 1e3, statistics.median(keys) * 1e3
        print(f"key to repaint there: median {middle:.0f} ms, worst {worst:.0f} ms of {len(keys)}")

        options = ["--set", "search.level=2e-4", "--seed", "3", "--out", str(folder / "live")]
        with viewer("run", "quadratic", *options) as screen:
            screen.read(60, until=b"running")
            while not (folder / "live" / "progress.json").exists():
                screen.read(0.2)
            screen.read(6)
            sent = len(screen.read(20))
            print(f"a running search: {sent / 20 / 1024:.1f} KiB/s over 20 s at 140×40")
            began = time.monotonic()
            screen.process.send_signal(signal.SIGHUP)
            while screen.process.poll() is None:
                screen.read(0.02)
            print(f"gone {time.monotonic() - began:.2f} s after SIGHUP")
        subprocess.run([sys.executable, "-m", "dss_tui", "stop", str(folder / "live")], check=False)


if __name__ == "__main__":
    main()
