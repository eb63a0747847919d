"""Run folders written and read by tests."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from engine.record.events import CheckpointSaved, Event, Outcome, RunFinished
from engine.record.findings import Totals
from engine.record.progress import Counters, Progress, read_progress
from engine.record.rundir import RunDir
from engine.record.writer import RunWriter

TOTALS = Totals(
    beads=5,
    segments=4,
    closed=3,
    failed=1,
    depth=2,
    beads_per_depth=(2, 1, 2),
    bead_steps=700,
    max_peak=0.02,
    normalized_length=1.7,
    elapsed_s=8.5,
)
CONNECTED = RunFinished(Outcome.CONNECTED, "Connected.", TOTALS)
STOPPED = RunFinished(Outcome.STOPPED, "Stopped.", TOTALS)


def saved(word: str) -> CheckpointSaved:
    return CheckpointSaved(word)


def write(run: RunDir, *events: Event) -> None:
    """A session that reports these events."""
    with RunWriter(run) as writer:
        for event in events:
            writer.record(event, 0.5 * (writer.seq + 1))


def seqs(run: RunDir) -> list[int]:
    return [json.loads(line)["seq"] for line in run.events.read_text().splitlines()]


def append(path: Path, content: bytes) -> None:
    with open(path, "ab") as file:
        file.write(content)


def in_child(script: str, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", script, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def output_of(script: str, *arguments: object) -> str:
    with in_child(script, *arguments) as child:
        output, _ = child.communicate()
    assert child.returncode == 0
    return output


COUNTERS = Counters(
    depth=2,
    beads=5,
    beads_per_depth=(2, 1, 2),
    open=1,
    closed=3,
    failed=0,
    in_training=2,
    bead_steps=700,
    max_peak=0.03,
    normalized_length=1.25,
)


def progress(seconds: float = 2.5, steps: int = 700, **more: Any) -> Progress:
    """A progress at that running time, with no string yet."""
    known: dict[str, Any] = {
        "seq": 7,
        "time": seconds,
        "state": "running",
        "phase": "splitting",
        "level": 0.02,
        "alpha": 0.7,
        "counters": Counters(**vars(COUNTERS) | {"bead_steps": steps}),
        "order": (),
        "losses": (),
        "training": (),
        "segments": (),
    }
    return Progress(**known | more)


def progress_of(run: RunDir) -> Progress:
    """The progress of a run that has one."""
    found = read_progress(run)
    assert found is not None
    return found
